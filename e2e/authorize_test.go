package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
)

// request is a sound authorization request of an app, with parameters changed as name, value, …; "-" takes one out.
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

// address is where a browser asks for it.
func address(v url.Values) string { return "/oauth/authorize?" + v.Encode() }

// visitors are two browsers at the same server: somebody is logged in in one of them.
type visitors struct{ in, out *harness.Browser }

func newVisitors(e *harness.Env) visitors { return visitors{in: e.LoggedIn(e.U), out: e.Browser()} }

// wantDeadEnd asserts that an authorization request, whose target is sent as it is, is answered by PAGE, which blames the
// parameter ("" for any) and is the same to the byte whether or not somebody is logged in.
func (v visitors) wantDeadEnd(t *testing.T, target, parameter string) {
	t.Helper()
	in, out := v.in.With(t).Visit(http.MethodGet, target), v.out.With(t).Visit(http.MethodGet, target)
	in.WantPage(t, http.StatusBadRequest)
	out.WantPage(t, http.StatusBadRequest)
	if in.Body != out.Body {
		t.Errorf("the page tells who is logged in:\n%s\n%s", in.Body, out.Body)
	}
	if !strings.Contains(in.Body, "<code>"+parameter) {
		t.Errorf("the page does not blame %s: %.1500s", parameter, in.Body)
	}
	if strings.Contains(strings.ToLower(in.Body), "evil") {
		t.Errorf("the page repeats the address: %s", in.Body)
	}
	if c := in.Header.Get("Set-Cookie") + out.Header.Get("Set-Cookie"); c != "" {
		t.Errorf("Set-Cookie = %q, want none", c)
	}
}

// wantLogIn asserts that the browser is sent to log in, and returns by what it comes back.
func wantLogIn(t *testing.T, a harness.Answer) string {
	t.Helper()
	id, ok := strings.CutPrefix(a.Header.Get("Location"), "/login?next=")
	if a.Status != http.StatusSeeOther || !ok || id == "" {
		t.Fatalf("status %d, Location %q; want 303 to the log-in page", a.Status, a.Header.Get("Location"))
	}
	return id
}

// wantConsent asserts that the consent page of an app is shown.
func wantConsent(t *testing.T, a harness.Answer, name string) {
	t.Helper()
	a.WantPage(t, http.StatusOK)
	if a.Hidden("request_id") == "" || !strings.Contains(a.Body, name+" wants to connect") && !strings.Contains(a.Body, name+" wants to reconnect") {
		t.Fatalf("not the consent page of %s: %.800s", name, a.Body)
	}
}

// scopes registers an app for these only.
func scopes(names ...string) func(*directory.AppForm) {
	return func(f *directory.AppForm) { f.Scopes = names }
}
