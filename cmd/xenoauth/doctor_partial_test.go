package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// TestDoctorInPart: a check that exceeds a timeout is reported with the timeout, the other checks are shown, and the exit code is
// still 0.
func TestDoctorInPart(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	st := dbtest.Open(t, database)
	db := dbtest.DB(t, st)
	for name, test := range map[string]struct {
		parameter string
		want      []string
	}{
		"a statement that takes too long": {"statement_timeout=500", []string{"tokens: storage unavailable: out of time: the statement ran longer than statement_timeout (SQLSTATE 57014)"}},
	} {
		t.Run(name, func(t *testing.T) {
			// Makes the table as slow to read as one with millions of rows.
			for _, statement := range []string{
				`ALTER TABLE tokens RENAME TO fast_tokens`,
				`CREATE VIEW tokens AS SELECT f.* FROM fast_tokens f UNION ALL SELECT f.* FROM fast_tokens f, pg_sleep(10) s`,
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			r := on(database+"&"+test.parameter).run(t, "doctor", "--json")
			var c struct {
				Attention, Incomplete []string
				Database              struct{ Version string }
				Tables                []object
				Live                  struct{ Apps, Installations, Tokens *int }
			}
			if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
				t.Fatalf("%v in\n%s%s", err, r.stdout, r.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(strings.Join(c.Incomplete, "\n"), want) {
					t.Errorf("incomplete %q, want %q", c.Incomplete, want)
				}
			}
			if c.Live.Tokens != nil || c.Live.Apps == nil || len(c.Tables) < 15 || c.Database.Version == "" {
				t.Errorf("live %+v, %d tables, database %+v; want all but the tokens", c.Live, len(c.Tables), c.Database)
			}
			// The only problem is that the test's Postgres is not durable.
			if slices.ContainsFunc(c.Attention, func(s string) bool { return !strings.Contains(s, "can lose acknowledged writes") }) {
				t.Errorf("attention %q", c.Attention)
			}
			if r := on(database+"&"+test.parameter).run(t, "doctor"); !strings.Contains(r.stdout, "? Not checked: number of live rows: ") || !strings.Contains(r.stdout, "? non-expiring tokens") {
				t.Errorf("the report:\n%s", r.stdout)
			}
		})
	}
}

// TestTimeoutsAreNamed: a command that exceeds a timeout reports it, and does not suggest that the database is down.
func TestTimeoutsAreNamed(t *testing.T) {
	t.Parallel()
	database := dbtest.Postgres(t)
	addUser(t, on(database), "ada@example.org")
	tx, err := dbtest.DB(t, dbtest.Open(t, database)).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	for parameter, want := range map[string]string{
		"lock_timeout=100":                     "another session held a lock for longer than lock_timeout (SQLSTATE 55P03)",
		"lock_timeout=0&statement_timeout=300": "the statement ran longer than statement_timeout (SQLSTATE 57014)",
	} {
		for _, args := range []string{"user list", "user show ada@example.org", "user disable ada@example.org"} {
			l := on(database + "&" + parameter)
			l.fails(t, exitRefused, want, strings.Fields(args)...)
			l.fails(t, exitRefused, "The database answers, but did not finish this in time", strings.Fields(args)...)
		}
	}
}
