package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
)

// allow is the form of a consent page with Allow pressed.
func allow(page harness.Answer) url.Values {
	return url.Values{"request_id": {page.Hidden("request_id")}, "decision": {"allow"}, "account": {page.Hidden("account")}}
}

// TestConsentAnswer covers forged answers of a consent page.
//
// W1: an answer that another site sends (by Sec-Fetch-Site or Origin, including null, a subdomain and another port): 403,
// nothing granted, and the page can still be answered.
//
// W2: an answer with the session's cookie but neither Origin nor Sec-Fetch-Site, and no id, one that is malformed, unknown, of
// another kind, of another user's page, from an address bar, or answered otherwise before: refused, nothing granted. For
// another browser's page of the same user, for a page that has expired, and after a log-out: nothing granted, and the user is
// asked again. An answer needs the id of the page itself; the same answer by the same session again is the same redirect.
//
// W3: an answer with scope, client, redirect URI, state, challenge or user changed grants what the page with that id showed;
// another user's account is refused. With pages of two apps open, each answer is for its own.
func TestConsentAnswer(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"W1 other site": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			shown := in.Get(address(request(e.A)))
			for _, headers := range [][]string{
				{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"},
				{"Sec-Fetch-Site", "sames-origin"}, {"Origin", "https://evil.test"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:1"},
				{"Origin", e.URL + ".evil.test"}, {"Origin", "null", "Sec-Fetch-Site", "cross-site"},
			} {
				for _, decision := range []string{"allow", "deny"} {
					form := allow(shown)
					form.Set("decision", decision)
					in.Send(http.MethodPost, "/oauth/consent", form, headers...).WantPage(t, http.StatusForbidden)
				}
			}
			e.WantNoGrants()
			e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
		},
		"W2 request id": wantRequestIDChecked,
		"W3 changed":    wantChangesIgnored,
	})
}

func wantRequestIDChecked(t *testing.T, e *harness.Env) {
	in, twin, other := e.LoggedIn(e.U), e.LoggedIn(e.U), e.LoggedIn(e.AddUser("x-"+e.U.Email))
	post := func(b *harness.Browser, form url.Values) harness.Answer {
		return b.Send(http.MethodPost, "/oauth/consent", form)
	}
	page := func(b *harness.Browser) harness.Answer { return b.Get(address(request(e.A))) }
	id := func(text string) url.Values { return url.Values{"request_id": {text}, "decision": {"allow"}} }

	expired, denied := page(in), page(in)
	expiredID := e.Parse(expired.Hidden("request_id")).ID
	e.Exec(`UPDATE requests SET expires_at = $1 WHERE id = $2`, e.Store.Now().UnixMicro(), expiredID[:])
	e.WantRedirectError(in.Decide(denied, "deny"), harness.CB, "access_denied", "xyz")
	for name, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"no id":              {url.Values{"decision": {"allow"}}, http.StatusBadRequest},
		"empty id":           {id(""), http.StatusBadRequest},
		"malformed":          {id("x"), http.StatusBadRequest},
		"unknown":            {id(secret.Format{}.New(secret.Request).Reveal()), http.StatusBadRequest},
		"another kind":       {id(e.A.Secret), http.StatusBadRequest},
		"another user's":     {allow(page(other)), http.StatusForbidden},
		"of the address bar": {id(wantLogIn(t, page(e.Browser()))), http.StatusForbidden},
		"answered before":    {allow(denied), http.StatusBadRequest},
		"two":                {url.Values{"request_id": {"x", denied.Hidden("request_id")}, "decision": {"allow"}}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) { post(in.With(t), c.form).WantPage(t, c.status) })
	}
	shown := page(in)
	// The same user in another session, logged out, or too late, is asked again.
	in.Follow(post(in, allow(expired))).WantPage(t, http.StatusOK)
	in.Follow(post(in, allow(page(twin)))).WantPage(t, http.StatusOK)
	wantLogIn(t, post(e.Browser(), allow(shown)))
	post(other, allow(shown)).WantPage(t, http.StatusForbidden)
	post(in, url.Values{"request_id": {shown.Hidden("request_id")}}).WantPage(t, http.StatusBadRequest)
	e.WantNoGrants()

	code := e.WantCode(post(in, allow(shown)), harness.CB, "xyz")
	before := e.CountGrants()
	if again := e.WantCode(post(in, allow(shown)), harness.CB, "xyz"); again != code {
		t.Error("the same answer again is another code")
	}
	other.Post("/oauth/consent", allow(shown)).WantPage(t, http.StatusForbidden)
	post(twin, allow(shown)).WantPage(t, http.StatusBadRequest)
	e.WantGrants(before)
}

