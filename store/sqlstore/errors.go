package sqlstore

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	moderncsqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"xenoauth/store"
)

// wrapErr turns a database's error into one of the contract's errors and adds the operation that failed. Every exported method
// defers it. The arguments must not be secrets.
func wrapErr(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, classify(*err))...)
	}
}

var sentinels = []error{
	store.ErrNotFound, store.ErrConflict, store.ErrConsumed, store.ErrEnded, store.ErrLimit, store.ErrInvalid, store.ErrUnavailable,
}

// classify is the one place that interprets errors of the drivers. Its result never contains an address, a name or a value
// from a connection string or a row. It returns an unknown error unchanged: that is a bug of this package.
func classify(err error) error {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return err
		}
	}
	var pg *pgconn.PgError
	var lite *moderncsqlite.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case errors.As(err, &pg):
		return classifyPostgres(pg, err)
	case errors.As(err, &lite):
		return classifySQLite(lite)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.DeadlineExceeded)
	case isTransport(err):
		return unavailable("the connection failed" + reason(err))
	}
	return err
}

// classifyPostgres uses the SQLSTATE. An error while connecting is store.ErrUnavailable whatever its code.
func classifyPostgres(pg *pgconn.PgError, err error) error {
	if err := poolerError(pg); err != nil {
		return err
	}
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		switch pg.Code[:min(2, len(pg.Code))] {
		case "28", "3D", "42", "0A": // authorization, no such database, no right, a parameter that is not supported
			return fmt.Errorf("%w: %w: %s (SQLSTATE %s)", store.ErrUnavailable, ErrRefused, pg.Message, pg.Code)
		}
		return unavailable("Postgres refused the connection: " + pg.Message + " (SQLSTATE " + pg.Code + ")")
	}
	switch pg.Code {
	case "23505", "23P01": // unique_violation, exclusion_violation
		return fmt.Errorf("%w: %s", store.ErrConflict, pg.ConstraintName)
	case "23503": // foreign_key_violation
		return fmt.Errorf("%w: %s", store.ErrEnded, pg.ConstraintName)
	case "23502", "23514", "22001", "22003", "22021", "22P02", "22P05": // not null, check, too long, out of range, encoding
		return fmt.Errorf("%w: SQLSTATE %s", store.ErrInvalid, pg.Code)
	case "25006": // read_only_sql_transaction
		return fmt.Errorf("%w (SQLSTATE 25006): it is a standby, or default_transaction_read_only is on", store.ErrReadOnly)
	case "42501": // insufficient_privilege
		return fmt.Errorf("%w: %s (SQLSTATE 42501): %s", ErrRights, pg.Message, grantHint(pg.Message))
	case "57014": // query_canceled
		if strings.Contains(pg.Message, "user request") {
			return unavailable("the statement was cancelled by another session (SQLSTATE 57014)")
		}
		return fmt.Errorf("%w: the statement ran longer than statement_timeout (SQLSTATE 57014)", store.ErrTimeout)
	case "55P03": // lock_not_available
		return fmt.Errorf("%w: another session held a lock for longer than lock_timeout (SQLSTATE 55P03)", store.ErrTimeout)
	case "25P03": // idle_in_transaction_session_timeout
		return unavailable("SQLSTATE " + pg.Code)
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "40", "53", "55", "57", "58", "XX", // connection, rollback, resources, not in state, intervention, system, internal
		"P0": // raised by a trigger, which this program does not create
		return unavailable("SQLSTATE " + pg.Code)
	case "54": // program limit: a value too long for its index
		return fmt.Errorf("%w: SQLSTATE %s", store.ErrInvalid, pg.Code)
	}
	return fmt.Errorf("postgres: %s (SQLSTATE %s)", pg.Message, pg.Code)
}

// repeatsForm reports whether a form was stored before, in the operation that stores it.
func repeatsForm(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505" && pg.TableName == "page_values"
	}
	var lite *moderncsqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY && strings.Contains(lite.Error(), "page_values.id")
}

// grantHint returns the remedy for a missing privilege of the role.
func grantHint(message string) string {
	if strings.HasPrefix(message, "must be owner") {
		return `only the owner of the tables may migrate them: run "xenoauth migrate up" as that role, and serve with --migrate off`
	}
	return "the role needs USAGE on the schema, and SELECT, INSERT, UPDATE, DELETE on its tables (GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO …, and ALTER DEFAULT PRIVILEGES for tables to come)"
}

func classifySQLite(lite *moderncsqlite.Error) error {
	switch lite.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return fmt.Errorf("%w: %s", store.ErrConflict, lite)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %s", store.ErrEnded, lite)
	case sqlite3.SQLITE_CONSTRAINT_NOTNULL, sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_TOOBIG:
		return fmt.Errorf("%w: %s", store.ErrInvalid, lite)
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: %s", store.ErrReadOnly, lite)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_SCHEMA:
		return unavailable(lite.Error())
	}
	return fmt.Errorf("SQLite: %w", lite)
}

// ErrRefused: Postgres refused the connection for a reason that waiting does not change. It is returned together with
// store.ErrUnavailable.
var ErrRefused = errors.New("connection refused by Postgres")

func unavailable(why string) error { return fmt.Errorf("%w: %s", store.ErrUnavailable, why) }

// sqlClosed is the text of an error that database/sql does not export.
const sqlClosed = "sql: database is closed"

// isTransport reports whether err is about the connection rather than about a statement.
func isTransport(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, puddle.ErrClosedPool) || err.Error() == sqlClosed
}

// reason adds a detail about a failed connection that does not name the server.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return ": the server's certificate cannot be verified"
	case errors.As(err, &dns):
		return ": the host name cannot be resolved"
	case errors.As(err, &op) && op.Err != nil:
		return ": " + op.Err.Error()
	case pgconn.Timeout(err):
		return ": timed out"
	}
	return ""
}

// checkText refuses text that Postgres would refuse, for both databases, before anything is sent.
func checkText(args []any) error {
	for _, a := range args {
		if s, ok := a.(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			return fmt.Errorf("%w: text holds a NUL byte or is not UTF-8", store.ErrInvalid)
		}
	}
	return nil
}
