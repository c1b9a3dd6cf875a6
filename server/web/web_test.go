package web_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/static"
	"xenoauth/store"
	"xenoauth/templates"
)

// site is a toolkit with a few handlers behind it.
type site struct {
	t    *testing.T
	st   store.Store
	user store.User
	http http.Handler
	log  *bytes.Buffer
	url  *url.URL
}

// key is the cookie key of every site.
var key = sha256.Sum256([]byte("cookie key of a test"))

func newSite(t *testing.T, st store.Store, origin string) *site {
	t.Helper()
	return newSiteWithKey(t, st, origin, key[:])
}

func newSiteWithKey(t *testing.T, st store.Store, origin string, cookieKey []byte) *site {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, st: st, url: u, log: &bytes.Buffer{}}
	toolkit, err := web.New(web.Config{Issuer: u, Store: st, Templates: templates.Files, Static: static.Files, CookieKey: cookieKey,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	s.routes(toolkit)
	return s
}

// routes: / shows the visitor; /in and /out log in and out.
func (s *site) routes(t *web.Toolkit) {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", t.Page(func(w http.ResponseWriter, r *http.Request) error {
		who := "nobody"
		if v := web.VisitorOf(r.Context()); v != nil {
			who = v.User.Email
		}
		return t.Render(w, r, http.StatusOK, "error", web.ErrorPage{Title: who})
	}))
	mux.Handle("POST /in", t.Page(func(w http.ResponseWriter, r *http.Request) error {
		if err := t.SignIn(w, r, s.user); err != nil {
			return err
		}
		t.Notice(w, r, "Welcome & hello")
		web.Redirect(w, r, "/")
		return nil
	}))
	mux.Handle("POST /out", t.Page(func(w http.ResponseWriter, r *http.Request) error {
		if err := t.SignOut(w, r); err != nil {
			return err
		}
		web.Redirect(w, r, "/")
		return nil
	}))
	mux.Handle("GET /account/security", t.Private(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "private")
		return err
	}))
	mux.Handle("GET /form", t.Page(func(w http.ResponseWriter, r *http.Request) error {
		return t.Render(w, r, http.StatusOK, "logout", struct{ Email string }{"ada@example.org"})
	}))
	mux.Handle("POST /api", t.API(func(w http.ResponseWriter, r *http.Request) error {
		if web.VisitorOf(r.Context()) != nil {
			return errors.New("an API saw a session")
		}
		return web.WriteJSON(w, http.StatusOK, map[string]string{"ip": web.ClientIP(r)})
	}))
	mux.Handle("GET /fault/{name}", t.Page(func(_ http.ResponseWriter, r *http.Request) error { return faults[r.PathValue("name")] }))
	mux.Handle("GET /api/fault/{name}", t.API(func(_ http.ResponseWriter, r *http.Request) error { return faults[r.PathValue("name")] }))
	mux.Handle("GET /panic", t.Page(func(w http.ResponseWriter, _ *http.Request) error {
		http.SetCookie(w, &http.Cookie{Name: "half", Value: "done"})
		panic("at the disco")
	}))
	mux.Handle("GET /static/{hash}/{file}", t.Static())
	s.http = t.Identify(t.AccessLog(t.Recover(t.CleanPath(t.Routes(mux)))))
}

var faults = map[string]error{
	"unavailable":     fmt.Errorf("load: %w", store.ErrUnavailable),
	"unavailable2":    &issuer.Error{Code: "invalid_grant", Cause: store.ErrUnavailable},
	"notfound":        fmt.Errorf("app: %w", store.ErrNotFound),
	"invalid":         fmt.Errorf("app: %w", store.ErrInvalid),
	"conflict":        fmt.Errorf("app: %w", store.ErrConflict),
	"unknown":         errors.New("dsn=postgres://secret"),
	"parameter":       fmt.Errorf("read: %w", web.BadRequest("redirect_uri", `is not "one" of <yours>`)),
	"invalid_grant":   fmt.Errorf("redeem: %w", &issuer.Error{Code: "invalid_grant", Description: "the code was used"}),
	"invalid_client":  &issuer.Error{Code: "invalid_client"},
	"invalid_token":   &issuer.Error{Code: "invalid_token"},
	"insufficient":    &issuer.Error{Code: "insufficient_scope"},
	"protocol_status": &issuer.Error{Code: "invalid_request", Status: http.StatusRequestEntityTooLarge},
}

