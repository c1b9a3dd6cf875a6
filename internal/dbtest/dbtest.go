package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx

	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// Timeout is the time limit for a call to a test's database. It is much longer than in operation, because on a machine that tests share a
// process may not run for seconds.
const Timeout = 20 * time.Second

// AsServed is an option of Open for tests with a slow or unreachable database. The time limit for calls is that of operation, and only
// the wait for a connection may be longer.
func AsServed(o *sqlstore.Options) { o.MaxQueue, o.Timeout = 2*time.Second, 0 }

// Each runs test on SQLite and on Postgres, as parallel subtests of those names, each with a fresh migrated database.
func Each(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, databaseURL string) { test(t, Open(t, databaseURL)) })
}

// EachURL is Each for tests that open the database themselves.
func EachURL(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// Open opens a store until the test ends. Its rows can be reached by DB and Exec.
func Open(t testing.TB, databaseURL string, options ...func(*sqlstore.Options)) *sqlstore.Store {
	t.Helper()
	o := sqlstore.Options{MaxConns: 8, MaxQueue: Timeout / 2, Timeout: Timeout}
	for _, option := range options {
		option(&o)
	}
	st, err := sqlstore.Open(t.Context(), databaseURL, o)
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	opened.Store(store.Store(st), databaseURL)
	t.Cleanup(func() {
		opened.Delete(store.Store(st))
		if err := st.Close(); err != nil {
			t.Errorf("close test database: %v", err)
		}
	})
	return st
}

// opened maps each store to its database URL.
var opened sync.Map

// DB returns another connection to the database of a store that Open or Each opened, until the test ends. Both databases accept $1, $2
// as parameters.
func DB(t testing.TB, st store.Store) *sql.DB {
	t.Helper()
	databaseURL, ok := opened.Load(st)
	if !ok {
		t.Fatal("dbtest.DB: the store was not opened by this package")
	}
	driver, source := "pgx", databaseURL.(string)
	if path, isSQLite := strings.CutPrefix(source, "sqlite:"); isSQLite {
		driver, source = "sqlite", "file:"+path+"?_busy_timeout=5000&_txlock=immediate"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Exec changes rows without the store, so that a test can change a row's times and does not have to wait. It fails the test if no row
// was changed.
func Exec(t testing.TB, st store.Store, statement string, args ...any) {
	t.Helper()
	db := DB(t, st)
	defer db.Close()
	result, err := db.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: changed %d rows, %v", statement, n, err)
	}
}

// sqliteTemplate is a migrated database file, created once per process.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "xenoauth-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	ctx := context.Background()
	st, err := sqlstore.Open(ctx, "sqlite:"+path, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	_, err = st.Migrate(ctx)
	// Closing the last connection checkpoints the journal into the file.
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// SQLite returns the URL of a fresh migrated SQLite database in the test's directory.
func SQLite(t testing.TB) string {
	t.Helper()
	content, err := sqliteTemplate()
	if err != nil {
		t.Fatalf("make SQLite template: %v", err)
	}
	path := filepath.Join(t.TempDir(), "xenoauth.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("copy SQLite template: %v", err)
	}
	return "sqlite:" + path
}

// cluster is the process's Postgres. It ends with the process.
var cluster = sync.OnceValues(func() (*Cluster, error) { return Start(context.Background()) })

// Postgres returns the URL of a new migrated Postgres database, which is dropped when the test ends. If this machine has no Postgres, the
// test is skipped, or fails if CI or XENOAUTH_REQUIRE_ALL is set.
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := cluster()
	if errors.Is(err, ErrNoPostgres) && !RequireAll() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("start test Postgres: %v", err)
	}
	databaseURL, err := c.NewDatabase(t.Context())
	if err != nil {
		t.Fatalf("make test database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.DropDatabase(context.Background(), databaseURL); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return databaseURL
}

// RequireAll reports whether a test must fail, and not be skipped, if the machine lacks a program that it needs.
func RequireAll() bool {
	return os.Getenv("CI") != "" || os.Getenv("XENOAUTH_REQUIRE_ALL") != ""
}
