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
	Name      string    // "": applied by a newer release and unknown to this one
	AppliedAt time.Time // zero: pending
}

// migrator is a connection that may migrate, with the lock that excludes other replicas.
type migrator struct {
	db      *sql.DB
	lock    func(ctx context.Context) (unlock func() error, err error)
	unbound bool // each migration must switch the statement timeout off in its own transaction
	release func() error
}

// lockTimeout limits the wait for another replica that migrates.
const lockTimeout = 5 * time.Minute

// Migrate applies all pending migrations and returns how many. Replicas that start together wait for one another; if no
// migration is pending, it takes no lock. It refuses a database that contains another program's tables with the same names,
// or in which the role may not create tables: the error names the reason and the remedy.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	defer wrapErr(&err, "migrate database")
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

// migrate runs under the lock, after another replica has migrated if that one was first.
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
	// A release may contain a migration with a lower number than those of a release that runs beside it.
	p, err := goose.NewProvider(goose.DialectCustom, m.db, files, goose.WithStore(versions),
		goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	results, err := p.Up(ctx)
	return len(results), err
}

// copyVersions copies the record of applied migrations to this program's own table. The former table stays as it is, because
// the previous release reads it and may run beside this one.
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

// Pending reports whether there are migrations to apply. It fails if this release is too old for the database. It only reads.
func (s *Store) Pending(ctx context.Context) (pending bool, err error) {
	defer wrapErr(&err, "check for pending migrations")
	now, err := s.readSchema(ctx)
	if err == nil {
		err = now.usable()
	}
	if err != nil {
		return false, err
	}
	return now.pending(), nil
}

// CheckMigrate returns the reason why Migrate would refuse, or nil. It only reads.
func (s *Store) CheckMigrate(ctx context.Context) (err error) {
	defer wrapErr(&err, "check the schema")
	now, err := s.readSchema(ctx)
	if err != nil || !now.pending() {
		return err
	}
	return s.mayMigrate(ctx, now)
}

// MigrationStatus lists all migrations in order, including those of a newer release that this one does not know. It only
// reads.
func (s *Store) MigrationStatus(ctx context.Context) (list []MigrationStatus, err error) {
	defer wrapErr(&err, "list migrations")
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
