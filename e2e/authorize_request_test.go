package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/store"
)

// invalid are requests with a valid client and redirect URI, by the error code of each.
func invalid(app harness.App) map[string]url.Values {
	return map[string]url.Values{
		"invalid_scope":             request(app, "scope", "bogus"),
		"unsupported_response_type": request(app, "response_type", "token"),
		"invalid_request":           request(app, "code_challenge", harness.Challenge, "code_challenge_method", "plain"),
		"invalid_target":            request(app, "resource", "not a URI"),
	}
}

// TestAuthorizeParameters covers the parameters of a request whose client and redirect URI are valid.
//
// A14: a parameter sent twice, with equal or different values, in the query or in query and body: an error page for client_id
// and redirect_uri; invalid_request by redirect for the others, without state if state is the one. A query that cannot be
// parsed (%zz, a bare semicolon, bytes that are not UTF-8): an error page.
//
// A16: a missing or empty response_type means code, as Xeno's clients expect; token, id_token, a combination or another case:
// unsupported_response_type by redirect, in the query and never in a fragment. query is the only response_mode.
//
// A17: a browser that is logged out brings a valid client and redirect URI with a bad scope, response type, challenge or
// resource: the log-in page, and the error by redirect only after the log-in. Only prompt=none in an otherwise valid request
// is answered before.
//
// A18: an error that no user has decided on goes to a registered app only from a browser that is logged in; a pressed Deny
// always does. (Apps that register themselves do not exist yet.)
//
// A19: an unknown parameter is ignored; an empty scope counts as omitted; an empty state is not returned.
func TestAuthorizeParameters(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"A14 repeated": wantRepeatedRefused,
		"A16 response type": func(t *testing.T, e *harness.Env) {
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
			e.WantNoRequests()
			for _, valid := range []string{"-", "", "code"} {
				a := in.Get(address(request(e.A, "response_type", valid, "prompt", "consent")))
				e.Exchange(e.A, e.WantCode(in.Decide(a, "allow"), harness.CB, "xyz")).WantToken(t)
			}
		},
		"A17 logged out": func(t *testing.T, e *harness.Env) {
			for code, v := range invalid(e.A) {
				for _, prompt := range []string{"", "none"} {
					b := e.Browser()
					v.Set("prompt", prompt)
					parked := wantLogIn(t, b.Get(address(v)))
					b.Get("/login?next="+parked).WantPage(t, http.StatusOK)
					e.WantNoGrants()
					e.WantRedirectError(logInTo(b, e.U, parked), harness.CB, code, "xyz")
				}
			}
			b := e.Browser()
			e.WantRedirectError(b.Get(address(request(e.A, "prompt", "none"))), harness.CB, "login_required", "xyz")
			wantConsent(t, logInTo(b, e.U, wantLogIn(t, b.Get(address(request(e.A))))), "Alpha")
			e.WantNoGrants()
		},
		"A18 redirected error": func(t *testing.T, e *harness.Env) {
			v := newVisitors(e)
			for _, app := range []harness.App{e.A, e.P, e.N} {
				for code, bad := range invalid(app) {
					wantLogIn(t, v.out.Get(address(bad)))
					e.WantRedirectError(v.in.Get(address(bad)), app.URI, code, "xyz")
				}
				e.WantRedirectError(v.in.Decide(v.in.Get(address(request(app))), "deny"), app.URI, "access_denied", "xyz")
			}
			e.WantNoGrants()
		},
		"A19 unknown and empty": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			shown := in.Get(address(request(e.A, "foo", "bar", "client_secret", "guess", "request_uri", "https://evil.test")))
			wantConsent(t, shown, "Alpha")
			e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
			all := in.Get(address(request(e.B, "scope", "")))
			wantConsent(t, all, "Beta")
			answer := e.Exchange(e.B, e.WantCode(in.Decide(all, "allow"), harness.CB, "xyz"))
			answer.WantToken(t)
			if got := answer.String(t, "scope"); len(strings.Fields(got)) != 4 {
				t.Errorf("scope = %q, want all that the app registered", got)
			}
			e.WantCode(in.Get(address(request(e.A, "state", ""))), harness.CB, "")
			e.WantRedirectError(in.Get(address(request(e.A, "state", "", "scope", "bogus"))), harness.CB, "invalid_scope", "")
		},
	})
}

