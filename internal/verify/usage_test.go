package verify

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// unstarted returns a buffer without a writer: only the test flushes it.
func unstarted(s store.Usage) *usage {
	return &usage{store: s, pending: map[store.LookupID]time.Time{}, written: map[store.LookupID]time.Time{}, wake: make(chan struct{}, 1)}
}

// lastUse reads the last use of a credential from the database.
func lastUse(t *testing.T, st store.Store, id secret.ID) time.Time {
	t.Helper()
	var us int64
	err := dbtest.DB(t, st).QueryRowContext(t.Context(), `SELECT used_at FROM last_used WHERE id = $1`, id[:]).Scan(&us)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(us).UTC()
}

// TestUsage_OncePerHour: the first use of a credential is written, and then at most one an hour, independently of other
// credentials.
func TestUsage_OncePerHour(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	u, one, two := unstarted(st), secret.NewID(), secret.NewID()
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		id   secret.ID
		at   time.Duration
		want time.Duration // stored afterwards
	}{
		{one, 0, 0},
		{one, time.Minute, 0},
		{two, 30 * time.Minute, 30 * time.Minute},
		{one, time.Hour - 1, 0},
		{one, time.Hour, time.Hour},
		{one, time.Hour + time.Minute, time.Hour},
		{two, 90 * time.Minute, 90 * time.Minute},
	} {
		u.note(c.id, start.Add(c.at))
		if err := u.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := lastUse(t, st, c.id); !got.Equal(start.Add(c.want)) {
			t.Errorf("after a use at +%s the database has +%s, want +%s", c.at, got.Sub(start), c.want)
		}
	}
}

// TestUsage_MemoryLimit: the buffer forgets all credentials when it holds maxUsage of them.
func TestUsage_MemoryLimit(t *testing.T) {
	t.Parallel()
	u, now := unstarted(nil), time.Now()
	for range maxUsage + 10 {
		u.note(secret.NewID(), now)
	}
	if len(u.written) != 10 {
		t.Errorf("%d credentials are remembered above the limit, want 10", len(u.written))
	}
}

// TestUsage_FailedWrite: a write that failed is dropped and delays neither verification nor the next use, which is written
// however soon it comes.
func TestUsage_FailedWrite(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	u, id := unstarted(st), secret.NewID()
	now := time.Now().UTC().Truncate(time.Microsecond)
	u.note(id, now)
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	if err := u.flush(lost); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("flush without a database: %v", err)
	}
	if err := u.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := lastUse(t, st, id); !got.IsZero() {
		t.Errorf("a dropped use is stored: %v", got)
	}
	u.note(id, now.Add(time.Minute))
	if err := u.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := lastUse(t, st, id); !got.Equal(now.Add(time.Minute)) {
		t.Errorf("the next use is %v, want %v", got, now.Add(time.Minute))
	}
}

// TestClose_FlushesUsage: the uses recorded before Close are stored when it returns.
func TestClose_FlushesUsage(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	v := New(st, secret.Format{}, scope.Default())
	ids := []secret.ID{secret.NewID(), secret.NewID(), secret.NewID()}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, id := range ids {
		v.usage.note(id, now)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if got := lastUse(t, st, id); !got.Equal(now) {
			t.Errorf("last use = %v, want %v", got, now)
		}
	}
}
