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

// timeOrderedTables are the tables whose ids are time-ordered, so that the newest rows are found by key.
var timeOrderedTables = map[string]bool{
	"tokens": true, "expiring_tokens": true, "integration_tokens": true, "families": true, "refresh_tokens": true, "user_families": true,
	"user_refresh_tokens": true, "codes": true, "requests": true, "client_secrets": true, "audit_events": true,
}

// TableSizes implements store.Upkeep. No statement reads more than store.MaxCounted rows or 32 MB.
func (s *Store) TableSizes(ctx context.Context, keep store.Retention) (list []store.TableSize, err error) {
	defer wrapErr(&err, "measure tables")
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
		if err := s.measure(ctx, &list[i], keep); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", list[i].Table, classify(err)))
		}
	}
	return list, errors.Join(faults...)
}

// measure adds the figures of a table that the database's catalogue does not have.
func (s *Store) measure(ctx context.Context, t *store.TableSize, keep store.Retention) error {
	if t.Rows < 0 {
		maxRows := int64(store.MaxCounted)
		if s.dialect.estimates { // only small tables are counted
			maxRows = math.MaxInt64 - 1
		}
		var n int64
		if err := s.read().row(ctx, countFirst(t.Table), []any{maxRows + 1}, &n); err != nil {
			return err
		}
		t.Rows, t.More = min(n, maxRows), n > maxRows
	}
	now := s.Now()
	if timeOrderedTables[t.Table] {
		for days, count := range map[int]*int64{1: &t.Day, 7: &t.Week} {
			since := secret.IDAt(now.AddDate(0, 0, -days))
			if err := s.read().row(ctx, countFirst(t.Table+` WHERE id >= $2`), []any{store.MaxCounted, since[:]}, count); err != nil {
				return err
			}
		}
	}
	for _, rule := range expiryRules {
		before, ends := rule.before(now, keep)
		if rule.table != t.Table || !ends {
			continue
		}
		var oldest time.Time
		err := s.read().row(ctx, rule.expired(rule.ended), []any{before, 1}, scanTime(&oldest))
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
	defer wrapErr(&err, "read the database's version")
	err = s.read().row(ctx, s.dialect.version, nil, &version)
	return version, err
}

// UnsafeSettings implements store.Upkeep. It asks a connection that writes.
func (s *Store) UnsafeSettings(ctx context.Context) (list []string, err error) {
	defer wrapErr(&err, "read the database's settings")
	return collect(ctx, s.db, func(scan scanner) (string, error) {
		var name, value string
		err := scan(&name, &value)
		return name + " = " + value, err
	}, s.dialect.unsafe)
}

// ClockDifference implements store.Upkeep. The answer is off by half a round trip at most.
func (s *Store) ClockDifference(ctx context.Context) (difference time.Duration, err error) {
	defer wrapErr(&err, "compare clocks")
	if s.dialect.clock == "" {
		return 0, nil
	}
	sent := time.Now()
	var answer int64
	if err := s.read().row(ctx, s.dialect.clock, nil, &answer); err != nil {
		return 0, err
	}
	return time.UnixMicro(answer).Sub(sent.Add(time.Since(sent) / 2)), nil
}
