// Package server assembles a server: it creates the packages with the rules over a store, the handlers over the rules, and mounts
// every route (routes.go). It has no rules of its own.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/jobs"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/internal/verify"
	"xenoauth/server/account"
	"xenoauth/server/oauth"
	"xenoauth/server/platform"
	"xenoauth/server/portal"
	"xenoauth/server/web"
	"xenoauth/static"
	"xenoauth/store"
	"xenoauth/templates"
)

// Options are the settings of a server. Issuer is required; the zero value of any other field means its default.
type Options struct {
	Issuer         string           // origin without path, such as https://auth.example.com
	SignUpOpen     bool             // visitors may sign up; otherwise only the operator adds users
	DefaultPlan    string           // plan of new accounts: standard
	APIPlans       []string         // plans whose accounts may use API keys and integration tokens: standard
	CodeLifetime   time.Duration    // 60 s, at most 10 min
	TokenLimit     int              // live non-expiring tokens of an installation: any number
	VerifyIgnore   []string         // query names that a gateway may pass through to forward-auth: none
	Prefixes       []string         // of credentials: the first is minted, all are accepted; xno
	Catalogue      *scope.Catalogue // of scopes: the embedded one
	TrustedProxies []netip.Prefix   // proxies whose X-Forwarded-For is trusted: none
	Log            *slog.Logger     // nil: no log
	Passwords      *secret.Passwords
	UserTokens     issuer.UserTokenOptions // algorithm, secret and times; New fills in the rest
	Limits         ratelimit.Limits        // on failures, and on what one user does
	ParkedRequests int                     // authorization requests from one client address that may wait for a log-in: 1000
	MaxApps        int                     // apps of one account, except those that the operator adds: 100
	MaxSessions    int                     // sessions of one user; one more ends the least recently used: 50
	DatabaseBudget time.Duration           // the time that one request may wait for the database, in total: 2.5 s
	MaxConnections int                     // open at the same time: 4096
	Retention      store.Retention         // of ended rows: grace 1 h, at least 10 min; of audit events: no end
	SweepInterval  time.Duration           // between two sweeps of expired rows: 45 s; negative: no sweep
}

// VerifyNames are the query names that forward-auth reads. They cannot be in Options.VerifyIgnore.
func VerifyNames() []string { return slices.Clone(platform.VerifyNames) }

// Server is a complete Xenoauth, without its listeners.
type Server struct {
	store     store.Store
	verify    *verify.Verifier
	directory *directory.Directory
	metrics   *metrics
	handler   http.Handler
	options   Options
	jobs      *jobs.Runner // nil: none
	stopping  atomic.Bool
}

// MaxCodeLifetime is the maximum that RFC 6749 §4.1.2 recommends.
const MaxCodeLifetime = 10 * time.Minute

const (
	// MinGrace is the minimum time that a redeemed code is kept, to detect its replay.
	MinGrace     = 10 * time.Minute
	defaultGrace = time.Hour
)

