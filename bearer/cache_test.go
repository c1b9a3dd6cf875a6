package bearer_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"xenoauth/bearer"
)

func keepFor(d time.Duration) func(*bearer.Config) {
	return func(c *bearer.Config) { c.CacheFor = d }
}

// TestCache_Off: without CacheFor, each request is introspected.
func TestCache_Off(t *testing.T) {
	x := answers(active)
	v, _ := verifier(t, x)
	for range 10 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if x.calls() != 10 {
		t.Errorf("%d calls for 10 requests", x.calls())
	}
}

// TestCache_Revocation: a revocation takes effect CacheFor after the call was sent, not after its response came.
func TestCache_Revocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x, keepFor(10*time.Second))
		start := time.Now()
		for time.Since(start) < 9900*time.Millisecond {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			x.setAnswer(dead)
			time.Sleep(100 * time.Millisecond)
		}
		if x.calls() != 1 {
			t.Errorf("%d calls within CacheFor, want 1", x.calls())
		}
		time.Sleep(time.Until(start.Add(10 * time.Second)))
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
			t.Errorf("after CacheFor: %v, want ErrInvalid", err)
		}
	})
}

// TestCache_TokenExpiry: an entry is not used after the token has expired.
func TestCache_TokenExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(fmt.Sprintf(`{"active":true,"token_type":"Bearer","exp":%d}`, time.Now().Add(5*time.Second).Unix()))
		v, _ := verifier(t, x, keepFor(time.Hour))
		for range 10 {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		x.setAnswer(dead)
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) || x.calls() != 2 {
			t.Errorf("after expiry: %v with %d calls", err, x.calls())
		}
	})
}

// TestCache_Failures: errors are not cached, because a token may become valid again (its user was enabled) and an outage may
// end.
func TestCache_Failures(t *testing.T) {
	x := answers(dead)
	v, _ := verifier(t, x, keepFor(time.Hour))
	for i, c := range []struct {
		answer string
		want   error
	}{{dead, bearer.ErrInvalid}, {"rubbish", bearer.ErrUnavailable}, {dead, bearer.ErrInvalid}, {active, nil}, {dead, nil}} {
		x.setAnswer(c.answer)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, c.want) {
			t.Errorf("step %d: %v, want %v", i, err, c.want)
		}
	}
	if x.calls() != 4 {
		t.Errorf("%d calls, want 4", x.calls())
	}
}

// TestCache_InvalidToken: when a shared call finds a token invalid, the entry of an earlier call is removed.
func TestCache_InvalidToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x, keepFor(time.Hour))
		first := ask(t.Context(), v, token)
		synctest.Wait()
		x.setAnswer(dead)
		second := ask(t.Context(), v, token)
		if first, second := <-first, <-second; first != nil || !errors.Is(second, bearer.ErrInvalid) {
			t.Errorf("first %v, second %v", first, second)
		}
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
			t.Errorf("a token found invalid: %v", err)
		}
	})
}

// TestCache_Size: the cache has at most CacheSize entries, and never returns another token's.
func TestCache_Size(t *testing.T) {
	x := answers(active)
	v, _ := verifier(t, x, keepFor(time.Hour), func(c *bearer.Config) { c.CacheSize = 10 })
	for range 2 {
		for i := range 1000 {
			if _, err := v.Verify(t.Context(), fmt.Sprint(token, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if x.calls() < 1980 {
		t.Errorf("%d calls for 1,000 tokens, each verified twice, with 10 entries", x.calls())
	}
}
