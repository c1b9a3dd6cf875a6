package store

import (
	"context"
	"sync"
	"time"
)

// budget is the time that is left for all operations of one context.
type budget struct {
	mu   sync.Mutex
	left time.Duration
}

type budgetKey struct{}

// WithBudget limits the total time that operations with the returned context spend on the database, so that a request with
// several operations is answered in time even if each of them is slow. Time between operations does not count. An operation that
// exceeds the budget fails with ErrUnavailable.
func WithBudget(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, budgetKey{}, &budget{left: limit})
}

// ExtendBudget raises the rest of the budget of ctx to at least atLeast, for an operation that must be attempted even at the end
// of a request. A ctx without a budget stays unlimited.
func ExtendBudget(ctx context.Context, atLeast time.Duration) {
	if b, _ := ctx.Value(budgetKey{}).(*budget); b != nil {
		b.mu.Lock()
		b.left = max(b.left, atLeast)
		b.mu.Unlock()
	}
}

// SpendBudget is for implementations. The returned context ends after limit, or earlier when the budget of ctx is used up. done
// must be called after the operation.
func SpendBudget(ctx context.Context, limit time.Duration) (limited context.Context, done func()) {
	b, _ := ctx.Value(budgetKey{}).(*budget)
	if b == nil {
		limited, cancel := context.WithTimeout(ctx, limit)
		return limited, cancel
	}
	b.mu.Lock()
	limit = min(limit, b.left)
	b.mu.Unlock()
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	return limited, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.left -= time.Since(start)
	}
}
