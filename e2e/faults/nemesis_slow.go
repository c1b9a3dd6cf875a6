package faults

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// wait waits while the workload continues.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ExhaustPool is F6: a small pool whose connections all wait for a lock.
func ExhaustPool(pool int, d time.Duration) Nemesis {
	f := LockTables("codes, requests", d)
	f.Name, f.Title, f.Pool = "F6", fmt.Sprintf("all %d connections wait", pool), pool
	return f
}

// LockTables is F7: another transaction locks tables against reads.
func LockTables(tables string, d time.Duration) Nemesis {
	return Nemesis{Name: "F7", Title: "ACCESS EXCLUSIVE lock on " + tables, Inject: func(ctx context.Context, s *Injection) error {
		db, err := openDB(s.database)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		var tx *sql.Tx
		if err := s.underLoad(ctx, func() (err error) {
			if tx, err = db.BeginTx(ctx, nil); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `LOCK TABLE `+tables+` IN ACCESS EXCLUSIVE MODE`)
			return err
		}); err != nil {
			return fmt.Errorf("lock %s: %w", tables, err)
		}
		if err := wait(ctx, d); err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return fmt.Errorf("unlock %s: %w", tables, err)
		}
		s.heal()
		return nil
	}}
}

// SlowLink is F7: every answer of Postgres is late, slow, or lost.
func SlowLink(title string, delay time.Duration, rate int, deaf bool, d time.Duration) Nemesis {
	return Nemesis{Name: "F7", Title: title, Linked: true, Inject: func(ctx context.Context, s *Injection) error {
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		if err := s.underLoad(ctx, func() error { s.link.set(delay, rate, deaf); return nil }); err != nil {
			return err
		}
		if err := wait(ctx, d); err != nil {
			return err
		}
		s.link.set(0, 0, false)
		s.heal()
		return nil
	}}
}
