package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestScope covers the scope of authorization and token requests.
//
// S4: a scope that is unknown, not the app's, malformed, or very long: invalid_scope by redirect, and where commas separate
// scopes, the description names the space as the separator; scope written as an array or object: invalid_request. Standard
// scopes that this server does not have (openid, offline_access, …) are left out of the request, and the answer's scope shows
// that; alone they are invalid_scope. Never the app's other scopes instead, and the same at the token endpoint. A scope that
// the app gave up during the log-in or on the consent page: invalid_scope as soon as it would be granted.
//
// S5: scope omitted: the consent page shows all scopes of the app, and the token answer names those that were granted. A scope
// of the app that the catalogue no longer has under that name is not granted, neither to a user's token nor to the app's own;
// if no scope is left: invalid_scope.
//
// S6: scope, code_challenge and code_challenge_method in a token request with a code are ignored: the token has the approved
// scopes, and the stored challenge counts.
func TestScope(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"S4 invalid":         wantInvalidScopes,
		"S4 standard scopes": wantStandardScopes,
		"S5 omitted":         wantDefaultScope,
		"S6 token request": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for _, asked := range []string{"admin", "contacts faqs", "bogus"} {
				answer := e.Exchange(e.A, in.Code(e.A), "scope", asked)
				token := answer.WantToken(t)
				if got, active := answer.String(t, "scope"), e.Introspect(e.A, token).String(t, "scope"); got != "contacts" || active != "contacts" {
					t.Errorf("scope = %q, introspected %q after a request for %q, want contacts", got, active, asked)
				}
			}
			code := in.Code(e.P)
			plain := []string{"code_challenge_method", "plain", "code_challenge", harness.Challenge}
			e.Exchange(e.P, code, append(plain, "code_verifier", harness.Challenge)...).WantGrantRefused(t)
			e.Exchange(e.P, code, plain...).WantToken(t)
		},
	})
}

func wantInvalidScopes(t *testing.T, e *harness.Env) {
	narrow, in := e.AddApp("Narrow", true, harness.CB, scopes("contacts")), e.LoggedIn(e.U)
	own := func(name, value string) harness.Answer {
		return e.Token(narrow, "grant_type", "client_credentials", name, value)
	}
	for _, bad := range []string{
		"bogus", "contacts bogus", "contacts faqs", "admin", "Contacts", `con"tacts`, `con\tacts`, "con\x01tacts", "contacts\tfaqs",
		"contacts\r\nfaqs", "contäcts", "contacts+widgets", "contacts,widgets", strings.Repeat("contacts ", 499) + "x",
		strings.TrimSpace(strings.Repeat("x ", 500)), " ", "*",
	} {
		t.Run(bad[:min(len(bad), 20)], func(t *testing.T) {
			e.With(t).WantRedirectError(in.Get(address(request(narrow, "scope", bad))), harness.CB, "invalid_scope", "xyz")
			own("scope", bad).WantRefused(t, http.StatusBadRequest, "invalid_scope")
		})
	}
	for _, name := range []string{"scope[a]", "scope[]", "scope[", "scope[0]"} {
		e.WantRedirectError(in.Get(address(request(narrow, "scope", "-", name, "contacts"))), harness.CB, "invalid_request", "xyz")
		e.WantRedirectError(in.Get(address(request(narrow, name, "faqs"))), harness.CB, "invalid_request", "xyz")
		own(name, "contacts").WantRefused(t, http.StatusBadRequest, "invalid_request")
	}
	for _, got := range []string{
		own("scope", "widgets,contacts").String(t, "error_description"), own("scope", "contacts, faqs").String(t, "error_description"),
		in.Get(address(request(narrow, "scope", "widgets,contacts"))).Location(t).Query().Get("error_description"),
	} {
		if !strings.Contains(got, "separate scopes with spaces") {
			t.Errorf("error_description = %q", got)
		}
	}
	e.WantNoRequests()
	passing := e.AddApp("Passing", true, harness.CB)
	two := address(request(passing, "scope", "contacts faqs"))
	shown, parked := in.Get(two), wantLogIn(t, e.Browser().Get(two))
	e.Register(passing, "contacts")
	e.WantRedirectError(in.Decide(shown, "allow"), harness.CB, "invalid_scope", "xyz")
	e.WantRedirectError(in.Get("/oauth/consent?request_id="+parked), harness.CB, "invalid_scope", "xyz")
	e.WantNoGrants()
	e.Register(passing, "faqs", "contacts")
	e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
	// Order and repetition do not matter.
	shown = in.Get(address(request(e.A, "scope", "faqs contacts contacts faqs")))
	if e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz"); strings.Contains(shown.Body, "Conversations") {
		t.Error("the consent page shows a scope that was not requested")
	}
}

