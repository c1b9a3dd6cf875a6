package faults

import (
	"context"
	"database/sql"
	"fmt"
)

// failingTrigger is a trigger that makes the inserts of one app fail. It counts them by a sequence, which no rollback
// resets.
const failingTrigger = `
CREATE SEQUENCE IF NOT EXISTS faults_count;
CREATE OR REPLACE FUNCTION faults_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('faults_count') <= %d THEN
		RAISE EXCEPTION 'failing trigger of the fault tests' USING ERRCODE = '%s';
	END IF;
	RETURN NEW;
END $$;
ALTER SEQUENCE faults_count RESTART;
CREATE OR REPLACE TRIGGER faults_trigger BEFORE INSERT ON tokens FOR EACH ROW WHEN (NEW.app_id = '%[3]s') EXECUTE FUNCTION faults_trigger();
CREATE OR REPLACE TRIGGER faults_trigger BEFORE INSERT ON expiring_tokens FOR EACH ROW WHEN (NEW.app_id = '%[4]s') EXECUTE FUNCTION faults_trigger();
`

const dropTrigger = `DROP TRIGGER IF EXISTS faults_trigger ON tokens; DROP TRIGGER IF EXISTS faults_trigger ON expiring_tokens;`

const always = 1 << 30

// createTrigger makes the next inserts of tokens of the targeted apps fail.
func (s *Injection) createTrigger(ctx context.Context, db *sql.DB, times int, state string) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf(failingTrigger, times, state, s.workload.targeted.ID, s.workload.rotating.ID)); err != nil {
		return fmt.Errorf("create trigger: %w", err)
	}
	return nil
}

// triggerCount is how many inserts the trigger has seen.
func triggerCount(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM faults_count`).Scan(&n)
	return n, err
}

// InsertFails is F21: a code is consumed, and then the insert of its token fails. The code must not be consumed.
func InsertFails(states ...string) Nemesis {
	return Nemesis{Name: "F21", Title: "insert fails after consumption", Inject: func(ctx context.Context, s *Injection) error {
		return s.withTrigger(ctx, func(db *sql.DB) error {
			for _, state := range states {
				for _, a := range []app{s.workload.targeted, s.workload.rotating} {
					if err := s.insertFails(ctx, db, a, state); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}
}

// withTrigger runs do and drops the trigger afterwards.
func (s *Injection) withTrigger(ctx context.Context, do func(db *sql.DB) error) error {
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
	if _, err := db.ExecContext(ctx, dropTrigger); err != nil {
		return fmt.Errorf("drop trigger: %w", err)
	}
	return nil
}

func (s *Injection) insertFails(ctx context.Context, db *sql.DB, a app, state string) error {
	c, err := s.code(ctx, a)
	if err != nil {
		return err
	}
	if err := s.underLoad(ctx, func() error { return s.createTrigger(ctx, db, always, state) }); err != nil {
		return err
	}
	for range 2 {
		if _, outcome := s.workload.exchange(ctx, c); outcome != Unavailable {
			s.violated("I5", "an exchange whose insert fails with %s was answered %s", state, outcome)
		}
	}
	id, err := lookupID(c.text)
	if err != nil {
		return err
	}
	var consumed bool
	if err := db.QueryRowContext(ctx, `SELECT consumed_at IS NOT NULL FROM codes WHERE id = $1`, id[:]).Scan(&consumed); err != nil {
		return fmt.Errorf("read code: %w", err)
	}
	if consumed {
		s.violated("I6", "a code is consumed whose token could not be inserted (%s)", state)
	}
	if _, err := db.ExecContext(ctx, dropTrigger); err != nil {
		return fmt.Errorf("drop trigger: %w", err)
	}
	if _, outcome := s.workload.exchange(ctx, c); outcome != OK {
		s.violated("I3", "a code whose exchange had failed with %s was then answered %s", state, outcome)
	}
	return nil
}

// AbortTransactions is F22: Postgres aborts transactions, or reports that a new id exists.
func AbortTransactions() Nemesis {
	return Nemesis{Name: "F22", Title: "serialization failures, deadlocks, collisions of ids", Inject: func(ctx context.Context, s *Injection) error {
		return s.withTrigger(ctx, func(db *sql.DB) error {
			for _, state := range []string{"40001", "40P01", "23505"} {
				for _, a := range []app{s.workload.targeted, s.workload.rotating} {
					if err := s.abort(ctx, db, a, state, 2, OK); err != nil {
						return err
					}
					if err := s.abort(ctx, db, a, state, always, Unavailable); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}
}

// maxAttempts is how often the server may try a transaction.
const maxAttempts = 5

func (s *Injection) abort(ctx context.Context, db *sql.DB, a app, state string, times int, want Outcome) error {
	c, err := s.code(ctx, a)
	if err != nil {
		return err
	}
	if err := s.underLoad(ctx, func() error { return s.createTrigger(ctx, db, times, state) }); err != nil {
		return err
	}
	_, outcome := s.workload.exchange(ctx, c)
	if outcome != want {
		s.violated("I5", "an exchange that was aborted with %s %s was answered %s, want %s", state, timesText(times), outcome, want)
	}
	n, err := triggerCount(ctx, db)
	if err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	if n < 2 || n > maxAttempts {
		s.violated("I5", "an exchange that was aborted with %s %s was attempted %d times", state, timesText(times), n)
	}
	if _, err := db.ExecContext(ctx, dropTrigger); err != nil {
		return fmt.Errorf("drop trigger: %w", err)
	}
	if outcome == Unavailable {
		if _, outcome := s.workload.exchange(ctx, c); outcome != OK {
			s.violated("I3", "a code whose exchange had been aborted with %s was then answered %s", state, outcome)
		}
	}
	return nil
}

func timesText(times int) string {
	if times == always {
		return "always"
	}
	return fmt.Sprintf("%d times", times)
}
