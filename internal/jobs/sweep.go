package jobs

import (
	"context"
	"time"

	"xenoauth/store"
)

const (
	// SweepInterval is the default time between two sweeps.
	SweepInterval = 45 * time.Second
	// sweepBatch and sweepPause limit how much a sweep slows requests down: milliseconds of work, then as long a pause. One
	// replica removes some 10,000 rows a second at most.
	sweepBatch = 500
	sweepPause = 50 * time.Millisecond
	// sweepTimeout is for one sweep of all tables.
	sweepTimeout = 30 * time.Second
	// sweepBackoff is the longest wait while the database is unavailable.
	sweepBackoff = 5 * time.Minute
)

// Sweep is the job that removes expired rows, a batch of each table at a time. Every replica runs it: a sweep skips the rows
// that another one holds. count is called with the rows removed from each table.
func Sweep(st store.Upkeep, r store.Retention, interval time.Duration, count func(table string, rows int64)) Job {
	return Job{
		Name: "sweep", Title: "expired-row sweep",
		Interval: interval, Pause: sweepPause, Timeout: sweepTimeout, MaxBackoff: sweepBackoff,
		Run: func(ctx context.Context) (more bool, err error) {
			swept, err := st.Sweep(ctx, r, sweepBatch)
			for table, n := range swept {
				count(table, n)
				more = more || n >= sweepBatch
			}
			return more, err
		},
	}
}
