package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
)

// TestAuthorizeRepeatedParameter_A14: a parameter sent twice, with equal or different values, in the query or in query and body: an error page
// for client_id and redirect_uri; invalid_request by redirect for the others, without state if state is the one. What
// cannot be parsed (%zz, a bare semicolon, bytes that are not UTF-8): an error page.
func TestAuthorizeRepeatedParameter_A14(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		different := map[string]string{
			"client_id": e.B.ID, "redirect_uri": "https://evil.test/cb", "response_type": "token", "scope": "faqs", "state": "zzz",
			"code_challenge": strings.Repeat("x", 43), "code_challenge_method": "plain", "prompt": "none", "response_mode": "fragment", "login_hint": "x",
		}
		sound := request(e.A, "code_challenge", harness.Challenge, "code_challenge_method", "S256", "prompt", "consent", "response_mode", "query", "login_hint", "y")
		for name, other := range different {
			for _, second := range []string{sound.Get(name), other} {
				twice := sound.Encode() + "&" + name + "=" + url.QueryEscape(second)
				t.Run(name+" "+second, func(t *testing.T) {
					wantTwiceRefused(t, e, v, name, "/oauth/authorize?"+twice)
					repeated := v.out.Send(http.MethodPost, "/oauth/authorize?"+sound.Encode(), url.Values{name: {second}})
					wantTwiceRefused(t, e, v, name, repeated.Header.Get("Location"))
				})
			}
		}
		base := address(request(e.A))
		for target, parameter := range map[string]string{
			"/oauth/authorize?client_id=" + e.A.ID + "&redirect_uri=%zz": "redirect_uri",
			base + "&foo=%zz":        "", // no name of ours, which is not repeated
			base + "&%zz=1":          "",
			base + "&login_hint=%ff": "login_hint",
			base + "&login_hint=%":   "login_hint",
			base + "&nonce=%00":      "nonce",
			"/oauth/authorize?client_id=" + e.A.ID + ";redirect_uri=" + url.QueryEscape(harness.CB): "client_id",
			base + ";redirect_uri=https://evil.test":                                                "state",
		} {
			if parameter == "" {
				v.in.Visit(http.MethodGet, target).WantPage(t, http.StatusBadRequest)
				continue
			}
			v.wantDeadEnd(t, target, parameter)
			v.in.Visit(http.MethodPost, target, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0").WantPage(t, http.StatusBadRequest)
		}
		e.With(t).WantNoRequests()
	})
}

func wantTwiceRefused(t *testing.T, e *harness.Env, v visitors, name, target string) {
	t.Helper()
	if name == "client_id" || name == "redirect_uri" {
		v.wantDeadEnd(t, target, name)
		return
	}
	state := "xyz"
	if name == "state" {
		state = ""
	}
	e.With(t).WantRedirectError(v.in.With(t).Get(target), harness.CB, "invalid_request", state)
}

// TestAuthorizeResponseType_A16: response_type missing or empty means code, as Xeno's clients rely on; token, id_token, a combination or
// another case: unsupported_response_type by redirect, in the query and never in a fragment. Of response_mode only query
// is known.
func TestAuthorizeResponseType_A16(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		for _, bad := range []string{"token", "id_token", "code token", "code id_token", "CODE", "none", "code ", "xyz"} {
			a := in.Get(address(request(e.A, "response_type", bad)))
			e.WantRedirectError(a, harness.CB, "unsupported_response_type", "xyz")
			if strings.Contains(a.Header.Get("Location"), "#") {
				t.Errorf("response_type %q: Location = %q has a fragment", bad, a.Header.Get("Location"))
			}
		}
		for _, bad := range []string{"fragment", "form_post", "web_message", "jwt", "QUERY"} {
			e.WantRedirectError(in.Get(address(request(e.A, "response_mode", bad))), harness.CB, "invalid_request", "xyz")
		}
		e.With(t).WantNoRequests()
		for _, sound := range []string{"-", "", "code"} {
			a := in.Get(address(request(e.A, "response_type", sound, "prompt", "consent")))
			code := e.WantCode(in.Decide(a, "allow"), harness.CB, "xyz")
			e.Exchange(e.A, code).WantToken(t)
		}
	})
}

// faulty are requests whose client and address are sound, and what is wrong with each.
func faulty(app harness.App) map[string]url.Values {
	return map[string]url.Values{
		"invalid_scope":             request(app, "scope", "bogus"),
		"unsupported_response_type": request(app, "response_type", "token"),
		"invalid_request":           request(app, "code_challenge", harness.Challenge, "code_challenge_method", "plain"),
		"invalid_target":            request(app, "resource", "not a URI"),
	}
}

