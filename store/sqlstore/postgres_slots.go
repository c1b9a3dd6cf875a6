package sqlstore

import (
	"context"
	"time"

	"xenoauth/store"
)

// slots say who may use a connection of the pool. They keep apart the wait for somebody else to be done, which is short
// or the sign that nobody is, and the wait for a connection to be made. A quarter of them is kept for what may use the
// reserve (store.WithReserve).
type slots struct {
	open, kept chan struct{}
	queue      time.Duration // the longest wait for one
}

func newSlots(conns int, queue time.Duration) slots {
	kept := 0
	if conns > 1 {
		kept = max(1, conns/4)
	}
	return slots{open: make(chan struct{}, conns-kept), kept: make(chan struct{}, kept), queue: queue}
}

// take waits for a slot and returns where to give it back: <-from.
func (s slots) take(ctx context.Context) (from chan struct{}, err error) {
	kept := s.kept
	if !store.MayUseReserve(ctx) {
		kept = nil
	}
	select {
	case s.open <- struct{}{}:
		return s.open, nil
	default:
	}
	late := time.NewTimer(s.queue)
	defer late.Stop()
	select {
	case s.open <- struct{}{}:
		return s.open, nil
	case kept <- struct{}{}:
		return kept, nil
	case <-late.C:
		return nil, unavailable("all connections to the database are busy")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
