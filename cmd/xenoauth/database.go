package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// operator is the party that every command acts as.
func operator() store.Principal {
	return store.OperatorPrincipal("command line (" + loginAtHost() + ")")
}

// loginAtHost returns the system user that runs the command, and the machine, as user@host.
func loginAtHost() string {
	login, host := "unknown user", "unknown host"
	if u, err := user.Current(); err == nil {
		login = u.Username
	}
	if name, err := os.Hostname(); err == nil {
		host = name
	}
	return login + "@" + host
}

// env is the environment of a command that works on a migrated database.
type env struct {
	store     *sqlstore.Store
	directory *directory.Directory
	catalogue *scope.Catalogue
	format    secret.Format
	apiPlans  []string
	shared    secret.Text // of user tokens by HS256; "" without
}

// close releases the database.
func (e *env) close() { _ = e.store.Close() }

// errPending is for a database that is older than this program. Its text names the command that migrates it.
var errPending = errors.New("migrations are pending: run \"xenoauth migrate up\" first (serve does so at start-up)")

// open reads the settings that all commands share and opens the database, which must be up to date.
func (p *program) open(cmd *cobra.Command, s *settings) (*env, error) {
	format, _ := s.format()
	chosen := s.catalogue()
	address, apiPlans, shared := s.databaseURL(), s.apiPlans(), s.userTokenSecret()
	if text := s.text("issuer"); text != "" { // only some commands have it
		if err := checkIssuer(text); err != nil {
			s.fault("issuer", "%v", err)
		}
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	st, err := openExisting(cmd.Context(), address)
	if err != nil {
		return nil, err
	}
	pending, err := st.Pending(cmd.Context())
	if err == nil && pending {
		err = errPending
	}
	var catalogue *scope.Catalogue
	if err == nil {
		catalogue, err = knownCatalogue(cmd.Context(), st, chosen)
	}
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	rules := directory.New(st, catalogue, secret.NewPasswords(secret.PasswordOptions{}), format, directory.Options{
		DefaultPlan: s.text("default-plan"), PublicURL: s.text("issuer"),
	})
	return &env{store: st, directory: rules, catalogue: catalogue, format: format, apiPlans: apiPlans, shared: shared}, nil
}

// openExisting opens a database that exists, so that a command with a misspelt file name does not create an empty file.
func openExisting(ctx context.Context, address string) (*sqlstore.Store, error) {
	if path, found := sqlitePath(address); found {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database %s here: \"xenoauth serve\" or \"xenoauth migrate up\" makes it, or name another with --database-url", databaseName(address))
		}
	}
	return openStore(ctx, address, sqlstore.Options{Log: slog.New(slog.DiscardHandler)})
}

// sqlitePath returns the file of a SQLite address.
func sqlitePath(address string) (string, bool) {
	path, found := strings.CutPrefix(address, "sqlite:")
	path, _, _ = strings.Cut(path, "?")
	return strings.TrimPrefix(path, "//"), found
}

// errNotSQLite is for a file that is not empty and not a database.
var errNotSQLite = errors.New("the file is not a SQLite database: is --database-url right?")

// checkSQLite checks the first bytes of a file. The driver would report a wrong file late, as an error that looks temporary. An
// empty file is a database without tables; a file that cannot be read is left to the driver, whose error is clear.
func checkSQLite(path string) error {
	const magic = "SQLite format 3\x00"
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(file, head)
	unreadable := err != nil && !errors.Is(err, io.ErrUnexpectedEOF)
	if unreadable || string(head[:n]) == magic {
		return nil
	}
	return errNotSQLite
}

// openStore opens a database. Its error names the database without the password.
func openStore(ctx context.Context, address string, o sqlstore.Options) (*sqlstore.Store, error) {
	if path, found := sqlitePath(address); found {
		if err := checkSQLite(path); err != nil {
			return nil, fmt.Errorf("open database %s: %w", databaseName(address), err)
		}
	}
	st, err := sqlstore.Open(ctx, address, o)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", databaseName(address), err)
	}
	return st, nil
}

// with runs a command on an opened database. Errors that do not depend on the database are reported by the command's PreRunE,
// so that they are the same while the database is unavailable.
func (p *program) with(run func(ctx context.Context, e *env, args []string) error) func(*cobra.Command, []string) error {
	return p.act(func(cmd *cobra.Command, args []string) error {
		e, err := p.open(cmd, p.load(cmd))
		if err != nil {
			return err
		}
		defer e.close()
		return run(cmd.Context(), e, args)
	})
}

// readLine reads one value from standard input, with or without a line feed.
func (p *program) readLine(what string) (string, error) {
	const most = 64 << 10
	content, err := io.ReadAll(io.LimitReader(p.stdin, most+1))
	if err != nil {
		return "", fmt.Errorf("read the %s from standard input: %w", what, err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case text == "":
		return "", usageErrorf("standard input is empty: it must hold the %s", what)
	case len(content) > most:
		return "", usageErrorf("standard input is too long for a %s", what)
	}
	return text, nil
}
