package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
)

// connections is how many the ill-treated Postgres has.
const connections = 25

// TestOutage: Postgres hangs, is down, takes no writes, has no connection left, a table is locked, or its disk is full.
// During the outage every request is answered within 3 s, with success or with 503 and Retry-After. Within 5 s after the outage
// everything works without a restart. Writes acknowledged on the last bytes of the disk are kept.
func TestOutage(t *testing.T) {
	t.Parallel()
	c, onDisk := onOwnDisk(t)
	for _, outage := range []struct {
		name  string
		begin func(*scene) (end func() error, err error)
	}{
		{"disk full", func(s *scene) (func() error, error) { return fillDisk(s, c, onDisk) }},
		{"disk full, journal", func(s *scene) (func() error, error) { return fillJournal(s, c) }},
		{"paused", func(*scene) (func() error, error) { return c.Resume, c.Pause() }},
		{"down", func(s *scene) (func() error, error) {
			return func() error { return c.Restart(s.t.Context()) }, c.Halt("QUIT")
		}},
		{"read-only", func(s *scene) (func() error, error) {
			return func() error { return readOnly(c, s, "off") }, readOnly(c, s, "on")
		}},
		{"no connection left", func(s *scene) (func() error, error) { return exhaust(s) }},
		{"locked tables", func(s *scene) (func() error, error) { return lockTables(s) }},
	} {
		if outage.name == "disk full, journal" && !onDisk {
			t.Log("the journal of a Postgres without a disk of its own cannot be filled")
			continue
		}
		t.Run(outage.name, func(t *testing.T) {
			s := newScene(t, c)
			s.recovers()
			end, err := outage.begin(s)
			if err != nil {
				t.Fatal(err)
			}
			refused := s.try(append(s.once, s.always...))
			again := s.try(s.always)
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if refused == 0 || again == 0 {
				t.Error("nobody noticed: there was no outage")
			}
			t.Logf("%d of %d were told to come back", refused, len(s.once)+len(s.always))
			s.recovers()
		})
	}
}

// ownPostgres is a cluster that acknowledges nothing before its recovery would find it.
func ownPostgres(t *testing.T) *dbtest.Cluster {
	t.Helper()
	dbtest.Postgres(t) // skips or fails without Postgres
	c, err := dbtest.Start(t.Context(), truthful...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// truthful are the settings of such a cluster.
var truthful = []string{"synchronous_commit=on", "full_page_writes=on", fmt.Sprintf("max_connections=%d", connections)}

// readOnly makes every session of the cluster refuse writes, or take them again.
func readOnly(c *dbtest.Cluster, s *scene, value string) error {
	if err := c.Exec(s.t.Context(), `ALTER SYSTEM SET default_transaction_read_only = `+value); err != nil {
		return err
	}
	return c.Exec(s.t.Context(), `SELECT pg_reload_conf()`)
}

// exhaust ends the server's connections and takes all there are before it has them back.
func exhaust(s *scene) (end func() error, err error) {
	var held []*pgx.Conn
	end = func() error {
		var errs []error
		for _, conn := range held {
			errs = append(errs, conn.Close(context.Background()))
		}
		return errors.Join(errs...)
	}
	for len(held) < connections {
		conn, err := pgx.Connect(s.t.Context(), s.url)
		if err != nil {
			if len(held) == 0 {
				return end, err
			}
			// Those that are left are the server's.
			if _, err := held[0].Exec(s.t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'xenoauth' AND pid <> pg_backend_pid()`); err != nil {
				return end, err
			}
			continue
		}
		held = append(held, conn)
	}
	return end, nil
}

// lockTables holds what nearly every request needs.
func lockTables(s *scene) (end func() error, err error) {
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		return nil, err
	}
	end = func() error { return conn.Close(context.Background()) }
	_, err = conn.Exec(s.t.Context(), `BEGIN; LOCK TABLE tokens, expiring_tokens, audit_events, requests IN ACCESS EXCLUSIVE MODE`)
	return end, err
}

// TestBusyConnections: every connection to Postgres waits for a lock, and more requests wait for a connection. A token is
// revoked all the same, at once, and the operator is told that the server is well; the others are told to come back.
func TestBusyConnections(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.Postgres(t), dbtest.AsServed), func(o *server.Options) { o.DatabaseBudget = 0 })
	b := e.LoggedIn(e.U)
	token := e.Grant(b, e.A).WantToken(t)
	waiting := func() int { // for a lock, in this database
		return e.Count(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	}
	tx, err := dbtest.DB(t, e.Store).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE requests IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for range 40 {
		crowd.Go(func() {
			for ctx.Err() == nil {
				a := b.Authorize("client_id", e.B.ID, "state", "xyz", "scope", "widgets", "redirect_uri", harness.CB)
				if a.Status != http.StatusOK && (a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "") {
					t.Errorf("authorize: %d %v", a.Status, a.Header)
				}
			}
		})
	}
	until(t, "all connections but those in reserve wait", func() bool { return waiting() >= 6 })
	if a := e.Post("/oauth/revoke", e.A.As("token", token)); a.Status != http.StatusOK {
		t.Errorf("revoke: %d %s", a.Status, a.Body)
	}
	ready := httptest.NewRecorder()
	e.Server.Operations().ServeHTTP(ready, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if ready.Code != http.StatusOK {
		t.Errorf("readyz: %d %s", ready.Code, ready.Body)
	}
	stop()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	crowd.Wait()
	e.WantLive(token, false)
}

// TestCutUnderLoad: Postgres stops during requests, twice, and starts again. Every request in flight gets success or a 503, and
// acknowledged writes are kept.
func TestCutUnderLoad(t *testing.T) {
	t.Parallel()
	c := ownPostgres(t)
	s := newScene(t, c)
	for _, signal := range []string{"QUIT", "INT"} {
		ctx, stop := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		var mu sync.Mutex
		var tokens []string
		var refused atomic.Int64
		for i := range 12 {
			workers.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					a := s.always[n%len(s.always)]
					start := time.Now()
					answer := a.do()
					fault, worked := s.judge(a, answer, time.Since(start))
					if fault != "" {
						t.Error(fault)
					}
					if fault == "" && !worked {
						refused.Add(1)
					}
					if worked && a.name == "client credentials" {
						mu.Lock()
						tokens = append(tokens, answer.String(t, "access_token"))
						mu.Unlock()
					}
				}
			})
		}
		acknowledged := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(tokens)
		}
		until(t, "some tokens are acknowledged", func() bool { return acknowledged() >= 3 })
		if err := c.Halt(signal); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		start, before := time.Now(), acknowledged()
		until(t, "tokens are acknowledged again", func() bool { return acknowledged() > before })
		if d := time.Since(start); d > mostRecovery {
			t.Errorf("the first token came %v after the database", d)
		}
		stop()
		workers.Wait()
		if refused.Load() == 0 {
			t.Error("nobody noticed: the database was not cut")
		}
		s.recovers()
		for _, token := range tokens {
			s.r.WantLive(token, true)
		}
		t.Logf("%s: %d acknowledged tokens are live, %d requests were told to come back", signal, len(tokens), refused.Load())
	}
}

// until asks until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !yes() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
