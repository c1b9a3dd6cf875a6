package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/store"
)

// TestAuthorizeUnknownClient_A1: an authorization request whose client_id is unknown, missing, empty, holds a NUL, is 10 kB long or is
// an app's but for its case: an error page that is the same whoever is logged in; no redirect, nothing kept.
func TestAuthorizeUnknownClient_A1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		rest := "&response_type=code&scope=contacts&state=xyz&redirect_uri=" + url.QueryEscape("https://evil.test")
		for name, id := range map[string]string{
			"unknown":         "client_id=nope",
			"missing":         "prompt=consent",
			"empty":           "client_id=",
			"no value":        "client_id",
			"NUL":             "client_id=%00",
			"NUL at the end":  "client_id=" + e.A.ID + "%00",
			"not UTF-8":       "client_id=%ff",
			"10 kB":           "client_id=" + strings.Repeat("a", 10<<10),
			"well formed":     "client_id=app_" + strings.Repeat("0", 22),
			"another case":    "client_id=" + strings.ToUpper(e.A.ID),
			"space around":    "client_id=+" + e.A.ID + "+",
			"resource server": "client_id=rs_" + strings.TrimPrefix(e.A.ID, "app_"),
		} {
			t.Run(name, func(t *testing.T) { v.wantDeadEnd(t, "/oauth/authorize?"+id+rest, "client_id") })
		}
		// An address that belongs to an app is worth nothing without its client_id.
		v.wantDeadEnd(t, "/oauth/authorize?client_id=nope&redirect_uri="+url.QueryEscape(harness.CB), "client_id")
		e.With(t).WantNoRequests()
	})
}

// TestAuthorizeForeignRedirect_A3: a sound request of an app with the address of another site, logged in and logged out, alone and
// together with other faults: an error page, no redirect.
func TestAuthorizeForeignRedirect_A3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		for name, more := range map[string][]string{
			"alone":                nil,
			"and a bad scope":      {"scope", "bogus"},
			"and a bad type":       {"response_type", "token"},
			"and prompt=none":      {"prompt", "none"},
			"and a bad prompt":     {"prompt", "x"},
			"and a bad challenge":  {"code_challenge", "x"},
			"and a bad resource":   {"resource", "x"},
			"and no response type": {"response_type", "-"},
		} {
			t.Run(name, func(t *testing.T) {
				v.wantDeadEnd(t, address(request(e.A, append(more, "redirect_uri", "https://evil.test/cb")...)), "redirect_uri")
			})
		}
		e.With(t).WantNoRequests()
	})
}

// TestAuthorizeWithoutRedirectURI_A13: a request without redirect_uri goes to the app's address if it has one, and its code is redeemed
// without one; if the app has several: an error page.
func TestAuthorizeWithoutRedirectURI_A13(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		several := e.AddApp("Several", true, harness.CB, func(f *directory.AppForm) {
			f.RedirectURIs = append(f.RedirectURIs, "https://app.test/other")
		})
		v := newVisitors(e)
		v.wantDeadEnd(t, address(request(several, "redirect_uri", "-")), "redirect_uri")
		v.wantDeadEnd(t, address(request(several, "redirect_uri", "")), "redirect_uri")
		e.With(t).WantNoRequests()

		code := v.in.Code(e.A, "redirect_uri", "-")
		token := e.Post("/oauth/token", e.A.As("code", code)).WantToken(t)
		e.WantLive(token, true)
		empty := v.in.Get(address(request(e.A, "redirect_uri", "")))
		e.WantCode(empty, harness.CB, "xyz")
	})
}

const dsn = "postgres://xenoauth:hunter2@10.1.2.3:5432/auth"

