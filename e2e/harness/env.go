// Package harness starts whole servers for tests: real HTTP on a loopback port, over each database, with a user and apps.
// Tests use them from outside, by scripted browsers and plain requests, and read the database only to shift a row's time or
// to check what is stored.
package harness

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"xenoauth/e2e/faultstore"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

// The values of the fixtures.
const (
	CB       = "https://app.test/cb"
	Password = "correct horse battery"
	// Verifier is a valid PKCE verifier of 43 characters, and Challenge its S256 challenge.
	Verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	Challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// App is a registered app.
type App struct {
	ID     string
	Secret string // "" for a public app
	URI    string
}

// User is a user with a password.
type User struct {
	store.User
	Account store.Account // created at sign-up
}

// Env is a server under test with its fixtures.
type Env struct {
	t       testing.TB
	URL     string            // the issuer
	Store   store.Store       // the real one, whatever Faults are set
	Faults  *faultstore.Store // between the server and Store
	Server  *server.Server
	Rules   *directory.Directory
	Log     *Log
	A, B    App // confidential, CB
	P       App // public, CB
	N       App // public native, http://127.0.0.1/cb
	U       User
	Options server.Options
}

// Each runs test in an environment over SQLite and in one over Postgres, in parallel.
func Each(t *testing.T, test func(t *testing.T, e *Env), options ...func(*server.Options)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		test(t, New(t, st, options...))
	})
}

// New starts a server over st and adds the fixtures.
func New(t testing.TB, st store.Store, options ...func(*server.Options)) *Env {
	t.Helper()
	e := Bare(t, st, options...)
	e.addFixtures("ursula@users.test")
	return e
}

func (e *Env) addFixtures(email string) {
	e.t.Helper()
	e.U = e.AddUser(email)
	e.A = e.AddApp("Alpha", true, CB)
	e.B = e.AddApp("Beta", true, CB)
	e.P = e.AddApp("Papa", false, CB)
	e.N = e.AddApp("November", false, "http://127.0.0.1/cb")
}

// Bare starts a server over st without fixtures.
func Bare(t testing.TB, st store.Store, options ...func(*server.Options)) *Env {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &Log{}
	o := server.Options{
		Issuer:     "http://" + listener.Addr().String(),
		SignUpOpen: true,
		Log:        slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Passwords:  CheapPasswords(),
		Limits:     NoLimits,
		// Tests share the machine, which makes a database slow. Tests about a slow database take 0, the default.
		DatabaseBudget: dbtest.Timeout,
		// Tests shift times and then read the rows, so only tests sweep.
		SweepInterval: -1,
	}
	for _, option := range options {
		option(&o)
	}
	faults := faultstore.New(st)
	s, err := server.New(context.Background(), faults, o)
	if err != nil {
		t.Fatal(err)
	}
	httpServer := &httptest.Server{Listener: server.CountReads(listener), Config: s.HTTP()}
	httpServer.Start()
	t.Cleanup(func() {
		httpServer.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Logf("close server: %v", err)
		}
	})
	return &Env{t: t, URL: o.Issuer, Store: st, Faults: faults, Server: s, Rules: s.Directory(), Log: log, Options: o}
}

// CheapPasswords hashes fast: most tests are not about the cost of argon2id.
func CheapPasswords() *secret.Passwords {
	return secret.NewPasswords(secret.PasswordOptions{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})
}

// NoLimits allows the failures of a whole test, all of which come from one address. Tests about limits use DefaultLimits.
var NoLimits = ratelimit.Limits{LogIn: 1_000_000, Account: 1_000_000, IP: 1_000_000, SignUps: 1_000_000, Client: 1_000_000, Changes: 1_000_000}

// DefaultLimits is an option for the failure limits of a server without settings.
func DefaultLimits(o *server.Options) { o.Limits = ratelimit.Limits{Changes: NoLimits.Changes} }

// With is the same environment reporting to a subtest.
func (e *Env) With(t testing.TB) *Env {
	c := *e
	c.t = t
	return &c
}

// Must ends the test if err is not nil.
func (e *Env) Must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// Operator is the principal of the command line.
var Operator = store.OperatorPrincipal("test")

// AddUser adds a user with Password and an account.
func (e *Env) AddUser(email string) User {
	e.t.Helper()
	u, a, err := e.Rules.AddUser(context.Background(), Operator, directory.NewUser{Email: email, Name: "User " + email[:1], Password: Password})
	if err != nil {
		e.t.Fatalf("add user %s: %v", email, err)
	}
	return User{User: u, Account: a}
}

// AddApp registers an app of U's account (or of a user of its own, before there is a U) with all scopes; change, if given,
// edits the form first.
func (e *Env) AddApp(name string, confidential bool, uris string, change ...func(*directory.AppForm)) App {
	e.t.Helper()
	form := directory.AppForm{
		Name: name, RedirectURIs: []string{uris}, Scopes: []string{"widgets", "faqs", "contacts", "conversations"}, Confidential: confidential,
	}
	for _, c := range change {
		c(&form)
	}
	app, credential, err := e.Rules.CreateApp(context.Background(), Operator, e.U.Account.ID, form)
	if err != nil {
		e.t.Fatalf("create app %s: %v", name, err)
	}
	a := App{ID: app.ID, URI: form.RedirectURIs[0]}
	if credential != nil {
		a.Secret = credential.Reveal()
	}
	return a
}

// AddUsers adds n users with the password of U and returns their e-mail addresses. The hash is computed once.
func (e *Env) AddUsers(n int) []string {
	e.t.Helper()
	emails := make([]string, n)
	for i := range emails {
		emails[i] = fmt.Sprintf("user%d@users.test", i)
		now := e.Store.Now()
		u := store.User{ID: secret.NewUserID(), Email: emails[i], Name: "Many", Password: e.U.Password, CreatedAt: now, PasswordAt: now}
		a := store.Account{ID: secret.NewPublicID("acc_"), Name: "Many", Plan: "standard", CreatedAt: now}
		if err := e.Store.CreateUser(context.Background(), Operator, u, a); err != nil {
			e.t.Fatalf("add user %s: %v", emails[i], err)
		}
	}
	return emails
}

// AddResource registers a resource server.
func (e *Env) AddResource(name string) App {
	e.t.Helper()
	server, credential, err := e.Rules.CreateResource(context.Background(), Operator, name)
	if err != nil {
		e.t.Fatalf("create resource server %s: %v", name, err)
	}
	return App{ID: server.ID, Secret: credential.Reveal()}
}

// Exec runs SQL that both databases accept, to shift times.
func (e *Env) Exec(sql string, args ...any) {
	e.t.Helper()
	dbtest.Exec(e.t, e.Store, sql, args...)
}

// Log is what the server logged.
type Log struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write appends.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// transport is the transport of all requests. http.DefaultTransport does not work here: every httptest.Server that stops
// closes its idle connections, one of which may just have carried an answer without a body.
var transport = http.DefaultTransport.(*http.Transport).Clone()

// client is for requests without cookies.
var client = &http.Client{
	Transport: transport, Timeout: 30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
