package storetest

import (
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/store"
)

// retention is what tests sweep with.
var retention = store.Retention{Grace: time.Hour}

// sweepAll sweeps in batches until nothing is left to sweep, and returns how much went.
func sweepAll(t *testing.T, st store.Store, r store.Retention, batch int) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for {
		swept, err := st.Sweep(t.Context(), r, batch)
		no(t, err)
		any := false
		for table, n := range swept {
			if n < 0 || n > int64(batch) {
				t.Fatalf("one sweep of %d took %d rows of %s", batch, n, table)
			}
			all[table] += n
			any = any || n > 0
		}
		if !any {
			maps.DeleteFunc(all, func(_ string, n int64) bool { return n == 0 })
			return all
		}
	}
}

// sameSweep fails the test unless exactly that many rows went.
func sameSweep(t *testing.T, what string, got, want map[string]int64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s: swept %v, want %v", what, got, want)
	}
}

// shortLived stores one row of each short-lived kind that ends at that moment.
func shortLived(t *testing.T, w world, end time.Time) (code store.Code, token store.Token, request store.Request, session store.Session) {
	t.Helper()
	st := w.store
	code = Code(st, w.ins)
	code.ExpiresAt = end
	no(t, st.CreateCode(t.Context(), code))
	token = ClientToken(st, w.app.ID, Scopes(t, "widgets"))
	token.ExpiresAt = end
	no(t, st.CreateClientToken(t.Context(), token))
	no(t, st.RecordUse(t.Context(), map[store.LookupID]time.Time{token.ID: st.Now()}))
	request = NewRequest(t, st, w.app.ID, nil, Scopes(t, "widgets"))
	request.ID, request.ExpiresAt = Code(st, w.ins).ID, end
	no(t, st.CreateRequest(t.Context(), request, 0))
	session = store.Session{ID: hash(Code(st, w.ins).ID), UserID: w.user.ID, CreatedAt: end.Add(-time.Hour), SeenAt: end.Add(-time.Hour), ExpiresAt: end}
	no(t, createSession(t, st, as(w.user), session))
	return code, token, request, session
}

func testUpkeep(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	now := st.Now()

	t.Run("what has not ended long enough ago stays", func(t *testing.T) {
		live := TokenGrant(st, w.ins)
		Redeem(t, st, w.ins, live)
		for _, end := range []time.Time{now.Add(time.Minute), now.Add(-50 * time.Minute)} {
			code, token, request, _ := shortLived(t, w, end)
			sameSweep(t, "rows within their grace", sweepAll(t, st, retention, 100), map[string]int64{})
			_, err := st.CodeByID(t.Context(), code.ID)
			no(t, err)
			_, err = st.AccessByID(t.Context(), store.Expiring, token.ID)
			no(t, err)
			_, err = st.RequestByID(t.Context(), request.ID)
			no(t, err)
		}
		equal(t, "a token that never expires is live", Live(t, st, store.NonExpiring, live.Token.ID), true)
	})

	t.Run("what has ended goes in small batches", func(t *testing.T) {
		for range 5 {
			code, token, request, _ := shortLived(t, w, now.Add(-61*time.Minute))
			defer func() {
				_, err := st.CodeByID(t.Context(), code.ID)
				wants(t, err, store.ErrNotFound)
				_, err = st.AccessByID(t.Context(), store.Expiring, token.ID)
				wants(t, err, store.ErrNotFound)
				_, err = st.RequestByID(t.Context(), request.ID)
				wants(t, err, store.ErrNotFound)
			}()
		}
		want := map[string]int64{"codes": 5, "expiring_tokens": 5, "requests": 5, "sessions": 5, "last_used": 5}
		sameSweep(t, "expired rows", sweepAll(t, st, retention, 2), want)
	})

	t.Run("a family goes with its last refresh token", func(t *testing.T) { testSweepFamilies(t, w) })

	t.Run("audit events go by their own time", func(t *testing.T) {
		before, err := st.Events(t.Context(), store.EventFilter{Limit: 500})
		no(t, err)
		sameSweep(t, "no retention", sweepAll(t, st, retention, 100), map[string]int64{})
		sameSweep(t, "a long one", sweepAll(t, st, store.Retention{Grace: time.Hour, Audit: time.Hour}, 100), map[string]int64{})
		swept := sweepAll(t, st, store.Retention{Grace: time.Hour, Audit: time.Microsecond}, 7)
		equal(t, "events gone", swept["audit_events"], int64(len(before)))
	})

	t.Run("no sweep without grace or bound", func(t *testing.T) {
		for _, limit := range []int{0, -1, 1001} {
			_, err := st.Sweep(t.Context(), retention, limit)
			wants(t, err, store.ErrInvalid)
		}
		_, err := st.Sweep(t.Context(), store.Retention{Grace: 9 * time.Minute}, 1)
		wants(t, err, store.ErrInvalid)
	})
}

// testSweepFamilies: rotated refresh tokens are kept as long as a reuse can be detected, and nothing of a family that was deleted
// comes back to life.
func testSweepFamilies(t *testing.T, w world) {
	st := w.store
	now := st.Now()
	long := now.Add(-2 * time.Hour)

	// The first token of the family has expired, the one that replaced it has not.
	alive := FamilyGrant(st, w.ins)
	alive.Refresh.ExpiresAt = now.Add(time.Minute)
	Redeem(t, st, w.ins, alive)
	rotation := Rotation(st, alive, alive.Refresh.ID)
	no(t, st.Rotate(t.Context(), rotation))

	// The only refresh token of this family has expired, but its access token has not.
	expired := FamilyGrant(st, w.ins)
	expired.Refresh.ExpiresAt = long
	Redeem(t, st, w.ins, expired)
	equal(t, "access token of the expired family before", Live(t, st, store.Expiring, expired.Token.ID), true)

	sameSweep(t, "an expired family", sweepAll(t, st, retention, 100), map[string]int64{"families": 1, "refresh_tokens": 1})
	_, _, err := st.RefreshByID(t.Context(), expired.Refresh.ID)
	wants(t, err, store.ErrNotFound)
	equal(t, "access token of the expired family after", Live(t, st, store.Expiring, expired.Token.ID), false)

	rotated, family, err := st.RefreshByID(t.Context(), alive.Refresh.ID)
	no(t, err)
	if rotated.RotatedAt.IsZero() || family.Ended {
		t.Fatalf("the rotated token can no longer betray a reuse: %v, %v", rotated, family)
	}
	no(t, st.Rotate(t.Context(), Rotation(st, alive, rotation.Next.ID)))
}

// testSweepAtOnce: replicas that sweep at the same time remove each row once.
func testSweepAtOnce(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	const rows = 120
	for range rows {
		c := Code(st, w.ins)
		c.ExpiresAt = st.Now().Add(-2 * time.Hour)
		no(t, st.CreateCode(t.Context(), c))
	}
	var swept atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range rows { // more than enough
				n, err := st.Sweep(t.Context(), retention, 10)
				if err != nil {
					t.Errorf("sweep: %v", err)
					return
				}
				if swept.Add(n["codes"]) >= rows {
					return
				}
			}
		})
	}
	all.Wait()
	equal(t, "codes swept by all", swept.Load(), rows)
}
