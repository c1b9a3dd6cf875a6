package store

import (
	"context"
	"sync"
	"time"
)

// patience is the time that is left to all operations of one context.
type patience struct {
	mu   sync.Mutex
	left time.Duration
}

type patienceKey struct{}

// WithPatience bounds the time that all operations with the returned context spend on the database together, so that a
// request that asks several times is answered in time even if each answer is slow. What the caller does between them
// does not count. An operation that runs out of it fails with ErrUnavailable.
func WithPatience(ctx context.Context, most time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, &patience{left: most})
}

// EnsurePatience raises what is left of the patience of ctx to least, for what must be tried even at the end of it. A ctx
// without bound stays so.
func EnsurePatience(ctx context.Context, least time.Duration) {
	if p, _ := ctx.Value(patienceKey{}).(*patience); p != nil {
		p.mu.Lock()
		p.left = max(p.left, least)
		p.mu.Unlock()
	}
}

// Spend is for implementations: the returned context ends after most, or when the patience of ctx is used up. done
// must be called when the operation is over.
func Spend(ctx context.Context, most time.Duration) (limited context.Context, done func()) {
	p, _ := ctx.Value(patienceKey{}).(*patience)
	if p == nil {
		limited, cancel := context.WithTimeout(ctx, most)
		return limited, cancel
	}
	p.mu.Lock()
	most = min(most, p.left)
	p.mu.Unlock()
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, most)
	return limited, func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left -= time.Since(start)
	}
}
