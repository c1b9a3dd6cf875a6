package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	goosestore "github.com/pressly/goose/v3/database"

	"xenoauth/migrations"
)

// MigrationStatus is one migration and whether it was applied.
type MigrationStatus struct {
	Version   int64
	Name      string    // "": a newer release applied it, and this one does not know it
	AppliedAt time.Time // zero: pending
}

// migrator is a connection that may migrate, and the lock that keeps other replicas from it meanwhile.
type migrator struct {
	db      *sql.DB
	lock    func(ctx context.Context) (unlock func() error, err error)
	unbound bool // each migration must switch the statement timeout off for itself
	release func() error
}

// lockTimeout bounds the wait for another replica that migrates.
const lockTimeout = 5 * time.Minute

// Migrate applies all pending migrations and returns how many. Replicas that start together wait for one another; when
// nothing is pending, no lock is asked for. It changes nothing in a database that holds tables of another program under
// the same names, or in which the role may not create tables: the error names both the reason and the remedy.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	defer tried(&err, "migrate database")
	now, err := s.readSchema(ctx)
	if err == nil {
		err = now.usable()
	}
	if err != nil || !now.pending() {
		return 0, err
	}
	if err := s.mayMigrate(ctx, now); err != nil {
		return 0, err
	}
	m, err := s.db.migrator(ctx)
	if err != nil {
		return 0, err
	}
	defer m.release()
	unlock, err := m.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	applied, err = s.migrate(ctx, m)
	if err == nil && applied > 0 {
		s.log.InfoContext(ctx, "migrated database", "applied", applied)
	}
	return applied, err
}

// migrate works under the lock. Another replica may have been here before it.
func (s *Store) migrate(ctx context.Context, m *migrator) (int, error) {
	now, err := s.readSchema(ctx)
	if err != nil || !now.pending() {
		return 0, err
	}
	if err := s.mayMigrate(ctx, now); err != nil {
		return 0, err
	}
	versions, err := goosestore.NewStore(goosestore.Dialect(s.dialect.goose), versionTable)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	if now.table == formerVersionTable {
		if err := copyVersions(ctx, m.db, versions); err != nil {
			return 0, err
		}
	}
	var files fs.FS = migrations.FS
	if m.unbound {
		files = unbound{migrations.FS}
	}
	// A release may bring a migration with a lower number than those of a release beside it.
	p, err := goose.NewProvider(goose.DialectCustom, m.db, files, goose.WithStore(versions),
		goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	results, err := p.Up(ctx)
	return len(results), err
}

// copyVersions moves the record of applied migrations to this program's own table. The former one stays as it is: the
// previous release reads it, and may run beside this one.
func copyVersions(ctx context.Context, db *sql.DB, versions goosestore.Store) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("move migrations table: %w", err)
	}
	defer tx.Rollback()
	if err := versions.CreateVersionTable(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO `+versionTable+` (version_id, is_applied, tstamp)
SELECT version_id, is_applied, tstamp FROM `+formerVersionTable+` ORDER BY id`)
	if err != nil {
		return fmt.Errorf("move migrations table: %w", err)
	}
	return tx.Commit()
}

// Pending reports whether there are migrations to apply. It fails if this release is too old for the database. It changes
// nothing.
func (s *Store) Pending(ctx context.Context) (pending bool, err error) {
	defer tried(&err, "look for pending migrations")
	now, err := s.readSchema(ctx)
	if err == nil {
		err = now.usable()
	}
	if err != nil {
		return false, err
	}
	return now.pending(), nil
}

// CheckMigrate returns the reason why Migrate would refuse, or nil. It changes nothing.
func (s *Store) CheckMigrate(ctx context.Context) (err error) {
	defer tried(&err, "look at the schema")
	now, err := s.readSchema(ctx)
	if err != nil || !now.pending() {
		return err
	}
	return s.mayMigrate(ctx, now)
}

// MigrationStatus lists all migrations in their order, those of a newer release that this one does not know included. It
// changes nothing.
func (s *Store) MigrationStatus(ctx context.Context) (list []MigrationStatus, err error) {
	defer tried(&err, "list migrations")
	now, err := s.readSchema(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range now.files {
		list = append(list, MigrationStatus{Version: f.version, Name: f.name, AppliedAt: now.applied[f.version]})
	}
	for _, v := range now.newer() {
		list = append(list, MigrationStatus{Version: v, AppliedAt: now.applied[v]})
	}
	slices.SortFunc(list, func(a, b MigrationStatus) int { return int(a.Version - b.Version) })
	return list, nil
}
