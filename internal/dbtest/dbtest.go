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

// Timeout is how long a call to a test's database may take, far longer than in operation: tests share the machine, where
// a process may stand still for seconds.
const Timeout = 20 * time.Second

// AsServed is an option of Open for tests about a database that is slow or gone: calls take no longer than in operation.
// What waits for a connection may do so for longer: that is a matter of the machine.
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

// opened knows the database URL behind each store.
var opened sync.Map

// DB is another connection to the database of a store that Open or Each opened, until the test ends. Both databases take
// $1, $2 for parameters.
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

// Exec changes rows behind the store's back: tests shift a row's times rather than wait. It fails the test unless at
// least one row was changed.
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

// sqliteTemplate is a migrated database file, made once a process.
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
	// Closing the last connection writes the journal back into the file.
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

// Postgres returns the URL of a fresh migrated Postgres database, which is dropped when the test ends. Without Postgres
// on this machine the test is skipped, or fails where CI or XENOAUTH_REQUIRE_ALL is set.
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

// RequireAll says whether a test that lacks something of the machine must fail rather than be skipped.
func RequireAll() bool {
	return os.Getenv("CI") != "" || os.Getenv("XENOAUTH_REQUIRE_ALL") != ""
}
