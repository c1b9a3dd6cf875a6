package faults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// KillMigration is F16: the migration of an empty database is killed after every step-th message to Postgres and run again;
// and a replica is killed while it holds the lock, or waits for it. The schema must equal that of a fresh install.
func KillMigration(step int) Nemesis {
	return Nemesis{Name: "F16", Title: "migration killed at each statement", NoWorkload: true, Inject: func(ctx context.Context, s *Injection) error {
		m := &migration{Injection: s}
		fresh, err := m.fresh(ctx)
		if err != nil {
			return err
		}
		killed := 0
		for after := 1; ; after += step {
			ended, err := m.killedAfter(ctx, after)
			if err != nil {
				return err
			}
			if ended {
				break
			}
			killed++
			if err := m.converges(ctx, fresh, fmt.Sprintf("killed after %d messages", after)); err != nil {
				return err
			}
		}
		s.report.Injections = killed + 2
		s.note("killed after each of %d messages to Postgres; then while it held the lock, and while it waited for it", killed)
		for _, holder := range []bool{true, false} {
			if err := m.contended(ctx, holder); err != nil {
				return err
			}
			if err := m.converges(ctx, fresh, "killed beside another replica"); err != nil {
				return err
			}
		}
		return nil
	}}
}

// migration is an empty database behind the run's link.
type migration struct {
	*Injection
	database string // its name
	made     int
}

// direct is the database's URL.
func (m *migration) direct() string {
	u, err := url.Parse(m.Run.database)
	if err != nil {
		return ""
	}
	u.Path = "/" + m.database
	return u.String()
}

func (m *migration) linked() string {
	return "postgres://postgres@" + m.link.address() + "/" + m.database + "?sslmode=disable"
}

// empty creates the next database, and removes the one before.
func (m *migration) empty(ctx context.Context) error {
	if m.database != "" {
		if err := m.cluster.Exec(ctx, "DROP DATABASE "+pgx.Identifier{m.database}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	m.made++
	m.database = fmt.Sprintf("migrated_%d", m.made)
	return m.cluster.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{m.database}.Sanitize())
}

func (m *migration) up(ctx context.Context, address string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, m.server.binary, "migrate", "up")
	cmd.Env = environment(address)
	return cmd
}

// fresh is the schema of an undisturbed install.
func (m *migration) fresh(ctx context.Context) (string, error) {
	if err := m.empty(ctx); err != nil {
		return "", err
	}
	if out, err := m.up(ctx, m.direct()).CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w: %s", err, out)
	}
	return m.schema(ctx)
}

// schema is the output of pg_dump, without the lines that differ each time.
func (m *migration) schema(ctx context.Context) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil {
		return "", err
	}
	program := "pg_dump"
	if len(found) > 0 {
		program = slices.Max(found)
	}
	out, err := exec.CommandContext(ctx, program, "--schema-only", "--no-owner", "--dbname", m.direct()).Output()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ""), nil
}

// killedAfter migrates an empty database and kills the program after so many messages, the last of which Postgres receives.
// It reports whether the program ended before.
func (m *migration) killedAfter(ctx context.Context, after int) (ended bool, err error) {
	if err := m.empty(ctx); err != nil {
		return false, err
	}
	cmd := m.up(ctx, m.linked())
	ready := make(chan struct{})
	var count atomic.Int64
	m.link.watch(func(byte) {
		if count.Add(1) == int64(after) {
			<-ready
			_ = cmd.Process.Kill()
		}
	})
	defer m.link.watch(nil)
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("migrate: %w", err)
	}
	close(ready)
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, fmt.Errorf("migrate: %w", err)
	}
	return count.Load() < int64(after), nil
}

// converges migrates again and compares the schemas.
func (m *migration) converges(ctx context.Context, fresh, after string) error {
	for range 2 { // the second run has nothing to do
		if out, err := m.up(ctx, m.direct()).CombinedOutput(); err != nil {
			m.violated("I6", "a migration that was %s cannot be run again: %s", after, out)
			return nil
		}
	}
	schema, err := m.schema(ctx)
	if err != nil {
		return err
	}
	if schema != fresh {
		m.violated("I6", "a migration that was %s and run again produced a schema unlike a fresh one", after)
	}
	return nil
}

// contended stops one replica during its migration, starts a second one that waits for the lock, and kills the holder of
// the lock or the waiting one. The other one must finish.
func (m *migration) contended(ctx context.Context, holder bool) error {
	if err := m.empty(ctx); err != nil {
		return err
	}
	stopped, goOn := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	m.link.watch(func(byte) {
		if count.Add(1) == 60 { // after the lock was taken
			close(stopped)
			<-goOn
		}
	})
	defer m.link.watch(nil)
	first := m.up(ctx, m.linked())
	if err := first.Start(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	select {
	case <-stopped:
	case <-time.After(timeout):
		return errors.New("migrate: the first replica sent too few messages to be stopped during it")
	}
	second := m.up(ctx, m.direct())
	if err := second.Start(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := m.waits(ctx); err != nil {
		return err
	}
	victim, survivor := first, second
	if !holder {
		victim, survivor = second, first
	}
	if err := victim.Process.Kill(); err != nil {
		return fmt.Errorf("kill migration: %w", err)
	}
	_ = victim.Wait()
	release()
	if holder {
		m.link.reset() // the connections of a killed program are closed
	}
	if err := survivor.Wait(); err != nil {
		m.violated("I6", "a replica did not finish its migration after another one was killed: %s", err)
	}
	return nil
}

// waits until one program holds the lock and another waits for it. Each has several connections, so their number does not
// show it.
func (m *migration) waits(ctx context.Context) error {
	db, err := openDB(m.Run.database)
	if err != nil {
		return err
	}
	defer db.Close()
	return until(ctx, timeout, "the second replica waits", func() bool {
		var n int
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity a
WHERE a.datname = $1 AND a.application_name = 'xenoauth' AND a.query LIKE '%pg_try_advisory_xact_lock%'
AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted)
AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.database = a.datid AND l.locktype = 'advisory' AND l.granted)`, m.database).Scan(&n)
		return err == nil && n >= 1
	})
}
