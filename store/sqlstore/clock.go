package sqlstore

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"xenoauth/store"
)

// clockInterval is the time between two reads of the database's clock. Between them this process's monotonic clock is used,
// which drifts by microseconds in that time.
const clockInterval = 5 * time.Second

// clock returns the database's time without a statement for each call.
type clock struct {
	read   querier
	query  string // "": the database uses the clock of this host
	beside func(context.Context)
	log    *slog.Logger
	anchor atomic.Pointer[anchor]
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// anchor ties the database's time to the time when the query for it was sent. The database read its clock after that, so a
// time derived from the anchor is never behind the database: expiry errs early, by one round trip at most.
type anchor struct {
	answer time.Time
	sent   time.Time // with monotonic reading
}

// newClock starts the clock. It calls beside after each read of the database's clock.
func newClock(ctx context.Context, read querier, query string, beside func(context.Context), log *slog.Logger) (*clock, error) {
	c := &clock{read: read, query: query, beside: beside, log: log, stop: func() {}}
	if query == "" {
		return c, nil
	}
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.done.Go(func() { c.run(background) })
	return c, nil
}

func (c *clock) run(ctx context.Context) {
	tick := time.NewTicker(clockInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// Without an answer the old anchor is used on: it drifts slowly.
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "cannot read the database's clock", "error", classify(err))
		}
		c.beside(store.WithReservedConnections(ctx))
	}
}

func (c *clock) refresh(ctx context.Context) error {
	ctx = store.WithReservedConnections(ctx) // a wait for a slot would add to the error of the time
	sent := time.Now()
	var answer int64
	if err := c.read.row(ctx, c.query, nil, &answer); err != nil {
		return err
	}
	c.anchor.Store(&anchor{answer: time.UnixMicro(answer).UTC(), sent: sent})
	return nil
}

func (c *clock) now() time.Time {
	a := c.anchor.Load()
	if a == nil {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return a.answer.Add(time.Since(a.sent)).Truncate(time.Microsecond)
}

func (c *clock) close() {
	c.stop()
	c.done.Wait()
}

// Now implements store.Store.
func (s *Store) Now() time.Time { return s.clock.now() }

// micros is Now in the unit of columns.
func (s *Store) micros() int64 { return s.clock.now().UnixMicro() }