// addUser creates the user that /in logs in.
func (s *site) addUser() {
	s.t.Helper()
	s.user = store.User{ID: secret.NewUserID(), Email: "ada@example.org", Name: "Ada", CreatedAt: s.st.Now(), PasswordAt: s.st.Now()}
	account := store.Account{ID: secret.NewPublicID("acc_"), Name: "Ada", Plan: "standard", CreatedAt: s.st.Now()}
	if err := s.st.CreateUser(s.t.Context(), store.OperatorPrincipal("test"), s.user, account); err != nil {
		s.t.Fatal(err)
	}
}

// do sends a request with the headers of a browser and the cookies.
func (s *site) do(method, target string, cookies []*http.Cookie, header ...string) *http.Response {
	s.t.Helper()
	r := httptest.NewRequest(method, s.url.String()+target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Accept", "text/html")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// in logs in and returns the cookies that the browser has afterwards.
func (s *site) in(cookies ...*http.Cookie) []*http.Cookie {
	s.t.Helper()
	r := s.do(http.MethodPost, "/in", cookies)
	if r.StatusCode != http.StatusSeeOther || len(r.Cookies()) != 1 {
		s.t.Fatalf("log-in: %d %s, cookies %v", r.StatusCode, body(s.t, r), r.Cookies())
	}
	return r.Cookies()
}

func (s *site) who(cookies ...*http.Cookie) string {
	s.t.Helper()
	r := s.do(http.MethodGet, "/", cookies)
	if r.StatusCode != http.StatusOK {
		s.t.Fatalf("GET / = %d", r.StatusCode)
	}
	_, after, _ := strings.Cut(body(s.t, r), "<h1>")
	name, _, _ := strings.Cut(after, "</h1>")
	return name
}

func sqlite(t *testing.T) store.Store {
	t.Helper()
	return dbtest.Open(t, dbtest.SQLite(t))
}

func TestSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "https://auth.test")
		s.addUser()
		if r := s.do(http.MethodGet, "/", nil); len(r.Cookies()) != 0 {
			t.Errorf("an anonymous browser got cookies %v", r.Cookies())
		}
		cookies := s.in()
		c := cookies[0]
		if c.Name != "__Host-xenoauth" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %+v", c)
		}
		if got := s.who(cookies...); got != "ada@example.org" {
			t.Fatalf("visitor after the log-in: %q", got)
		}
		again := s.in(cookies...)
		if again[0].Value == c.Value || s.who(cookies...) != "nobody" || s.who(again...) != "ada@example.org" {
			t.Error("a second log-in kept the session id, or the old session")
		}
		r := s.do(http.MethodPost, "/out", again)
		if r.StatusCode != http.StatusSeeOther || len(r.Cookies()) != 1 || r.Cookies()[0].MaxAge >= 0 {
			t.Errorf("log-out: %d, cookies %v", r.StatusCode, r.Cookies())
		}
		if got := s.who(again...); got != "nobody" {
			t.Errorf("visitor with the old cookie after the log-out: %q", got)
		}
		left, err := st.SessionsByUser(t.Context(), s.user.ID)
		if err != nil || len(left) != 0 {
			t.Errorf("sessions left: %d, %v", len(left), err)
		}
	})
}

func TestSession_Expiry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "http://localhost:8080")
		s.addUser()
		cookies := s.in()
		if c := cookies[0]; c.Name != "xenoauth" || c.Secure || !c.HttpOnly {
			t.Errorf("cookie over http: %+v", c)
		}
		shift := func(columns string, d time.Duration) {
			t.Helper()
			for column := range strings.SplitSeq(columns, " ") {
				dbtest.Exec(t, st, "UPDATE sessions SET "+column+" = "+column+" - $1", d.Microseconds())
			}
		}
		only := func() store.Session {
			t.Helper()
			list, err := st.SessionsByUser(t.Context(), s.user.ID)
			if err != nil || len(list) != 1 {
				t.Fatalf("sessions: %d, %v", len(list), err)
			}
			return list[0]
		}
		s.who(cookies...) // takes the notice, which updates the row
		before := only()
		s.who(cookies...)
		if now := only(); !now.SeenAt.Equal(before.SeenAt) {
			t.Error("a session in constant use is updated at each request")
		}
		shift("created_at seen_at expires_at", 13*24*time.Hour)
		s.who(cookies...)
		if left := only().ExpiresAt.Sub(st.Now()); left < 13*24*time.Hour {
			t.Errorf("after use, %s are left, want 14 days", left)
		}
		shift("created_at", 76*24*time.Hour) // the 89th day
		shift("seen_at expires_at", time.Hour)
		s.who(cookies...)
		if left := only().ExpiresAt.Sub(st.Now()); left > 25*time.Hour {
			t.Errorf("on the 89th day %s are left, want one day", left)
		}
		shift("expires_at", 25*time.Hour)
		if got := s.who(cookies...); got != "nobody" {
			t.Errorf("visitor of an expired session: %q", got)
		}
	})
}

