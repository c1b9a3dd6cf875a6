package sqlstore

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"xenoauth/store"
)

// clockInterval is how often the database is asked for its time. Between two answers this process's monotonic clock
// counts, which drifts by microseconds in that time.
const clockInterval = 5 * time.Second

// clock tells the database's time without asking each time.
type clock struct {
	read   querier
	ask    string // "": the database has no clock but ours
	beside func(context.Context)
	log    *slog.Logger
	anchor atomic.Pointer[anchor]
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// anchor is the database's time as an answer, tied to the moment when the question was sent. The answer was true at some
// moment after that, so what is derived from it is never behind the database: expiry errs early, by the length of the
// round trip at most.
type anchor struct {
	told time.Time // the answer
	sent time.Time // with monotonic reading
}

// newClock starts the clock. It calls beside each time it has asked the database.
func newClock(ctx context.Context, read querier, ask string, beside func(context.Context), log *slog.Logger) (*clock, error) {
	c := &clock{read: read, ask: ask, beside: beside, log: log, stop: func() {}}
	if ask == "" {
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
		// Without an answer the old anchor stays: it drifts slowly, and it is still ours.
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "cannot read the database's clock", "error", classify(err))
		}
		c.beside(store.WithReserve(ctx))
	}
}

func (c *clock) refresh(ctx context.Context) error {
	ctx = store.WithReserve(ctx) // whoever is late for the queue would also be wrong about the time
	sent := time.Now()
	var told int64
	if err := c.read.row(ctx, c.ask, nil, &told); err != nil {
		return err
	}
	c.anchor.Store(&anchor{told: time.UnixMicro(told).UTC(), sent: sent})
	return nil
}

func (c *clock) now() time.Time {
	a := c.anchor.Load()
	if a == nil {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return a.told.Add(time.Since(a.sent)).Truncate(time.Microsecond)
}

func (c *clock) close() {
	c.stop()
	c.done.Wait()
}

// Now implements store.Store.
func (s *Store) Now() time.Time { return s.clock.now() }

// micros is Now as columns have it.
func (s *Store) micros() int64 { return s.clock.now().UnixMicro() }
