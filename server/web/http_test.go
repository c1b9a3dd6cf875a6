package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "https://auth.test")
	for path, referrer := range map[string]string{"/": "no-referrer", "/form": "same-origin", "/nowhere": "no-referrer", "/fault/unknown": "no-referrer"} {
		h := s.do(http.MethodGet, path, nil).Header
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
			"Referrer-Policy": referrer, "Strict-Transport-Security": "max-age=31536000", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q allows a script", path, policy)
		}
	}
	if h := newSite(t, sqlite(t), "http://localhost:8080").do(http.MethodGet, "/", nil).Header; h.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over http")
	}
}

func TestPage_CrossOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "https://auth.test")
	s.addUser()
	for name, header := range map[string][]string{
		"cross-site":     {"Sec-Fetch-Site", "cross-site"},
		"same-site":      {"Sec-Fetch-Site", "same-site"},
		"foreign origin": {"Origin", "https://evil.test"},
		"origin null":    {"Origin", "null"},
	} {
		r := s.do(http.MethodPost, "/in", nil, header...)
		if r.StatusCode != http.StatusForbidden || len(r.Cookies()) != 0 {
			t.Errorf("%s: %d, cookies %v; want 403 and none", name, r.StatusCode, r.Cookies())
		}
	}
	for name, header := range map[string][]string{
		"same origin":                   {"Sec-Fetch-Site", "same-origin", "Origin", "https://auth.test"},
		"neither header":                {},
		"behind a proxy that sets Host": {"Host", "backend:8080", "Origin", "https://auth.test"},
	} {
		if r := s.do(http.MethodPost, "/in", nil, header...); r.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d, want 303", name, r.StatusCode)
		}
	}
}

func TestPage_OtherLoopbackName(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	for host, want := range map[string]string{
		"127.0.0.1:8080": "http://localhost:8080/account/security?a=%zz", "[::1]:8080": "http://localhost:8080/account/security?a=%zz",
		"LOCALHOST:8080": "/login?next=security", "evil.test": "/login?next=security",
	} {
		r := s.do(http.MethodGet, "/account/security?a=%zz", nil, "Host", host)
		if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != want {
			t.Errorf("on %s: %d %q, want %q", host, r.StatusCode, r.Header.Get("Location"), want)
		}
	}
	public := newSite(t, sqlite(t), "https://auth.test")
	if r := public.do(http.MethodGet, "/", nil, "Host", "localhost:8080"); r.StatusCode != http.StatusOK {
		t.Errorf("a public issuer behind a local proxy: %d", r.StatusCode)
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	for _, path := range []string{"//api", "/./api", "/api/", "/api/../api", "/%61pi", "/%2e/api", "/api%2f", "/api/%00", "/static/x/", "//", "/form/."} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := s.do(method, path, nil)
			if r.StatusCode != http.StatusNotFound || r.Header.Get("Location") != "" {
				t.Errorf("%s %s = %d, Location %q; want 404 and none", method, path, r.StatusCode, r.Header.Get("Location"))
			}
		}
	}
}