// wantStandardScopes requests, at every place that takes a scope, what OpenID Connect libraries add and this server does not
// have.
func wantStandardScopes(t *testing.T, e *harness.Env) {
	b, expiring := e.LoggedIn(e.U), e.AddExpiring("Echo")
	for i, name := range []string{"openid", "profile", "email", "address", "phone", "offline_access"} {
		asked := []string{name + " widget", "contacts " + name, "openid " + name + " widget"}[i%3]
		want := map[bool]string{true: "widget", false: "contacts"}[strings.Contains(asked, "widget")]
		answer := e.Grant(b, expiring, "scope", asked)
		again := refresh(e, expiring, answer.String(t, "refresh_token"), "scope", asked)
		for _, a := range []harness.Answer{answer, again, e.Token(e.A, "grant_type", "client_credentials", "scope", asked)} {
			e.WantLive(a.WantToken(t), true)
			if got := a.String(t, "scope"); got != want {
				t.Errorf("%q: scope = %q, want %q", asked, got, want)
			}
		}
		for _, alone := range []string{name, "openid " + name} {
			e.WantRedirectError(b.Get(address(request(e.A, "scope", alone))), harness.CB, "invalid_scope", "xyz")
			refresh(e, expiring, again.String(t, "refresh_token"), "scope", alone).WantRefused(t, http.StatusBadRequest, "invalid_scope")
			e.Token(e.A, "grant_type", "client_credentials", "scope", alone).WantRefused(t, http.StatusBadRequest, "invalid_scope")
		}
	}
	e.WantRedirectError(b.Get(address(request(e.A, "scope", "openid groups contacts"))), harness.CB, "invalid_scope", "xyz")
}

func wantDefaultScope(t *testing.T, e *harness.Env) {
	in, narrow := e.LoggedIn(e.U), e.AddApp("Narrow", true, harness.CB, scopes("contacts"))
	for app, want := range map[harness.App]string{e.A: "widgets faqs contacts conversations", narrow: "contacts"} {
		shown := in.Get(address(request(app, "scope", "-")))
		for _, name := range scope.Default().Names() {
			s, _ := scope.Default().Scope(name)
			if on := strings.Contains(shown.Body, s.Description); on != slices.Contains(strings.Fields(want), name) {
				t.Errorf("the consent page shows %s: %t", name, on)
			}
		}
		answer := e.Exchange(app, e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz"))
		token := answer.WantToken(t)
		for _, got := range []string{answer.String(t, "scope"), e.Introspect(app, token).String(t, "scope")} {
			if !sameWords(got, want) {
				t.Errorf("scope = %q, want %q", got, want)
			}
		}
	}
	left := e.AddApp("Left", true, harness.CB)
	// brands has become an alias.
	e.Exec(`UPDATE apps SET scopes = 'brands contacts retired' WHERE id = $1`, left.ID)
	wantScopes(t, e, left, e.Grant(in, left, "scope", ""), "contacts")
	if got := e.Token(left, "grant_type", "client_credentials").String(t, "scope"); got != "contacts" {
		t.Errorf("scope of the app's own token = %q, want contacts", got)
	}
	e.Exec(`UPDATE apps SET scopes = 'brands retired' WHERE id = $1`, left.ID)
	e.WantRedirectError(in.Get(address(request(left, "scope", "-"))), harness.CB, "invalid_scope", "xyz")
	e.Token(left, "grant_type", "client_credentials").WantRefused(t, http.StatusBadRequest, "invalid_scope")
}

// TestClientCredentialsScope_S7: an app requests a token of its own with a scope that needs a user, by name, by alias or among
// others: invalid_scope; without scope it gets the others. Its sub is its client_id, which no user id can equal.
func TestClientCredentialsScope_S7(t *testing.T) {
	var list []string
	for _, name := range []string{"widgets", "faqs", "contacts", "conversations", "profile"} {
		list = append(list, fmt.Sprintf(`{"name": %q, "title": %[1]q, "description": %[1]q, "sensitivity": "low", "aliases": ["my-%[1]s"],
			"implies": [], "needs_user": %t, "permissions": []}`, name, name == "profile"))
	}
	catalogue, err := scope.LoadCatalogue(strings.NewReader(`{"scopes": [` + strings.Join(list, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		both := e.AddApp("Both", true, harness.CB, scopes("contacts", "profile"))
		only := e.AddApp("Only", true, harness.CB, scopes("profile"))
		for _, asked := range []string{"profile", "my-profile", "contacts profile"} {
			e.Token(both, "grant_type", "client_credentials", "scope", asked).WantRefused(t, http.StatusBadRequest, "invalid_scope")
		}
		e.Token(only, "grant_type", "client_credentials").WantRefused(t, http.StatusBadRequest, "invalid_scope")
		e.WantNoGrants()

		answer := e.Token(both, "grant_type", "client_credentials")
		token := answer.WantToken(t)
		if got := answer.String(t, "scope"); got != "contacts" {
			t.Errorf("scope = %q, want contacts", got)
		}
		me := e.Me(token)
		if sub := me.String(t, "sub"); me.Status != http.StatusOK || sub != both.ID || secret.ValidUserID(sub) || me.JSON(t)["user"] != nil || me.JSON(t)["account"] != nil {
			t.Errorf("/api/me of an app's own token: %s", me.Body)
		}
		if !secret.ValidUserID(e.U.ID) || secret.ValidPublicID("app_", e.U.ID) {
			t.Errorf("user id %q could be a client id", e.U.ID)
		}
	}, func(o *server.Options) { o.Catalogue = catalogue })
}

// sameWords reports whether two lists separated by spaces have the same words, in any order.
func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// TestPrompt: prompt is a list of values separated by spaces. none beside another value, and an unknown value, are
// invalid_request; consent and select_account show the page even if nothing new is requested; the metadata lists the values.
// login shows the log-in form, which names app and user, until the session's log-in is younger than the request, and no other
// address of the flow leads past it. After the log-in of this user or another the request continues. A browser that is logged
// out logs in once.
func TestPrompt(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"values": func(t *testing.T, e *harness.Env) {
			b := e.LoggedIn(e.U)
			e.Grant(b, e.A).WantToken(t) // from here on no page is necessary
			for _, bad := range []string{"none login", "consent none", "none none select_account", "login create", "Login", "consent,login", "none\tlogin", strings.Repeat("x", 60_000)} {
				e.WantRedirectError(b.Get(address(request(e.A, "prompt", bad))), harness.CB, "invalid_request", "xyz")
			}
			for _, quiet := range []string{"", "none", " none ", "none none"} {
				e.WantCode(b.Get(address(request(e.A, "prompt", quiet))), harness.CB, "xyz")
			}
			for _, asking := range []string{"consent", "select_account", "consent select_account", "select_account  consent", "consent consent"} {
				wantConsent(t, b.Get(address(request(e.A, "prompt", asking))), "Alpha")
			}
			metadata := b.Get("/.well-known/oauth-authorization-server").JSON(t)
			if got := fmt.Sprint(metadata["prompt_values_supported"]); got != "[none login consent select_account]" {
				t.Errorf("prompt_values_supported = %s", got)
			}
		},
		"login": func(t *testing.T, e *harness.Env) {
			b := e.LoggedIn(e.U)
			e.Grant(b, e.A).WantToken(t)
			for _, prompt := range []string{"login", "login consent", "select_account login"} {
				wantLogInAgain(t, e, b, prompt)
			}
			parked := wantLogIn(t, b.Get(address(request(e.A, "prompt", "login"))))
			wantConsent(t, logInTo(b, e.AddUser("x-"+e.U.Email), parked), "Alpha") // this user has not approved it yet

			out := e.Browser()
			parked = wantLogIn(t, out.Get(address(request(e.A, "prompt", "login"))))
			if page := out.Get("/login?next=" + parked); strings.Contains(page.Body, "again") {
				t.Errorf("the log-in page of a browser that is logged out: %s", page.Body)
			}
			e.WantCode(logInTo(out, e.U, parked), harness.CB, "xyz")
		},
	})
}