func wantRepeatedRefused(t *testing.T, e *harness.Env) {
	v := newVisitors(e)
	valid := request(e.A, "code_challenge", harness.Challenge, "code_challenge_method", "S256", "prompt", "consent", "response_mode", "query", "login_hint", "y")
	refused := func(name, target string) {
		t.Helper()
		if name == "client_id" || name == "redirect_uri" {
			v.wantErrorPage(t, target, name)
			return
		}
		e.WantRedirectError(v.in.Get(target), harness.CB, "invalid_request", map[bool]string{true: "", false: "xyz"}[name == "state"])
	}
	for name, other := range map[string]string{
		"client_id": e.B.ID, "redirect_uri": "https://evil.test/cb", "response_type": "token", "scope": "faqs", "state": "zzz",
		"code_challenge": strings.Repeat("x", 43), "code_challenge_method": "plain", "prompt": "none", "response_mode": "fragment", "login_hint": "x",
	} {
		for _, second := range []string{valid.Get(name), other} {
			refused(name, address(valid)+"&"+name+"="+url.QueryEscape(second))
			posted := v.out.Send(http.MethodPost, address(valid), url.Values{name: {second}})
			refused(name, posted.Header.Get("Location"))
		}
	}
	base := address(request(e.A))
	for target, parameter := range map[string]string{
		"/oauth/authorize?client_id=" + e.A.ID + "&redirect_uri=%zz": "redirect_uri",
		base + "&foo=%zz":        "", // the name is not one of ours, so the page does not repeat it
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
		v.wantErrorPage(t, target, parameter)
		v.in.Visit(http.MethodPost, target, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0").WantPage(t, http.StatusBadRequest)
	}
	e.WantNoRequests()
}

// TestAuthorizeResponse covers what every redirect to an app carries, and Deny.
//
// S1: a state of any text (1 byte, 2 kB, markup, line breaks with a header, emoji, &code=x, plus and its encoding) is returned
// as it was after one decoding, from Allow, Deny, an error and across a log-in; it never adds a parameter or a header. A state
// above 2 kB is refused and not returned.
//
// S2: iss equals the metadata's issuer to the byte in every redirect to an app (code, denial, error), whatever host the
// browser sent; answers of the token endpoint have no iss.
//
// S3: Deny: access_denied by redirect with state and iss; neither installation nor code, and the page cannot be answered again,
// nor its id be used in an address.
func TestAuthorizeResponse(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"S1 state": wantState,
		"S2 iss":   wantIssuer,
		"S3 Deny": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for _, app := range []harness.App{e.A, e.P} {
				shown := in.Get(address(request(app)))
				in.Get("/oauth/consent?request_id="+shown.Hidden("request_id")).WantPage(t, http.StatusBadRequest)
				e.WantRedirectError(in.Decide(shown, "deny"), app.URI, "access_denied", "xyz")
				in.Decide(shown, "allow").WantPage(t, http.StatusBadRequest)
				e.WantEvents(app, "request.denied", 1)
				e.WantEvents(app, "installation.created", 0)
			}
			e.WantNoGrants()
			if installed := in.Get("/account/apps"); strings.Contains(installed.Body, "Alpha") {
				t.Error("a denied app is listed as installed")
			}
		},
	})
}

func wantState(t *testing.T, e *harness.Env) {
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
		e.WantCode(b.Decide(logInTo(b, e.U, wantLogIn(t, b.Visit(http.MethodGet, target))), "allow"), harness.CB, state)
	}
	e.WantRedirectError(in.Get(address(request(e.A, "state", strings.Repeat("s", 2049)))), harness.CB, "invalid_request", "")
}

func wantIssuer(t *testing.T, e *harness.Env) {
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
	for code, bad := range invalid(e.A) {
		redirects[code] = v.in.Get(address(bad))
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
			t.Errorf("the token endpoint returns iss: %s", a.Body)
		}
	}
}