func (o *Options) check() (*url.URL, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || o.Issuer != u.Scheme+"://"+u.Host {
		return nil, fmt.Errorf("issuer %q must be an origin without path, such as https://auth.example.com", o.Issuer)
	}
	if o.CodeLifetime < 0 || o.CodeLifetime > MaxCodeLifetime {
		return nil, fmt.Errorf("code lifetime %s must be at most %s", o.CodeLifetime, MaxCodeLifetime)
	}
	if o.Retention.Grace == 0 {
		o.Retention.Grace = defaultGrace
	}
	if o.Retention.Grace < MinGrace || o.Retention.Audit < 0 {
		return nil, fmt.Errorf("retention %+v: the grace period must be at least %s, and neither may be negative", o.Retention, MinGrace)
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = jobs.SweepInterval
	}
	if o.APIPlans == nil {
		o.APIPlans = []string{directory.DefaultPlan}
	}
	if o.Catalogue == nil {
		o.Catalogue = scope.Default()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Passwords == nil {
		o.Passwords = secret.NewPasswords(secret.PasswordOptions{})
	}
	return u, nil
}

// New assembles a server over a migrated store. Close the server before the store.
func New(ctx context.Context, st store.Store, o Options) (*Server, error) {
	issuerURL, err := o.check()
	if err != nil {
		return nil, err
	}
	format, err := secret.NewFormat(o.Prefixes...)
	if err != nil {
		return nil, err
	}
	cookieKey, err := ensureKey(ctx, st, "cookie")
	if err != nil {
		return nil, err
	}
	toolkit, err := web.New(web.Config{
		Issuer: issuerURL, Store: st, Templates: templates.Files, Static: static.Files,
		Log: o.Log, TrustedProxies: o.TrustedProxies, CookieKey: cookieKey, Limits: o.Limits,
		MaxSessions: o.MaxSessions, DatabaseBudget: o.DatabaseBudget,
	})
	if err != nil {
		return nil, err
	}
	rules := directory.New(st, o.Catalogue, o.Passwords, format, directory.Options{
		SignUpOpen: o.SignUpOpen, DefaultPlan: o.DefaultPlan, PublicURL: o.Issuer, TokenLimit: o.TokenLimit,
		ParkedRequests: o.ParkedRequests, MaxApps: o.MaxApps,
	})
	t, err := newTokens(ctx, st, format, o)
	if err != nil {
		return nil, err
	}
	s := &Server{store: st, verify: t.verify, directory: rules, metrics: newMetrics(), options: o}
	s.handler = s.routes(handlers{
		web:      toolkit,
		oauth:    oauth.New(toolkit, rules, t.issuer, t.verify, t.keys, o.Catalogue, o.Issuer),
		account:  account.New(toolkit, rules, st, o.Catalogue, o.Issuer),
		portal:   portal.New(toolkit, rules, st, o.Catalogue, o.Issuer),
		platform: platform.New(toolkit, rules, t.issuer, t.verify, o.Catalogue, o.VerifyIgnore),
	})
	if o.SweepInterval > 0 {
		s.jobs = jobs.Start(o.Log, s.metrics.observeJob, jobs.Sweep(st, o.Retention, o.SweepInterval, s.metrics.countSwept))
	}
	return s, nil
}

// tokens are the rules for tokens, their look-up, and the keys that both use.
type tokens struct {
	issuer *issuer.Issuer
	verify *verify.Verifier
	keys   *signing.Keys
}

// newTokens creates all three, and checks that this server can sign.
func newTokens(ctx context.Context, st store.Store, format secret.Format, o Options) (tokens, error) {
	user := o.UserTokens
	user.Issuer, user.MaxLifetime = o.Issuer, user.Lifetime
	err := user.Check()
	if err != nil {
		return tokens{}, err
	}
	if user.SealingKey, err = ensureKey(ctx, st, "signing"); err != nil {
		return tokens{}, err
	}
	keys := signing.New(st, user.Options)
	if err := keys.Prepare(ctx); err != nil {
		return tokens{}, err
	}
	return tokens{
		keys: keys,
		issuer: issuer.New(st, o.Catalogue, format, issuer.Options{
			CodeLifetime: o.CodeLifetime, TokenLimit: o.TokenLimit, UserTokens: user, Keys: keys,
		}),
		verify: verify.New(st, format, o.Catalogue, verify.APIPlans(o.APIPlans...), verify.UserTokens(keys)),
	}, nil
}

// Handler serves everything for users, apps and APIs.
func (s *Server) Handler() http.Handler { return s.handler }

// HTTP serves Handler on any number of listeners, with the limits of HTTPServer.
func (s *Server) HTTP() *http.Server {
	return HTTPServer(s.closeAfterDrain(s.Handler()), s.options.Log, s.options.MaxConnections)
}

// closeAfterDrain closes each connection after its request while the server drains. Otherwise a proxy that keeps connections
// could send a request at the moment its connection is closed, and could not know whether the request was read.
func (s *Server) closeAfterDrain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Directory returns the rules for users and apps, for commands and tests that set up a server.
func (s *Server) Directory() *directory.Directory { return s.directory }

// Drain makes readiness fail, so that load balancers send no new requests while the last ones finish.
func (s *Server) Drain() { s.stopping.Store(true) }

// Close stops the background work and writes buffered data. The store stays open.
func (s *Server) Close(ctx context.Context) error {
	s.Drain()
	return errors.Join(s.jobs.Stop(ctx), s.verify.Close(ctx))
}

// Locks returns the limiter with which commands show and unlock accounts that too many wrong passwords have locked.
// accountFailures is the limit of the server (0: the default).
func Locks(ctx context.Context, st store.Store, accountFailures int) (*ratelimit.Limiter, error) {
	key, err := ensureKey(ctx, st, "cookie")
	if err != nil {
		return nil, err
	}
	return ratelimit.New(st, key, ratelimit.Limits{Account: accountFailures}), nil
}

// ensureKey returns the server's key of that name, which all replicas share. It creates the key if there is none.
func ensureKey(ctx context.Context, st store.Store, name string) ([]byte, error) {
	candidate := make([]byte, 32)
	rand.Read(candidate) // never fails: the runtime crashes the process instead
	key, err := st.EnsureKey(ctx, name, candidate)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	if len(key) < 32 {
		return nil, errors.New("key " + name + " in the database is damaged")
	}
	return key, nil
}
