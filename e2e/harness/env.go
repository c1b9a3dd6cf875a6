// Package harness starts whole servers for tests: real HTTP on a loopback port, over each database, with the fixtures of the
// battery. It speaks as the outside does, through browsers with cookies and through plain requests, and looks into the
// database only to shift a row's time or to prove what is kept there.
package harness

import (
	"bytes"
	"context"
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

// App is a registered app as its developer knows it.
type App struct {
	ID     string
	Secret string // "" for a public app
	URI    string
}

// User is a person with a password.
type User struct {
	store.User
	Account store.Account // made at sign-up
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

// Each runs test on a rig over SQLite and on one over Postgres, in parallel.
func Each(t *testing.T, test func(t *testing.T, e *Env), options ...func(*server.Options)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		test(t, New(t, st, options...))
	})
}

// New starts a server over st and makes the fixtures.
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
		// Tests share the machine, where a database may seem slow: those about a database that is take 0, the default.
		DatabaseBudget: dbtest.Timeout,
		// Tests shift times and then look at the rows: nobody but them sweeps.
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

// CheapPasswords hashes fast, because what argon2id costs is not what most tests are about.
func CheapPasswords() *secret.Passwords {
	return secret.NewPasswords(secret.PasswordOptions{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})
}

// Patience bears the failures of a whole test, since all of it comes from one address. Tests about limits take the
// defaults: DefaultLimits.
var NoLimits = ratelimit.Limits{LogIn: 1_000_000, Account: 1_000_000, IP: 1_000_000, SignUps: 1_000_000, Client: 1_000_000, Changes: 1_000_000}

// DefaultLimits is an option of a rig that bears as many failures as a server does without settings.
func DefaultLimits(o *server.Options) { o.Limits = ratelimit.Limits{Changes: NoLimits.Changes} }

// With is the same rig reporting to a subtest.
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

// Operator acts for the command line.
var Operator = store.OperatorPrincipal("test")

// AddUser makes a user with Password, and an account of theirs.
func (e *Env) AddUser(email string) User {
	e.t.Helper()
	u, a, err := e.Rules.AddUser(context.Background(), Operator, directory.NewUser{Email: email, Name: "User " + email[:1], Password: Password})
	if err != nil {
		e.t.Fatalf("add user %s: %v", email, err)
	}
	return User{User: u, Account: a}
}

// AddApp registers an app of U's account (or of its own user, before there is a U) with all scopes; change, if given,
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

// Exec runs SQL on the rig's database, in the text that both databases accept, to shift times.
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

// transport is all that a rig sends through. Every httptest.Server that stops closes the idle connections of
// http.DefaultTransport, and one that has just brought an answer without a body may be among them before the answer is read.
var transport = http.DefaultTransport.(*http.Transport).Clone()

// client is for requests without cookies.
var client = &http.Client{
	Transport: transport, Timeout: 30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