func wantLogInAgain(t *testing.T, e *harness.Env, b *harness.Browser, prompt string) {
	t.Helper()
	before := b.Cookie("xenoauth")
	parked := wantLogIn(t, b.Get(address(request(e.A, "prompt", prompt))))
	page := b.Get("/login?next=" + parked)
	page.WantPage(t, http.StatusOK)
	if !strings.Contains(page.Body, "Alpha</strong> asks you to log in again") || !strings.Contains(page.Body, `value="`+e.U.Email+`"`) || strings.Contains(page.Body, "/signup") {
		t.Errorf("the log-in page: %s", page.Body)
	}
	for _, around := range []string{"/oauth/consent?request_id=" + parked, "/signup?next=" + parked} {
		a := b.Get(around)
		for strings.HasPrefix(a.Header.Get("Location"), "/oauth/") {
			a = b.Follow(a)
		}
		if got := wantLogIn(t, a); got != parked {
			t.Errorf("%s leads to another request", around)
		}
	}
	b.Post("/login", harness.Pairs("email", e.U.Email, "password", "not it at all", "next", parked)).WantPage(t, http.StatusUnprocessableEntity)
	wantLogIn(t, b.Get("/oauth/consent?request_id="+parked))

	back := logInTo(b, e.U, parked)
	if b.Cookie("xenoauth") == before {
		t.Error("the session is the same as before the log-in")
	}
	if prompt != "login" {
		wantConsent(t, back, "Alpha")
		back = b.Decide(back, "allow")
	}
	e.WantCode(back, harness.CB, "xyz")
	wantLogIn(t, b.Get(address(request(e.A, "prompt", prompt)))) // the next request needs another log-in
}
