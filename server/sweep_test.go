package server

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
	"xenoauth/store/storetest"
)

// notes is a log that tests can read while it is written.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// within waits until yes reports true.
func within(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !yes() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// sweeping is a server that sweeps all the time.
func sweeping(t *testing.T, st store.Store, log io.Writer) *Server {
	t.Helper()
	s, err := New(t.Context(), st, Options{
		Issuer: "http://localhost", SweepInterval: time.Millisecond, Passwords: secret.NewPasswords(secret.PasswordOptions{Concurrency: 1}), Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func metricsOf(s *Server) string {
	w := httptest.NewRecorder()
	s.Operations().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// TestSweep_Replicas: two servers over one database remove the expired rows, more than a batch, each row once, and leave the
// others.
func TestSweep_Replicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		const expired = 520 // more than a batch
		db := dbtest.DB(t, st)
		c := storetest.NewCode(t, st, ins)
		token := storetest.TokenGrant(st, ins)
		storetest.Redeem(t, st, ins, token)
		addExpired(t, db, c, expired)
		servers := []*Server{sweeping(t, st, io.Discard), sweeping(t, st, io.Discard)}
		count := func() (n int) {
			if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM codes WHERE expires_at = 1`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		within(t, "all expired codes are gone", func() bool { return count() == 0 })
		total := 0
		for _, s := range servers {
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			total += swept(t, s, "codes")
		}
		if total != expired {
			t.Errorf("the metrics count %d codes, want %d", total, expired)
		}
		if _, err := st.CodeByID(t.Context(), c.ID); err != nil {
			t.Errorf("the code that has not expired: %v", err)
		}
		if !storetest.Live(t, st, store.NonExpiring, token.Token.ID) {
			t.Error("the non-expiring token was removed")
		}
	})
}

// addExpired adds n codes like c that expired long ago.
func addExpired(t *testing.T, db *sql.DB, c store.Code, n int) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for range n {
		id := secret.NewID()
		_, err := tx.ExecContext(t.Context(), `INSERT INTO codes (id, hash, app_id, user_id, account_id, installation_id, redirect_uri,
redirect_sent, scope, scope_asked, challenge, resource, tries, created_at, expires_at)
SELECT $1, hash, app_id, user_id, account_id, installation_id, redirect_uri, redirect_sent,
scope, scope_asked, challenge, resource, tries, created_at, 1 FROM codes WHERE id = $2`, id[:], c.ID[:])
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// swept reads a counter.
func swept(t *testing.T, s *Server, table string) int {
	t.Helper()
	_, rest, found := strings.Cut(metricsOf(s), `xenoauth_swept_rows_total{table="`+table+`"} `)
	n := 0
	for _, digit := range strings.SplitN(rest, "\n", 2)[0] {
		n = 10*n + int(digit-'0')
	}
	if !found {
		return 0
	}
	return n
}

// TestSweep_DatabaseUnavailable: an outage is logged once, and the server closes at once.
func TestSweep_DatabaseUnavailable(t *testing.T) {
	t.Parallel()
	st, err := sqlstore.Open(t.Context(), dbtest.SQLite(t), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log notes
	s := sweeping(t, st, &log)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the failure is logged", func() bool { return strings.Contains(log.String(), "expired-row sweep skipped, will retry") })
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("close: %v after %v", err, time.Since(start))
	}
	if n := strings.Count(log.String(), "msg="); n != 1 {
		t.Errorf("%d lines about one outage:\n%s", n, log.String())
	}
}

// TestSweep_Off: a negative interval means no sweep. A grace period too short to notice replays is refused.
func TestSweep_Off(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	o := Options{Issuer: "http://localhost", SweepInterval: -1, Passwords: secret.NewPasswords(secret.PasswordOptions{Concurrency: 1})}
	s, err := New(t.Context(), st, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil || s.jobs != nil {
		t.Errorf("jobs %v, close %v", s.jobs, err)
	}
	o.Retention.Grace = MinGrace - 1
	if _, err := New(t.Context(), st, o); err == nil {
		t.Error("a grace below the minimum is accepted")
	}
}