func wantChangesIgnored(t *testing.T, e *harness.Env) {
	in, olga := e.LoggedIn(e.U), e.AddUser("x-"+e.U.Email)
	foreign := allow(in.Get(address(request(e.A))))
	for _, account := range []string{olga.Account.ID, "acc_" + strings.Repeat("0", 22), "x"} {
		foreign.Set("account", account)
		in.Post("/oauth/consent", foreign).WantPage(t, http.StatusBadRequest)
	}
	e.WantNoGrants()

	form := allow(in.Get(address(request(e.A))))
	for name, value := range map[string]string{
		"scope": "widgets faqs contacts conversations", "client_id": e.B.ID, "app": e.B.ID, "redirect_uri": "https://evil.test/cb", "state": "other",
		"user": olga.ID, "code_challenge": harness.Challenge, "response_type": "token", "session": "x",
	} {
		form.Set(name, value)
	}
	code := e.WantCode(in.Post("/oauth/consent?scope=faqs&redirect_uri=https://evil.test&client_id="+e.B.ID, form), harness.CB, "xyz")
	e.Exchange(e.B, code).WantGrantRefused(t)
	answer := e.Exchange(e.A, code)
	if got := answer.String(t, "scope"); got != "contacts" {
		t.Errorf("scope = %q, want contacts", got)
	}
	if me := e.Me(answer.WantToken(t)); me.String(t, "sub") != e.U.ID {
		t.Errorf("/api/me: %s, want sub %s", me.Body, e.U.ID)
	}

	older := in.Get(address(request(e.B, "state", "older", "scope", "faqs")))
	newer := in.Get(address(request(e.P, "state", "newer", "scope", "widgets")))
	first := e.WantCode(in.Decide(older, "allow"), harness.CB, "older")
	second := e.WantCode(in.Decide(newer, "allow"), harness.CB, "newer")
	for app, c := range map[harness.App]struct{ code, scope string }{e.B: {first, "faqs"}, e.P: {second, "widgets"}} {
		answer := e.Exchange(app, c.code)
		if answer.WantToken(t); answer.String(t, "scope") != c.scope {
			t.Errorf("scope = %q, want %q", answer.String(t, "scope"), c.scope)
		}
	}
}

