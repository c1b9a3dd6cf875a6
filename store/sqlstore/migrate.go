package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"xenoauth/migrations"
)

// MigrationStatus says of one migration whether it has been applied.
type MigrationStatus struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: pending
}

// migrator is a connection that may migrate, and how others are kept from it meanwhile.
type migrator struct {
	db      *sql.DB
	locker  lock.SessionLocker       // Postgres
	lock    func() (*os.File, error) // SQLite
	release func() error
}

// Migrate applies all pending migrations and returns how many. Replicas that start together wait for one another; when
// nothing is pending, no lock is asked for.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	defer tried(&err, "migrate database")
	err = s.withGoose(ctx, func(m *migrator, p *goose.Provider) error {
		pending, err := p.HasPending(ctx)
		if err != nil || !pending {
			return err
		}
		if m.lock != nil {
			f, err := m.lock()
			if err != nil {
				return err
			}
			defer f.Close()
		}
		results, err := p.Up(ctx)
		applied = len(results)
		return err
	})
	if err == nil && applied > 0 {
		s.log.InfoContext(ctx, "migrated database", "applied", applied)
	}
	return applied, err
}

// Pending says whether there are migrations to apply.
func (s *Store) Pending(ctx context.Context) (pending bool, err error) {
	defer tried(&err, "look for pending migrations")
	err = s.withGoose(ctx, func(_ *migrator, p *goose.Provider) (err error) {
		pending, err = p.HasPending(ctx)
		return err
	})
	return pending, err
}

// MigrationStatus lists all migrations in their order.
func (s *Store) MigrationStatus(ctx context.Context) (list []MigrationStatus, err error) {
	defer tried(&err, "list migrations")
	err = s.withGoose(ctx, func(_ *migrator, p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, m := range status {
			list = append(list, MigrationStatus{Version: m.Source.Version, Name: m.Source.Path, AppliedAt: m.AppliedAt})
		}
		return err
	})
	return list, err
}

func (s *Store) withGoose(ctx context.Context, fn func(*migrator, *goose.Provider) error) error {
	m, err := s.db.migrator(ctx)
	if err != nil {
		return err
	}
	defer m.release()
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if m.locker != nil {
		options = append(options, goose.WithSessionLocker(m.locker))
	}
	p, err := goose.NewProvider(s.dialect.goose, m.db, migrations.FS, options...)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return fn(m, p)
}
