package harness

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

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

// LogStatements makes Postgres log every statement with its parameters, and the parameters of those that fail, for the
// connections to a database that are opened from now on. What it returns gives the server's log since then, in which other
// tests' databases may appear, too.
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
