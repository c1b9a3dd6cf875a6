package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// graceTime is the time for requests in flight to finish after the signal to stop.
const graceTime = 10 * time.Second

// opsConnections is the maximum number of connections of the operator's listener, which only a few programs use.
const opsConnections = 64

// serveConfig is the configuration of serve, validated.
type serveConfig struct {
	database         string
	host, port       string
	opsHost, opsPort string // "" for none
	migrate          bool
	allowUnsafe      bool // database
	databaseWait     time.Duration
	drain            time.Duration
	scopes           scopesChoice
	highWater        string
	acceptRestored   bool
	options          server.Options
	log              *slog.Logger
}

// serveSettings are the settings of serve beside those of all commands.
var serveSettings = []string{
	"listen", "issuer", "ops-listen", "migrate", "signup", "default-plan", "code-lifetime", "token-limit",
	"trusted-proxies", "verify-ignore", "login-failures", "account-failures", "ip-failures", "ip-signups", "client-failures",
	"ip-requests", "max-apps", "max-sessions", "user-changes", "max-connections", "audit-retention",
	"retention-grace", "drain", "allow-unsafe-database", "high-water", "accept-restored-database", "database-wait", "user-token-alg", "user-token-secret", "user-token-max-age", "key-rotation", "log-level", "log-format",
}

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Start the server. Without settings it listens on http://localhost:8080 for this machine only and uses
the SQLite file xenoauth.db in the working directory. --database-url selects Postgres, which must not
run with fsync, full_page_writes or synchronous_commit off.

