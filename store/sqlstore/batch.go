package sqlstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// batch is a list of statements that do not need each other's results. On Postgres they are sent together and cost one
// round trip; SQLite runs them one after another. They run in the order in which they were added, each sees what those
// before it changed, and the first error ends the batch.
type batch []*queued

// queued is one statement of a batch.
type queued struct {
	sql     string
	args    []any
	changed int64 // how many rows it changed, once the batch was sent
	none    error // the error if it changed no row; nil: none
	err     error // found before it was sent
}

// exec adds a statement that returns no rows.
func (b *batch) exec(sql string, args ...any) *queued {
	q := &queued{sql: sql, args: args}
	*b = append(*b, q)
	return q
}

// orElse is for a statement that must change a row: if it changes none, the batch ends with err. The batch must be a part
// of a transaction, since the statements after it were sent with it.
func (q *queued) orElse(err error) { q.none = err }

// check returns the first error that is known before anything is sent. own: the batch is a transaction of its own.
func (b batch) check(own bool) error {
	for _, q := range b {
		switch {
		case q.err != nil:
			return q.err
		case own && q.none != nil:
			return errors.New("a batch outside a transaction has a statement that must change a row: " + q.sql)
		}
		if err := checkText(q.args); err != nil {
			return err
		}
	}
	return nil
}

// sendPostgres sends the batch and reads all of its results.
func sendPostgres(ctx context.Context, r pgRunner, b batch) (err error) {
	var all pgx.Batch
	for _, q := range b {
		all.Queue(q.sql, q.args...)
	}
	results := r.SendBatch(ctx, &all)
	defer func() {
		if closed := results.Close(); err == nil { // of an error before, it repeats the rest
			err = closed
		}
	}()
	for _, q := range b {
		tag, failed := results.Exec()
		q.changed, err = tag.RowsAffected(), failed
		if err == nil && q.none != nil && q.changed == 0 {
			err = q.none
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sendSQLite runs the batch on a transaction.
func sendSQLite(ctx context.Context, c sqliteConn, b batch) (err error) {
	for _, q := range b {
		q.changed, err = c.exec(ctx, q.sql, q.args...)
		if err == nil && q.none != nil && q.changed == 0 {
			err = q.none
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p postgresPool) send(ctx context.Context, b batch) error {
	if err := b.check(true); err != nil {
		return err
	}
	return p.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error { return sendPostgres(ctx, conn, b) })
}

func (t postgresTx) send(ctx context.Context, b batch) error {
	if err := b.check(false); err != nil {
		return err
	}
	return sendPostgres(ctx, t.tx, b)
}

// send runs the batch in a transaction, as Postgres does.
func (d *sqliteDB) send(ctx context.Context, b batch) error {
	if err := b.check(true); err != nil {
		return err
	}
	return d.transact(ctx, func(ctx context.Context, q querier) error { return q.send(ctx, b) })
}

// send runs the batch on the transaction or the connections that read.
func (c sqliteConn) send(ctx context.Context, b batch) error {
	if err := b.check(false); err != nil {
		return err
	}
	return sendSQLite(ctx, c, b)
}