// TestAuthorizeLoggedOutErrors_A17: a browser that is logged out brings a sound client and address with a bad scope, response type, challenge
// or resource: the log-in page and no redirect to the app, which hears of the fault after the log-in. Only prompt=none in
// a request without fault is answered before.
func TestAuthorizeLoggedOutErrors_A17(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for code, faults := range faulty(e.A) {
			for _, prompt := range []string{"-", "none"} {
				t.Run(code+" prompt "+prompt, func(t *testing.T) {
					b := e.With(t).Browser()
					if prompt != "-" {
						faults.Set("prompt", prompt)
					}
					parked := wantLogIn(t, b.Get(address(faults)))
					b.Get("/login?next="+parked).WantPage(t, http.StatusOK)
					e.With(t).WantNoGrants()
					back := b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}, "next": {parked}})
					e.With(t).WantRedirectError(b.Follow(back), harness.CB, code, "xyz")
				})
			}
		}
		b := e.Browser()
		e.WantRedirectError(b.Get(address(request(e.A, "prompt", "none"))), harness.CB, "login_required", "xyz")
		parked := wantLogIn(t, b.Get(address(request(e.A))))
		back := b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}, "next": {parked}})
		wantConsent(t, b.Follow(back), "Alpha")
		e.With(t).WantNoGrants()
	})
}

// TestAuthorizeErrorRedirect_A18: an error without a person's decision goes to a registered app only from a browser that is logged in, and
// a pressed Deny always does. Apps that register themselves do not exist yet; the page that they get instead of a redirect
// comes with them.
func TestAuthorizeErrorRedirect_A18(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		for _, app := range []harness.App{e.A, e.P, e.N} {
			for code, faults := range faulty(app) {
				wantLogIn(t, v.out.Get(address(faults)))
				e.WantRedirectError(v.in.Get(address(faults)), app.URI, code, "xyz")
			}
			e.WantRedirectError(v.in.Decide(v.in.Get(address(request(app))), "deny"), app.URI, "access_denied", "xyz")
		}
		e.With(t).WantNoGrants()
	})
}

// TestAuthorizeUnknownParameter_A19: an unknown parameter is ignored; an empty scope counts as omitted; an empty state does not come back.
func TestAuthorizeUnknownParameter_A19(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		shown := in.Get(address(request(e.A, "foo", "bar", "client_secret", "guess", "request_uri", "https://evil.test")))
		wantConsent(t, shown, "Alpha")
		e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")

		all := in.Get(address(request(e.B, "scope", "")))
		wantConsent(t, all, "Beta")
		code := e.WantCode(in.Decide(all, "allow"), harness.CB, "xyz")
		answer := e.Exchange(e.B, code)
		answer.WantToken(t)
		if got := answer.String(t, "scope"); len(strings.Fields(got)) != 4 {
			t.Errorf("scope = %q, want all that the app registered", got)
		}
		e.WantCode(in.Get(address(request(e.A, "state", ""))), harness.CB, "")
		e.WantRedirectError(in.Get(address(request(e.A, "state", "", "scope", "bogus"))), harness.CB, "invalid_scope", "")
	})
}

// TestAuthorizeRedirectQuery_A20: an address registered with a query keeps it, to the byte, and code or error, state and iss come after it,
// each once. A query that would pollute the answer cannot be registered or added.
func TestAuthorizeRedirectQuery_A20(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		app := e.AddApp("Tango", true, harness.CB+"?t=1&u=%2f")
		in := e.LoggedIn(e.U)
		code := in.Code(app)
		e.Exchange(app, code).WantToken(t)
		denied := in.Decide(in.Get(address(request(app, "prompt", "consent"))), "deny")
		e.WantRedirectError(denied, app.URI, "access_denied", "xyz")
		faulty := in.Get(address(request(app, "scope", "bogus")))
		e.WantRedirectError(faulty, app.URI, "invalid_scope", "xyz")
		for _, a := range []harness.Answer{denied, faulty} {
			if q := a.Location(t).Query(); q.Get("t") != "1" || q.Get("u") != "/" {
				t.Errorf("Location = %q has lost its query", a.Header.Get("Location"))
			}
		}
		for _, name := range []string{"code", "state", "error", "iss", "error_description", "response"} {
			_, _, err := e.Rules.CreateApp(t.Context(), harness.Operator, e.U.Account.ID, directory.AppForm{
				Name: "Polluted", RedirectURIs: []string{fmt.Sprintf("%s?%s=x", harness.CB, name)}, Scopes: []string{"contacts"},
			})
			if faults, ok := err.(directory.FieldErrors); !ok || faults["redirect_uris"] == "" {
				t.Errorf("an address with the parameter %s can be registered: %v", name, err)
			}
			in.Get(address(request(app, "redirect_uri", app.URI+"&"+name+"=x"))).WantPage(t, http.StatusBadRequest)
		}
	})
}