SIGTERM or SIGINT stops it. Readiness fails at once, and new requests are answered for the time of
--drain, so that a load balancer can switch to other servers. Then requests in flight have 10 s to
finish. A second signal ends the drain.`,
		Example: `  xenoauth serve
  xenoauth serve --listen 0.0.0.0:8080 --issuer https://auth.example.com --database-url postgres://xenoauth@db/xenoauth
  XENOAUTH_DATABASE_URL_FILE=/run/secrets/database xenoauth serve --config /etc/xenoauth.conf`,
		Args: arguments(),
	}
	p.define(cmd.Flags(), serveSettings...)
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		config, err := p.serveConfig(p.load(cmd))
		if err != nil {
			return err
		}
		ctx, hurry, stop := stopSignals(cmd.Context())
		defer stop()
		return p.serve(ctx, config, hurry)
	})
	return cmd
}

// serveConfig validates all settings and reports all errors together.
func (p *program) serveConfig(s *settings) (serveConfig, error) {
	c := serveConfig{database: s.databaseURL(), log: s.logger(p.stderr)}
	c.host, c.port = s.address("listen")
	if ops := s.text("ops-listen"); ops != "" && ops != "off" {
		c.opsHost, c.opsPort = s.address("ops-listen")
	}
	c.migrate = s.oneOf("migrate", "auto", "off") == "auto"
	c.allowUnsafe = s.toggled("allow-unsafe-database")
	c.databaseWait = s.duration("database-wait", 0, time.Hour)
	c.drain = s.drain()
	c.scopes = s.catalogue()
	c.highWater = cmp.Or(s.text("high-water"), sqlstore.HighWaterFile(c.database))
	c.acceptRestored = s.toggled("accept-restored-database")
	_, prefixes := s.format()
	apiPlans := s.apiPlans()
	c.options = server.Options{
		Issuer:         s.issuer(c.host, c.port),
		SignUpOpen:     s.oneOf("signup", "open", "closed") == "open",
		DefaultPlan:    s.oneOf("default-plan", plans(apiPlans)...),
		APIPlans:       apiPlans,
		CodeLifetime:   s.duration("code-lifetime", time.Second, server.MaxCodeLifetime),
		TokenLimit:     s.number("token-limit", 0, 10_000),
		Prefixes:       prefixes,
		TrustedProxies: s.proxies(),
		VerifyIgnore:   s.verifyIgnore(),
		Log:            c.log,
		Passwords:      secret.NewPasswords(secret.PasswordOptions{}),
		UserTokens:     s.userTokens(),
		MaxConnections: capByFileLimit(s.number("max-connections", 1, 1_000_000), c.log),
		ParkedRequests: s.number("ip-requests", 1, 1_000_000),
		MaxApps:        s.number("max-apps", 1, 1_000_000),
		MaxSessions:    s.number("max-sessions", 1, 1_000_000),
		Limits: ratelimit.Limits{
			LogIn:   s.number("login-failures", 1, 1_000_000),
			Account: s.number("account-failures", 1, 1_000_000),
			IP:      s.number("ip-failures", 1, 1_000_000),
			SignUps: s.number("ip-signups", 1, 1_000_000),
			Client:  s.number("client-failures", 1, 1_000_000),
			Changes: s.number("user-changes", 1, 1_000_000),
		},
		Retention: store.Retention{Grace: s.duration("retention-grace", server.MinGrace, 365*24*time.Hour), Audit: s.period("audit-retention", time.Hour)},
	}
	return c, s.err()
}

// stopSignals returns a context that ends with the first SIGTERM or SIGINT, and a channel that is closed by the second.
// Further signals have no effect.
func stopSignals(parent context.Context) (ctx context.Context, hurry <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals, second, done := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for _, act := range []func(){cancel, func() { close(second) }} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, second, func() { signal.Stop(signals); close(done); cancel() }
}

// serve runs the server until ctx ends. Closing hurry ends the drain.
func (p *program) serve(ctx context.Context, c serveConfig, hurry <-chan struct{}) error {
	st, err := awaitStore(ctx, c)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := checkSafety(ctx, st, c.allowUnsafe, c.log); err != nil {
		return err
	}
	if err := upToDate(ctx, st, c.migrate); err != nil {
		return err
	}
	if err := noteTimeouts(ctx, st, c.log); err != nil {
		return err
	}
	if err := noteNewer(ctx, st, c.log); err != nil {
		return err
	}
	water := &highWater{path: c.highWater, store: st, keep: c.options.Retention.Audit, log: c.log}
	if err := water.check(ctx, c.acceptRestored); err != nil {
		return err
	}
	public, err := listen(ctx, "listen", c.host, c.port)
	if err != nil {
		return err
	}
	defer closeAll(public)
	var ops []net.Listener
	if c.opsPort != "" {
		if ops, err = listen(ctx, "ops-listen", c.opsHost, c.opsPort); err != nil {
			return err
		}
		defer closeAll(ops)
	}
	if c.options.Issuer == "" {
		c.options.Issuer = fmt.Sprintf("http://localhost:%d", portOf(public[0]))
	}
	scopes, changes, err := serverCatalogue(ctx, st, c.scopes, c.log)
	if err != nil {
		return err
	}
	c.options.Catalogue = scopes.catalogue
	srv, err := server.New(ctx, st, c.options)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	if err := putInForce(ctx, st, scopes, changes, c.log); err != nil {
		return errors.Join(err, srv.Close(ctx))
	}
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { watchCatalogue(watching, st, scopes, seenEvery, c.log) })
	defer watch.Wait()
	defer stopWatching()
	defer water.follow(ctx)()
	p.printLine("%s", readyLine(c, ops))
	return run(ctx, srv, c.log, public, ops, drain{c.drain, hurry})
}

// upToDate migrates the database, or returns an error for a schema that this program cannot use.
func upToDate(ctx context.Context, st *sqlstore.Store, migrate bool) error {
	if migrate {
		_, err := st.Migrate(ctx)
		return err
	}
	pending, err := st.Pending(ctx)
	if err == nil && pending {
		err = errors.New("migrations are pending and --migrate is off: run \"xenoauth migrate up\" first")
	}
	return err
}

// readyLine returns the line that shows the server's addresses.
func readyLine(c serveConfig, ops []net.Listener) string {
	next := "sign up at " + c.options.Issuer + "/signup"
	if !c.options.SignUpOpen {
		next = "sign-up is closed; add people with \"xenoauth user add\""
	}
	line := fmt.Sprintf("xenoauth is ready at %s – %s (database %s", c.options.Issuer, next, databaseName(c.database))
	if len(ops) > 0 {
		line += fmt.Sprintf(", health and metrics on http://%s", ops[0].Addr())
	}
	return line + ")"
}

// drain is the time between the signal to stop and the end of the public listeners.
type drain struct {
	most  time.Duration
	hurry <-chan struct{} // closing it ends the drain; nil: never
}

// wait returns when the drain is over, or when a listener has failed.
func (d drain) wait(log *slog.Logger, failed <-chan error) error {
	if d.most <= 0 {
		return nil
	}
	log.Info("draining: not ready for new requests, which are still answered", "for", d.most)
	over := time.NewTimer(d.most)
	defer over.Stop()
	select {
	case <-over.C:
	case <-d.hurry:
	case err := <-failed:
		return err
	}
	return nil
}

// run serves on all listeners until ctx ends or one of them fails, and then stops in order. Readiness ends first. The public listeners
// close after the drain, so that a load balancer has stopped sending requests, and requests in flight finish. Then buffered
// writes are flushed, and the operator's listener closes last.
func run(ctx context.Context, srv *server.Server, log *slog.Logger, public, ops []net.Listener, d drain) error {
	front := srv.HTTP()
	back := server.HTTPServer(srv.Operations(), log, opsConnections)
	failed := make(chan error, len(public)+len(ops))
	start := func(s *http.Server, listeners []net.Listener) {
		for _, l := range listeners {
			go func() {
				if err := s.Serve(server.CountReads(l)); !errors.Is(err, http.ErrServerClosed) {
					failed <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
				}
			}()
		}
	}
	start(front, public)
	start(back, ops)
	var failure error
	select {
	case <-ctx.Done():
		log.Info("stopping")
		srv.Drain()
		failure = d.wait(log, failed)
		if d.most > 0 && failure == nil {
			if err := turnAway(public); err != nil {
				log.Warn("requests that arrive while the listener closes are reset", "error", err)
			}
		}
	case failure = <-failed:
		srv.Drain()
	}
	// ctx has ended, so stopping needs a context of its own.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if err := front.Shutdown(grace); err != nil {
		log.Warn("requests did not finish in time and were cut off", "error", err)
		_ = front.Close()
	}
	// Flushing has a time limit of its own, because the requests may have used all of theirs.
	flush, cancelFlush := context.WithTimeout(context.WithoutCancel(ctx), graceTime/2)
	defer cancelFlush()
	if err := srv.Close(flush); err != nil {
		log.Warn("last uses of credentials were not written", "error", err)
	}
	_ = back.Close()
	return failure
}
