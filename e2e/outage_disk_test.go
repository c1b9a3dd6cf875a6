package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
)

// onOwnDisk is ownPostgres with a small disk for its data, which is in the journal twice at most. Where nothing may be
// mounted it has none, and says so.
func onOwnDisk(t *testing.T) (c *dbtest.Cluster, onDisk bool) {
	t.Helper()
	dbtest.Postgres(t) // skips or fails without Postgres
	c, err := dbtest.StartOnDisk(t.Context(), "256m", append(truthful, "max_wal_size=32MB", "min_wal_size=32MB")...)
	if errors.Is(err, dbtest.ErrNoDisk) {
		t.Logf("%v: a trigger says instead what a full disk says", err)
		return ownPostgres(t), false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c, true
}

// fillDisk leaves no room for any table to grow. Whatever only reads goes on.
func fillDisk(s *scene, c *dbtest.Cluster, onDisk bool) (end func() error, err error) {
	end = c.Free
	if onDisk {
		err = errors.Join(c.Exec(s.t.Context(), `SELECT pg_switch_wal()`), c.Exec(s.t.Context(), `CHECKPOINT`), c.Fill())
	} else {
		end, err = refuseWrites(s)
	}
	if err != nil {
		return end, err
	}
	s.useUp()
	reads := 0
	for _, a := range s.always {
		switch {
		case strings.HasPrefix(a.name, "GET /"), strings.HasPrefix(a.name, "me"), a.name == "introspect", a.name == "forward-auth", a.name == "key set":
			reads++
			if fault, worked := s.judge(a, a.do(), 0); !worked {
				s.t.Errorf("%s does not work on a full disk: %s", a.name, fault)
			}
		}
	}
	if reads < 15 {
		s.t.Errorf("%d questions were asked", reads)
	}
	return end, nil
}

// useUp has tokens issued until there is no room for one more.
func (s *scene) useUp() {
	s.t.Helper()
	ask := s.always[0]
	for range 10_000 {
		start := time.Now()
		answer := ask.do()
		fault, worked := s.judge(ask, answer, time.Since(start))
		if fault != "" {
			s.t.Error(fault)
		}
		if !worked {
			return
		}
		s.acked = append(s.acked, answer.String(s.t, "access_token"))
	}
	s.t.Error("the disk is full, and tokens are still issued")
}

// fillJournal leaves no room for the journal: Postgres panics, recovers, and panics again, for as long as it lasts.
func fillJournal(s *scene, c *dbtest.Cluster) (end func() error, err error) {
	ctx, stop := context.WithCancel(s.t.Context())
	var switching sync.WaitGroup
	panicked := make(chan struct{})
	end = func() error {
		stop()
		switching.Wait()
		return errors.Join(c.Free(), c.Revive(s.t.Context()))
	}
	for range 20 {
		s.acked = append(s.acked, s.always[0].do().String(s.t, "access_token"))
	}
	if err := c.Fill(); err != nil {
		stop()
		return end, err
	}
	switching.Go(func() {
		for once := sync.OnceFunc(func() { close(panicked) }); ctx.Err() == nil; {
			if c.Exec(ctx, `SELECT pg_switch_wal(), pg_logical_emit_message(true, 'full', 'disk')`) != nil {
				once()
			}
		}
	})
	<-panicked
	return end, nil
}

// refuseWrites has every table say what Postgres says when it cannot grow.
func refuseWrites(s *scene) (end func() error, err error) {
	const full = `CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`
	run := func(statements ...string) error {
		conn, err := pgx.Connect(s.t.Context(), s.url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		for _, statement := range statements {
			if _, err := conn.Exec(s.t.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	}
	statements := []string{full}
	for _, table := range s.r.Tables() {
		statements = append(statements, fmt.Sprintf(`CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON %s EXECUTE FUNCTION disk_full()`, table))
	}
	return func() error { return run(`DROP FUNCTION disk_full CASCADE`) }, run(statements...)
}

// TestFullLogDisk: a log that cannot be written is no reason to refuse anything.
func TestFullLogDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close() })
	url := dbtest.SQLite(t)
	e := harness.New(t, dbtest.Open(t, url), func(o *server.Options) {
		o.Log = slog.New(slog.NewTextHandler(full, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s := &scene{t: t, r: e, b: e.LoggedIn(e.U), url: url}
	s.token = e.Grant(s.b, e.A).WantToken(t)
	s.expiring = e.Grant(s.b, e.P).WantToken(t)
	s.always = append(s.asksAlways(), s.programsAlways()...)
	if refused := s.try(s.always); refused > 0 {
		t.Errorf("%d were told to come back because of the log", refused)
	}
	if a := e.Post("/oauth/token", e.A.As("code", "x")); a.Status != http.StatusBadRequest {
		t.Errorf("what is refused anyway: %d %s", a.Status, a.Body)
	}
}

// cramped are SQLite files, by their paths, that may have so many pages and no more for whoever opens them from now on.
var cramped sync.Map

func init() {
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, dsn string) (err error) {
		cramped.Range(func(path, pages any) bool {
			if strings.Contains(dsn, path.(string)) {
				_, err = conn.ExecContext(context.Background(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages), nil)
			}
			return true
		})
		return err
	})
}

// TestFullSQLite: a SQLite file cannot grow. Writes get 503, reads succeed, acknowledged writes are kept, and once there is space
// everything works without a restart.
func TestFullSQLite(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	first := harness.New(t, dbtest.Open(t, url))
	db := dbtest.DB(t, first.Store)
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run(`CREATE TABLE ballast (b BLOB)`)
	cramped.Store(strings.TrimPrefix(url, "sqlite:"), first.Count(`SELECT page_count FROM pragma_page_count`)+100)
	e := harness.Bare(t, dbtest.Open(t, url))
	e.A, e.B, e.P, e.N, e.U = first.A, first.B, first.P, first.N, first.U
	s := &scene{t: t, r: e, b: e.LoggedIn(e.U), url: url}
	s.token = e.Grant(s.b, e.A).WantToken(t)
	s.expiring = e.Grant(s.b, e.P).WantToken(t)
	s.always = append(s.asksAlways(), s.programsAlways()...)
	run(`INSERT INTO ballast VALUES (randomblob(1000000))`) // this connection is older than the bound
	s.useUp()
	if s.try(s.always) == 0 {
		t.Error("nobody noticed: the file was not full")
	}
	for _, path := range []string{"/account", "/account/apps", "/developer/apps"} {
		s.b.Get(path).WantPage(t, http.StatusOK)
	}
	e.WantActive(e.A, s.token, true)
	run(`DROP TABLE ballast`)
	s.recovers()
}
