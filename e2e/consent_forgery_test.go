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
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		in := r.LoggedIn(r.U)
		shown := in.Get(address(request(r.A)))
		for name, headers := range map[string][]string{
			"cross-site":                 {"Sec-Fetch-Site", "cross-site"},
			"same-site":                  {"Sec-Fetch-Site", "same-site"},
			"cross-site with its origin": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"},
			"unknown word":               {"Sec-Fetch-Site", "sames-origin"},
			"origin of another site":     {"Origin", "https://evil.test"},
			"origin null":                {"Origin", "null"},
			"origin of another port":     {"Origin", "http://127.0.0.1:1"},
			"origin like ours":           {"Origin", r.URL + ".evil.test"},
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
		wantNoGrant(t, r)
		r.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}

// TestConsentRequestID_W2: a consent answer with our cookie but neither Origin nor Sec-Fetch-Site, and no id, one that is malformed,
// unknown, of another kind, of another person's page, from an address bar, or answered otherwise before: refused, nothing
// granted. Of another browser's page of the same person, of a page that has expired, and after a log-out: nothing granted,
// and the person is asked again. An answer needs the id of the page itself; the same answer by the same session
// again is the same redirect.
func TestConsentRequestID_W2(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		in, twin, other := r.LoggedIn(r.U), r.LoggedIn(r.U), r.LoggedIn(r.AddUser("olga@users.test"))
		post := func(b *harness.Browser, form url.Values) harness.Answer {
			return b.Send(http.MethodPost, "/oauth/consent", form)
		}
		id := func(text string) url.Values { return url.Values{"request_id": {text}, "decision": {"allow"}} }

		expired := in.Get(address(request(r.A)))
		expiredID := r.Parse(expired.Hidden("request_id")).ID
		r.Exec(`UPDATE requests SET expires_at = $1 WHERE id = $2`, r.Store.Now().UnixMicro(), expiredID[:])
		denied := in.Get(address(request(r.A)))
		r.WantRedirectError(in.Decide(denied, "deny"), harness.CB, "access_denied", "xyz")
		for name, c := range map[string]struct {
			form   url.Values
			status int
		}{
			"no id":              {url.Values{"decision": {"allow"}}, http.StatusBadRequest},
			"empty id":           {id(""), http.StatusBadRequest},
			"malformed":          {id("x"), http.StatusBadRequest},
			"unknown":            {id(secret.Format{}.New(secret.Request).Reveal()), http.StatusBadRequest},
			"another kind":       {id(r.A.Secret), http.StatusBadRequest},
			"another person's":   {allow(other.Get(address(request(r.A)))), http.StatusForbidden},
			"of the address bar": {id(wantLogIn(t, r.Browser().Get(address(request(r.A))))), http.StatusForbidden},
			"answered before":    {allow(denied), http.StatusBadRequest},
			"two":                {url.Values{"request_id": {"x", denied.Hidden("request_id")}, "decision": {"allow"}}, http.StatusBadRequest},
		} {
			t.Run(name, func(t *testing.T) { post(in.With(t), c.form).WantPage(t, c.status) })
		}
		shown := in.Get(address(request(r.A)))
		// The same person after another log-in, or logged out, or too late, is asked again: no answer, and no dead end.
		in.With(t).Follow(post(in, allow(expired))).WantPage(t, http.StatusOK)
		in.With(t).Follow(post(in, allow(twin.Get(address(request(r.A)))))).WantPage(t, http.StatusOK)
		wantLogIn(t, post(r.Browser(), allow(shown)))
		post(other, allow(shown)).WantPage(t, http.StatusForbidden)
		post(in, url.Values{"request_id": {shown.Hidden("request_id")}}).WantPage(t, http.StatusBadRequest)
		wantNoGrant(t, r)

		code := r.WantCode(post(in, allow(shown)), harness.CB, "xyz")
		before := countGrants(r)
		if again := r.WantCode(post(in, allow(shown)), harness.CB, "xyz"); again != code {
			t.Error("the same answer again is another code")
		}
		other.With(t).Post("/oauth/consent", allow(shown)).WantPage(t, http.StatusForbidden)
		post(twin, allow(shown)).WantPage(t, http.StatusBadRequest)
		if n := countGrants(r); n != before {
			t.Errorf("an answer that was given before made %d rows of grants", n-before)
		}
	})
}

// TestConsentTampered_W3: a consent answer with scope, client, address, state, challenge or person tampered with grants what the
// page with that id showed; an account of somebody else's is refused. With pages of two apps open, each answer is for its own.
func TestConsentTampered_W3(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		in, olga := r.LoggedIn(r.U), r.AddUser("olga@users.test")
		foreign := allow(in.Get(address(request(r.A))))
		for _, account := range []string{olga.Account.ID, "acc_" + strings.Repeat("0", 22), "x"} {
			foreign.Set("account", account)
			in.Post("/oauth/consent", foreign).WantPage(t, http.StatusBadRequest)
		}
		wantNoGrant(t, r)

		form := allow(in.Get(address(request(r.A))))
		for name, value := range map[string]string{
			"scope": "widgets faqs contacts conversations", "client_id": r.B.ID, "app": r.B.ID, "redirect_uri": "https://evil.test/cb", "state": "other",
			"user": olga.ID, "code_challenge": harness.Challenge, "response_type": "token", "session": "x",
		} {
			form.Set(name, value)
		}
		code := r.WantCode(in.Post("/oauth/consent?scope=faqs&redirect_uri=https://evil.test&client_id="+r.B.ID, form), harness.CB, "xyz")
		r.Exchange(r.B, code).WantGrantRefused(t)
		answer := r.Exchange(r.A, code)
		r.WantLive(answer.WantToken(t), true)
		if got := answer.String(t, "scope"); got != "contacts" {
			t.Errorf("scope = %q, want contacts", got)
		}
		if me := r.Me(answer.String(t, "access_token")); me.String(t, "sub") != r.U.ID {
			t.Errorf("the token is not the person's: %s", me.Body)
		}

		older := in.Get(address(request(r.B, "state", "older", "scope", "faqs")))
		newer := in.Get(address(request(r.P, "state", "newer", "scope", "widgets")))
		first := r.WantCode(in.Decide(older, "allow"), harness.CB, "older")
		second := r.WantCode(in.Decide(newer, "allow"), harness.CB, "newer")
		for app, c := range map[harness.App]struct{ code, scope string }{r.B: {first, "faqs"}, r.P: {second, "widgets"}} {
			answer := r.Exchange(app, c.code)
			if answer.WantToken(t); answer.String(t, "scope") != c.scope {
				t.Errorf("scope = %q, want %q", answer.String(t, "scope"), c.scope)
			}
		}
	})
}
