package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestAuthorizeState_S1: a state of any text (1 byte, 2 kB, markup, line breaks with a header, emoji, &code=x, plus and its
// encoding) comes back as it was after one decoding, from Allow, Deny, an error and a log-in in between; it never adds a
// parameter or a header. One above 2 kB is refused and does not come back.
func TestAuthorizeState_S1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		for sent, state := range map[string]string{
			"x":                          "x",
			strings.Repeat("s", 2<<10):   strings.Repeat("s", 2<<10),
			"%3Cscript%3Ealert(1)":       "<script>alert(1)",
			"%22%3E%3Csvg+onload%3Dx%3E": `"><svg onload=x>`,
			"%0d%0aSet-Cookie:x%3Dy":     "\r\nSet-Cookie:x=y",
			"%F0%9F%A6%8A":               "🦊",
			"%26code%3Dx%26iss%3Dhttps:": "&code=x&iss=https:",
			"+":                          " ",
			"%2B":                        "+",
			"%252B":                      "%2B",
			"%23access_token%3Dx":        "#access_token=x",
			"%5C%2F%3F%3D%7F%01":         "\\/?=\x7f\x01",
			"%E2%80%AE%EF%BF%BD":         "\u202e\ufffd",
			"a=b=c":                      "a=b=c",
			"%27--":                      "'--",
			"$1%24%24%25s{{7}}":          "$1$$%s{{7}}",
		} {
			t.Run(state[:min(len(state), 20)], func(t *testing.T) {
				e, in := e.With(t), in.With(t)
				target := address(request(e.A, "state", "-", "prompt", "consent")) + "&state=" + sent
				answers := []harness.Answer{in.Decide(in.Visit(http.MethodGet, target), "allow"), in.Decide(in.Visit(http.MethodGet, target), "deny"),
					in.Visit(http.MethodGet, target+"&response_mode=x")}
				e.WantCode(answers[0], harness.CB, state)
				e.WantRedirectError(answers[1], harness.CB, "access_denied", state)
				e.WantRedirectError(answers[2], harness.CB, "invalid_request", state)
				for _, a := range answers {
					location := a.Header.Get("Location")
					if len(a.Header.Values("Location")) != 1 || a.Header.Get("Set-Cookie") != "" || strings.ContainsAny(location, "#\r\n<> \"") {
						t.Errorf("Location = %q, Set-Cookie = %q", location, a.Header.Get("Set-Cookie"))
					}
				}
				b := e.Browser()
				parked := wantLogIn(t, b.Visit(http.MethodGet, target))
				back := b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}, "next": {parked}})
				e.WantCode(b.Decide(b.Follow(back), "allow"), harness.CB, state)
			})
		}
		long := in.Get(address(request(e.A, "state", strings.Repeat("s", 2049))))
		e.WantRedirectError(long, harness.CB, "invalid_request", "")
	})
}

// TestAuthorizeIssuer_S2: iss is the metadata's issuer to the byte in every redirect to an app, be it code, denial or error, whatever
// host the browser named; answers of the token endpoint have none.
func TestAuthorizeIssuer_S2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		metadata := v.out.Get("/.well-known/oauth-authorization-server")
		if got := metadata.String(t, "issuer"); got != e.URL || metadata.JSON(t)["authorization_response_iss_parameter_supported"] != true {
			t.Fatalf("issuer = %q, want %q: %s", got, e.URL, metadata.Body)
		}
		redirects := map[string]harness.Answer{
			"login_required":   v.out.Get(address(request(e.A, "prompt", "none"))),
			"consent_required": v.in.Get(address(request(e.A, "prompt", "none"))),
			"access_denied":    v.in.Decide(v.in.Get(address(request(e.A))), "deny"),
		}
		for code, faults := range faulty(e.A) {
			redirects[code] = v.in.Get(address(faults))
		}
		for code, a := range redirects {
			e.WantRedirectError(a, harness.CB, code, "xyz")
		}
		code := e.WantCode(v.in.Decide(v.in.Get(address(request(e.A))), "allow"), harness.CB, "xyz")
		e.WantCode(v.in.Get(address(request(e.A, "prompt", "none"))), harness.CB, "xyz")
		forged := v.in.Visit(http.MethodGet, address(request(e.A)), "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "Forwarded: host=evil.test")
		e.WantCode(forged, harness.CB, "xyz")

		for _, a := range []harness.Answer{e.Exchange(e.A, "nope"), e.Exchange(e.A, code), e.Post("/oauth/token", url.Values{})} {
			if _, there := a.JSON(t)["iss"]; there {
				t.Errorf("the token endpoint answers iss: %s", a.Body)
			}
		}
	})
}

