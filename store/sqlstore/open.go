package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"xenoauth/store"
)

// Options are settings of Open. The zero value is ready to use.
type Options struct {
	Log      *slog.Logger // nil: nothing is logged
	MaxConns int          // connections to Postgres at most; 0 means 8 (more was slower when measured)
	// MaxQueue is how long an operation waits for one of these connections while all of them are in use; 0 means 300 ms.
	MaxQueue time.Duration
	// Timeout limits every call to Postgres, from waiting for a connection to the last row, so that a dead or stalled database
	// is reported in time; 0 means 2.5 s. Unless the URL sets other values, statement_timeout is four fifths of it, and
	// lock_timeout three fifths.
	Timeout time.Duration
	// Tracer is called for each statement to Postgres; nil: none is.
	Tracer pgx.QueryTracer
	Lock   bool // SQLite: take the lock that allows one server on a file; Open fails if another process holds it
}

const (
	// defaultTimeout lets a request with one call to the database be answered within three seconds.
	defaultTimeout = 2500 * time.Millisecond
	// maxQueue is the default of Options.MaxQueue. A healthy database completes eight statements in a few milliseconds, so a
	// longer wait means that the queue does not move.
	maxQueue = 300 * time.Millisecond
	// sqliteTimeout limits every call to SQLite. Most of it is for the queue of the one writer of this process, which always
	// moves. A lock held by another process fails after two seconds (sqliteSettings).
	sqliteTimeout = 10 * time.Second
)

// Store is store.Store over Postgres or SQLite. It is safe for concurrent use.
type Store struct {
	dialect dialect
	db      database
	clock   *clock
	log     *slog.Logger
	frozen  atomic.Bool // the database was read-only when last checked
}

var _ store.Store = (*Store)(nil)

// database is an open Postgres or SQLite.
type database interface {
	querier          // writes outside a transaction
	reader() querier // for reads, which run again, once, after a lost connection
	// transact runs fn in a transaction and commits unless it returns an error. fn runs again if the database aborted the
	// transaction for a deadlock, so it must reset its results first.
	transact(ctx context.Context, fn func(ctx context.Context, q querier) error) error
	// readOnly reports whether the database answers but refuses writes.
	readOnly(ctx context.Context) (bool, error)
	migrator(ctx context.Context) (*migrator, error)
	close() error
}

// querier runs statements on a database or in a transaction. Each call has finished when it returns.
type querier interface {
	// exec returns how many rows were changed.
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	// row scans the first row into dest; without one it is sql.ErrNoRows.
	row(ctx context.Context, sql string, args []any, dest ...any) error
	// rows calls each for every row.
	rows(ctx context.Context, sql string, args []any, each func(scan scanner) error) error
	// send runs a batch. Outside a transaction it is one.
	send(ctx context.Context, b batch) error
}

// scanner copies the columns of a row, as sql.Rows.Scan does.
type scanner func(dest ...any) error

// Open connects to the database of a URL: sqlite:PATH (the file is created if it does not exist), postgres://… or
// postgresql://…. It does not migrate. No error contains the URL or its password. store.ErrUnavailable: the database did not
// answer.
func Open(ctx context.Context, databaseURL string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxConns == 0 {
		o.MaxConns = 8
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = maxQueue
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	scheme, rest, found := strings.Cut(databaseURL, ":")
	if !found {
		return nil, errScheme
	}
	s := &Store{log: o.Log}
	var err error
	switch scheme {
	case "sqlite":
		s.dialect = sqlite
		s.db, err = openSQLite(ctx, rest, o, s.noteReadOnly)
	case "postgres", "postgresql":
		s.dialect = postgres
		s.db, err = openPostgres(databaseURL, o)
	default:
		return nil, errScheme
	}
	if err != nil {
		return nil, err
	}
	if s.clock, err = newClock(ctx, s.db.reader(), s.dialect.clock, s.checkWritable, s.log); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", classify(err)), s.db.close())
	}
	return s, nil
}

var errScheme = errors.New("open database: the database URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")

// Ping implements store.Store.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrapErr(&err, "ping database")
	readOnly, err := s.db.readOnly(ctx)
	if err != nil {
		return err
	}
	s.noteReadOnly(ctx, readOnly)
	if readOnly {
		return store.ErrReadOnly
	}
	return nil
}

// checkWritable logs whether the database has become read-only or writable.
func (s *Store) checkWritable(ctx context.Context) {
	if readOnly, err := s.db.readOnly(ctx); err == nil {
		s.noteReadOnly(ctx, readOnly)
	}
}

// noteReadOnly logs when the database becomes read-only, and when it accepts writes again.
func (s *Store) noteReadOnly(ctx context.Context, readOnly bool) {
	switch {
	case s.frozen.Swap(readOnly) == readOnly:
	case readOnly:
		s.log.ErrorContext(ctx, "the database is read-only: tokens are verified, and every request that writes is answered with 503")
	default:
		s.log.InfoContext(ctx, "the database accepts writes again")
	}
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.clock.close()
	return s.db.close()
}

// read returns the querier for reads outside a transaction.
func (s *Store) read() querier { return s.db.reader() }

// collect reads all rows of a statement.
func collect[T any](ctx context.Context, q querier, read func(scan scanner) (T, error), sql string, args ...any) ([]T, error) {
	var list []T
	err := q.rows(ctx, sql, args, func(scan scanner) error {
		v, err := read(scan)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// limit returns the number of rows of a page.
func limit(n int) int {
	switch {
	case n < 1:
		return 100
	case n > 500:
		return 500
	}
	return n
}
