package main

import (
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// TestNewerSchema: a newer release has migrated the database. serve logs that and runs, migrate status and doctor report it, and
// once the schema has been contracted every command refuses.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		st := dbtest.Open(t, database)
		dbtest.Exec(t, st, `INSERT INTO xenoauth_migrations (version_id, is_applied, tstamp) VALUES (9999, TRUE, CURRENT_TIMESTAMP)`)
		l := on(database)
		s := startServing(t, l, "--ops-listen", "off")
		if log := s.stderr.String(); !strings.Contains(log, "a newer release has migrated the database") || !strings.Contains(log, "schema_version=9999") {
			t.Errorf("the log of serve has no word of the newer schema:\n%s", log)
		}
		var status []object
		l.ok(t, &status, "migrate", "status")
		if last := status[len(status)-1]; last["known"] != false || last["version"] != 9999.0 || status[0]["known"] != true {
			t.Errorf("migrate status: %v ... %v", status[0], last)
		}
		if r := l.ok(t, nil, "migrate", "status"); !strings.Contains(r.stdout, "(of a newer release)") {
			t.Errorf("migrate status:\n%s", r.stdout)
		}
		if c := doctor(t, l, exitRefused); !c.has("A newer release has migrated the database (schema version 9999,") || len(c.Pending) != 0 {
			t.Errorf("doctor: %q", c.Attention)
		}
		dbtest.Exec(t, st, `INSERT INTO database_facts (name, value) VALUES ('oldest_version', 9999)`)
		for _, args := range [][]string{{"serve", "--allow-unsafe-database"}, {"serve", "--migrate", "off", "--allow-unsafe-database"}, {"migrate", "up"}, {"user", "list"}} {
			if args[0] == "serve" && strings.HasPrefix(database, "sqlite") {
				continue // the server of this test holds the lock
			}
			l.fails(t, exitRefused, "needs one that knows migration 9999", args...)
		}
		if c := doctor(t, l, exitRefused); !c.has("This release cannot use the database") {
			t.Errorf("doctor: %q", c.Attention)
		}
	})
}

// TestDoctorReadOnly: the doctor reports a read-only database, and so does a command that writes.
func TestDoctorReadOnly(t *testing.T) {
	t.Parallel()
	l := on(dbtest.Postgres(t) + "&default_transaction_read_only=on")
	if c := doctor(t, l, exitRefused); !c.has("The database is read-only, so that tokens are verified and nothing is issued") {
		t.Errorf("doctor: %q", c.Attention)
	}
	l.with("a long password").fails(t, exitRefused, "the database is read-only (SQLSTATE 25006): it is a standby, or default_transaction_read_only is on",
		"user", "add", "x@example.org", "--password-stdin")
}

// TestPooler: with the setting, serve, its pages and the doctor work through a real PgBouncer in transaction mode. Without it, the
// error names the setting and does not suggest that the database is down.
func TestPooler(t *testing.T) {
	t.Parallel()
	through := dbtest.PgBouncer(t, dbtest.Postgres(t), "postgres")
	l := on(through)
	r := l.run(t, "user", "list")
	if r.code != exitRefused || !strings.Contains(r.stderr, "set --pooler transaction (XENOAUTH_POOLER=transaction)") || strings.Contains(r.stderr, "Is it running") {
		t.Errorf("without the setting: exit %d, %s", r.code, r.stderr)
	}
	l.env["XENOAUTH_POOLER"] = "transaction"
	s := startServing(t, l, "--ops-listen", "off")
	if got := status(t, s.issuer+"/login"); got != 200 {
		t.Errorf("the log-in page through PgBouncer: %d", got)
	}
	if log := s.stderr.String(); !strings.Contains(log, "the role lacks timeouts") {
		t.Errorf("the log of serve has no word of the role's timeouts:\n%s", log)
	}
	l.with("a long password").ok(t, nil, "user", "add", "x@example.org", "--password-stdin")
	if r := l.run(t, "doctor"); !strings.Contains(r.stdout, "transaction") ||
		!strings.Contains(r.stdout, "ALTER ROLE … SET idle_in_transaction_session_timeout = '5s'; ALTER ROLE … SET lock_timeout = '1500ms'; ALTER ROLE … SET statement_timeout = '2s'") {
		t.Errorf("doctor:\n%s%s", r.stdout, r.stderr)
	}
	on("sqlite:x.db").fails(t, exitUsage, "SQLite has none", "user", "list", "--pooler", "transaction")
}
