package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// growing are the tables whose ids are time-ordered, so that the newest rows are found by key.
var growing = map[string]bool{
	"tokens": true, "expiring_tokens": true, "integration_tokens": true, "families": true, "refresh_tokens": true, "user_families": true,
	"user_refresh_tokens": true, "codes": true, "requests": true, "client_secrets": true, "audit_events": true,
}

// TableSizes implements store.Upkeep. No statement reads more than store.MostCounted rows or 32 MB.
func (s *Store) TableSizes(ctx context.Context, r store.Retention) (list []store.TableSize, err error) {
	defer tried(&err, "measure tables")
	list, err = collect(ctx, s.read(), func(scan scanner) (t store.TableSize, err error) {
		t.Day, t.Week = -1, -1
		err = scan(&t.Table, &t.Rows, &t.Bytes)
		return t, err
	}, s.dialect.tables)
	if err != nil {
		return nil, err
	}
	var faults []error
	for i := range list {
		if err := s.measure(ctx, &list[i], r); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", list[i].Table, classify(err)))
		}
	}
	return list, errors.Join(faults...)
}

// measure completes what the catalogue does not know of a table.
func (s *Store) measure(ctx context.Context, t *store.TableSize, r store.Retention) error {
	if t.Rows < 0 {
		most := int64(store.MostCounted)
		if s.dialect.estimates { // only small tables are counted
			most = math.MaxInt64 - 1
		}
		var n int64
		if err := s.read().row(ctx, countFirst(t.Table), []any{most + 1}, &n); err != nil {
			return err
		}
		t.Rows, t.More = min(n, most), n > most
	}
	now := s.Now()
	if growing[t.Table] {
		for days, count := range map[int]*int64{1: &t.Day, 7: &t.Week} {
			since := secret.IDAt(now.AddDate(0, 0, -days))
			if err := s.read().row(ctx, countFirst(t.Table+` WHERE id >= $2`), []any{store.MostCounted, since[:]}, count); err != nil {
				return err
			}
		}
	}
	for _, m := range mortals {
		before, ends := m.before(now, r)
		if m.table != t.Table || !ends {
			continue
		}
		var oldest time.Time
		err := s.read().row(ctx, m.dead(m.ended), []any{before, 1}, toTime(&oldest))
		if err != nil && !notFound(err) {
			return err
		}
		if err == nil && (t.OldestExpired.IsZero() || oldest.Before(t.OldestExpired)) {
			t.OldestExpired = oldest
		}
	}
	return nil
}

// countFirst counts rows up to $1.
func countFirst(from string) string {
	return `SELECT COUNT(*) FROM (SELECT 1 FROM ` + from + ` LIMIT $1) counted`
}

// DatabaseVersion implements store.Upkeep.
func (s *Store) DatabaseVersion(ctx context.Context) (version string, err error) {
	defer tried(&err, "ask for the database's version")
	err = s.read().row(ctx, s.dialect.version, nil, &version)
	return version, err
}

// UnsafeSettings implements store.Upkeep. It asks a connection that writes.
func (s *Store) UnsafeSettings(ctx context.Context) (list []string, err error) {
	defer tried(&err, "look at the database's settings")
	return collect(ctx, s.db, func(scan scanner) (string, error) {
		var name, value string
		err := scan(&name, &value)
		return name + " = " + value, err
	}, s.dialect.unsafe)
}

// ClockDifference implements store.Upkeep. The answer is off by half a round trip at most.
func (s *Store) ClockDifference(ctx context.Context) (difference time.Duration, err error) {
	defer tried(&err, "compare clocks")
	if s.dialect.clock == "" {
		return 0, nil
	}
	sent := time.Now()
	var told int64
	if err := s.read().row(ctx, s.dialect.clock, nil, &told); err != nil {
		return 0, err
	}
	return time.UnixMicro(told).Sub(sent.Add(time.Since(sent) / 2)), nil
}
