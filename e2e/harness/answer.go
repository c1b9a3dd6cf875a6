package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Answer is an HTTP answer with its whole body.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Path   string // of the request; "" for an answer of a Conn
}

// Do sends a request and reads the answer. No redirect is followed.
func (e *Env) Do(request *http.Request) Answer {
	e.t.Helper()
	return read(e.t, client, request)
}

func read(t testing.TB, c *http.Client, request *http.Request) Answer {
	t.Helper()
	response, err := c.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body), Path: request.URL.Path}
}

// Location is the URL of the redirect; nil if the answer has none.
func (a Answer) Location(t testing.TB) *url.URL {
	t.Helper()
	text := a.Header.Get("Location")
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatalf("Location %q: %v", text, err)
	}
	return u
}

// JSON is the body as an object.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(a.Body), &object); err != nil {
		t.Fatalf("answer %d is not a JSON object: %v: %.200s", a.Status, err, a.Body)
	}
	return object
}

// String is a string member of the JSON body, "" if it is absent or no string.
func (a Answer) String(t testing.TB, member string) string {
	t.Helper()
	s, _ := a.JSON(t)[member].(string)
	return s
}

// WantPage asserts an HTML page with this status, no redirect of any kind, and the full set of headers (W5).
func (a Answer) WantPage(t testing.TB, status int) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status = %d, want %d: %.300s", a.Status, status, a.Body)
	}
	if l := a.Header.Get("Location"); l != "" {
		t.Errorf("Location = %q, want none", l)
	}
	if h := a.Header.Get("Refresh"); h != "" || strings.Contains(strings.ToLower(a.Body), "http-equiv") {
		t.Errorf("the page redirects by itself")
	}
	if ct := a.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/html") {
		t.Errorf("Content-Type = %q, want text/html", ct)
	}
	a.WantPageHeaders(t)
}

// WantPageHeaders asserts the headers of every page (W5), for an http issuer.
func (a Answer) WantPageHeaders(t testing.TB) {
	t.Helper()
	csp := a.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("Content-Security-Policy = %q, want %s in it", csp, part)
		}
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got, want := a.Header.Get("Cross-Origin-Opener-Policy"), a.openerPolicy(); got != want {
		t.Errorf("%s: Cross-Origin-Opener-Policy = %q, want %q", a.Path, got, want)
	}
	if got := a.Header.Get("Referrer-Policy"); got != "same-origin" && got != "no-referrer" {
		t.Errorf("Referrer-Policy = %q", got)
	}
}

// requestID is the form of a stored authorization request's id.
var requestID = regexp.MustCompile(`^[a-z]+q_[0-9A-Za-z]{71}$`)

// openerPolicy is the Cross-Origin-Opener-Policy that a page must have: same-origin, except in the authorization flow,
// whose app may have opened the window.
func (a Answer) openerPolicy() string {
	switch {
	case a.Path == "":
		return a.Header.Get("Cross-Origin-Opener-Policy")
	case strings.HasPrefix(a.Path, "/oauth/"), requestID.MatchString(a.Hidden("next")):
		return "unsafe-none"
	}
	return "same-origin"
}

// WantRedirectError asserts a 303 to the app's redirect URI with error, state to the byte ("" for none) and iss, each once.
func (e *Env) WantRedirectError(a Answer, to, code, state string) {
	e.t.Helper()
	q := e.wantRedirect(a, to, state)
	if got := q.Get("error"); got != code {
		e.t.Errorf("error = %q, want %q (%s)", got, code, q.Get("error_description"))
	}
	if q.Has("code") {
		e.t.Errorf("a refused request got a code")
	}
}

// WantCode asserts a 303 to the app's redirect URI with a code, and returns the code.
func (e *Env) WantCode(a Answer, to, state string) string {
	e.t.Helper()
	q := e.wantRedirect(a, to, state)
	if q.Get("code") == "" || q.Has("error") {
		e.t.Fatalf("no code in %s: error %q: %s", to, q.Get("error"), q.Get("error_description"))
	}
	return q.Get("code")
}

func (e *Env) wantRedirect(a Answer, to, state string) url.Values {
	e.t.Helper()
	if a.Status != http.StatusSeeOther {
		e.t.Fatalf("status = %d, want 303: %.300s", a.Status, a.Body)
	}
	location := a.Header.Get("Location")
	rest, ok := strings.CutPrefix(location, to)
	if !ok || rest == "" || rest[0] != '?' && rest[0] != '&' {
		e.t.Fatalf("Location = %q, want %s with parameters", location, to)
	}
	q := a.Location(e.t).Query()
	for name, values := range q {
		if len(values) != 1 {
			e.t.Errorf("%s is in the redirect %d times", name, len(values))
		}
	}
	if got := q.Get("state"); got != state || q.Has("state") != (state != "") {
		e.t.Errorf("state = %q, want %q", got, state)
	}
	if got := q.Get("iss"); got != e.URL {
		e.t.Errorf("iss = %q, want %q", got, e.URL)
	}
	return q
}

// WantError asserts a JSON error with this status that must not be cached.
func (a Answer) WantError(t testing.TB, status int, code string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status = %d, want %d: %.300s", a.Status, status, a.Body)
	}
	if got := a.String(t, "error"); got != code {
		t.Errorf("error = %q, want %q: %.300s", got, code, a.Body)
	}
	description := a.String(t, "error_description")
	for _, c := range description {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			t.Errorf("error_description %q contains %q", description, c)
		}
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	if ct := a.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("Content-Type = %q, want application/json", ct)
	}
}
