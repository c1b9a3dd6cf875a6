package ratelimit

import (
	"sync"
	"time"
)

// maxTallies bounds the memory of one replica's counts. An attacker with more addresses than this is not stopped by counts of
// addresses.
const maxTallies = 10_000

// tallies counts in memory, by key, within a window that begins with the first count. Safe for concurrent use.
type tallies struct {
	limit  int
	window time.Duration
	mu     sync.Mutex
	of     map[string]tally
}

type tally struct {
	n     int
	until time.Time
}

func newTallies(limit int, window time.Duration) *tallies {
	return &tallies{limit: limit, window: window, of: make(map[string]tally)}
}

// add counts one and returns 0. Above the limit it counts nothing and returns how long to wait.
func (t *tallies) add(key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of[key]
	if !now.Before(c.until) {
		t.evict(now)
		c = tally{until: now.Add(t.window)}
	}
	if c.n >= t.limit {
		return c.until.Sub(now)
	}
	c.n++
	t.of[key] = c
	return 0
}

// evict drops windows that are over. If that is not enough it drops any, down to half, so that the next call does not have
// to look again. The lock is held.
func (t *tallies) evict(now time.Time) {
	if len(t.of) < maxTallies {
		return
	}
	for key, c := range t.of {
		if !now.Before(c.until) {
			delete(t.of, key)
		}
	}
	for key := range t.of {
		if len(t.of) <= maxTallies/2 {
			return
		}
		delete(t.of, key)
	}
}