// TestAuthorizeOutage_A22: the database fails while the app is looked up, for the authorization request and for the answer of
// its consent page: a page with 503 and Retry-After, no redirect, nothing about the database; afterwards the same page can be
// answered.
func TestAuthorizeOutage_A22(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		shown := v.in.Get(address(request(e.A)))
		wantConsent(t, shown, "Alpha")
		e.Faults.Fail(fmt.Errorf("connect to postgres://xenoauth:hunter2@10.1.2.3:5432/auth: connection refused: %w", store.ErrUnavailable), "AppByID")
		evil := address(request(e.A, "redirect_uri", "https://evil.test/cb"))
		for _, a := range []harness.Answer{
			v.in.Get(address(request(e.A))), v.out.Get(address(request(e.A))), v.in.Get(evil), v.out.Get(evil),
			v.in.Get(address(request(e.A, "scope", "bogus"))), v.out.Get(address(request(e.A, "prompt", "none"))), v.in.Decide(shown, "allow"),
		} {
			a.WantPage(t, http.StatusServiceUnavailable)
			if a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			for _, word := range []string{"hunter2", "postgres", "10.1.2.3", "connect", "refused", "evil.test", "storage"} {
				if strings.Contains(a.Body, word) {
					t.Errorf("the page contains %q: %s", word, a.Body)
				}
			}
		}
		e.WantNoGrants()
		e.Faults.Heal()
		e.WantCode(v.in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}

// TestAuthorizeAppChanged_A24: the app is suspended or deleted, or its redirect URI removed, while the consent page is shown or
// before the user has logged in: an error page, no redirect, neither code nor installation.
func TestAuthorizeAppChanged_A24(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		harness.Run(t, e, map[string]func(id string) error{
			"suspended": func(id string) error { return e.Store.SetAppSuspended(t.Context(), harness.Operator, id, true) },
			"deleted":   func(id string) error { return e.Rules.DeleteApp(t.Context(), harness.Operator, id) },
			"redirect URI removed": func(id string) error {
				app, err := e.Rules.App(t.Context(), harness.Operator, id)
				e.Must(err)
				_, err = e.Rules.UpdateApp(t.Context(), harness.Operator, app, 1, directory.AppForm{
					Name: "Changed", RedirectURIs: []string{"https://app.test/new"}, Scopes: []string{"contacts"}, Confidential: true,
				})
				return err
			},
		}, func(t *testing.T, e *harness.Env, end func(string) error) {
			app := e.AddApp("Passing", true, harness.CB)
			allow, deny := v.in.Get(address(request(app))), v.in.Get(address(request(app)))
			parked := wantLogIn(t, v.out.Get(address(request(app))))
			e.Must(end(app.ID))
			v.in.With(t).Decide(allow, "allow").WantPage(t, http.StatusBadRequest)
			v.in.With(t).Decide(deny, "deny").WantPage(t, http.StatusBadRequest)
			v.in.Get("/oauth/consent?request_id="+parked).WantPage(t, http.StatusBadRequest)
			e.WantNoGrants()
		})
		// After a suspension has been lifted, the page can be answered.
		shown := v.in.Get(address(request(e.A)))
		e.Must(e.Store.SetAppSuspended(t.Context(), harness.Operator, e.A.ID, true))
		v.in.Decide(shown, "allow").WantPage(t, http.StatusBadRequest)
		e.Must(e.Store.SetAppSuspended(t.Context(), harness.Operator, e.A.ID, false))
		e.WantCode(v.in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}

// TestStoredRequestSize: for a request of any size, all values of a stored row have 4,096 bytes at most, and an invalid value
// is not stored. A value that is too long is invalid_request by redirect after the log-in; one at the limit is returned whole.
// It belongs to U2.
func TestStoredRequestSize(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		long, state := strings.Repeat("x", 60_000), strings.Repeat("s", 2048)
		far := e.AddApp("Far", true, harness.CB+"/"+strings.Repeat("y", 2000-len(harness.CB)-1))
		resources := func(n, size int) []string {
			var list []string // different ones: equal ones are stored once
			for i := range n {
				list = append(list, "https://api.test/"+strings.Repeat(string(rune('a'+i)), size-len("https://api.test/")))
			}
			return list
		}
		in, out := e.LoggedIn(e.U), e.Browser()
		wantSmall := func(name string) {
			t.Helper()
			if n := e.Count(`SELECT COALESCE(MAX(LENGTH(app_id) + LENGTH(redirect_uri) + LENGTH(scope) + LENGTH(scope_asked) + LENGTH(state) + LENGTH(challenge)
				+ LENGTH(resource) + LENGTH(prompt) + LENGTH(fault) + LENGTH(fault_detail)), 0) FROM requests`); n > 4096 {
				t.Errorf("%s: a row has %d bytes", name, n)
			}
		}
		refused := []int{http.StatusSeeOther, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge, http.StatusBadRequest}
		for name, change := range map[string]url.Values{
			"prompt": {"prompt": {long}}, "scope": {"scope": {long}}, "state": {"state": {long}}, "challenge": {"code_challenge": {long}, "code_challenge_method": {"S256"}},
			"method": {"code_challenge": {"x"}, "code_challenge_method": {long}}, "resource": {"resource": {"https://" + long}}, "response_type": {"response_type": {long}},
			"scopes repeated": {"scope": {strings.Repeat("contacts ", 200)}}, "resources": {"resource": resources(10, 500)}, "prompts repeated": {"prompt": {strings.Repeat("consent ", 6000)}},
			"login_hint": {"login_hint": {long}}, "unknown": {"foo": {long}}, "a name": {long[:10_000]: {"x"}, "state[": {"x"}},
			"state and resources": {"state": {state}, "resource": resources(4, 500)},
			"several errors":      {"state": {state}, "scope": {long}, "prompt": {long}, "resource": {long}},
		} {
			for _, app := range []harness.App{e.A, far} {
				v := request(app)
				maps.Copy(v, change)
				if a := out.Get(address(v)); !slices.Contains(refused, a.Status) {
					t.Errorf("%s: status %d", name, a.Status)
				}
				in.Get(address(v))
				wantSmall(name)
			}
		}
		fits := address(request(e.A, "state", state, "prompt", "consent")) + "&" + url.Values{"resource": resources(3, 500)}.Encode()
		e.WantCode(in.Decide(in.Get(fits), "allow"), harness.CB, state)
		over := address(request(e.A, "state", state)) + "&" + url.Values{"resource": resources(5, 500)}.Encode()
		e.WantRedirectError(in.Get(over), harness.CB, "invalid_request", state)
		beside := strings.Repeat("s", 4096-300-2000)
		e.WantRedirectError(in.Get(address(request(far, "state", beside, "scope", "bogus"))), far.URI, "invalid_scope", beside)
		e.WantRedirectError(in.Get(address(request(far, "state", beside+"s"))), far.URI, "invalid_request", "")
		wantSmall("at the limit")
	})
}
