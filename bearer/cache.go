package bearer

import (
	"sync"
	"time"
)

// cache keeps good answers for a set time. It may be nil: then it keeps nothing.
type cache struct {
	keep time.Duration
	size int

	mu      sync.Mutex
	answers map[key]kept
}

type kept struct {
	id   Identity
	sent time.Time // when the call was sent; whatever was revoked before, the answer knows
}

func newCache(keep time.Duration, size int) *cache {
	if keep == 0 {
		return nil
	}
	return &cache{keep: keep, size: size, answers: map[key]kept{}}
}

func (c *cache) get(k key, now time.Time) (Identity, bool) {
	if c == nil {
		return Identity{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, there := c.answers[k]
	if there && !c.fresh(e, now) {
		delete(c.answers, k)
		return Identity{}, false
	}
	return e.id, there
}

// fresh looks at both clocks. The monotonic one stands still while the machine sleeps, and the one on the wall may be set
// back; an answer is used only if neither says that it is too old.
func (c *cache) fresh(e kept, now time.Time) bool {
	wall := now.Round(0).Sub(e.sent.Round(0))
	return now.Sub(e.sent) < c.keep && wall >= 0 && wall < c.keep && (e.id.ExpiresAt.IsZero() || now.Before(e.id.ExpiresAt))
}

// put keeps a good answer. A full cache lets go of any other: which one is not worth a list, since only speed depends on
// it.
func (c *cache) put(k key, id Identity, sent time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.answers[k]; !there && len(c.answers) >= c.size {
		for other := range c.answers {
			delete(c.answers, other)
			break
		}
	}
	c.answers[k] = kept{id, sent}
}

// drop forgets an answer that turned out to be no longer true.
func (c *cache) drop(k key) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, k)
}
