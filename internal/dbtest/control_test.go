package dbtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
)

// own returns a cluster that a test may damage.
func own(t *testing.T, settings ...string) *dbtest.Cluster {
	t.Helper()
	dbtest.Postgres(t) // skips or fails without Postgres
	c, err := dbtest.Start(t.Context(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// TestControl: a durable cluster has these settings, keeps acknowledged writes when it is halted, and neither answers nor refuses
// connections while it is paused.
func TestControl(t *testing.T) {
	t.Parallel()
	c := own(t, dbtest.Durable...)
	databaseURL, err := c.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st := dbtest.Open(t, databaseURL)
	if unsafe, err := st.UnsafeSettings(t.Context()); err != nil || len(unsafe) != 0 {
		t.Errorf("unsafe: %q, %v", unsafe, err)
	}
	for _, signal := range []string{"INT", "QUIT"} {
		if _, err := st.EnsureKey(t.Context(), signal, []byte("kept")); err != nil {
			t.Fatal(err)
		}
		if err := c.Halt(signal); err != nil {
			t.Fatal(err)
		}
		if err := st.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("ping of a halted cluster: %v", err)
		}
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if key, err := st.EnsureKey(t.Context(), signal, []byte("lost")); err != nil || string(key) != "kept" {
			t.Errorf("after %s: %q, %v", signal, key, err)
		}
	}
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := st.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping of a paused cluster: %v", err)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := st.Ping(t.Context()); err != nil {
		t.Errorf("ping after the pause: %v", err)
	}
}
