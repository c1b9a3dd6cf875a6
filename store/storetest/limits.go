package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testLimits(t *testing.T, st store.Store) {
	t.Run("a bound holds until its window is over", func(t *testing.T) { testBound(t, st) })
	t.Run("several keys count together or not at all", func(t *testing.T) { testKeysTogether(t, st) })
	t.Run("a success resets the count", func(t *testing.T) { testReset(t, st) })
	t.Run("a success that counts", func(t *testing.T) { testKept(t, st) })
	t.Run("unlock", func(t *testing.T) { testUnlock(t, st) })
	t.Run("nothing to count", func(t *testing.T) {
		equal(t, "wait", attempt(t, st), 0)
		no(t, st.Reset(t.Context()))
		no(t, st.Refund(t.Context()))
	})
	t.Run("50 attempts at once", func(t *testing.T) { raceAttempts(t, st) })
	t.Run("50 attempts at once on a window that is over", func(t *testing.T) { raceRenewal(t, st) })
	t.Run("attempts with keys in any order", func(t *testing.T) { raceKeyOrder(t, st) })
}

func newLimit(limit int) store.Limit {
	return store.Limit{Key: secret.NewUserID(), Max: limit, Window: time.Hour}
}

// attempt also checks Locked, which gives the same result while no other attempt counts.
func attempt(t *testing.T, st store.Store, limits ...store.Limit) time.Duration {
	t.Helper()
	asked, err := st.Waiting(t.Context(), limits...)
	no(t, err)
	wait, err := st.Attempt(t.Context(), limits...)
	no(t, err)
	if (asked > 0) != (wait > 0) || asked < wait {
		t.Fatalf("first it is %s to wait, then %s", asked, wait)
	}
	return wait
}

// goOn fails the test unless so many more attempts are let through, and then none.
func goOn(t *testing.T, st store.Store, more int, limits ...store.Limit) {
	t.Helper()
	for i := range more {
		if wait := attempt(t, st, limits...); wait != 0 {
			t.Fatalf("attempt %d of %d must wait %s", i+1, more, wait)
		}
	}
	if wait := attempt(t, st, limits...); wait <= 0 {
		t.Fatalf("attempt %d need not wait", more+1)
	}
}

func testBound(t *testing.T, st store.Store) {
	l := newLimit(3)
	goOn(t, st, 3, l)
	for range 3 { // refused ones do not prolong the wait
		if wait := attempt(t, st, l); wait <= 59*time.Minute || wait > time.Hour {
			t.Fatalf("wait %s, want nearly an hour", wait)
		}
	}
	goOn(t, st, 1, newLimit(1)) // another key has its own count
	wider := l
	wider.Max = 5
	goOn(t, st, 2, wider)

	short := newLimit(2)
	short.Window = time.Microsecond // over by the time of the next attempt
	for range 5 {
		equal(t, "wait after the window", attempt(t, st, short), 0)
	}
}

// testKept: a limit that keeps successes loses an attempt only when it is taken back.
func testKept(t *testing.T, st store.Store) {
	kept, other := newLimit(3), newLimit(3)
	kept.Keeps = true
	for range 2 {
		equal(t, "wait", attempt(t, st, kept, other), 0)
		no(t, st.Reset(t.Context(), kept, other))
	}
	equal(t, "wait", attempt(t, st, kept, other), 0)
	no(t, st.Refund(t.Context(), kept, other))
	goOn(t, st, 1, kept)
	goOn(t, st, 3, other)
}

// testUnlock: the keys, and those that go on after a colon, are forgotten; a key that only begins alike is not.
func testUnlock(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	one, longer, alike, other := newLimit(1), newLimit(1), newLimit(1), newLimit(1)
	one.Key = "account:_%" + one.Key
	longer.Key, alike.Key = one.Key+":192", one.Key+"x"
	for _, l := range []store.Limit{one, longer, alike, other} {
		goOn(t, st, 1, l)
	}
	no(t, st.Unlock(ctx, operator, u.ID, one.Key, "nothing"))
	goOn(t, st, 1, one)
	goOn(t, st, 1, longer)
	goOn(t, st, 0, alike)
	goOn(t, st, 0, other)
}

func testKeysTogether(t *testing.T, st store.Store) {
	narrow, wide := newLimit(2), newLimit(4)
	goOn(t, st, 2, wide, narrow)
	goOn(t, st, 2, wide) // the refused attempt did not count under the other key
	goOn(t, st, 0, narrow)
	fresh := newLimit(1)
	goOn(t, st, 0, fresh, wide)
	goOn(t, st, 1, fresh)
}

func testReset(t *testing.T, st store.Store) {
	a, b := newLimit(3), newLimit(3)
	goOn(t, st, 3, a, b)
	no(t, st.Reset(t.Context(), a))
	goOn(t, st, 1, a)
	goOn(t, st, 0, b)
	b.Resets = true
	no(t, st.Refund(t.Context(), a, b))
	goOn(t, st, 1, b)
	no(t, st.Reset(t.Context(), a, b))
	goOn(t, st, 2, a)
	goOn(t, st, 3, b)
	unknown := newLimit(1)
	for range 3 { // never below nothing
		no(t, st.Refund(t.Context(), unknown))
		no(t, st.Reset(t.Context(), unknown))
	}
	goOn(t, st, 1, unknown)
	for range 3 {
		no(t, st.Reset(t.Context(), unknown))
	}
	goOn(t, st, 1, unknown)
}

// raceAttempts: of 50 concurrent attempts exactly as many pass as the limit allows, also when other keys are counted with it.
func raceAttempts(t *testing.T, st store.Store) {
	shared := newLimit(5)
	others := make([]store.Limit, contenders)
	for i := range others {
		others[i] = newLimit(1)
	}
	equal(t, "attempts let through", letThrough(t, st, func(i int) []store.Limit { return []store.Limit{shared, others[i]} }), 5)
	passed := 0
	for _, l := range others {
		if attempt(t, st, l) > 0 {
			passed++
		}
	}
	equal(t, "attempts that count under the other keys", passed, 5)
}

// raceRenewal: the end of a window gives one new window, however many see it end.
func raceRenewal(t *testing.T, st store.Store) {
	l := newLimit(5)
	over := l
	over.Window = time.Microsecond
	equal(t, "first attempt", attempt(t, st, over), 0)
	equal(t, "attempts let through", letThrough(t, st, func(int) []store.Limit { return []store.Limit{l} }), 5)
}

// raceKeyOrder: attempts with the same keys do not block one another.
func raceKeyOrder(t *testing.T, st store.Store) {
	a, b := newLimit(contenders), newLimit(contenders)
	equal(t, "attempts let through", letThrough(t, st, func(i int) []store.Limit {
		if i%2 == 0 {
			return []store.Limit{a, b}
		}
		return []store.Limit{b, a}
	}), contenders)
	goOn(t, st, 0, a)
	goOn(t, st, 0, b)
}

// letThrough runs 50 attempts at once and counts those that need not wait.
func letThrough(t *testing.T, st store.Store, limits func(i int) []store.Limit) int {
	t.Helper()
	var passed atomic.Int64
	for _, err := range race(contenders, func(i int) error {
		wait, err := st.Attempt(t.Context(), limits(i)...)
		if err == nil && wait == 0 {
			passed.Add(1)
		}
		return err
	}) {
		no(t, err)
	}
	return int(passed.Load())
}
