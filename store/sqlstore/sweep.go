package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xenoauth/store"
)

// mostSwept bounds a batch, so that deleting one takes milliseconds.
const mostSwept = 1000

// mortal says which rows of a table serve nobody any more: those of x that ended longer ago than they are kept.
type mortal struct {
	table string
	key   string // its primary key if that is not id
	from  string
	where string // a further condition, with AND after it
	ended string // when a row ended; NULL: it has not
	used  bool   // its ids may stand in last_used
	kept  func(store.Retention) time.Duration
}

func atOnce(store.Retention) time.Duration { return time.Microsecond }

func withGrace(r store.Retention) time.Duration { return r.Grace }

func whenRevoked(store.Retention) time.Duration { return store.KeepRevoked }

// mortals are in the order in which they are swept.
var mortals = slices.Concat([]mortal{
	{table: "requests", from: "requests x", ended: "x.expires_at", kept: withGrace},
	{table: "codes", from: "codes x", ended: "x.expires_at", kept: withGrace},
	{table: "sessions", from: "sessions x", ended: "x.expires_at", kept: withGrace},
	{table: "expiring_tokens", from: "expiring_tokens x", ended: "x.expires_at", used: true, kept: withGrace},
	{table: "integration_tokens", from: "integration_tokens x", ended: "x.expires_at", used: true, kept: withGrace},
}, kinships[0].mortals(false), kinships[1].mortals(true), []mortal{
	{table: "page_values", from: "page_values x", ended: "x.expires_at", kept: atOnce},
	{table: "failures", key: "key", from: "failures x", ended: "x.until", kept: withGrace},
	{table: "tokens", from: "tokens x", ended: "x.revoked_at", used: true, kept: whenRevoked},
	{table: "client_secrets", from: "client_secrets x", ended: "x.revoked_at", used: true, kept: whenRevoked},
	{table: "client_secrets", from: "client_secrets x", ended: "x.expires_at", used: true, kept: whenRevoked},
	{table: "audit_events", from: "audit_events x", ended: "x.at", kept: func(r store.Retention) time.Duration { return r.Audit }},
})

// dead selects something of rows that ended before $1, the oldest $2 of them.
func (m mortal) dead(column string) string {
	return `SELECT ` + column + ` FROM ` + m.from + ` WHERE ` + m.where + m.ended + ` > 0 AND ` + m.ended + ` < $1
ORDER BY ` + m.ended + ` LIMIT $2`
}

// before is $1 of dead; false: the rows are kept for ever.
func (m mortal) before(now time.Time, r store.Retention) (int64, bool) {
	kept := m.kept(r)
	return now.Add(-kept).UnixMicro(), kept > 0
}

func (d dialect) inBatch(query string) string { return d.batch[0] + query + d.batch[1] }

// The statements of a sweep, by what they end with: rows, their uses, or both at once.
func (d dialect) deleteDead(m mortal) string {
	key := cmp.Or(m.key, "id")
	return `DELETE FROM ` + m.table + ` WHERE ` + key + d.inBatch(m.dead("x."+key))
}

func (d dialect) deleteUses(m mortal) string {
	return `DELETE FROM last_used WHERE id` + d.inBatch(m.dead("x.id"))
}

func (d dialect) deleteDeadAndUses(m mortal) string {
	return `WITH gone AS (` + d.deleteDead(m) + ` RETURNING id),
uses AS (DELETE FROM last_used WHERE id = ANY (ARRAY(SELECT id FROM gone)) RETURNING id)
SELECT (SELECT COUNT(*) FROM gone), (SELECT COUNT(*) FROM uses)`
}

// endExpiredFamilies makes the end of a family whose current refresh token nobody used in time a fact like any other.
// It takes nothing from anybody.
func (d dialect) endExpiredFamilies(k kinship) string {
	expired := mortal{from: k.refreshes + " x", where: "x.rotated_at IS NULL AND ", ended: "x.expires_at"}
	return `UPDATE ` + k.families + ` SET ended_at = (SELECT r.expires_at FROM ` + k.refreshes + ` r
	WHERE r.family_id = ` + k.families + `.id AND r.family_id <> '' AND r.rotated_at IS NULL)
WHERE ended_at IS NULL AND id` + d.inBatch(expired.dead("x.family_id"))
}

// kinship is a table of families with that of their refresh tokens.
type kinship struct{ families, refreshes string }

var kinships = []kinship{{"families", "refresh_tokens"}, {"user_families", "user_refresh_tokens"}}

// mortals are in the order in which they are swept. Rotated refresh tokens betray their reuse as long as they could have been used: until their
// own expiry, or until their family is dead. The current one goes with its family only, and the family after all of them.
func (k kinship) mortals(used bool) []mortal {
	return []mortal{
		{table: k.refreshes, from: k.refreshes + " x", where: "x.rotated_at IS NOT NULL AND ", ended: "x.expires_at", used: used, kept: withGrace},
		{
			table: k.refreshes, from: k.families + " f JOIN " + k.refreshes + " x ON x.family_id = f.id", where: "x.family_id <> '' AND ",
			ended: "f.ended_at", used: used, kept: withGrace,
		},
		{
			table: k.families, from: k.families + " x", ended: "x.ended_at", kept: withGrace,
			where: "NOT EXISTS (SELECT 1 FROM " + k.refreshes + " r WHERE r.family_id = x.id AND r.family_id <> '') AND ",
		},
	}
}

// Sweep implements store.Upkeep. Each table is a transaction of its own.
func (s *Store) Sweep(ctx context.Context, r store.Retention, limit int) (swept map[string]int64, err error) {
	defer tried(&err, "sweep expired rows")
	if limit < 1 || limit > mostSwept || r.Grace < 10*time.Minute {
		return nil, fmt.Errorf("%w: a sweep of %d rows, kept for %s", store.ErrInvalid, limit, r.Grace)
	}
	now := s.Now()
	for _, k := range kinships {
		if _, err := s.db.exec(ctx, s.dialect.endExpiredFamilies(k), now.Add(-r.Grace).UnixMicro(), limit); err != nil {
			return nil, err
		}
	}
	swept = map[string]int64{}
	var faults []error // one table's must not keep the others from being swept
	for _, m := range mortals {
		before, ends := m.before(now, r)
		left := int64(limit) - swept[m.table]
		if !ends || left == 0 {
			continue
		}
		rows, uses, err := s.sweep(ctx, m, before, left)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.table, err))
		}
		if errors.Is(err, store.ErrUnavailable) { // the other tables would only wait, too
			break
		}
		swept[m.table] += rows
		swept["last_used"] += uses
	}
	return swept, errors.Join(faults...)
}

func (s *Store) sweep(ctx context.Context, m mortal, before, limit int64) (rows, uses int64, err error) {
	switch {
	case !m.used:
		rows, err = s.db.exec(ctx, s.dialect.deleteDead(m), before, limit)
	case s.dialect.consuming:
		err = s.db.row(ctx, s.dialect.deleteDeadAndUses(m), []any{before, limit}, &rows, &uses)
	default: // nobody else writes meanwhile: both statements are about the same rows
		err = s.db.transact(ctx, func(ctx context.Context, q querier) (err error) {
			if uses, err = q.exec(ctx, s.dialect.deleteUses(m), before, limit); err != nil {
				return err
			}
			rows, err = q.exec(ctx, s.dialect.deleteDead(m), before, limit)
			return err
		})
	}
	return rows, uses, err
}
