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

// notes is a log that a test reads while others write it.
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

// within asks until the answer is yes.
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

// sweeping is a server that looks for expired rows all the time.
func sweeping(t *testing.T, st store.Store, log io.Writer) *Server {
	t.Helper()
	s, err := New(t.Context(), st, Options{
		Issuer: "http://localhost", SweepInterval: time.Millisecond, Passwords: secret.NewPasswords(1), Log: slog.New(slog.NewTextHandler(log, nil)),
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

// TestSweeperOnReplicas: two servers over one database remove what has expired, more of it than fits in a batch, each row
// once, and leave what has not. When they are closed nobody sweeps any more.
func TestSweeperOnReplicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		const expired = sweepBatch + 20
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
			t.Errorf("the metrics tell of %d codes, want %d", total, expired)
		}
		if _, err := st.CodeByID(t.Context(), c.ID); err != nil {
			t.Errorf("the code that has not expired: %v", err)
		}
		if !storetest.Live(t, st, store.NonExpiring, token.Token.ID) {
			t.Error("the token that never expires is dead")
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

// TestSweeperWithoutDatabase: it says once that the database is gone, comes back less and less often, and ends at once.
func TestSweeperWithoutDatabase(t *testing.T) {
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
	wait := s.sweeper.round(t.Context())
	for range 20 {
		wait = s.sweeper.round(t.Context())
	}
	if wait < 50*s.sweeper.interval || wait > 2*sweepBackoff {
		t.Errorf("after many failures it waits %v", wait)
	}
}

// TestSweeperOff: a negative interval is nobody, and a grace that would lose replays is refused.
func TestSweeperOff(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	o := Options{Issuer: "http://localhost", SweepInterval: -1, Passwords: secret.NewPasswords(1)}
	s, err := New(t.Context(), st, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil || s.sweeper != nil {
		t.Errorf("sweeper %v, close %v", s.sweeper, err)
	}
	o.Retention.Grace = MinGrace - 1
	if _, err := New(t.Context(), st, o); err == nil {
		t.Error("a grace below the least is taken")
	}
}
