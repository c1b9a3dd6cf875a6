package store

import (
	"context"
	"time"
)

// KeepRevoked is how long revoked non-expiring tokens, and revoked or expired secrets of clients, are kept: nothing
// reads them again except to explain why a credential stopped working. Their audit events stay.
const KeepRevoked = 30 * 24 * time.Hour

// Retention holds how long rows are kept after their use has ended.
type Retention struct {
	Grace time.Duration // past the end of a code, request, session, expiring token or refresh family: at least 10 min, to notice replays
	Audit time.Duration // of audit events; 0: without limit
}

// MaxCounted is where counts of rows end that would otherwise read whole tables.
const MaxCounted = 100_000

// MaxFigures is how many rows the doctor looks at for a figure: each takes look-ups in several tables, and a statement
// has two seconds.
const MaxFigures = 20_000

// TableSize is the size of a table, for the doctor command.
type TableSize struct {
	Table         string
	Rows          int64     // estimated on Postgres if there are many; -1: not known
	More          bool      // there are more than Rows, at which the count ended
	Bytes         int64     // with its indexes; 0: not known
	Day, Week     int64     // rows of the last 24 h and 7 days, at most MaxCounted; -1: not known, or not without reading the table
	OldestExpired time.Time // end of the oldest row that a Sweep would remove; zero: none, or rows of the table do not expire
}

// Figures are how much there is of what matters. nil: it could not be counted.
type Figures struct {
	Apps      *Count // not deleted
	Installed *Count // pairs of an app and an account with at least one live token
	Tokens    *Count // non-expiring ones that are not revoked, of live installations
}

// Upkeep removes expired rows, in small batches that do not block requests, and checks the health of
// the database. All but Sweep and CountFigures also work on a database that was never migrated.
type Upkeep interface {
	// Sweep deletes at most limit (up to 1000) expired rows of each short-lived table and reports how many went of which.
	// Replicas can sweep at the same time: each row is deleted once, and no replica waits for another. The refresh tokens of a
	// family are deleted before the family, so that reuse is detected as long as a token exists.
	Sweep(ctx context.Context, r Retention, limit int) (map[string]int64, error)
	// TableSizes lists every table by name. With an error the list is not nil if only some of it could not be measured.
	TableSizes(ctx context.Context, r Retention) ([]TableSize, error)
	// CountFigures counts live rows among the first most rows of each kind. With an error, the figures that are there
	// are right.
	CountFigures(ctx context.Context, most int) (Figures, error)
	// DatabaseVersion names the database and its version, such as "PostgreSQL 17.2".
	DatabaseVersion(ctx context.Context) (string, error)
	// UnsafeSettings names the settings of the database under which an acknowledged write can be lost, with their values:
	// fsync, full_page_writes, synchronous_commit on Postgres; synchronous on SQLite. Empty: none.
	UnsafeSettings(ctx context.Context) ([]string, error)
	// ClockDifference is how far the database's clock is ahead of this process's.
	ClockDifference(ctx context.Context) (time.Duration, error)
}
