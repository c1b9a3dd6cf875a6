package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"xenoauth/store"
)

// These facts identify the rows of a Postgres database. The row "transaction_id" holds the id of the transaction that wrote
// it, which Postgres also keeps as the row's xmin through vacuum, crash, failover and restart. After a dump is restored, the
// value is the same, but another transaction has written the row.
const (
	transactionID = `CAST(CAST(CAST(pg_current_xact_id() AS TEXT) AS NUMERIC) % 4294967296 AS BIGINT)`
	databaseOID   = `(SELECT CAST(CAST(oid AS TEXT) AS BIGINT) FROM pg_database WHERE datname = current_database())`

	insertOrigin = `INSERT INTO database_facts (name, value) VALUES ('transaction_id', ` + transactionID + `), ('database_oid', ` + databaseOID + `)
ON CONFLICT (name) DO `
	insertSystem = `INSERT INTO database_facts (name, value) VALUES ('system_identifier', $1) ON CONFLICT (name) DO `
	keepFact     = `NOTHING`
	replaceFact  = `UPDATE SET value = excluded.value`

	selectOrigin = `SELECT f.name, f.value, CASE f.name WHEN 'database_oid' THEN ` + databaseOID + ` ELSE CAST(CAST(f.xmin AS TEXT) AS BIGINT) END
FROM database_facts f WHERE f.name IN ('transaction_id', 'database_oid')`
	// Some hosting providers revoke the right to call this function.
	selectSystem = `SELECT system_identifier FROM pg_control_system()`
)

// Origin returns the evidence that the rows were copied here, by a dump, replication or a new cluster, after a server recorded
// their origin; "" if there is none. There is never any on SQLite, nor before an origin is recorded.
func (s *Store) Origin(ctx context.Context) (moved string, err error) {
	defer wrapErr(&err, "read the origin of the database")
	if s.dialect.name != postgres.name {
		return "", nil
	}
	err = s.read().rows(ctx, selectOrigin, nil, func(scan scanner) error {
		var name string
		var recorded, actual int64
		if err := scan(&name, &recorded, &actual); err != nil || recorded == actual {
			return err
		}
		if name == "database_oid" {
			moved = "it is another database of Postgres than the one that was served"
		} else if moved == "" {
			moved = "its rows were written by a restore or a copy"
		}
		return nil
	})
	if err != nil || moved != "" {
		return moved, err
	}
	var recorded int64
	err = s.read().row(ctx, selectFact, []any{"system_identifier"}, &recorded)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	}
	system, err := s.systemIdentifier(ctx)
	if err == nil && system != 0 && system != recorded {
		moved = "it is in another cluster of Postgres than the one that was served"
	}
	return moved, err
}

// systemIdentifier returns the identifier of the cluster; 0: the role may not read it.
func (s *Store) systemIdentifier(ctx context.Context) (id int64, err error) {
	err = s.read().row(ctx, selectSystem, nil, &id)
	if err != nil && errors.Is(classify(err), ErrRights) {
		return 0, nil
	}
	return id, err
}

// RecordOrigin records the origin of the database, unless one is recorded.
func (s *Store) RecordOrigin(ctx context.Context) (err error) {
	defer wrapErr(&err, "record the origin of the database")
	return s.recordOrigin(ctx, s.db, keepFact)
}

// AcceptOrigin records the present origin of the database, and who accepted it.
func (s *Store) AcceptOrigin(ctx context.Context, by store.Principal, reason string) (err error) {
	defer wrapErr(&err, "accept the database")
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := s.recordOrigin(ctx, q, replaceFact); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventDatabaseAccepted, Detail: reason})
	})
}

func (s *Store) recordOrigin(ctx context.Context, q querier, known string) error {
	if s.dialect.name != postgres.name {
		return nil
	}
	system, err := s.systemIdentifier(ctx)
	if err != nil {
		return err
	}
	if _, err := q.exec(ctx, insertOrigin+known); err != nil {
		return fmt.Errorf("record the database: %w", err)
	}
	if system == 0 {
		return nil
	}
	_, err = q.exec(ctx, insertSystem+known, system)
	return err
}

// NewestEvent returns the time of the newest audit event; zero if there is none. Every change that ends or narrows access
// writes an event, so a database whose newest event is older than one seen before has lost changes since then.
func (s *Store) NewestEvent(ctx context.Context) (at time.Time, err error) {
	defer wrapErr(&err, "read the newest event")
	err = s.read().row(ctx, `SELECT MAX(at) FROM audit_events`, nil, scanTime(&at))
	return at, err
}

// highWaterSuffix is added to the path of a SQLite file.
const highWaterSuffix = ".highwater"

// HighWaterFile returns the default of --high-water: the file in which a server keeps the time of the newest event that it has
// seen. It is beside a SQLite file; for Postgres there is none.
func HighWaterFile(databaseURL string) string {
	path, isSQLite := strings.CutPrefix(databaseURL, "sqlite:")
	if !isSQLite {
		return ""
	}
	path, _, _ = strings.Cut(path, "?")
	return strings.TrimPrefix(path, "//") + highWaterSuffix
}