// TestConsentDeny_S3: Deny: access_denied by redirect with state and iss; neither installation nor code, and the page cannot be
// answered again, nor its id be used in an address.
func TestConsentDeny_S3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		for _, app := range []harness.App{e.A, e.P} {
			shown := in.Get(address(request(app)))
			in.Get("/oauth/consent?request_id="+shown.Hidden("request_id")).WantPage(t, http.StatusBadRequest)
			e.WantRedirectError(in.Decide(shown, "deny"), app.URI, "access_denied", "xyz")
			in.Decide(shown, "allow").WantPage(t, http.StatusBadRequest)
			e.WantEvents(app, "request.denied", 1)
			e.WantEvents(app, "installation.created", 0)
		}
		e.With(t).WantNoGrants()
		if installed := in.Get("/account/apps"); strings.Contains(installed.Body, "Alpha") {
			t.Error("a denied app is listed as installed")
		}
	})
}

// TestAuthorizeInvalidScope_S4: a scope that is unknown, not the app's, malformed, or endless: invalid_scope by redirect, and where commas
// separate scopes, the description names the space as the separator; scope written as an array or object: invalid_request. Standard scopes
// that this server does not have (openid, offline_access, …) are left out of the request, and the answer's scope shows
// that; alone they are invalid_scope, not the app's default. Never the app's other scopes instead, and the same at the token endpoint. A scope that
// the app gave up while the person logged in or looked at the consent page: invalid_scope as soon as it would be granted.
func TestAuthorizeInvalidScope_S4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		narrow := e.AddApp("Narrow", true, harness.CB, scopes("contacts"))
		in := e.LoggedIn(e.U)
		for name, bad := range map[string]string{
			"unknown":           "bogus",
			"one of two":        "contacts bogus",
			"outside the app's": "contacts faqs",
			"a role":            "admin",
			"another case":      "Contacts",
			"quote":             `con"tacts`,
			"backslash":         `con\tacts`,
			"control":           "con\x01tacts",
			"tab":               "contacts\tfaqs",
			"line break":        "contacts\r\nfaqs",
			"non-ASCII":         "contäcts",
			"plus decoded once": "contacts+widgets",
			"comma":             "contacts,widgets",
			"500 tokens":        strings.TrimSpace(strings.Repeat("contacts ", 499) + "x"),
			"500 other tokens":  strings.Join(strings.Split(strings.Repeat("x", 500), ""), " "),
			"only a space":      " ",
			"wildcard":          "*",
		} {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				e.WantRedirectError(in.With(t).Get(address(request(narrow, "scope", bad))), harness.CB, "invalid_scope", "xyz")
				e.Token(narrow, "grant_type", "client_credentials", "scope", bad).WantRefused(t, http.StatusBadRequest, "invalid_scope")
			})
		}
		for _, name := range []string{"scope[a]", "scope[]", "scope[", "scope[0]"} {
			e.WantRedirectError(in.Get(address(request(narrow, "scope", "-", name, "contacts"))), harness.CB, "invalid_request", "xyz")
			e.WantRedirectError(in.Get(address(request(narrow, name, "faqs"))), harness.CB, "invalid_request", "xyz")
			e.Token(narrow, "grant_type", "client_credentials", name, "contacts").WantRefused(t, http.StatusBadRequest, "invalid_request")
		}
		for _, a := range []harness.Answer{
			e.Token(narrow, "grant_type", "client_credentials", "scope", "widgets,contacts"),
			e.Token(narrow, "grant_type", "client_credentials", "scope", "contacts, faqs"),
		} {
			if got := a.String(t, "error_description"); !strings.Contains(got, "separate scopes with spaces") {
				t.Errorf("error_description = %q", got)
			}
		}
		comma := in.Get(address(request(narrow, "scope", "widgets,contacts"))).Location(t).Query().Get("error_description")
		if !strings.Contains(comma, "separate scopes with spaces") {
			t.Errorf("error_description = %q", comma)
		}
		e.With(t).WantNoRequests()
		passing := e.AddApp("Passing", true, harness.CB)
		two := address(request(passing, "scope", "contacts faqs"))
		shown, parked := in.Get(two), wantLogIn(t, e.Browser().Get(two))
		e.Register(passing, "contacts")
		e.WantRedirectError(in.Decide(shown, "allow"), harness.CB, "invalid_scope", "xyz")
		e.WantRedirectError(in.Get("/oauth/consent?request_id="+parked), harness.CB, "invalid_scope", "xyz")
		e.With(t).WantNoGrants()
		e.Register(passing, "faqs", "contacts")
		e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
		// What is well formed is taken, however often and in whatever order it is said.
		shown = in.Get(address(request(e.A, "scope", "faqs contacts contacts faqs")))
		if e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz"); strings.Contains(shown.Body, "Conversations") {
			t.Error("the consent page shows a scope that was not asked for")
		}
	})
}

