package server

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"xenoauth/store"
)

const (
	defaultSweepInterval = 45 * time.Second
	// sweepBatch and sweepPause bound what a sweep takes from the requests: milliseconds of work, then as much time for
	// everybody else. One replica removes some 10 000 rows a second at most.
	sweepBatch = 500
	sweepPause = 50 * time.Millisecond
	// sweepTimeout bounds one round over all tables.
	sweepTimeout = 30 * time.Second
	// sweepBackoff is the longest wait while the database is in trouble.
	sweepBackoff = 5 * time.Minute
)

// Sweeper removes expired rows for as long as it runs: again at once while there is a batch to be had, else after about
// an interval, less often while the database is in trouble. Every replica has one; they do not stand in each other's way.
type Sweeper struct {
	store     store.Upkeep
	retention store.Retention
	interval  time.Duration
	log       *slog.Logger
	swept     *prometheus.CounterVec // by table

	failures int // in a row
	stop     context.CancelFunc
	done     chan struct{}
}

// startSweeper starts a sweeper. Its first round comes within an interval, so that replicas that start together do not
// sweep together.
func startSweeper(st store.Upkeep, o Options, swept *prometheus.CounterVec) *Sweeper {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sweeper{
		store: st, retention: o.Retention, interval: o.SweepInterval, log: o.Log, swept: swept,
		stop: stop, done: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

func (s *Sweeper) run(ctx context.Context) {
	defer close(s.done)
	next := time.NewTimer(rand.N(s.interval) + 1)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(s.round(ctx))
	}
}

// round sweeps every table once and returns how long to wait before the next time.
func (s *Sweeper) round(ctx context.Context) time.Duration {
	limited, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	swept, err := s.store.Sweep(limited, s.retention, sweepBatch)
	full := false
	for table, n := range swept {
		s.swept.WithLabelValues(table).Add(float64(n))
		full = full || n >= sweepBatch
	}
	switch {
	case err != nil:
		if ctx.Err() == nil { // else it was told to stop
			s.failed(ctx, err)
		}
		return jitter(min(s.interval<<min(s.failures, 8), max(s.interval, sweepBackoff)))
	case full:
		s.failures = 0
		return sweepPause
	}
	s.failures = 0
	return jitter(s.interval)
}

// failed logs only the first of several failures in a row: every request logs that the database is unavailable.
func (s *Sweeper) failed(ctx context.Context, err error) {
	s.failures++
	switch {
	case s.failures > 1:
	case errors.Is(err, store.ErrUnavailable):
		s.log.WarnContext(ctx, "expired-row sweep skipped, will retry", "error", err)
	default:
		s.log.ErrorContext(ctx, "expired-row sweep failed", "error", err)
	}
}

// jitter is within a third of d, so that replicas drift apart.
func jitter(d time.Duration) time.Duration {
	return d - d/3 + rand.N(2*d/3+1)
}

// Close ends the sweeper; what it is about to delete stays for another. It waits for that until ctx ends.
func (s *Sweeper) Close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