func TestRoutes_NotFoundAndMethodNotAllowed(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	for _, c := range []struct {
		method, path, accept string
		status               int
		allow, kind          string
	}{
		{"GET", "/in", "text/html", 405, "POST", "text/html"},
		{"GET", "/in", "*/*", 405, "POST", "text/html"},
		{"POST", "/form", "text/html", 405, "GET, HEAD", "text/html"},
		{"GET", "/api", "text/html", 405, "POST", "application/json"},
		{"DELETE", "/api", "*/*", 405, "POST", "application/json"},
		{"GET", "/nowhere", "text/html,*/*", 404, "", "text/html"},
		{"GET", "/nowhere", "application/json", 404, "", "application/json"},
		{"GET", "/nowhere", "", 404, "", "application/json"},
	} {
		r := s.do(c.method, c.path, nil, "Accept", c.accept)
		if r.StatusCode != c.status || r.Header.Get("Allow") != c.allow || !strings.HasPrefix(r.Header.Get("Content-Type"), c.kind) {
			t.Errorf("%s %s: %d, Allow %q, %s; want %d, %q, %s", c.method, c.path, r.StatusCode, r.Header.Get("Allow"), r.Header.Get("Content-Type"), c.status, c.allow, c.kind)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	for name, want := range map[string]struct {
		status    int
		code      string
		challenge string
	}{
		"unavailable":     {503, "temporarily_unavailable", ""},
		"unavailable2":    {503, "temporarily_unavailable", ""},
		"notfound":        {404, "not_found", ""},
		"invalid":         {400, "invalid_request", ""},
		"conflict":        {409, "conflict", ""},
		"unknown":         {500, "server_error", ""},
		"parameter":       {400, "invalid_request", ""},
		"invalid_grant":   {400, "invalid_grant", ""},
		"invalid_client":  {401, "invalid_client", `Basic realm="xenoauth"`},
		"invalid_token":   {401, "invalid_token", `Bearer realm="xenoauth", error="invalid_token"`},
		"insufficient":    {403, "insufficient_scope", `Bearer realm="xenoauth", error="insufficient_scope"`},
		"protocol_status": {413, "invalid_request", ""},
	} {
		r := s.do(http.MethodGet, "/api/fault/"+name, nil)
		var got struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.StatusCode != want.status || got.Error != want.code || r.Header.Get("WWW-Authenticate") != want.challenge || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %+v, challenge %q, Cache-Control %q", name, r.StatusCode, got, r.Header.Get("WWW-Authenticate"), r.Header.Get("Cache-Control"))
		}
		if (want.status == 503) != (r.Header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", name, r.Header.Get("Retry-After"))
		}
		if !regexp.MustCompile(`^[ !#-\[\]-~]+$`).MatchString(got.Description) || strings.Contains(got.Description, "dsn") {
			t.Errorf("%s: description %q", name, got.Description)
		}
		page := s.do(http.MethodGet, "/fault/"+name, nil)
		text := body(t, page)
		if page.StatusCode != want.status || !strings.Contains(text, "<h1>") || strings.Contains(text, "dsn") || page.Header.Get("Location") != "" {
			t.Errorf("%s as a page: %d %s", name, page.StatusCode, text)
		}
	}
	text := body(t, s.do(http.MethodGet, "/fault/parameter", nil))
	if !strings.Contains(text, "<code>redirect_uri</code>") || strings.Contains(text, "<yours>") {
		t.Errorf("the page does not name the parameter, or does not escape: %s", text)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	r := s.do(http.MethodGet, "/panic?code=canary", nil)
	text, id := body(t, r), r.Header.Get("X-Request-Id")
	if r.StatusCode != http.StatusInternalServerError || strings.Contains(text, "disco") || len(r.Cookies()) != 0 {
		t.Errorf("%d %s, cookies %v", r.StatusCode, text, r.Cookies())
	}
	if id == "" || !strings.Contains(text, id) || !strings.Contains(s.log.String(), id) {
		t.Errorf("the request id %q is not on the page or not in the log", id)
	}
	if !strings.Contains(s.log.String(), "disco") || strings.Contains(s.log.String(), "canary") {
		t.Errorf("the log lacks the cause, or has the query: %s", s.log)
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.7:4711", "", "192.0.2.7"},
		{"192.0.2.7:4711", "1.2.3.4", "192.0.2.7"}, // not a trusted proxy: the header is ignored
		{"10.0.0.1:1", "1.2.3.4", "1.2.3.4"},
		{"10.0.0.1:1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"}, // addresses left of the first untrusted one come from the client
		{"10.0.0.1:1", "1.2.3.4, nonsense", "10.0.0.1"},
		{"10.0.0.1:1", "[2001:db8::1]:443", "2001:db8::1"},
		{"[::ffff:192.0.2.7]:1", "", "192.0.2.7"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/api", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if got := w.Body.String(); !strings.Contains(got, `"`+c.want+`"`) {
			t.Errorf("from %s, X-Forwarded-For %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestAPI_IgnoresSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	s.addUser()
	if r := s.do(http.MethodPost, "/api", s.in(), "Sec-Fetch-Site", "cross-site"); r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, Cache-Control %q", r.StatusCode, r.Header.Get("Cache-Control"))
	}
}

func TestStatic_Caching(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	page := body(t, s.do(http.MethodGet, "/", nil))
	path := regexp.MustCompile(`/static/[0-9a-f]+/xenoauth\.css`).FindString(page)
	if path == "" {
		t.Fatalf("no stylesheet on the page: %s", page)
	}
	r := s.do(http.MethodGet, path, nil)
	if r.StatusCode != http.StatusOK || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/css") ||
		r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if again := s.do(http.MethodGet, path, nil, "If-None-Match", r.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("revalidation: %d", again.StatusCode)
	}
	if r := s.do(http.MethodGet, "/static/0000/xenoauth.css", nil); r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("with the hash of another version: %d, Cache-Control %q", r.StatusCode, r.Header.Get("Cache-Control"))
	}
	if r := s.do(http.MethodGet, "/static/0000/templates.go", nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown file: %d", r.StatusCode)
	}
}
