package harness

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// EachURL is Each with the URL of the database, for tests that start further servers over it (Replica).
func EachURL(t *testing.T, test func(t *testing.T, e *Env, databaseURL string)) {
	t.Helper()
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		test(t, New(t, dbtest.Open(t, databaseURL)), databaseURL)
	})
}

// EachPair runs test on two servers over one database of each kind.
func EachPair(t *testing.T, test func(t *testing.T, first, second *Env)) {
	t.Helper()
	EachURL(t, func(t *testing.T, e *Env, databaseURL string) { test(t, e, e.Replica(databaseURL)) })
}

// Strings runs a query of one text column.
func (e *Env) Strings(sql string, args ...any) []string {
	e.t.Helper()
	var list []string
	for _, row := range e.Rows(sql, args...) {
		list = append(list, fmt.Sprint(row[0]))
	}
	return list
}

// Rows runs a query and returns the driver's values.
func (e *Env) Rows(sql string, args ...any) [][]any {
	e.t.Helper()
	db := dbtest.DB(e.t, e.Store)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), sql, args...)
	if err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	var all [][]any
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			e.t.Fatalf("%s: %v", sql, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// Postgres reports whether the database is Postgres.
func (e *Env) Postgres() bool {
	e.t.Helper()
	db := dbtest.DB(e.t, e.Store)
	defer db.Close()
	var n int
	return db.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM sqlite_master`).Scan(&n) != nil
}

// Tables lists the tables of the database.
func (e *Env) Tables() []string {
	e.t.Helper()
	if e.Postgres() {
		return e.Strings(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`)
	}
	return e.Strings(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
}

// Dump is every row of every table as text, one line per row, with bytes as they are, in hexadecimal and in base64. For
// SQLite the bytes of its files follow, including pages that are no longer in use.
func (e *Env) Dump() string {
	e.t.Helper()
	var b strings.Builder
	for _, table := range e.Tables() {
		for _, row := range e.Rows(`SELECT * FROM "` + table + `"`) {
			b.WriteString(table)
			for _, column := range row {
				if raw, isBytes := column.([]byte); isBytes {
					fmt.Fprintf(&b, " %s %s %s", raw, hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
					continue
				}
				fmt.Fprintf(&b, " %v", column)
			}
			b.WriteByte('\n')
		}
	}
	if e.Postgres() {
		return b.String()
	}
	for _, path := range e.Strings(`SELECT file FROM pragma_database_list WHERE name = 'main'`) {
		for _, end := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + end)
			if err != nil && !os.IsNotExist(err) {
				e.t.Fatal(err)
			}
			b.Write(content)
		}
	}
	return b.String()
}

// Superuser runs statements on a Postgres database as its superuser.
func Superuser(t testing.TB, databaseURL string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Database is the name of a Postgres database in its URL.
func Database(t testing.TB, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path[1:]
}

// LogStatements makes Postgres log every statement with its parameters for new connections to a database. The returned
// function reads the log since then, which may include other tests' databases.
func LogStatements(t testing.TB, databaseURL string) func() string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(u.Query().Get("host"), "log")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	name := Database(t, databaseURL)
	Superuser(t, databaseURL,
		"ALTER DATABASE "+name+" SET log_statement = 'all'",
		"ALTER DATABASE "+name+" SET log_parameter_max_length = -1",
		"ALTER DATABASE "+name+" SET log_parameter_max_length_on_error = -1",
		"ALTER DATABASE "+name+" SET log_min_error_statement = 'debug5'")
	return func() string {
		t.Helper()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content[before.Size():])
	}
}
