package faults

import (
	"context"
	"database/sql"
	"fmt"
)

// trap is a trigger that makes the inserts of one app fail. It counts them by a sequence, which no rollback takes back.
const trap = `
CREATE SEQUENCE IF NOT EXISTS faults_tries;
CREATE OR REPLACE FUNCTION faults_trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('faults_tries') <= %d THEN
		RAISE EXCEPTION 'a trap of the fault oracle' USING ERRCODE = '%s';
	END IF;
	RETURN NEW;
END $$;
ALTER SEQUENCE faults_tries RESTART;
CREATE OR REPLACE TRIGGER faults_trap BEFORE INSERT ON tokens FOR EACH ROW WHEN (NEW.app_id = '%[3]s') EXECUTE FUNCTION faults_trap();
CREATE OR REPLACE TRIGGER faults_trap BEFORE INSERT ON expiring_tokens FOR EACH ROW WHEN (NEW.app_id = '%[4]s') EXECUTE FUNCTION faults_trap();
`

const untrap = `DROP TRIGGER IF EXISTS faults_trap ON tokens; DROP TRIGGER IF EXISTS faults_trap ON expiring_tokens;`

const always = 1 << 30

// setTrap makes the next inserts of tokens of the marked apps fail.
func (s *Scene) setTrap(ctx context.Context, db *sql.DB, times int, state string) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf(trap, times, state, s.world.marked.ID, s.world.rotating.ID)); err != nil {
		return fmt.Errorf("set trap: %w", err)
	}
	return nil
}

// tries is how many inserts met the trap.
func tries(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM faults_tries`).Scan(&n)
	return n, err
}

// InsertFails is F21: a code is consumed, and then the insert of its token fails. The code must not be consumed.
func InsertFails(states ...string) Fault {
	return Fault{Name: "F21", Title: "insert fails after consumption", Inject: func(ctx context.Context, s *Scene) error {
		return s.trapped(ctx, func(db *sql.DB) error {
			for _, state := range states {
				for _, a := range []app{s.world.marked, s.world.rotating} {
					if err := s.insertFails(ctx, db, a, state); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}
}

// trapped prepares for a trap and takes it away afterwards.
func (s *Scene) trapped(ctx context.Context, do func(db *sql.DB) error) error {
	db, err := openDB(s.database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := s.progress(ctx, 40); err != nil {
		return err
	}
	if err := do(db); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, untrap); err != nil {
		return fmt.Errorf("take trap away: %w", err)
	}
	return nil
}

func (s *Scene) insertFails(ctx context.Context, db *sql.DB, a app, state string) error {
	c, err := s.code(ctx, a)
	if err != nil {
		return err
	}
	if err := s.strike(ctx, func() error { return s.setTrap(ctx, db, always, state) }); err != nil {
		return err
	}
	for range 2 {
		if _, outcome := s.world.exchange(ctx, c); outcome != Away {
			s.broke("I5", "an exchange whose insert fails with %s was answered %s", state, outcome)
		}
	}
	id, err := lookupID(c.text)
	if err != nil {
		return err
	}
	var consumed bool
	if err := db.QueryRowContext(ctx, `SELECT consumed_at IS NOT NULL FROM codes WHERE id = $1`, id[:]).Scan(&consumed); err != nil {
		return fmt.Errorf("look at code: %w", err)
	}
	if consumed {
		s.broke("I6", "a code is consumed whose token could not be inserted (%s)", state)
	}
	if _, err := db.ExecContext(ctx, untrap); err != nil {
		return fmt.Errorf("take trap away: %w", err)
	}
	if _, outcome := s.world.exchange(ctx, c); outcome != OK {
		s.broke("I3", "a code whose exchange had failed with %s was then answered %s", state, outcome)
	}
	return nil
}

// Aborts is F22: Postgres aborts transactions, and mints nothing twice.
func Aborts() Fault {
	return Fault{Name: "F22", Title: "serialization failures, deadlocks, collisions of ids", Inject: func(ctx context.Context, s *Scene) error {
		return s.trapped(ctx, func(db *sql.DB) error {
			for _, state := range []string{"40001", "40P01", "23505"} {
				for _, a := range []app{s.world.marked, s.world.rotating} {
					if err := s.abort(ctx, db, a, state, 2, OK); err != nil {
						return err
					}
					if err := s.abort(ctx, db, a, state, always, Away); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}
}

// mostTries is how often the server may try before it says that it cannot.
const mostTries = 5

func (s *Scene) abort(ctx context.Context, db *sql.DB, a app, state string, times int, want Outcome) error {
	c, err := s.code(ctx, a)
	if err != nil {
		return err
	}
	if err := s.strike(ctx, func() error { return s.setTrap(ctx, db, times, state) }); err != nil {
		return err
	}
	_, outcome := s.world.exchange(ctx, c)
	if outcome != want {
		s.broke("I5", "an exchange that was aborted with %s %s was answered %s, want %s", state, often(times), outcome, want)
	}
	n, err := tries(ctx, db)
	if err != nil {
		return fmt.Errorf("count tries: %w", err)
	}
	if n < 2 || n > mostTries {
		s.broke("I5", "an exchange that was aborted with %s %s was tried %d times", state, often(times), n)
	}
	if _, err := db.ExecContext(ctx, untrap); err != nil {
		return fmt.Errorf("take trap away: %w", err)
	}
	if outcome == Away {
		if _, outcome := s.world.exchange(ctx, c); outcome != OK {
			s.broke("I3", "a code whose exchange had been aborted with %s was then answered %s", state, outcome)
		}
	}
	return nil
}

func often(times int) string {
	if times == always {
		return "always"
	}
	return fmt.Sprintf("%d times", times)
}
