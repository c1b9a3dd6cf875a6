// Package jobs runs background work: named jobs, each again and again with a pause in between, for as long as the process
// runs.
//
// It owns when a job runs: its interval with jitter, the time limit of one run, the back-off while the database is unavailable, and a
// stop that waits for the run under way. Every replica runs every job. A job whose runs must not overlap between replicas takes
// rows of its own in the database, as the sweep does; there is no lease, because no job needs one yet.
//
// Mail and webhooks will be jobs here. The transaction of a change writes each message to an outbox table. A job claims
// a batch of due rows until a deadline (FOR UPDATE SKIP LOCKED on Postgres; SQLite has a single writer), sends it, and deletes
// it or sets its next attempt. The claim is the lease, by row. docs/decisions/jobs.md compares this with a job library.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"xenoauth/store"
)

// Job is work that is done again and again. Name, Interval, Timeout and Run are required.
type Job struct {
	Name       string        // in metrics: one word
	Title      string        // in log messages, such as "expired-row sweep"; empty: Name
	Interval   time.Duration // between the end of a run and the start of the next, give or take a third
	Pause      time.Duration // the same after a run that left work to do
	Timeout    time.Duration // of one run: its context ends then
	MaxBackoff time.Duration // the longest wait after failures in a row, each of which doubles Interval
	// Run does the work once. more means that it left work to do, and runs again after Pause.
	Run func(ctx context.Context) (more bool, err error)
}

// Observer is called after each run of a job, except one that failed because the runner was stopped.
type Observer func(job string, took time.Duration, err error)

// Runner runs jobs until it is stopped. A nil *Runner runs none.
type Runner struct {
	log     *slog.Logger
	observe Observer
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Start runs the jobs until Stop, each on its own. The first run comes within an interval, at random, so that replicas that
// start together do not work together.
func Start(log *slog.Logger, observe Observer, jobs ...Job) *Runner {
	ctx, stop := context.WithCancel(context.Background())
	r := &Runner{log: log, observe: observe, stop: stop}
	for _, j := range jobs {
		r.running.Go(func() { r.loop(ctx, j) })
	}
	return r
}

// Stop ends the contexts of the runs under way and waits for them until ctx ends; then it returns the context's error.
func (r *Runner) Stop(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.stop()
	stopped := make(chan struct{})
	go func() {
		r.running.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Runner) loop(ctx context.Context, j Job) {
	failures := 0 // in a row
	next := time.NewTimer(rand.N(j.Interval) + 1)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		more, err := r.run(ctx, j)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			r.logFailure(ctx, j, failures, err)
		default:
			failures = 0
		}
		next.Reset(j.wait(more, failures))
	}
}

func (r *Runner) run(ctx context.Context, j Job) (more bool, err error) {
	limited, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	start := time.Now()
	more, err = j.Run(limited)
	if err == nil || ctx.Err() == nil {
		r.observe(j.Name, time.Since(start), err)
	}
	return more, err
}

// wait is how long the job waits after a run that left work or not, and that was the last of so many failures in a row.
func (j Job) wait(more bool, failures int) time.Duration {
	switch {
	case failures > 0:
		return jitter(min(j.Interval<<min(failures, 8), max(j.Interval, j.MaxBackoff)))
	case more:
		return j.Pause
	}
	return jitter(j.Interval)
}

// logFailure logs only the first of several failures in a row: every request logs that the database is unavailable.
func (r *Runner) logFailure(ctx context.Context, j Job, failures int, err error) {
	title := j.Title
	if title == "" {
		title = j.Name
	}
	switch {
	case failures > 1:
	case errors.Is(err, store.ErrUnavailable):
		r.log.WarnContext(ctx, title+" skipped, will retry", "error", err)
	default:
		r.log.ErrorContext(ctx, title+" failed", "error", err)
	}
}

// jitter is within a third of d, so that replicas drift apart.
func jitter(d time.Duration) time.Duration {
	return d - d/3 + rand.N(2*d/3+1)
}