// TestAuthorizeOutage_A22: the database fails while the app is looked up, at the authorization request and at the answer of its
// consent page: a page with 503 and Retry-After, no redirect, no word of the database; what was asked can be answered
// after that.
func TestAuthorizeOutage_A22(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		shown := v.in.Get(address(request(e.A)))
		wantConsent(t, shown, "Alpha")

		e.Faults.Fail(fmt.Errorf("connect to %s: connection refused: %w", dsn, store.ErrUnavailable), "AppByID")
		evil := address(request(e.A, "redirect_uri", "https://evil.test/cb"))
		form := url.Values{"request_id": {shown.Hidden("request_id")}, "decision": {"allow"}}
		for name, a := range map[string]harness.Answer{
			"logged in":             v.in.Get(address(request(e.A))),
			"logged out":            v.out.Get(address(request(e.A))),
			"address of another":    v.in.Get(evil),
			"the same, logged out":  v.out.Get(evil),
			"bad scope":             v.in.Get(address(request(e.A, "scope", "bogus"))),
			"prompt=none":           v.out.Get(address(request(e.A, "prompt", "none"))),
			"answer of the consent": v.in.Post("/oauth/consent", form),
		} {
			t.Run(name, func(t *testing.T) {
				a.WantPage(t, http.StatusServiceUnavailable)
				if a.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				for _, word := range []string{"hunter2", "postgres", "10.1.2.3", "connect", "refused", "evil.test", "storage"} {
					if strings.Contains(a.Body, word) {
						t.Errorf("the page says %q: %s", word, a.Body)
					}
				}
			})
		}
		e.With(t).WantNoGrants()

		e.Faults.Heal()
		e.WantCode(v.in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}

// TestAuthorizeMethods_A23: HEAD is answered 200 where GET would go on, 400 as GET otherwise, and leaves nothing behind; other methods get 405 with Allow; a POST, which
// another site may send, is answered by 303 to the same request by GET, whose own faults then count.
func TestAuthorizeMethods_A23(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		good, bad := address(request(e.A)), address(request(e.A, "redirect_uri", "https://evil.test/cb"))
		for target, status := range map[string]int{good: http.StatusOK, bad: http.StatusBadRequest} {
			for _, b := range []*harness.Browser{v.in, v.out} {
				a := b.Visit(http.MethodHead, target)
				if a.Status != status || a.Header.Get("Location") != "" || a.Body != "" {
					t.Errorf("HEAD: status %d, Location %q, body %q; want %d", a.Status, a.Header.Get("Location"), a.Body, status)
				}
				a.WantPageHeaders(t)
			}
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			a := v.in.Visit(method, good, "Content-Length: 0")
			a.WantPage(t, http.StatusMethodNotAllowed)
			if allow := a.Header.Get("Allow"); allow != "GET, HEAD, POST" {
				t.Errorf("%s: Allow = %q", method, allow)
			}
		}
		e.With(t).WantNoRequests()

		for name, headers := range map[string][]string{
			"from another site": {"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"},
			"without headers":   nil,
		} {
			t.Run(name, func(t *testing.T) { wantRepeated(t, e, v.in, headers) })
		}
		e.With(t).WantNoGrants()

		back := "/oauth/consent?request_id=" + wantLogIn(t, v.out.Get(good))
		before := e.Count(`SELECT COUNT(*) FROM requests`)
		if a := v.in.Visit(http.MethodHead, back); a.Status != http.StatusOK || a.Body != "" || e.Count(`SELECT COUNT(*) FROM requests`) != before {
			t.Errorf("HEAD of the way back from the log-in: status %d, body %q, or it left a request behind", a.Status, a.Body)
		}
		wantConsent(t, v.in.Get(back), "Alpha")
	})
}

// wantRepeated posts authorization requests and asserts that they are repeated by GET and judged there.
func wantRepeated(t *testing.T, e *harness.Env, in *harness.Browser, headers []string) {
	in = in.With(t)
	post := func(path string, form url.Values) harness.Answer {
		return in.Send(http.MethodPost, path, form, headers...)
	}
	sent := request(e.A, "state", `a b+c%2B&é\`)
	a := post("/oauth/authorize", sent)
	if got := a.Location(t); got.Path != "/oauth/authorize" || got.Query().Encode() != sent.Encode() || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("Location = %q, want the same parameters", got)
	}
	wantConsent(t, in.Follow(a), "Alpha")

	split := post("/oauth/authorize?x=%5C&y=\\&client_id="+e.A.ID, request(e.A, "client_id", "-"))
	if got := split.Location(t).Query(); got.Get("x") != `\` || got.Get("y") != `\` {
		t.Errorf("Location = %q, want the query, too", split.Header.Get("Location"))
	}
	wantConsent(t, in.Follow(split), "Alpha")

	in.Follow(post("/oauth/authorize", request(e.A, "redirect_uri", "https://evil.test/cb"))).WantPage(t, http.StatusBadRequest)
	in.Send(http.MethodPost, "/oauth/authorize", request(e.A), append(headers, "Content-Type", "multipart/form-data; boundary=x")...).
		WantPage(t, http.StatusUnsupportedMediaType)
}

// TestAuthorizeAppChanged_A24: the app is suspended or deleted, or its address taken out, while a person looks at the consent page
// or still has to log in: an error page, no redirect, neither code nor installation.
func TestAuthorizeAppChanged_A24(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		ctx := context.Background()
		v := newVisitors(e)
		for name, end := range map[string]func(app harness.App) error{
			"suspended": func(app harness.App) error { return e.Store.SetAppSuspended(ctx, harness.Operator, app.ID, true) },
			"deleted":   func(app harness.App) error { return e.Rules.DeleteApp(ctx, harness.Operator, "", app.ID) },
			"address taken out": func(app harness.App) error {
				_, err := e.Rules.UpdateApp(ctx, harness.Operator, "", app.ID, 1, directory.AppForm{
					Name: "Changed", RedirectURIs: []string{"https://app.test/new"}, Scopes: []string{"contacts"}, Confidential: true,
				})
				return err
			},
		} {
			t.Run(name, func(t *testing.T) {
				app := e.With(t).AddApp("Passing", true, harness.CB)
				allow, deny := v.in.Get(address(request(app))), v.in.Get(address(request(app)))
				parked := wantLogIn(t, v.out.Get(address(request(app))))
				if err := end(app); err != nil {
					t.Fatal(err)
				}
				v.in.With(t).Decide(allow, "allow").WantPage(t, http.StatusBadRequest)
				v.in.With(t).Decide(deny, "deny").WantPage(t, http.StatusBadRequest)
				v.in.Get("/oauth/consent?request_id="+parked).WantPage(t, http.StatusBadRequest)
				e.With(t).WantNoGrants()
			})
		}
		// A suspension can be taken back, and the page is as good as before.
		shown := v.in.Get(address(request(e.A)))
		for _, suspended := range []bool{true, false} {
			if err := e.Store.SetAppSuspended(ctx, harness.Operator, e.A.ID, suspended); err != nil {
				t.Fatal(err)
			}
			if suspended {
				v.in.Decide(shown, "allow").WantPage(t, http.StatusBadRequest)
			}
		}
		e.WantCode(v.in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}