// TestAuthorizeDefaultScope_S5: scope omitted: the consent page shows everything that the app registered, and the token answer says what
// was granted. What the app registered and the catalogue no longer has under that name cannot be shown, so it is not
// granted, to a user's token or to the app's own; if nothing else is left: invalid_scope.
func TestAuthorizeDefaultScope_S5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		narrow := e.AddApp("Narrow", true, harness.CB, scopes("contacts"))
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
			for what, got := range map[string]string{"token answer": answer.String(t, "scope"), "introspection": e.Introspect(app, token).String(t, "scope")} {
				if !sameWords(got, want) {
					t.Errorf("scope of the %s = %q, want %q", what, got, want)
				}
			}
		}
		left := e.AddApp("Left", true, harness.CB)
		// The first is an alias today.
		e.Exec(`UPDATE apps SET scopes = 'brands contacts retired' WHERE id = $1`, left.ID)
		wantScopes(t, e, left, e.Grant(in, left, "scope", ""), "contacts")
		if got := e.Token(left, "grant_type", "client_credentials").String(t, "scope"); got != "contacts" {
			t.Errorf("scope of the app's own token = %q, want contacts", got)
		}
		e.Exec(`UPDATE apps SET scopes = 'brands retired' WHERE id = $1`, left.ID)
		e.WantRedirectError(in.Get(address(request(left, "scope", "-"))), harness.CB, "invalid_scope", "xyz")
		e.Token(left, "grant_type", "client_credentials").WantRefused(t, http.StatusBadRequest, "invalid_scope")
	})
}

// TestTokenIgnoresAuthorizeParameters_S6: scope, code_challenge and code_challenge_method sent along with a code to the token endpoint are ignored:
// the token has the scopes that were approved, and the stored challenge counts.
func TestTokenIgnoresAuthorizeParameters_S6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		for _, asked := range []string{"admin", "contacts faqs", "bogus"} {
			answer := e.Exchange(e.A, in.Code(e.A), "scope", asked)
			token := answer.WantToken(t)
			if got := answer.String(t, "scope"); got != "contacts" {
				t.Errorf("scope = %q after %q was asked for, want contacts", got, asked)
			}
			if got := e.Introspect(e.A, token).String(t, "scope"); got != "contacts" {
				t.Errorf("the token has scope %q, want contacts", got)
			}
		}
		code := in.Code(e.P)
		plain := []string{"code_challenge_method", "plain", "code_challenge", harness.Challenge}
		e.Exchange(e.P, code, append(plain, "code_verifier", harness.Challenge)...).WantGrantRefused(t)
		e.Exchange(e.P, code, plain...).WantToken(t)
	})
}

// withProfile is a catalogue of the fixtures' scopes and one that needs a user.
func withProfile(t *testing.T) *scope.Catalogue {
	var list []string
	for _, name := range []string{"widgets", "faqs", "contacts", "conversations", "profile"} {
		list = append(list, fmt.Sprintf(`{"name": %q, "title": %[1]q, "description": %[1]q, "sensitivity": "low", "aliases": ["my-%[1]s"],
			"implies": [], "needs_user": %t, "permissions": []}`, name, name == "profile"))
	}
	c, err := scope.LoadCatalogue(strings.NewReader(`{"scopes": [` + strings.Join(list, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClientCredentialsScope_S7: an app that asks for a token of its own with a scope that needs a user, by name, alias or among others:
// invalid_scope; without scope it gets the others. Its sub is its client_id, which no user id can equal.
func TestClientCredentialsScope_S7(t *testing.T) {
	catalogue := withProfile(t)
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		both := e.AddApp("Both", true, harness.CB, scopes("contacts", "profile"))
		only := e.AddApp("Only", true, harness.CB, scopes("profile"))
		for _, asked := range []string{"profile", "my-profile", "contacts profile"} {
			e.Token(both, "grant_type", "client_credentials", "scope", asked).WantRefused(t, http.StatusBadRequest, "invalid_scope")
		}
		e.Token(only, "grant_type", "client_credentials").WantRefused(t, http.StatusBadRequest, "invalid_scope")
		e.With(t).WantNoGrants()

		answer := e.Token(both, "grant_type", "client_credentials")
		token := answer.WantToken(t)
		if got := answer.String(t, "scope"); got != "contacts" {
			t.Errorf("scope = %q, want contacts", got)
		}
		me := e.Me(token)
		if sub := me.String(t, "sub"); me.Status != http.StatusOK || sub != both.ID || secret.ValidUserID(sub) || me.JSON(t)["user"] != nil || me.JSON(t)["account"] != nil {
			t.Errorf("an app's own token says %s", me.Body)
		}
		if !secret.ValidUserID(e.U.ID) || secret.ValidPublicID("app_", e.U.ID) {
			t.Errorf("user id %q could be a client id", e.U.ID)
		}
	}, func(o *server.Options) { o.Catalogue = catalogue })
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
