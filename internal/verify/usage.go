package verify

import (
	"context"
	"sync"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const (
	usageInterval = time.Second      // between two writes
	usageEvery    = time.Hour        // a credential is written at most once in this time
	maxUsage      = 100_000          // credentials remembered; above it all are forgotten
	usageTimeout  = 10 * time.Second // for one write
)

// usage buffers last uses, so that verifying a token never waits for a write. A process that dies loses the uses of its last
// second; no rule depends on them.
type usage struct {
	store store.Usage

	mu      sync.Mutex
	pending map[store.LookupID]time.Time
	written map[store.LookupID]time.Time // when a use was last handed to the store

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

func newUsage(s store.Usage) *usage {
	u := &usage{
		store:   s,
		pending: map[store.LookupID]time.Time{},
		written: map[store.LookupID]time.Time{},
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go u.run()
	return u
}

// note records a use of the credential, unless one was written within the last hour.
func (u *usage) note(id secret.ID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, ok := u.written[id]; ok && at.Sub(last) < usageEvery {
		return
	}
	if len(u.written) >= maxUsage {
		clear(u.written)
	}
	u.pending[id] = at
	u.written[id] = at
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// run writes the buffered uses, at most once an interval.
func (u *usage) run() {
	defer close(u.done)
	for {
		select {
		case <-u.stop:
			return
		case <-u.wake:
		}
		ctx, cancel := context.WithTimeout(context.Background(), usageTimeout)
		_ = u.flush(ctx) // after a failed write, the next use is noted again
		cancel()
		select {
		case <-u.stop:
			return
		case <-time.After(usageInterval):
		}
	}
}

func (u *usage) flush(ctx context.Context) error {
	u.mu.Lock()
	batch := u.pending
	u.pending = map[store.LookupID]time.Time{}
	u.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := u.store.RecordUse(ctx, batch)
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for id := range batch {
			delete(u.written, id)
		}
	}
	return err
}

// close ends the writer and writes the uses that are still buffered.
func (u *usage) close(ctx context.Context) error {
	close(u.stop)
	<-u.done
	return u.flush(ctx)
}