func TestSession_InvalidCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	s.addUser()
	good := s.in()[0]
	other := sha256.Sum256([]byte("an old key"))
	old := newSiteWithKey(t, s.st, "http://localhost:8080", other[:])
	old.user = s.user
	flipped := []byte(good.Value)
	flipped[len(flipped)/2] ^= 1
	many := []*http.Cookie{}
	for i := range 200 {
		many = append(many, &http.Cookie{Name: fmt.Sprintf("c%d", i), Value: strings.Repeat("x", 20)})
	}
	named := func(value string) []*http.Cookie { return []*http.Cookie{{Name: good.Name, Value: value}} }
	for name, cookies := range map[string][]*http.Cookie{
		"flipped bit": named(string(flipped)),
		"old key":     old.in(),
		"5 kB":        named(strings.Repeat("A", 5000)),
		"empty":       named(""),
		"rubbish":     named("%%%"),
		"cut":         named(good.Value[:len(good.Value)-1]),
		"twice":       {good, good},
		"planted":     {{Name: good.Name, Value: "x"}, good},
		"200 others":  many,
	} {
		if got := s.who(cookies...); got != "nobody" {
			t.Errorf("%s: the visitor is %q", name, got)
		}
	}
	if got := s.who(append(many, good)...); got != "ada@example.org" {
		t.Errorf("visitor with 200 other cookies: %q", got)
	}
}

func TestSession_DatabaseUnavailable(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	s.addUser()
	cookies := s.in()
	if err := s.st.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/account/security"} {
		r := s.do(http.MethodGet, path, cookies)
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || r.Header.Get("Location") != "" {
			t.Errorf("GET %s without a database = %d, Retry-After %q, Location %q", path, r.StatusCode, r.Header.Get("Retry-After"), r.Header.Get("Location"))
		}
	}
	if r := s.do(http.MethodGet, "/", nil); r.StatusCode != http.StatusOK {
		t.Errorf("a page that needs no database: %d without it", r.StatusCode)
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, "http://localhost:8080")
		s.addUser()
		cookies := s.in()
		if r := s.do(http.MethodHead, "/", cookies); r.StatusCode != http.StatusOK {
			t.Errorf("HEAD / = %d", r.StatusCode)
		}
		const notice = "Welcome &amp; hello"
		if got := body(t, s.do(http.MethodGet, "/", cookies)); strings.Count(got, notice) != 1 {
			t.Errorf("the next page does not show the notice, escaped: %s", got)
		}
		if got := body(t, s.do(http.MethodGet, "/", cookies)); strings.Contains(got, "Welcome") {
			t.Error("the page after that shows it again")
		}
	})
}

func TestPrivate_NotLoggedIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite(t), "http://localhost:8080")
	s.addUser()
	r := s.do(http.MethodGet, "/account/security", nil)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/login?next=security" {
		t.Errorf("logged out: %d %q", r.StatusCode, r.Header.Get("Location"))
	}
	if r := s.do(http.MethodGet, "/account/security", s.in()); body(t, r) != "private" {
		t.Errorf("logged in: %d", r.StatusCode)
	}
}

func TestNew_UnescapableTemplate(t *testing.T) {
	t.Parallel()
	good := map[string]string{"layout.html": `{{template "main" .Page}}`, "parts.html": ""}
	for name, text := range map[string]string{
		"syntax":     `{{define "main"}}{{if}}{{end}}`,
		"context":    `{{define "main"}}<a href="{{.}}>{{end}}`,
		"no main":    `x`,
		"no such fn": `{{define "main"}}{{nope}}{{end}}`,
	} {
		files := fstest.MapFS{"page.html": {Data: []byte(text)}}
		for file, content := range good {
			files[file] = &fstest.MapFile{Data: []byte(content)}
		}
		_, err := web.New(web.Config{Issuer: &url.URL{Scheme: "http", Host: "localhost"}, Store: sqlite(t), Templates: files, Static: static.Files,
			Log: slog.New(slog.DiscardHandler), CookieKey: key[:]})
		if err == nil || !strings.Contains(err.Error(), "page.html") {
			t.Errorf("%s: New = %v, want an error that names page.html", name, err)
		}
	}
}
