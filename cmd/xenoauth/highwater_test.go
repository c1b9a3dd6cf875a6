package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
)

// postgresTool runs a client program of Postgres.
func postgresTool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		name = slices.Max(found)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return out
}

// served starts a server on a database, adds a user, and stops the server.
func served(t *testing.T, l line, email string, args ...string) {
	t.Helper()
	s := startServing(t, l, append([]string{"--ops-listen", "off"}, args...)...)
	l.with("a long password").ok(t, nil, "user", "add", email, "--password-stdin")
	if code := s.stop(); code != exitDone {
		t.Fatalf("serve ended with %d:\n%s", code, s.stderr.String())
	}
}

// wantRestored asserts that serve refuses the database and the doctor reports it, and that both accept it after --accept-restored-database.
func wantRestored(t *testing.T, l line, reason string, args ...string) {
	t.Helper()
	serve := append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--allow-unsafe-database"}, args...)
	for _, text := range []string{reason, "are valid again", "--accept-restored-database"} {
		l.fails(t, exitRefused, text, serve...)
	}
	if c := doctor(t, l, exitRefused, args...); !c.has("The database is not the one that was served: ") || !c.has(reason) {
		t.Errorf("doctor: %q", c.Attention)
	}
	s := startServing(t, l, append([]string{"--ops-listen", "off", "--accept-restored-database"}, args...)...)
	if !strings.Contains(s.stderr.String(), "serving a restored database") {
		t.Errorf("the log of serve:\n%s", s.stderr.String())
	}
	if code := s.stop(); code != exitDone {
		t.Fatalf("serve ended with %d", code)
	}
	served(t, l, "after@example.org", args...)
	if r := l.run(t, append([]string{"doctor"}, args...)...); strings.Contains(r.stdout, "is not the one") {
		t.Errorf("doctor after it was accepted:\n%s", r.stdout)
	}
}

// TestRestoredDump: a dump of Postgres that is restored into another database, or into the same one, is detected without data outside
// the database. Restarts, VACUUM FULL and a reindex are not mistaken for a restore.
func TestRestoredDump(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	l := on(database)
	served(t, l, "before@example.org")
	dump := postgresTool(t, nil, "pg_dump", "--clean", "--if-exists", "--no-owner", "--dbname", database)
	postgresTool(t, nil, "psql", "--quiet", "--dbname", database, "--command", "VACUUM FULL", "--command", "VACUUM FREEZE")
	served(t, l, "later@example.org")

	other := dbtest.Postgres(t)
	postgresTool(t, dump, "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", other)
	wantRestored(t, on(other), "another database of Postgres")
	postgresTool(t, dump, "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", database)
	wantRestored(t, l, "its rows were written by a restore or a copy")
	st := dbtest.Open(t, database)
	var events int
	if err := dbtest.DB(t, st).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM audit_events WHERE kind = 'database.accepted' AND detail LIKE '%restore%'`).Scan(&events); err != nil || events != 1 {
		t.Errorf("%d audit events of the acceptance, %v; want 1", events, err)
	}
}

// TestRestoredFile: a file outside the database detects restores that the database itself cannot: a copy of a SQLite file, and a
// Postgres cluster that was reset to an earlier state (here by deleting the newer rows).
func TestRestoredFile(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "x.db")
		l := on("sqlite:" + path)
		served(t, l, "before@example.org")
		saved, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		served(t, l, "later@example.org")
		served(t, l, "latest@example.org")
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		wantRestored(t, l, "its newest audit event is of ")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		database := dbtest.Postgres(t)
		l := on(database)
		file := []string{"--high-water", filepath.Join(t.TempDir(), "mark")}
		served(t, l, "before@example.org", file...)
		since := time.Now().UnixMicro()
		served(t, l, "later@example.org", file...)
		dbtest.Exec(t, dbtest.Open(t, database), fmt.Sprintf(`DELETE FROM audit_events WHERE at > %d`, since))
		wantRestored(t, l, "its newest audit event is of ", file...)
	})
	t.Run("not a mark", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "mark")
		if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
		on(dbtest.SQLite(t)).fails(t, exitRefused, "does not contain a time", "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--high-water", file)
	})
}

// TestRestoredUnderServer: a running server logs that its database was replaced by an older one.
func TestRestoredUnderServer(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		var log lockedBuffer
		st := dbtest.Open(t, database)
		l := on(database)
		l.with("a long password").ok(t, nil, "user", "add", "x@example.org", "--password-stdin")
		h := &highWater{store: st, log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 2 {
			if err := h.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if log.String() != "" {
			t.Errorf("logged without a reason:\n%s", log.String())
		}
		dbtest.Exec(t, st, `DELETE FROM audit_events`)
		for range 2 {
			if err := h.look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for keep, want := range map[time.Duration]bool{0: true, 3 * time.Hour: true, time.Hour: false} { // which removes events
			old := &highWater{store: st, keep: keep, mark: st.Now().Add(-2 * time.Hour)}
			if got := old.older(time.Time{}); got != want {
				t.Errorf("with a retention of %s, events of 2 h ago are missed: %t, want %t", keep, got, want)
			}
		}
		if n := strings.Count(log.String(), "the database has lost changes that were acknowledged"); n != 1 {
			t.Errorf("logged %d times, want once:\n%s", n, log.String())
		}
	})
}

// TestOriginWithoutRights: a role that cannot read the cluster's identity can still serve.
func TestOriginWithoutRights(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	db := dbtest.DB(t, dbtest.Open(t, database))
	for _, statement := range []string{
		`REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`, `CREATE ROLE asks_` + name + ` LOGIN`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO asks_` + name,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := db.Exec(`DROP OWNED BY asks_` + name + `; DROP ROLE asks_` + name); err != nil {
			t.Error(err)
		}
	})
	st := dbtest.Open(t, strings.Replace(database, "user=postgres", "user=asks_"+name, 1))
	for range 2 {
		if err := st.RecordOrigin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if moved, err := st.Origin(t.Context()); moved != "" || err != nil {
			t.Errorf("Origin = %q, %v", moved, err)
		}
	}
}
