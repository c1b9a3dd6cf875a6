package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// demo is a running demonstration: the server, a user, and a third-party app that uses only the protocol.
type demo struct {
	database  string
	store     *sqlstore.Store
	server    *server.Server
	issuer    string
	user      store.User
	password  string
	app       *sampleApp
	catalogue *scope.Catalogue
	log       *slog.Logger

	public, third []net.Listener // of the server and of the sample app
	cleanUp       []func()       // undone at the end, in reverse order
}

func (p *program) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try everything: a server, a user and a sample app on a temporary database",
		Long: `Start a server, a demo user and a small sample third-party app with a page "Connect to
Xenoauth", on a temporary database that is removed at the end. The addresses and the log-in
are printed.

With --check, the same flow runs automatically over HTTP, with one line per step, and the exit code
shows whether all of it worked: sign in, consent, code, token, /api/me, uninstall, token refused.

--database-url runs it on another database, which is migrated; the demo's user and app are
removed at the end, and only the user's empty account stays. XENOAUTH_DATABASE_URL does not
count here: a demo must not touch your data unless you say so on the command line.`,
		Example: `  xenoauth demo
  xenoauth demo --check
  xenoauth demo --check --database-url postgres://postgres@localhost/xenoauth_demo`,
		Args: arguments(),
	}
	check := cmd.Flags().Bool("check", false, "drive the flow, print each step with its time, and end")
	cmd.RunE = p.act(func(cmd *cobra.Command, _ []string) error {
		s := p.load(cmd)
		database := ""
		if cmd.Flags().Changed("database-url") {
			database = s.databaseURL()
		}
		_, prefixes := s.format()
		scopes := s.catalogue()
		if err := s.err(); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		d, err := p.startDemo(ctx, database, prefixes, scopes, *check)
		defer d.close()
		if err != nil {
			return err
		}
		if *check {
			return p.checkDemo(ctx, d)
		}
		return p.showDemo(ctx, d)
	})
	return cmd
}

// startDemo prepares the demo without serving it. The demo must be closed even after an error.
func (p *program) startDemo(ctx context.Context, database string, prefixes []string, scopes scopesChoice, check bool) (*demo, error) {
	d := &demo{database: database, log: slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	temporary := database == ""
	if temporary {
		dir, err := os.MkdirTemp("", "xenoauth-demo-")
		if err != nil {
			return d, fmt.Errorf("make a temporary database: %w", err)
		}
		d.cleanUp = append(d.cleanUp, func() { _ = os.RemoveAll(dir) })
		d.database = "sqlite:" + filepath.Join(dir, "demo.db")
	}
	st, err := openStore(ctx, d.database, sqlstore.Options{Log: d.log})
	if err != nil {
		return d, err
	}
	d.store = st
	d.cleanUp = append(d.cleanUp, func() { _ = st.Close() })
	if err := checkSafety(ctx, st, true, d.log); err != nil {
		return d, err
	}
	if _, err := st.Migrate(ctx); err != nil {
		return d, err
	}
	if d.catalogue, err = knownCatalogue(ctx, st, scopes); err != nil {
		return d, err
	}
	if d.public, err = listenPreferring(ctx, "8080", check); err != nil {
		return d, err
	}
	if d.third, err = listenPreferring(ctx, "8090", check); err != nil {
		return d, err
	}
	d.issuer = fmt.Sprintf("http://localhost:%d", portOf(d.public[0]))
	d.server, err = server.New(ctx, st, server.Options{
		Issuer: d.issuer, SignUpOpen: true, Prefixes: prefixes, Catalogue: d.catalogue, Log: d.log, Passwords: secret.NewPasswords(secret.PasswordOptions{}),
	})
	if err != nil {
		return d, fmt.Errorf("start the server: %w", err)
	}
	return d, d.populate(ctx, temporary)
}

// listenPreferring listens on the port if it is free, so that the demo's addresses do not change, and otherwise on any port. A
// check always uses any port.
func listenPreferring(ctx context.Context, port string, check bool) ([]net.Listener, error) {
	if !check {
		if listeners, err := listen(ctx, "listen", "localhost", port); err == nil {
			return listeners, nil
		}
	}
	return listen(ctx, "listen", "localhost", "0")
}

// populate adds the demo's user and app. In a persistent database both get unique names, because an e-mail address cannot be
// used twice, and a random password.
func (d *demo) populate(ctx context.Context, temporary bool) error {
	email := "demo@example.org"
	d.password = "demo-password"
	if !temporary {
		email = "demo-" + strings.ToLower(rand.Text()[:10]) + "@example.org"
		d.password = strings.ToLower(rand.Text()[:16])
	}
	rules := d.server.Directory()
	u, account, err := rules.AddUser(ctx, operator(), directory.NewUser{Email: email, Name: "Dana Demo", Password: d.password})
	if err != nil {
		return fmt.Errorf("add the demo user: %w", err)
	}
	d.user = u
	d.undo(func(ctx context.Context) error { return d.store.DeleteUser(ctx, operator(), u.ID) })
	origin := fmt.Sprintf("http://127.0.0.1:%d", portOf(d.third[0]))
	a, c, err := rules.CreateApp(ctx, operator(), account.ID, directory.AppForm{
		Name:         "Sample Shop",
		Description:  "Shows what a third-party app sees of your account.",
		Homepage:     origin,
		RedirectURIs: []string{origin + "/callback"},
		Scopes:       d.catalogue.Names(),
		Confidential: true,
	})
	if err != nil {
		return fmt.Errorf("register the sample app: %w", err)
	}
	d.undo(func(ctx context.Context) error { return rules.DeleteApp(ctx, operator(), a.ID) })
	d.app = newSampleApp(d.issuer, origin, a.ID, c.Reveal(), a.Scopes.String())
	return nil
}

// undo registers a function that removes a row from the database. It runs when the demo's own context has ended.
func (d *demo) undo(remove func(context.Context) error) {
	d.cleanUp = append(d.cleanUp, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := remove(ctx); err != nil {
			d.log.Warn("the demo could not tidy up", "error", err)
		}
	})
}

// close stops the demo and removes its data.
func (d *demo) close() {
	closeAll(d.public)
	closeAll(d.third)
	for i := len(d.cleanUp) - 1; i >= 0; i-- {
		d.cleanUp[i]()
	}
}

// serve runs the server and the sample app until ctx ends.
func (d *demo) serve(ctx context.Context) error {
	third := server.HTTPServer(d.app.handler(), d.log, 0)
	for _, l := range d.third {
		go func() {
			if err := third.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				d.log.Warn("the sample app stopped", "error", err)
			}
		}()
	}
	defer third.Close()
	return run(ctx, d.server, d.log, d.public, nil, drain{})
}

// showDemo prints the addresses and serves until a signal.
func (p *program) showDemo(ctx context.Context, d *demo) error {
	p.printLine(`The demo is running (database %s).

  Sample app   %s      press "Connect to Xenoauth" there
  Xenoauth     %s
  Log in as    %s
  Password     %s

  Then look at %s/account/apps and remove the app again.
  Ctrl-C stops the demo and removes everything it made.`,
		databaseName(d.database), d.app.origin, d.issuer, d.user.Email, d.password, d.issuer)
	return d.serve(ctx)
}
