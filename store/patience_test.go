package store_test

import (
	"context"
	"testing"
	"time"

	"xenoauth/store"
)

// TestPatience: operations share what a request has, and what lies between them is not theirs.
func TestPatience(t *testing.T) {
	t.Parallel()
	left := func(ctx context.Context, most time.Duration) (time.Duration, func()) {
		limited, done := store.Spend(ctx, most)
		end, bounded := limited.Deadline()
		if !bounded {
			t.Fatal("an operation without end")
		}
		return time.Until(end), done
	}
	if d, done := left(t.Context(), time.Hour); d < time.Hour-time.Minute {
		t.Errorf("without patience: %v are left, want an hour", d)
	} else {
		done()
	}
	ctx := store.WithPatience(t.Context(), time.Hour)
	if d, done := left(ctx, time.Minute); d > time.Minute {
		t.Errorf("an operation may take %v, want its own minute", d)
	} else {
		done()
	}
	ctx = store.WithPatience(t.Context(), 20*time.Millisecond)
	limited, done := store.Spend(ctx, time.Hour)
	<-limited.Done()
	done()
	limited, done = store.Spend(ctx, time.Hour)
	defer done()
	if limited.Err() == nil {
		t.Error("the patience was used up, and the next operation begins all the same")
	}
	store.EnsurePatience(ctx, time.Hour)
	if d, done := left(ctx, time.Hour); d < time.Hour-time.Minute {
		t.Errorf("an hour was ensured, and %v are left", d)
	} else {
		done()
	}
}
