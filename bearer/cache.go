package bearer

import (
	"sync"
	"time"
)

// cache holds the identities of valid tokens for a limited time. A nil cache is empty and stays so.
type cache struct {
	keep time.Duration
	size int

	mu      sync.Mutex
	answers map[key]kept
}

type kept struct {
	id   Identity
	sent time.Time // when the call was sent; the answer reflects every earlier revocation
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

// fresh checks both clocks, because the monotonic clock may stop while the machine sleeps and the wall clock may be set back.
// An entry is used only if it is fresh by both.
func (c *cache) fresh(e kept, now time.Time) bool {
	wall := now.Round(0).Sub(e.sent.Round(0))
	return now.Sub(e.sent) < c.keep && wall >= 0 && wall < c.keep && (e.id.ExpiresAt.IsZero() || now.Before(e.id.ExpiresAt))
}

// put stores an identity. A full cache evicts an arbitrary entry: the choice affects only speed, and does not justify a
// list.
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

// drop removes the entry of a token that is no longer valid.
func (c *cache) drop(k key) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, k)
}
