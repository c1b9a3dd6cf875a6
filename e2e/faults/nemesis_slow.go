package faults

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// hold waits, while the load goes on.
func hold(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Exhaust is F6: few connections, and all of them wait for a lock.
func Exhaust(pool int, d time.Duration) Fault {
	f := Locked("codes, requests", d)
	f.Name, f.Title, f.Pool = "F6", fmt.Sprintf("all %d connections wait", pool), pool
	return f
}

// Locked is F7: somebody holds tables so that nobody can even read them.
func Locked(tables string, d time.Duration) Fault {
	return Fault{Name: "F7", Title: "ACCESS EXCLUSIVE lock on " + tables, Inject: func(ctx context.Context, s *Scene) error {
		db, err := openDB(s.database)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		var tx *sql.Tx
		if err := s.strike(ctx, func() (err error) {
			if tx, err = db.BeginTx(ctx, nil); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `LOCK TABLE `+tables+` IN ACCESS EXCLUSIVE MODE`)
			return err
		}); err != nil {
			return fmt.Errorf("lock %s: %w", tables, err)
		}
		if err := hold(ctx, d); err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return fmt.Errorf("unlock %s: %w", tables, err)
		}
		s.heal()
		return nil
	}}
}

// Slow is F7: everything that Postgres says arrives late, in drops, or never.
func Slow(title string, delay time.Duration, rate int, deaf bool, d time.Duration) Fault {
	return Fault{Name: "F7", Title: title, Linked: true, Inject: func(ctx context.Context, s *Scene) error {
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		if err := s.strike(ctx, func() error { s.link.be(delay, rate, deaf); return nil }); err != nil {
			return err
		}
		if err := hold(ctx, d); err != nil {
			return err
		}
		s.link.be(0, 0, false)
		s.heal()
		return nil
	}}
}
