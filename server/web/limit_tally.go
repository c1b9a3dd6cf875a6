package web

import (
	"sync"
	"time"
)

// maxTallies bounds the memory of one replica's counts: whoever has more addresses than this is not stopped by counting
// addresses.
const maxTallies = 10_000

// tallies counts in memory what fails under a key within a window. Safe for concurrent use.
type tallies struct {
	most   int
	window time.Duration
	mu     sync.Mutex
	of     map[string]tally
}

type tally struct {
	n     int
	until time.Time
}

func newTallies(most int, window time.Duration) *tallies {
	return &tallies{most: most, window: window, of: make(map[string]tally)}
}

// add counts one failure and returns how long to wait; 0 while the bound is not passed.
func (t *tallies) add(key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of[key]
	if !now.Before(c.until) {
		t.makeRoom(now)
		c = tally{until: now.Add(t.window)}
	}
	if c.n >= t.most {
		return c.until.Sub(now)
	}
	c.n++
	t.of[key] = c
	return 0
}

// makeRoom forgets what is over, and if that is not enough, anything: half, so that the next one need not look again.
func (t *tallies) makeRoom(now time.Time) {
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
