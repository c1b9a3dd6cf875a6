package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
)

// request is a valid authorization request of an app, with parameters changed as name, value, …; "-" removes one.
func request(app harness.App, change ...string) url.Values {
	v := harness.Pairs("client_id", app.ID, "redirect_uri", app.URI, "response_type", "code", "scope", "contacts", "state", "xyz")
	if app.Secret == "" {
		v.Set("code_challenge", harness.Challenge)
		v.Set("code_challenge_method", "S256")
	}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
		if change[i+1] == "-" {
			v.Del(change[i])
		}
	}
	return v
}

// address is the path and query of an authorization request.
func address(v url.Values) string { return "/oauth/authorize?" + v.Encode() }

// visitors are two browsers at the same server; U is logged in in one of them.
type visitors struct{ in, out *harness.Browser }

func newVisitors(e *harness.Env) visitors { return visitors{in: e.LoggedIn(e.U), out: e.Browser()} }

// wantErrorPage asserts that an authorization request, whose target is sent as it is, gets an error page that names the
// parameter ("" for any) and is the same to the byte whether or not the browser is logged in.
func (v visitors) wantErrorPage(t *testing.T, target, parameter string) {
	t.Helper()
	in, out := v.in.With(t).Visit(http.MethodGet, target), v.out.With(t).Visit(http.MethodGet, target)
	in.WantPage(t, http.StatusBadRequest)
	out.WantPage(t, http.StatusBadRequest)
	if in.Body != out.Body {
		t.Errorf("the page depends on the session:\n%s\n%s", in.Body, out.Body)
	}
	if !strings.Contains(in.Body, "<code>"+parameter) {
		t.Errorf("the page does not name %s: %.1500s", parameter, in.Body)
	}
	if strings.Contains(strings.ToLower(in.Body), "evil") {
		t.Errorf("the page repeats the redirect URI: %s", in.Body)
	}
	if c := in.Header.Get("Set-Cookie") + out.Header.Get("Set-Cookie"); c != "" {
		t.Errorf("Set-Cookie = %q, want none", c)
	}
}

// wantLogIn asserts a redirect to the log-in page, and returns the id of the stored request.
func wantLogIn(t *testing.T, a harness.Answer) string {
	t.Helper()
	id, ok := strings.CutPrefix(a.Header.Get("Location"), "/login?next=")
	if a.Status != http.StatusSeeOther || !ok || id == "" {
		t.Fatalf("status %d, Location %q; want 303 to the log-in page", a.Status, a.Header.Get("Location"))
	}
	return id
}

// logInTo logs a user in on the way to a stored request, and returns the answer of the request.
func logInTo(b *harness.Browser, u harness.User, id string) harness.Answer {
	return b.Follow(b.Post("/login", url.Values{"email": {u.Email}, "password": {harness.Password}, "next": {id}}))
}

// wantConsent asserts that the consent page of an app is shown.
func wantConsent(t *testing.T, a harness.Answer, name string) {
	t.Helper()
	a.WantPage(t, http.StatusOK)
	if a.Hidden("request_id") == "" || !strings.Contains(a.Body, name+" wants to connect") && !strings.Contains(a.Body, name+" wants to reconnect") {
		t.Fatalf("not the consent page of %s: %.800s", name, a.Body)
	}
}

// scopes registers an app with these scopes only.
func scopes(names ...string) func(*directory.AppForm) {
	return func(f *directory.AppForm) { f.Scopes = names }
}

// redirectURIs registers an app with further redirect URIs.
func redirectURIs(more ...string) func(*directory.AppForm) {
	return func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, more...) }
}

// TestAuthorizeMethods_A23: HEAD gets 200 where GET shows a page or redirects, 400 where GET does, and stores nothing. Other
// methods get 405 with Allow. A POST, which another site may send, gets a 303 to the same request by GET, whose own errors
// then count.
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
		e.WantNoRequests()
		for name, headers := range map[string][]string{"cross-site": {"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}, "no headers": nil} {
			t.Run(name, func(t *testing.T) { wantPostRedirected(t, e, v.in.With(t), headers) })
		}
		e.WantNoGrants()

		back := "/oauth/consent?request_id=" + wantLogIn(t, v.out.Get(good))
		before := e.Count(`SELECT COUNT(*) FROM requests`)
		if a := v.in.Visit(http.MethodHead, back); a.Status != http.StatusOK || a.Body != "" || e.Count(`SELECT COUNT(*) FROM requests`) != before {
			t.Errorf("HEAD after the log-in: status %d, body %q, or it stored a request", a.Status, a.Body)
		}
		wantConsent(t, v.in.Get(back), "Alpha")
	})
}

// wantPostRedirected posts authorization requests and asserts that each is redirected to the same request by GET.
func wantPostRedirected(t *testing.T, e *harness.Env, in *harness.Browser, headers []string) {
	t.Helper()
	post := func(path string, form url.Values, more ...string) harness.Answer {
		return in.Send(http.MethodPost, path, form, append(headers, more...)...)
	}
	sent := request(e.A, "state", `a b+c%2B&é\`)
	a := post("/oauth/authorize", sent)
	if got := a.Location(t); got.Path != "/oauth/authorize" || got.Query().Encode() != sent.Encode() || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("Location = %q, want the same parameters", got)
	}
	wantConsent(t, in.Follow(a), "Alpha")

	split := post("/oauth/authorize?x=%5C&y=\\&client_id="+e.A.ID, request(e.A, "client_id", "-"))
	if got := split.Location(t).Query(); got.Get("x") != `\` || got.Get("y") != `\` {
		t.Errorf("Location = %q, want the query and the form", split.Header.Get("Location"))
	}
	wantConsent(t, in.Follow(split), "Alpha")

	in.Follow(post("/oauth/authorize", request(e.A, "redirect_uri", "https://evil.test/cb"))).WantPage(t, http.StatusBadRequest)
	post("/oauth/authorize", request(e.A), "Content-Type", "multipart/form-data; boundary=x").WantPage(t, http.StatusUnsupportedMediaType)
}
