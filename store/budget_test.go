package store_test

import (
	"context"
	"testing"
	"time"

	"xenoauth/store"
)

// TestBudget: the operations of a request share its budget; the time between them does not count.
func TestBudget(t *testing.T) {
	t.Parallel()
	left := func(ctx context.Context, limit time.Duration) (time.Duration, func()) {
		limited, done := store.SpendBudget(ctx, limit)
		end, hasEnd := limited.Deadline()
		if !hasEnd {
			t.Fatal("an operation without a deadline")
		}
		return time.Until(end), done
	}
	if d, done := left(t.Context(), time.Hour); d < time.Hour-time.Minute {
		t.Errorf("without a budget: %v are left, want an hour", d)
	} else {
		done()
	}
	ctx := store.WithBudget(t.Context(), time.Hour)
	if d, done := left(ctx, time.Minute); d > time.Minute {
		t.Errorf("an operation has %v, want its own minute", d)
	} else {
		done()
	}
	ctx = store.WithBudget(t.Context(), 20*time.Millisecond)
	limited, done := store.SpendBudget(ctx, time.Hour)
	<-limited.Done()
	done()
	limited, done = store.SpendBudget(ctx, time.Hour)
	defer done()
	if limited.Err() == nil {
		t.Error("the budget is used up, but the next operation may start")
	}
	store.ExtendBudget(ctx, time.Hour)
	if d, done := left(ctx, time.Hour); d < time.Hour-time.Minute {
		t.Errorf("%v are left after an extension to an hour", d)
	} else {
		done()
	}
}
