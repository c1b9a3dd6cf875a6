package ratelimit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTallies(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c := newTallies(2, time.Minute)
	for _, step := range []struct {
		key   string
		after time.Duration
		wait  time.Duration
	}{
		{"a", 0, 0}, {"a", 10 * time.Second, 0}, {"a", 20 * time.Second, 40 * time.Second}, {"b", 20 * time.Second, 0},
		{"a", 59 * time.Second, time.Second}, {"a", time.Minute, 0}, {"a", 61 * time.Second, 0}, {"a", 62 * time.Second, 58 * time.Second}, {"b", 70 * time.Second, 0},
	} {
		if wait := c.add(step.key, start.Add(step.after)); wait != step.wait {
			t.Errorf("%s after %s: wait %s, want %s", step.key, step.after, wait, step.wait)
		}
	}
}

// TestTallies_Bounded: the number of keys is limited, and windows that are over are dropped first.
func TestTallies_Bounded(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c := newTallies(1, time.Minute)
	for i := range maxTallies / 2 {
		c.add(fmt.Sprint("old", i), start)
	}
	for i := range maxTallies/2 + 10 {
		c.add(fmt.Sprint("new", i), start.Add(time.Minute))
	}
	if n := len(c.of); n != maxTallies/2+10 {
		t.Errorf("%d are kept, want those whose window is not over", n)
	}
	for i := range 3 * maxTallies {
		c.add(fmt.Sprint("more", i), start.Add(time.Minute))
	}
	if n := len(c.of); n > maxTallies {
		t.Errorf("%d are kept, want at most %d", n, maxTallies)
	}
}

// TestRefusedKey_FullNetwork: a network that must wait counts under no key, however many it tries.
func TestRefusedKey_FullNetwork(t *testing.T) {
	t.Parallel()
	limiter := New(nil, []byte("key"), Limits{Client: 3})
	waits := 0
	for i := range 2 * maxTallies {
		var limited *Error
		if errors.As(limiter.RefusedKey("192.0.2.1", fmt.Sprintf("xnok_%022d", i), errors.New("unknown")), &limited) {
			waits++
		}
	}
	if n := len(limiter.refused.of); waits != 2*maxTallies-3 || n != 4 {
		t.Errorf("of %d guesses %d had to wait, and %d counts are kept; want all but 3, and 4", 2*maxTallies, waits, n)
	}
}

func TestTallies_Concurrent(t *testing.T) {
	t.Parallel()
	c := newTallies(5, time.Hour)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if c.add("a", time.Now()) == 0 {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 5 {
		t.Errorf("%d passed, want 5", passed.Load())
	}
}