// TestConsentRepeated_W14: a user who has approved an app is sent to the authorization endpoint by it again. Only a confidential
// app with a registered https redirect URI, on the user's only account, for no more scopes than were approved, gets its code
// without a page; also at another of its registered redirect URIs, and with prompt=none. A page is shown for one scope more,
// for all scopes when some were approved, with prompt=consent, for a public app, a native one on a loopback port, an http
// loopback or private-scheme redirect URI of a confidential app, another user, a user with two accounts, and after the app was
// removed; there prompt=none gets consent_required. (Dynamically registered apps come with registration.)
func TestConsentRepeated_W14(t *testing.T) {
	const second = "https://app.test/second"
	type repetition struct {
		app     func(e *harness.Env) harness.App
		change  []string
		skipped bool
	}
	two := func(e *harness.Env) harness.App { return e.AddApp("Two", true, harness.CB, redirectURIs(second)) }
	app := func(confidential bool, uri string) func(e *harness.Env) harness.App {
		return func(e *harness.Env) harness.App { return e.AddApp("One", confidential, uri) }
	}
	rows := harness.Rows{
		"never approved": func(t *testing.T, e *harness.Env) {
			b := e.LoggedIn(e.U)
			wantConsentOf(t, b.Get(address(request(e.B))))
			e.WantRedirectError(b.Get(address(request(e.B, "prompt", "none"))), harness.CB, "consent_required", "xyz")
		},
		"other redirect URI": func(t *testing.T, e *harness.Env) {
			app, b := two(e), e.LoggedIn(e.U)
			e.Grant(b, app)
			for _, uri := range []string{"https://APP.test/cb", "https://evilapp.test/cb", "https://sub.app.test/", "http://app.test/cb", "javascript://app.test/%0aalert(1)"} {
				b.Get(address(request(app, "redirect_uri", uri))).WantPage(t, http.StatusBadRequest)
			}
		},
		"removed": func(t *testing.T, e *harness.Env) {
			app, b := two(e), e.LoggedIn(e.U)
			e.Grant(b, app)
			e.WantCode(b.Get(address(request(app))), harness.CB, "xyz")
			e.Uninstall(b, e.U, app)
			wantConsentOf(t, b.Get(address(request(app))))
		},
		"two accounts": func(t *testing.T, e *harness.Env) {
			app, u := two(e), e.AddUser("x-"+e.U.Email)
			b := e.LoggedIn(u)
			e.Grant(b, app)
			e.Must(e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, u.ID, scope.RoleAgent))
			wantConsentOf(t, b.Get(address(request(app))))
		},
		"redirect URI withdrawn": func(t *testing.T, e *harness.Env) {
			app, b := two(e), e.LoggedIn(e.U)
			e.Grant(b, app)
			e.Exec(`DELETE FROM app_redirect_uris WHERE app_id = $1 AND uri = $2`, app.ID, second)
			b.Get(address(request(app, "redirect_uri", second))).WantPage(t, http.StatusBadRequest)
		},
	}
	for name, c := range map[string]repetition{
		"same":                         {two, nil, true},
		"fewer scopes":                 {two, []string{"scope", "faqs"}, true},
		"other order of scopes":        {two, []string{"scope", "contacts faqs"}, true},
		"another of its redirect URIs": {two, []string{"redirect_uri", second}, true},
		"PKCE":                         {two, withChallenge(harness.Challenge), true},
		"one scope more":               {two, []string{"scope", "faqs contacts widgets"}, false},
		"another scope":                {two, []string{"scope", "widgets"}, false},
		"all scopes":                   {two, []string{"scope", "-"}, false},
		"prompt=consent":               {two, []string{"prompt", "consent"}, false},
		"prompt=select_account":        {two, []string{"prompt", "select_account"}, false},
		"public":                       {app(false, harness.CB), nil, false},
		"native":                       {app(false, "http://127.0.0.1/cb"), nil, false},
		"native on a port":             {app(false, "http://127.0.0.1/cb"), []string{"redirect_uri", "http://127.0.0.1:51004/cb"}, false},
		"loopback":                     {app(true, "http://localhost/cb"), nil, false},
		"loopback on a port":           {app(true, "http://localhost/cb"), []string{"redirect_uri", "http://localhost:9/cb"}, false},
		"private scheme":               {app(true, "com.example.app:/cb"), nil, false},
		"private scheme, public":       {app(false, "com.example.app:/cb"), nil, false},
	} {
		rows[name] = func(t *testing.T, e *harness.Env) {
			app, b := c.app(e), e.LoggedIn(e.U)
			e.Grant(b, app, "scope", "faqs contacts")
			again := request(app, append([]string{"scope", "faqs contacts"}, c.change...)...)
			to := again.Get("redirect_uri")
			a := b.Get(address(again))
			if c.skipped {
				proof := []string{"redirect_uri", to}
				if again.Has("code_challenge") {
					proof = append(proof, "code_verifier", harness.Verifier)
				}
				// The token has no more scopes than this request.
				wantScopes(t, e, app, e.Exchange(app, e.WantCode(a, to, "xyz"), proof...), again.Get("scope"))
			} else {
				wantConsentOf(t, a)
			}
			if again.Has("prompt") {
				return
			}
			again.Set("prompt", "none")
			a = b.Get(address(again))
			if c.skipped {
				e.WantCode(a, to, "xyz")
			} else {
				e.WantRedirectError(a, to, "consent_required", "xyz")
			}
			// Another user has approved nothing.
			wantConsentOf(t, e.LoggedIn(e.AddUser("x-"+e.U.Email)).Get(address(request(app))))
		}
	}
	harness.EachRow(t, rows)
}
