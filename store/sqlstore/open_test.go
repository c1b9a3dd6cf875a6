package sqlstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// maxWait is the longest time that a caller waits, whatever the database does.
const maxWait = 3 * time.Second

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ url, says string }{
		"nothing":               {"", "must be sqlite:PATH or postgres://"},
		"a path alone":          {"xenoauth.db", "must be sqlite:PATH or postgres://"},
		"another database":      {"mysql://root:hunter2@localhost/x", "must be sqlite:PATH or postgres://"},
		"no file":               {"sqlite:", "path of a file"},
		"memory":                {"sqlite::memory:", "path of a file"},
		"no directory":          {"sqlite:" + filepath.Join(t.TempDir(), "none", "x.db"), "does not exist"},
		"a directory":           {"sqlite:" + t.TempDir(), "directory"},
		"malformed":             {"postgres://user:hunter2@host:port/db", "the port in the Postgres URL is not a number"},
		"malformed escape":      {"postgres://user:hunter2%zz@host/db", "malformed"},
		"an unknown setting":    {"postgres://user:hunter2@127.0.0.1/db?sslmode=perhaps", "sslmode in the Postgres URL must be"},
		"the simple protocol":   {"postgres://user:hunter2@127.0.0.1/db?default_query_exec_mode=simple_protocol", "simple_protocol"},
		"nobody listening":      {"postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", "connection refused"},
		"a name without a host": {"postgres://user:hunter2@nowhere.invalid/db?sslmode=disable", "storage unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := sqlstore.Open(t.Context(), test.url, sqlstore.Options{})
			if err == nil {
				st.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("got %q, want it to say %q and no password", err, test.says)
			}
		})
	}
}

// TestSilentPostgres: a server accepts the connection and sends nothing.
func TestSilentPostgres(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			go io.Copy(io.Discard, conn)
		}
	}()
	start := time.Now()
	_, err = sqlstore.Open(t.Context(), "postgres://u:hunter2@"+silent.Addr().String()+"/db?sslmode=disable", sqlstore.Options{})
	if !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v, want %v", err, store.ErrUnavailable)
	}
	if d := time.Since(start); d > maxWait {
		t.Fatalf("it took %v", d)
	}
}

// TestStalledPostgres: one connection waits for a lock that is not released, and all other calls wait for the connection.
func TestStalledPostgres(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Postgres(t)
	tx, err := dbtest.DB(t, dbtest.Open(t, databaseURL)).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(t.Context(), databaseURL, sqlstore.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	start := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := st.UserByID(t.Context(), "x"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
	all.Wait()
	if d := time.Since(start); d > maxWait {
		t.Fatalf("it took %v", d)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := st.UserByID(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("after the stall: got %v, want %v", err, store.ErrNotFound)
	}
}

// TestBusyConnections: three of four connections stay in use. The fourth is reserved; a call without the reservation soon gets
// ErrUnavailable, and succeeds again as soon as a connection is free.
func TestBusyConnections(t *testing.T) {
	t.Parallel()
	st, err := sqlstore.Open(t.Context(), dbtest.Postgres(t), sqlstore.Options{MaxConns: 4, MaxQueue: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	held, release := make(chan struct{}), make(chan struct{})
	var holders sync.WaitGroup
	hold := func(ctx context.Context) {
		holders.Go(func() {
			_ = st.Transact(ctx, func() error { // may have lasted too long
				held <- struct{}{}
				<-release
				return nil
			})
		})
		<-held
	}
	busy := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "all connections to the database are busy") {
			t.Errorf("%s: got %v, want that all connections are busy", what, err)
		}
	}
	for range 3 {
		hold(t.Context())
	}
	reserve := store.WithReservedConnections(t.Context())
	_, err = st.UserByID(t.Context(), "x")
	busy("a read", err)
	_, err = st.EnsureKey(t.Context(), "k", []byte("v"))
	busy("a write", err)
	if err := st.Ping(reserve); err != nil {
		t.Errorf("a ping by the reserve: %v", err)
	}
	if err := st.RevokeToken(reserve, store.SystemPrincipal(), store.NonExpiring, store.LookupID{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a revocation by the reserve: got %v, want %v", err, store.ErrNotFound)
	}
	hold(reserve)
	busy("a second one by the reserve", st.Ping(reserve))
	close(release)
	holders.Wait()
	if err := st.Ping(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestLostConnections: the server ends all connections; reads do not notice.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	if err := st.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	dbtest.Exec(t, st, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err := st.Ping(t.Context()); err != nil {
		t.Fatalf("ping after all connections were ended: %v", err)
	}
}

func TestLockedSQLite(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	tx, err := dbtest.DB(t, st).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	start := time.Now()
	if _, err := st.EnsureKey(t.Context(), "k", []byte("v")); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v, want %v", err, store.ErrUnavailable)
	}
	if d := time.Since(start); d > maxWait {
		t.Fatalf("it took %v", d)
	}
	if _, err := st.ListUsers(t.Context(), store.Page{}); err != nil {
		t.Fatalf("reading beside a writer: %v", err)
	}
}

func TestCancelledCaller(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := st.UserByID(ctx, "x")
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want %v and %v", err, store.ErrUnavailable, context.Canceled)
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		st, err := sqlstore.Open(t.Context(), databaseURL, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if err := st.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("got %v, want %v", err, store.ErrUnavailable)
		}
	})
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20?c#d&e=ü.db")
	open := func(lock bool) (*sqlstore.Store, error) {
		return sqlstore.Open(t.Context(), "sqlite:"+path, sqlstore.Options{Lock: lock})
	}
	serve, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serve.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
	if _, err := open(true); err == nil || !strings.Contains(err.Error(), "another xenoauth server is using this SQLite file") {
		t.Fatalf("a second server: %v", err)
	}
	command, err := open(false)
	if err != nil {
		t.Fatalf("a command beside the server: %v", err)
	}
	if _, err := command.EnsureKey(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if key, err := serve.EnsureKey(t.Context(), "k", []byte("w")); err != nil || string(key) != "v" {
		t.Fatalf("the server reads %q, %v", key, err)
	}
	if err := errors.Join(command.Close(), serve.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := open(true)
	if err != nil {
		t.Fatalf("after the server ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
