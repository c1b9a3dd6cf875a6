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

// Migrations is F16: the migration of an empty database is killed at every step-th thing that it says to Postgres, and run
// again; and a replica is killed while it holds the lock, or waits for it. The schema must be that of a fresh install.
func Migrations(step int) Fault {
	return Fault{Name: "F16", Title: "migration killed at each statement", Loadless: true, Inject: func(ctx context.Context, s *Scene) error {
		m := &migration{Scene: s}
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
		s.report.Strikes = killed + 2
		s.note("killed after each of %d messages to Postgres; then the one that holds the lock, and the one that waits for it", killed)
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

// migration is an empty database behind the campaign's link.
type migration struct {
	*Scene
	database string // its name
	made     int
}

// direct and linked are its addresses.
func (m *migration) direct() string {
	u, err := url.Parse(m.Campaign.database)
	if err != nil {
		return ""
	}
	u.Path = "/" + m.database
	return u.String()
}

func (m *migration) linked() string {
	return "postgres://postgres@" + m.link.address() + "/" + m.database + "?sslmode=disable"
}

// empty makes the next database, and removes the one before.
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

// fresh is the schema of an install that nobody disturbs.
func (m *migration) fresh(ctx context.Context) (string, error) {
	if err := m.empty(ctx); err != nil {
		return "", err
	}
	if out, err := m.up(ctx, m.direct()).CombinedOutput(); err != nil {
		return "", fmt.Errorf("migrate: %w: %s", err, out)
	}
	return m.schema(ctx)
}

// schema is what pg_dump says of it, without what differs each time.
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

// killedAfter migrates an empty database and kills the program after so many messages, the last of which Postgres gets. It
// returns whether the program ended before.
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

// converges migrates again and compares.
func (m *migration) converges(ctx context.Context, fresh, after string) error {
	for range 2 { // the second time there is nothing to do
		if out, err := m.up(ctx, m.direct()).CombinedOutput(); err != nil {
			m.broke("I6", "a migration that was %s cannot be run again: %s", after, out)
			return nil
		}
	}
	schema, err := m.schema(ctx)
	if err != nil {
		return err
	}
	if schema != fresh {
		m.broke("I6", "a migration that was %s and run again made another schema than a fresh one", after)
	}
	return nil
}

// contended starts one replica, stops it in the midst of its migration, starts another one that must wait, and kills one
// of the two: the holder of the lock, or the one who waits. The other one must finish.
func (m *migration) contended(ctx context.Context, holder bool) error {
	if err := m.empty(ctx); err != nil {
		return err
	}
	stopped, goOn := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	m.link.watch(func(byte) {
		if count.Add(1) == 60 { // well behind the lock
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
	case <-time.After(patience):
		return errors.New("migrate: the first replica said too little to be stopped in the midst of it")
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
		m.link.reset() // a killed program's connections are gone, and so are the link's
	}
	if err := survivor.Wait(); err != nil {
		m.broke("I6", "a replica whose neighbour was killed while it migrated did not finish: %s", err)
	}
	return nil
}

// waits until one program holds the lock and another has asked for it in vain. Each has several connections, so that
// counting those tells nothing.
func (m *migration) waits(ctx context.Context) error {
	db, err := openDB(m.Campaign.database)
	if err != nil {
		return err
	}
	defer db.Close()
	return until(ctx, patience, "the second replica waits", func() bool {
		var n int
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity a
WHERE a.datname = $1 AND a.application_name = 'xenoauth' AND a.query LIKE '%pg_try_advisory_xact_lock%'
AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted)
AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.database = a.datid AND l.locktype = 'advisory' AND l.granted)`, m.database).Scan(&n)
		return err == nil && n >= 1
	})
}
