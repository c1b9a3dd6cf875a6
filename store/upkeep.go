package store

import (
	"context"
	"time"
)

// Retention says how long rows that serve nobody any more are kept.
type Retention struct {
	Grace time.Duration // past the end of a code, request, session, expiring token or refresh family: at least 10 min, to notice replays
	Audit time.Duration // of audit events; 0: for ever
}

// TableSize is what the doctor says of a table.
type TableSize struct {
	Table         string
	Rows          int64     // estimated on Postgres
	Bytes         int64     // with its indexes; 0 if the database cannot say
	OldestExpired time.Time // of its rows past their end; zero: none, or rows of the table do not expire
}

// Upkeep removes what has expired, in small batches that never stand in the way of a request, and looks at the health of
// the database.
type Upkeep interface {
	// Sweep deletes at most limit expired rows of each short-lived table and reports how many went of which. Replicas may
	// sweep at the same time: each row goes once and nobody waits for another.
	Sweep(ctx context.Context, r Retention, limit int) (map[string]int64, error)
	// TableSizes lists every table.
	TableSizes(ctx context.Context, r Retention) ([]TableSize, error)
	// UnsafeSettings names the settings of the database under which an acknowledged write can be lost, with what they are:
	// fsync, full_page_writes, synchronous_commit on Postgres; synchronous on SQLite. Empty: none.
	UnsafeSettings(ctx context.Context) ([]string, error)
	// ClockDifference is how far the database's clock is ahead of this process's.
	ClockDifference(ctx context.Context) (time.Duration, error)
}
