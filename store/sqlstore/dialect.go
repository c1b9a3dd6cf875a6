package sqlstore

import "github.com/pressly/goose/v3"

// dialect is every difference between the SQL of the two databases.
type dialect struct {
	name  string
	goose goose.Dialect
	ping  string // reads whether the database is read-only
	clock string // reads the database's time in microseconds; "": the database uses the clock of this host
	// shareLock and updateLock end a SELECT whose rows must not change until the transaction ends. SQLite has one writer at a
	// time and needs no such lock.
	shareLock  string
	updateLock string
	// consuming: one statement can update and insert in several tables (data-modifying WITH), so that redeeming and
	// rotating are one round trip. Without it they are a transaction.
	consuming bool
	// batch encloses the SELECT of the ids of x that a statement changes or deletes. On Postgres the SELECT is evaluated once
	// and skips rows that another transaction has locked.
	batch     [2]string
	relations string // reads the names of tables, indexes and other relations in the schema for new tables
	// placement reads the schema for new tables ("": there is none), the role, search_path, and whether the role may create tables.
	placement string
	// The doctor runs these.
	version string // the database's name and version
	unsafe  string // name and value of settings under which an acknowledged write can be lost
	tables  string // every table: name, rows (-1: to be counted), bytes (0: unknown)
	// estimates: tables returns the number of rows of every large table.
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
	// Small tables are counted. For the others there are two estimates, and either can be too low: the counters of the
	// statistics are reset by a crash.
	tables: `SELECT c.relname::text, CASE WHEN pg_relation_size(c.oid) < 33554432 THEN -1
	ELSE GREATEST(s.n_live_tup, CAST(c.reltuples AS BIGINT)) END, pg_total_relation_size(c.oid)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
ORDER BY c.relname`,
}

var sqlite = dialect{
	name:  "sqlite",
	goose: goose.DialectSQLite3,
	ping:  `SELECT COUNT(*) < 0 FROM sqlite_master`, // only a write shows it
	batch: [2]string{` IN (`, `)`},

	relations: `SELECT name FROM sqlite_master`,

	version: `SELECT 'SQLite ' || sqlite_version()`,
	unsafe:  `SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous WHERE synchronous < 2`,
	// dbstat reads the whole file to find the pages of each table, so it is used up to 128 MB. The rows of each table are
	// counted.
	tables: `SELECT m.name, -1, CASE WHEN (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) > 134217728 THEN 0
	ELSE COALESCE((SELECT SUM(p.pgsize) FROM dbstat p JOIN sqlite_master i ON i.name = p.name
		WHERE i.tbl_name = m.name AND p.aggregate = TRUE), 0) END
FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name`,
}

// postgresNow is the database's time when it is evaluated, not at the start of the transaction.
const postgresNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
