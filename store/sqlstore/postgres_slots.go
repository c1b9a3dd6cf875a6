package sqlstore

import (
	"context"
	"time"

	"xenoauth/store"
)

// slots limit how many operations use the pool at once. They separate two waits: for a slot, which is short unless no
// operation finishes, and for a new connection to be made. A quarter of the slots is reserved (store.WithReservedConnections).
type slots struct {
	open, reserved chan struct{}
	queue          time.Duration // the longest wait for a slot
}

func newSlots(conns int, queue time.Duration) slots {
	reserved := 0
	if conns > 1 {
		reserved = max(1, conns/4)
	}
	return slots{open: make(chan struct{}, conns-reserved), reserved: make(chan struct{}, reserved), queue: queue}
}

// take waits for a slot. It is released by receiving from the returned channel.
func (s slots) take(ctx context.Context) (from chan struct{}, err error) {
	reserved := s.reserved
	if !store.MayUseReservedConnections(ctx) {
		reserved = nil
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
	case reserved <- struct{}{}:
		return reserved, nil
	case <-late.C:
		return nil, unavailable("all connections to the database are busy")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
