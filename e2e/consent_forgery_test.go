package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// allow is the form of a consent page with Allow pressed.
func allow(page harness.Answer) url.Values {
	return url.Values{"request_id": {page.Hidden("request_id")}, "decision": {"allow"}, "account": {page.Hidden("account")}}
}

// TestConsentCrossSite_W1: a consent answer that another site sends (by Sec-Fetch-Site or Origin, among them null, a subdomain and
// another port): 403, nothing granted, and the page can still be answered.
func TestConsentCrossSite_W1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		shown := in.Get(address(request(e.A)))
		for name, headers := range map[string][]string{
			"cross-site":                 {"Sec-Fetch-Site", "cross-site"},
			"same-site":                  {"Sec-Fetch-Site", "same-site"},
			"cross-site with its origin": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"},
			"unknown word":               {"Sec-Fetch-Site", "sames-origin"},
			"origin of another site":     {"Origin", "https://evil.test"},
			"origin null":                {"Origin", "null"},
			"origin of another port":     {"Origin", "http://127.0.0.1:1"},
			"origin like ours":           {"Origin", e.URL + ".evil.test"},
			"null and cross-site":        {"Origin", "null", "Sec-Fetch-Site", "cross-site"},
		} {
			t.Run(name, func(t *testing.T) {
				for _, decision := range []string{"allow", "deny"} {
					form := allow(shown)
					form.Set("decision", decision)
					in.With(t).Send(http.MethodPost, "/oauth/consent", form, headers...).WantPage(t, http.StatusForbidden)
				}
			})
		}
		e.With(t).WantNoGrants()
		e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}

// TestConsentRequestID_W2: a consent answer with our cookie but neither Origin nor Sec-Fetch-Site, and no id, one that is malformed,
// unknown, of another kind, of another person's page, from an address bar, or answered otherwise before: refused, nothing
// granted. Of another browser's page of the same person, of a page that has expired, and after a log-out: nothing granted,
// and the person is asked again. An answer needs the id of the page itself; the same answer by the same session
// again is the same redirect.
func TestConsentRequestID_W2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in, twin, other := e.LoggedIn(e.U), e.LoggedIn(e.U), e.LoggedIn(e.AddUser("olga@users.test"))
		post := func(b *harness.Browser, form url.Values) harness.Answer {
			return b.Send(http.MethodPost, "/oauth/consent", form)
		}
		id := func(text string) url.Values { return url.Values{"request_id": {text}, "decision": {"allow"}} }

		expired := in.Get(address(request(e.A)))
		expiredID := e.Parse(expired.Hidden("request_id")).ID
		e.Exec(`UPDATE requests SET expires_at = $1 WHERE id = $2`, e.Store.Now().UnixMicro(), expiredID[:])
		denied := in.Get(address(request(e.A)))
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
			"another person's":   {allow(other.Get(address(request(e.A)))), http.StatusForbidden},
			"of the address bar": {id(wantLogIn(t, e.Browser().Get(address(request(e.A))))), http.StatusForbidden},
			"answered before":    {allow(denied), http.StatusBadRequest},
			"two":                {url.Values{"request_id": {"x", denied.Hidden("request_id")}, "decision": {"allow"}}, http.StatusBadRequest},
		} {
			t.Run(name, func(t *testing.T) { post(in.With(t), c.form).WantPage(t, c.status) })
		}
		shown := in.Get(address(request(e.A)))
		// The same person after another log-in, or logged out, or too late, is asked again: no answer, and no dead end.
		in.With(t).Follow(post(in, allow(expired))).WantPage(t, http.StatusOK)
		in.With(t).Follow(post(in, allow(twin.Get(address(request(e.A)))))).WantPage(t, http.StatusOK)
		wantLogIn(t, post(e.Browser(), allow(shown)))
		post(other, allow(shown)).WantPage(t, http.StatusForbidden)
		post(in, url.Values{"request_id": {shown.Hidden("request_id")}}).WantPage(t, http.StatusBadRequest)
		e.With(t).WantNoGrants()

		code := e.WantCode(post(in, allow(shown)), harness.CB, "xyz")
		before := e.CountGrants()
		if again := e.WantCode(post(in, allow(shown)), harness.CB, "xyz"); again != code {
			t.Error("the same answer again is another code")
		}
		other.With(t).Post("/oauth/consent", allow(shown)).WantPage(t, http.StatusForbidden)
		post(twin, allow(shown)).WantPage(t, http.StatusBadRequest)
		if n := e.CountGrants(); n != before {
			t.Errorf("an answer that was given before made %d rows of grants", n-before)
		}
	})
}

// TestConsentTampered_W3: a consent answer with scope, client, address, state, challenge or person tampered with grants what the
// page with that id showed; an account of somebody else's is refused. With pages of two apps open, each answer is for its own.
func TestConsentTampered_W3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in, olga := e.LoggedIn(e.U), e.AddUser("olga@users.test")
		foreign := allow(in.Get(address(request(e.A))))
		for _, account := range []string{olga.Account.ID, "acc_" + strings.Repeat("0", 22), "x"} {
			foreign.Set("account", account)
			in.Post("/oauth/consent", foreign).WantPage(t, http.StatusBadRequest)
		}
		e.With(t).WantNoGrants()

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
		e.WantLive(answer.WantToken(t), true)
		if got := answer.String(t, "scope"); got != "contacts" {
			t.Errorf("scope = %q, want contacts", got)
		}
		if me := e.Me(answer.String(t, "access_token")); me.String(t, "sub") != e.U.ID {
			t.Errorf("the token is not the person's: %s", me.Body)
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
	})
}
