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

// TestNothingIsKeptUnasked: without CacheFor every request is asked about.
func TestNothingIsKeptUnasked(t *testing.T) {
	x := says(active)
	v, _ := verifier(t, x)
	for range 10 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if x.questions() != 10 {
		t.Errorf("%d calls for 10 requests", x.questions())
	}
}

// TestLag: a revocation is seen after CacheFor, counted from when the answer was asked for, not from when it came.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := says(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x, keepFor(10*time.Second))
		start := time.Now()
		for time.Since(start) < 9900*time.Millisecond {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			x.say(dead)
			time.Sleep(100 * time.Millisecond)
		}
		if x.questions() != 1 {
			t.Errorf("%d calls within the time, want 1", x.questions())
		}
		time.Sleep(time.Until(start.Add(10 * time.Second)))
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
			t.Errorf("after the time: %v, want ErrInvalid", err)
		}
	})
}

// TestEndOfToken: an answer is not used past the token's end.
func TestEndOfToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := says(fmt.Sprintf(`{"active":true,"token_type":"Bearer","exp":%d}`, time.Now().Add(5*time.Second).Unix()))
		v, _ := verifier(t, x, keepFor(time.Hour))
		for range 10 {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		x.say(dead)
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) || x.questions() != 2 {
			t.Errorf("after its end: %v with %d calls", err, x.questions())
		}
	})
}

// TestFailuresAreNotKept: a token that was dead may live (a user was enabled again), and trouble may be over.
func TestFailuresAreNotKept(t *testing.T) {
	x := says(dead)
	v, _ := verifier(t, x, keepFor(time.Hour))
	for i, c := range []struct {
		answer string
		want   error
	}{{dead, bearer.ErrInvalid}, {"rubbish", bearer.ErrUnavailable}, {dead, bearer.ErrInvalid}, {active, nil}, {dead, nil}} {
		x.say(c.answer)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, c.want) {
			t.Errorf("step %d: %v, want %v", i, err, c.want)
		}
	}
	if x.questions() != 4 {
		t.Errorf("%d calls, want 4", x.questions())
	}
}

// TestDeathIsNoticed: when a shared call says that a token is dead, an answer kept by the call before it goes.
func TestDeathIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := says(active)
		x.hold = func(int, *http.Request) { time.Sleep(time.Second) }
		v, _ := verifier(t, x, keepFor(time.Hour))
		first := ask(t.Context(), v, token)
		synctest.Wait()
		x.say(dead)
		second := ask(t.Context(), v, token)
		if first, second := <-first, <-second; first != nil || !errors.Is(second, bearer.ErrInvalid) {
			t.Errorf("first %v, second %v", first, second)
		}
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
			t.Errorf("a token known to be dead: %v", err)
		}
	})
}

// TestBound: no more answers are kept than asked for, and another token's answer is never used.
func TestBound(t *testing.T) {
	x := says(active)
	v, _ := verifier(t, x, keepFor(time.Hour), func(c *bearer.Config) { c.CacheSize = 10 })
	for range 2 {
		for i := range 1000 {
			if _, err := v.Verify(t.Context(), fmt.Sprint(token, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if x.questions() < 1980 {
		t.Errorf("%d calls for 1,000 tokens asked twice with room for 10", x.questions())
	}
}
