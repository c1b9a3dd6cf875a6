package sqlstore

import "github.com/pressly/goose/v3"

// dialect is every difference between the two databases that SQL text knows of.
type dialect struct {
	name  string
	goose goose.Dialect
	ping  string // reads something
	clock string // reads the database's time in microseconds; "" means that its host's clock is ours
	// shareLock and updateLock end a SELECT that must hold until the transaction ends. SQLite has one writer at a time
	// and needs none.
	shareLock  string
	updateLock string
	// consuming: one statement can update and insert in several tables (data-modifying WITH), so that redeeming and
	// rotating are one round trip. Without it they are a transaction.
	consuming bool
}

var postgres = dialect{
	name:       "postgres",
	goose:      goose.DialectPostgres,
	ping:       `SELECT 1`,
	clock:      `SELECT ` + postgresNow,
	shareLock:  ` FOR SHARE OF a, c, u, m`,
	updateLock: ` FOR UPDATE`,
	consuming:  true,
}

var sqlite = dialect{
	name:  "sqlite",
	goose: goose.DialectSQLite3,
	ping:  `SELECT COUNT(*) FROM sqlite_master`,
}

// postgresNow is the database's clock at the moment of evaluation, not at the start of the transaction.
const postgresNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
