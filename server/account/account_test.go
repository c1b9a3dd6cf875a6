package account_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

const password = "correct horse battery"

// site is a whole server under test, over HTTP.
type site struct {
	t   *testing.T
	st  store.Store
	url string
}

func newSite(t *testing.T, st store.Store, signUpOpen bool) *site {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	origin := "http://" + listener.Listener.Addr().String()
	s, err := server.New(t.Context(), st, server.Options{Issuer: origin, SignUpOpen: signUpOpen,
		Passwords: secret.NewPasswords(secret.PasswordOptions{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = s.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	return &site{t, st, origin}
}

// browser keeps cookies and follows no redirect.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s.t, s.url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is a response.
type answer struct {
	status   int
	location string
	text     string
	header   http.Header
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	r, err := b.http.Get(b.base + path)
	return b.read(r, err)
}

func (b *browser) post(path string, pairs ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := b.http.PostForm(b.base+path, form)
	a := b.read(r, err)
	if strings.Contains(a.location, "/created/") { // the page is shown only once
		return b.get(a.location)
	}
	return a
}

func (b *browser) read(r *http.Response, err error) answer {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header.Get("Location"), string(text), r.Header}
}

// want fails the test unless the answer has the status, leads to location ("" for nowhere) and holds all texts.
func (b *browser) want(a answer, status int, location string, texts ...string) {
	b.t.Helper()
	if a.status != status || a.location != location {
		b.t.Fatalf("got %d to %q, want %d to %q: %s", a.status, a.location, status, location, a.text)
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			b.t.Errorf("the page lacks %q: %s", text, a.text)
		}
	}
}

func (s *site) signedUp(email string) *browser {
	s.t.Helper()
	b := s.browser()
	b.want(b.post("/signup", "name", "Ada", "email", email, "password", password), http.StatusSeeOther, "/account/apps")
	return b
}

func TestSignUpLogOutLogIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		b := newSite(t, st, true).browser()
		b.want(b.get("/"), http.StatusOK, "", `href="/login"`, `href="/signup"`)
		b.want(b.get("/signup"), http.StatusOK, "", `name="email"`, `name="password"`)
		b.want(b.post("/signup", "name", "Ada", "email", "Ada@Example.org", "password", password), http.StatusSeeOther, "/account/apps")
		b.want(b.get("/account/apps"), http.StatusOK, "", "No apps yet")
		b.want(b.get("/login?next=security"), http.StatusSeeOther, "/account/security")
		b.want(b.get("/logout"), http.StatusOK, "", "ada@example.org", `action="/logout"`)
		b.want(b.get("/account"), http.StatusOK, "", "ada@example.org", "Admin") // GET logs no one out
		b.want(b.post("/logout"), http.StatusSeeOther, "/")
		b.want(b.get("/account/apps"), http.StatusSeeOther, "/login?next=apps")
		b.want(b.get("/login"), http.StatusOK, "", `name="email"`, `name="password"`, `name="next"`)
		b.want(b.post("/login", "email", "ADA@example.org ", "password", password, "next", "developer"), http.StatusSeeOther, "/developer/apps")
		b.want(b.get("/account/apps"), http.StatusOK, "")
	})
}

func TestSignUpTellsAllFaultsAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	s.signedUp("taken@example.org")
	b := s.browser()
	a := b.post("/signup", "name", `<b>"Ada`, "email", "nonsense", "password", "short")
	b.want(a, http.StatusUnprocessableEntity, "", "There are 2 problems", `href="#email"`, `id="email-fault"`, `id="password-fault"`, `value="&lt;b&gt;&#34;Ada"`)
	if strings.Contains(a.text, "short\"") {
		t.Error("a password must not be sent back")
	}
	b.want(b.post("/signup", "name", "x", "email", "taken@example.org", "password", password), http.StatusUnprocessableEntity, "", "already in use")
	b.want(b.post("/signup", "name", "x", "name", "y", "email", "a@b.test", "password", password), http.StatusBadRequest, "", "<code>name</code>")
	b.want(b.get("/account"), http.StatusSeeOther, "/login?next=profile")
}

func TestClosedSignUp(t *testing.T) {
	t.Parallel()
	b := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), false).browser()
	b.want(b.get("/signup"), http.StatusForbidden, "", "Sign-up is closed")
	b.want(b.post("/signup", "email", "ada@example.org", "password", password), http.StatusForbidden, "", "Sign-up is closed")
	for _, path := range []string{"/", "/login"} {
		if a := b.get(path); strings.Contains(a.text, "/signup") {
			t.Errorf("%s offers to sign up", path)
		}
	}
}

