package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// newerSchema reports whether a newer release has migrated the database, with the last version that this release knows and the
// last version that was applied.
func newerSchema(status []sqlstore.MigrationStatus) (newer bool, known, last int64) {
	for _, m := range status {
		if m.Name == "" {
			newer = true
		} else {
			known = max(known, m.Version)
		}
		last = max(last, m.Version)
	}
	return newer, known, last
}

// noteNewer logs that a newer release has migrated the database. This is not an error: a release only expands the schema, so that the
// previous one keeps working on it during a rolling upgrade and after a downgrade.
func noteNewer(ctx context.Context, st *sqlstore.Store, log *slog.Logger) error {
	status, err := st.MigrationStatus(ctx)
	if err != nil {
		return fmt.Errorf("check for a newer schema: %w", err)
	}
	if newer, known, last := newerSchema(status); newer {
		log.WarnContext(ctx, "a newer release has migrated the database; this one serves on, for a rolling upgrade", "schema_version", last, "known_version", known)
	}
	return nil
}

// checkWrites finds a read-only database.
func (r *report) checkWrites(ctx context.Context) error {
	err := r.store.Ping(ctx)
	if errors.Is(err, store.ErrReadOnly) {
		r.attend("The database is read-only, so that tokens are verified and nothing is issued, changed or revoked: after a failover, lead --database-url to the new primary; else see default_transaction_read_only (Postgres) or the file's permissions (SQLite).")
		return nil
	}
	return err
}

// checkSchema finds a schema that is newer than this program, and one that this program cannot migrate.
func (r *report) checkSchema(ctx context.Context, status []sqlstore.MigrationStatus) error {
	if newer, known, last := newerSchema(status); newer {
		r.attend("A newer release has migrated the database (schema version %d, and this release knows %d): this one keeps working on it for a rolling upgrade; finish the upgrade.", last, known)
	}
	if _, err := r.store.Pending(ctx); err != nil {
		r.attend("This release cannot use the database: %v.", err)
	} else if err := r.store.CheckMigrate(ctx); err != nil {
		r.attend("The pending migrations cannot be applied: %v.", err)
	}
	return nil
}
