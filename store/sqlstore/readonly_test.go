package sqlstore_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// logBuffer may be written by a store and read by a test.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count is how often the text was logged.
func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// setReadOnly makes every connection to a database refuse writes, or take them again.
func setReadOnly(t *testing.T, st *sqlstore.Store, databaseURL string, on bool) {
	t.Helper()
	if strings.HasPrefix(databaseURL, "sqlite") {
		if err := st.SetQueryOnly(t.Context(), on); err != nil {
			t.Fatal(err)
		}
		return
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	admin := dbtest.DB(t, dbtest.Open(t, u.String()))
	setting := "RESET default_transaction_read_only"
	if on {
		setting = "SET default_transaction_read_only = on"
	}
	run(t, admin, `ALTER DATABASE `+name+` `+setting, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
}

// TestReadOnly: a database that takes no writes any more is distinguished from one that does not answer, by writes and by
// Ping. Reads go on, and each change is logged once.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		var log logBuffer
		st, err := sqlstore.Open(t.Context(), databaseURL, sqlstore.Options{MaxConns: 4, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		write := func() error {
			_, err := st.EnsureKey(t.Context(), rand.Text(), []byte("value"))
			return err
		}
		until := func(what string, done func() bool) {
			t.Helper()
			for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: not within 20 s", what)
				}
			}
		}
		for range 2 {
			setReadOnly(t, st, databaseURL, true)
			until("a write is refused as read-only", func() bool { return errors.Is(write(), store.ErrReadOnly) })
			for range 3 {
				if err := st.Ping(t.Context()); !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Ping = %v, want %v", err, store.ErrReadOnly)
				}
				if err := write(); !errors.Is(err, store.ErrReadOnly) || !strings.Contains(err.Error(), "the database is read-only") {
					t.Errorf("a write: %v, want %v", err, store.ErrReadOnly)
				}
			}
			if _, err := st.UserByEmail(t.Context(), "x@example.org"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a read: %v, want %v", err, store.ErrNotFound)
			}
			setReadOnly(t, st, databaseURL, false)
			until("Ping is well", func() bool { return st.Ping(t.Context()) == nil })
			if err := write(); err != nil {
				t.Errorf("a write afterwards: %v", err)
			}
		}
		if lost, back := log.count("the database is read-only"), log.count("the database accepts writes again"); lost != 2 || back != 2 {
			t.Errorf("logged %d times that it is read-only and %d times that it is not, want 2 and 2:\n%s", lost, back, log.b.String())
		}
	})
}