// A wrong password and an unknown address get the same response (docs/battery.md, L1).
func TestWrongLogInTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	s.signedUp("known@example.org")
	b := s.browser()
	known := b.post("/login", "email", "known@example.org", "password", "wrong password", "next", "apps")
	other := b.post("/login", "email", "nobody@example.org", "password", "wrong password", "next", "apps")
	b.want(known, http.StatusUnprocessableEntity, "", "Incorrect e-mail address or password", `value="known@example.org"`)
	if strings.ReplaceAll(known.text, "known@", "nobody@") != other.text || known.status != other.status {
		t.Errorf("the answers differ:\n%s\n%s", known.text, other.text)
	}
	b.want(b.post("/login", "email", "known@example.org", "password", strings.Repeat("x", 1025)), http.StatusBadRequest, "")
	b.want(b.post("/login", "email", "known@example.org", "password", password, "next", `/\evil.test`), http.StatusSeeOther, "/account/apps")
}

func TestRename(t *testing.T) {
	t.Parallel()
	b := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true).signedUp("ada@example.org")
	b.want(b.post("/account", "name", "Ada <Lovelace>"), http.StatusSeeOther, "/account")
	b.want(b.get("/account"), http.StatusOK, "", "Name saved.", `value="Ada &lt;Lovelace&gt;"`)
	b.want(b.post("/account", "name", " "), http.StatusUnprocessableEntity, "", "Enter a name.", `aria-describedby=" name-fault"`)
}

func TestChangePasswordEndsEveryOtherSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, true)
		b := s.signedUp("ada@example.org")
		other := s.browser()
		other.want(other.post("/login", "email", "ada@example.org", "password", password), http.StatusSeeOther, "/account/apps")
		b.want(b.post("/account/security", "current_password", "wrong password", "password", "short"), http.StatusUnprocessableEntity, "", "There are 2 problems")
		before := b.cookie()
		b.want(b.post("/account/security", "current_password", password, "password", password+"!"), http.StatusSeeOther, "/account/security")
		if b.cookie() == before {
			t.Error("the session must get a new id")
		}
		b.want(b.get("/account/security"), http.StatusOK, "", "Password changed")
		other.want(other.get("/account"), http.StatusSeeOther, "/login?next=profile")
		other.want(other.post("/login", "email", "ada@example.org", "password", password), http.StatusUnprocessableEntity, "")
		other.want(other.post("/login", "email", "ada@example.org", "password", password+"!"), http.StatusSeeOther, "/account/apps")
		b.want(b.get("/account/security"), http.StatusOK, "", "Log out everywhere else")
		b.want(b.post("/account/security/sessions"), http.StatusSeeOther, "/account/security")
		other.want(other.get("/account"), http.StatusSeeOther, "/login?next=profile")
		b.want(b.get("/account"), http.StatusOK, "")
	})
}

func (b *browser) cookie() string {
	b.t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(b.http.Jar.Cookies(u))
}

