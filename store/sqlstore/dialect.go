package sqlstore

import "github.com/pressly/goose/v3"

// dialect is every difference between the two databases that SQL text knows of.
type dialect struct {
	name  string
	goose goose.Dialect
	ping  string // reads whether the database takes no writes
	clock string // reads the database's time in microseconds; "" means that its host's clock is ours
	// shareLock and updateLock end a SELECT that must hold until the transaction ends. SQLite has one writer at a time
	// and needs none.
	shareLock  string
	updateLock string
	// consuming: one statement can update and insert in several tables (data-modifying WITH), so that redeeming and
	// rotating are one round trip. Without it they are a transaction.
	consuming bool
	// batch stands around a SELECT of the ids of x that a statement is about. On Postgres it is evaluated once, and passes
	// over rows that somebody else holds.
	batch     [2]string
	relations string // names of tables, indexes and so on where new tables are created
	// placement reads the schema for new tables ("": none), the role, search_path, and whether the role may create tables.
	placement string
	// What the doctor asks.
	version string // the database's name and version
	unsafe  string // name and value of settings under which an acknowledged write can be lost
	tables  string // every table: name, rows (-1: to be counted), bytes (0: not known)
	// estimates: tables gives the rows of every large table.
	estimates bool
}

var postgres = dialect{
	name:       "postgres",
	goose:      goose.DialectPostgres,
	ping:       `SELECT current_setting('transaction_read_only') = 'on'`, // on a standby as well
	clock:      `SELECT ` + postgresNow,
	shareLock:  ` FOR SHARE OF a, c, u, m`,
	updateLock: ` FOR UPDATE`,
	consuming:  true,
	batch:      [2]string{` = ANY (ARRAY(`, ` FOR UPDATE OF x SKIP LOCKED))`},
	relations:  `SELECT relname::text FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())`,
	placement: `SELECT COALESCE(current_schema()::text, ''), current_user::text, current_setting('search_path'),
	COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE)`,
	version: `SELECT 'PostgreSQL ' || current_setting('server_version')`,
	unsafe: `SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name`,
	estimates: true,
	// Small tables are counted. Of the others there are two estimates, which can both be behind: the counters of the statistics
	// begin anew after a crash.
	tables: `SELECT c.relname::text, CASE WHEN pg_relation_size(c.oid) < 33554432 THEN -1
	ELSE GREATEST(s.n_live_tup, CAST(c.reltuples AS BIGINT)) END, pg_total_relation_size(c.oid)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
ORDER BY c.relname`,
}

var sqlite = dialect{
	name:  "sqlite",
	goose: goose.DialectSQLite3,
	ping:  `SELECT COUNT(*) < 0 FROM sqlite_master`, // it is seen by what writes only
	batch: [2]string{` IN (`, `)`},

	relations: `SELECT name FROM sqlite_master`,

	version: `SELECT 'SQLite ' || sqlite_version()`,
	unsafe:  `SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous WHERE synchronous < 2`,
	// The sizes are the pages that dbstat finds by reading all of the file, which is done up to 128 MB; rows are counted for
	// each table.
	tables: `SELECT m.name, -1, CASE WHEN (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) > 134217728 THEN 0
	ELSE COALESCE((SELECT SUM(p.pgsize) FROM dbstat p JOIN sqlite_master i ON i.name = p.name
		WHERE i.tbl_name = m.name AND p.aggregate = TRUE), 0) END
FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name`,
}

// postgresNow is the database's clock at the moment of evaluation, not at the start of the transaction.
const postgresNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
