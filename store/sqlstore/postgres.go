package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/lock"

	"xenoauth/store"
)

// maxAttempts limits how often a transaction runs that Postgres aborts for a deadlock or a serialization failure.
const maxAttempts = 3

// postgresSettings are set for each connection unless the URL sets them. With these, the server cancels a statement before
// the client gives up, so that no statement outlives its caller.
func postgresSettings(timeout time.Duration) map[string]string {
	return map[string]string{
		"application_name":                    "xenoauth",
		"statement_timeout":                   fmt.Sprint((timeout * 4 / 5).Milliseconds()),
		"lock_timeout":                        fmt.Sprint((timeout * 3 / 5).Milliseconds()),
		"idle_in_transaction_session_timeout": fmt.Sprint((timeout * 2).Milliseconds()),
	}
}

// openPostgres makes a pool, without connecting.
func openPostgres(databaseURL string, o Options) (*postgresDB, error) {
	config, err := parsePostgres(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	conn := config.ConnConfig
	pooler, err := configurePooler(conn)
	if err != nil {
		return nil, err
	}
	for name, value := range postgresSettings(o.Timeout) {
		if _, set := conn.RuntimeParams[name]; !set && (!pooler || name == "application_name") {
			conn.RuntimeParams[name] = value
		}
	}
	conn.Tracer = o.Tracer
	conn.ConnectTimeout = min(conn.ConnectTimeout, 2*time.Second)
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 2 * time.Second
	}
	if !strings.Contains(databaseURL, "pool_max_conns") {
		config.MaxConns = int32(o.MaxConns)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", classify(err))
	}
	return &postgresDB{pooler: pooler, postgresPool: postgresPool{pool: pool, slots: newSlots(int(config.MaxConns), o.MaxQueue), timeout: o.Timeout}}, nil
}

// postgresDB is an open Postgres.
type postgresDB struct {
	postgresPool
	pooler bool // the connection goes through a pooler in transaction mode: nothing set for the session is kept
}

func (d *postgresDB) reader() querier {
	return postgresPool{pool: d.pool, slots: d.slots, timeout: d.timeout, rereads: true}
}

func (d *postgresDB) readOnly(ctx context.Context) (readOnly bool, err error) {
	err = d.reader().row(ctx, postgres.ping, nil, &readOnly)
	return readOnly, err
}

func (d *postgresDB) close() error {
	d.pool.Close()
	return nil
}

func (d *postgresDB) transact(ctx context.Context, fn func(context.Context, querier) error) error {
	return d.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		if err != nil {
			return err
		}
		if err := fn(ctx, postgresTx{tx}); err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = tx.Rollback(ctx) // a connection that cannot roll back is closed
			return err
		}
		return tx.Commit(ctx)
	})
}

// migrator opens its own connection, since a migration may run longer than any statement of the server.
func (d *postgresDB) migrator(context.Context) (*migrator, error) {
	config := d.pool.Config().ConnConfig.Copy()
	if !d.pooler {
		config.RuntimeParams["statement_timeout"] = "0"
		config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	}
	db := stdlib.OpenDB(*config)
	return &migrator{db: db, unbound: d.pooler, release: db.Close, lock: func(ctx context.Context) (func() error, error) {
		return lockMigrations(ctx, db)
	}}, nil
}

// lockMigrations takes goose's advisory lock in a transaction that stays open while migrations are applied on another
// connection. Earlier releases take the same lock for a session, which a pooler in transaction mode does not keep. The lock
// is polled, because a statement that waits for it would hold a snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
func lockMigrations(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
		}
	}()
	if _, err := tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	deadline := time.NewTimer(lockTimeout)
	defer deadline.Stop()
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for {
		var locked bool
		if err := tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, lock.DefaultLockID).Scan(&locked); err != nil {
			return nil, fmt.Errorf("lock migrations: %w", err)
		}
		if locked {
			return tx.Rollback, nil
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			return nil, unavailable("another replica has been migrating for " + lockTimeout.String())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// postgresPool runs each statement on a connection of its own.
type postgresPool struct {
	pool    *pgxpool.Pool
	slots   slots
	timeout time.Duration
	rereads bool // a statement runs again, once, if its connection was lost: for reads only
}

// with runs fn on a connection. It runs fn again where that is safe: after an abort, which changed nothing, and for reads
// after a lost connection.
func (p postgresPool) with(ctx context.Context, fn func(context.Context, *pgxpool.Conn) error) error {
	ctx, done := store.SpendBudget(ctx, p.timeout)
	defer done()
	rereads := p.rereads
	for attempt := 1; ; attempt++ {
		err := p.once(ctx, fn)
		switch {
		case err == nil, attempt == maxAttempts, ctx.Err() != nil:
			return err
		case aborted(err):
		case rereads && lostConnection(err):
			rereads = false
		default:
			return err
		}
	}
}

func (p postgresPool) once(ctx context.Context, fn func(context.Context, *pgxpool.Conn) error) error {
	from, err := p.slots.take(ctx)
	if err != nil {
		return err
	}
	defer func() { <-from }()
	acquire, cancel := context.WithTimeout(ctx, p.timeout*4/5) // a connection may have to be made
	defer cancel()
	conn, err := p.pool.Acquire(acquire)
	if err != nil {
		return err
	}
	defer conn.Release()
	return fn(ctx, conn)
}

func (p postgresPool) exec(ctx context.Context, sql string, args ...any) (n int64, err error) {
	err = p.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		n, err = pgExec(ctx, conn, sql, args)
		return err
	})
	return n, err
}

func (p postgresPool) row(ctx context.Context, sql string, args []any, dest ...any) error {
	return p.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgRow(ctx, conn, sql, args, dest)
	})
}

func (p postgresPool) rows(ctx context.Context, sql string, args []any, each func(scanner) error) error {
	return p.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgRows(ctx, conn, sql, args, each)
	})
}

// postgresTx runs statements in a transaction.
type postgresTx struct{ tx pgx.Tx }

func (t postgresTx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return pgExec(ctx, t.tx, sql, args)
}

func (t postgresTx) row(ctx context.Context, sql string, args []any, dest ...any) error {
	return pgRow(ctx, t.tx, sql, args, dest)
}

func (t postgresTx) rows(ctx context.Context, sql string, args []any, each func(scanner) error) error {
	return pgRows(ctx, t.tx, sql, args, each)
}

// pgRunner is a connection or a transaction.
type pgRunner interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

func pgExec(ctx context.Context, r pgRunner, sql string, args []any) (int64, error) {
	if err := checkText(args); err != nil {
		return 0, err
	}
	tag, err := r.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

func pgRow(ctx context.Context, r pgRunner, sql string, args, dest []any) error {
	if err := checkText(args); err != nil {
		return err
	}
	return r.QueryRow(ctx, sql, args...).Scan(dest...)
}

func pgRows(ctx context.Context, r pgRunner, sql string, args []any, each func(scanner) error) error {
	if err := checkText(args); err != nil {
		return err
	}
	rows, err := r.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	scan := scanner(rows.Scan)
	for rows.Next() {
		if err := each(scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// aborted reports whether Postgres rolled the transaction back by itself, so that it may run again.
func aborted(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// lostConnection reports whether the connection failed, or the server closed it.
func lostConnection(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08")
	}
	return !errors.Is(err, sql.ErrNoRows) && isTransport(err)
}