// member is the user of that e-mail address and the first account.
func (s *site) member(email string) (store.User, string) {
	s.t.Helper()
	user, err := s.st.UserByEmail(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	members, err := s.st.MembersByUser(s.t.Context(), user.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return user, members[0].AccountID
}

// app registers an app of the account.
func (s *site) app(account, name string, scopes scope.Set) store.App {
	s.t.Helper()
	now := s.st.Now()
	a := store.App{ID: secret.NewPublicID("app_"), AccountID: account, Name: name, Homepage: "https://app.test", RedirectURIs: []string{"https://app.test/cb"},
		Scopes: scopes, Confidential: true, Version: 1, CreatedAt: now, UpdatedAt: now}
	first := store.Secret{ID: store.LookupID(secret.NewID()), ClientID: a.ID, Hash: make([]byte, 32), Hint: "hint", CreatedAt: now}
	if err := s.st.CreateApp(s.t.Context(), store.OperatorPrincipal("test"), a, &first); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// install installs an app on the account of the user with that e-mail address.
func (s *site) install(email, app string, scopes scope.Set) string {
	s.t.Helper()
	ctx, by := s.t.Context(), store.OperatorPrincipal("test")
	user, account := s.member(email)
	a := s.app(account, app, scopes)
	now := s.st.Now()
	session := make([]byte, 32)
	request := store.Request{ID: store.LookupID(secret.NewID()), Hash: session, Session: session, AppID: a.ID, RedirectURI: "https://app.test/cb", Scope: scopes,
		CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
	if err := s.st.CreateRequest(ctx, request, 0); err != nil {
		s.t.Fatal(err)
	}
	ins, err := s.st.Install(ctx, by, store.Approval{Request: request.ID, Session: session, RedirectURI: "https://app.test/cb", Installation: store.Installation{
		ID: secret.NewPublicID("ins_"), UserID: user.ID, AccountID: account, AppID: a.ID, Scopes: scopes}})
	if err != nil {
		s.t.Fatal(err)
	}
	return ins.ID
}

func TestInstalledAppsAreShownInWordsAndRemoved(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, true)
		b, stranger := s.signedUp("ada@example.org"), s.signedUp("eve@example.org")
		scopes, err := scope.NewSet("widgets", "contacts")
		if err != nil {
			t.Fatal(err)
		}
		id := s.install("ada@example.org", `"><svg onload=alert(1)> {{7*7}}`, scopes)
		a := b.get("/account/apps")
		b.want(a, http.StatusOK, "", "&lt;svg onload=alert(1)&gt; {{7*7}}", "Chat widgets and brands", "Contacts", "Allowed, not connected", "Unverified", "never", "/account/apps/"+id+"/remove")
		if regexp.MustCompile(`(?i)<svg|\b49\b`).MatchString(a.text) {
			t.Errorf("the app's name is not inert: %s", a.text)
		}
		for _, path := range []string{"/account/apps/" + id + "/remove", "/account/apps/" + secret.NewPublicID("ins_") + "/remove", "/account/apps/x/remove"} {
			for _, a := range []answer{stranger.get(path), stranger.post(path)} {
				stranger.want(a, http.StatusNotFound, "", "Page not found")
			}
		}
		b.want(b.get("/account/apps/"+id+"/remove"), http.StatusOK, "", "loses its access", `method="post"`)
		b.want(b.get("/account/apps"), http.StatusOK, "", id) // GET removes nothing
		b.want(b.post("/account/apps/"+id+"/remove"), http.StatusSeeOther, "/account/apps")
		b.want(b.get("/account/apps"), http.StatusOK, "", "was removed from Ada", "No apps yet")
		for _, again := range []func(string) answer{func(p string) answer { return b.post(p) }, b.get} { // a second click, or the back button
			b.want(again("/account/apps/"+id+"/remove"), http.StatusSeeOther, "/account/apps")
			b.want(b.get("/account/apps"), http.StatusOK, "", "was removed from Ada. It no longer has access to the account.", "No apps yet")
		}
		stranger.want(stranger.post("/account/apps/"+id+"/remove"), http.StatusNotFound, "")
	})
}

func TestMalformedInputIsA400(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	b := s.signedUp("ada@example.org")
	b.want(s.browser().get("/login?next=%zz"), http.StatusBadRequest, "", "<code>next</code>")
	b.want(s.browser().get("/signup?next=a&next=b"), http.StatusBadRequest, "", "<code>next</code>")
	for _, path := range []string{"/login", "/signup", "/logout", "/account", "/account/security", "/account/security/sessions"} {
		for _, body := range []string{"name=%00&email=%00&password=%00", "name=%ff", "name=%zz"} {
			r, err := b.http.Post(b.base+path, "application/x-www-form-urlencoded", strings.NewReader(body))
			b.want(b.read(r, err), http.StatusBadRequest, "")
		}
		r, err := b.http.Post(b.base+path, "application/json", strings.NewReader("{}"))
		b.want(b.read(r, err), http.StatusUnsupportedMediaType, "")
	}
	b.want(b.get("/account"), http.StatusOK, "", "ada@example.org")
}

// The log-in form of an app's request can end at the app by redirects alone, so its policy must allow that.
func TestLogInForAnApp(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	s.signedUp("ada@example.org")
	scopes, err := scope.NewSet("widgets")
	if err != nil {
		t.Fatal(err)
	}
	_, account := s.member("ada@example.org")
	app := s.app(account, "Chat & Insights", scopes)
	b := s.browser()
	sent := b.get("/oauth/authorize?scope=widgets&client_id=" + app.ID)
	if sent.status != http.StatusSeeOther || !strings.HasPrefix(sent.location, "/login?next=xnoq_") {
		t.Fatalf("authorize: %d to %q", sent.status, sent.location)
	}
	next := strings.TrimPrefix(sent.location, "/login?next=")
	for name, a := range map[string]answer{
		"log-in":       b.get(sent.location),
		"wrong log-in": b.post("/login", "email", "ada@example.org", "password", "wrong password", "next", next),
		"sign-up":      b.get("/signup?next=" + next),
	} {
		if !strings.Contains(a.text, "An unverified app that calls itself <strong>“Chat &amp; Insights”</strong> wants to connect") || !strings.HasSuffix(a.header.Get("Content-Security-Policy"), "form-action 'self' https:") {
			t.Errorf("%s: policy %q: %s", name, a.header.Get("Content-Security-Policy"), a.text)
		}
	}
	if a := b.get("/login?next=apps"); !strings.HasSuffix(a.header.Get("Content-Security-Policy"), "form-action 'self'") {
		t.Errorf("a log-in of our own: policy %q", a.header.Get("Content-Security-Policy"))
	}
	b.want(b.post("/login", "email", "ada@example.org", "password", password, "next", next), http.StatusSeeOther, "/oauth/consent?request_id="+next)
	b.want(b.get("/oauth/consent?request_id="+next), http.StatusOK, "", `name="decision" value="allow"`, `name="decision" value="deny"`, "Chat widgets and brands")
}
