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

// maxSwept limits a batch, so that deleting one takes milliseconds.
const maxSwept = 1000

// expiryRule defines which rows x of a table have expired: those that ended longer ago than their retention.
type expiryRule struct {
	table string
	key   string // the primary key if it is not id
	from  string
	where string // a further condition, with AND after it
	ended string // when a row ended; NULL: it has not
	used  bool   // last_used may have rows for its ids
	kept  func(store.Retention) time.Duration
}

// expiryRules are in the order in which they are swept.
var expiryRules = slices.Concat([]expiryRule{
	{table: "requests", from: "requests x", ended: "x.expires_at", kept: keepForGrace},
	{table: "codes", from: "codes x", ended: "x.expires_at", kept: keepForGrace},
	{table: "sessions", from: "sessions x", ended: "x.expires_at", kept: keepForGrace},
	{table: "expiring_tokens", from: "expiring_tokens x", ended: "x.expires_at", used: true, kept: keepForGrace},
	{table: "integration_tokens", from: "integration_tokens x", ended: "x.expires_at", used: true, kept: keepForGrace},
}, appFamilies.expiryRules(false), userFamilies.expiryRules(true), []expiryRule{
	{table: "page_values", from: "page_values x", ended: "x.expires_at", kept: keepNothing},
	{table: "failures", key: "key", from: "failures x", ended: "x.until", kept: keepForGrace},
	{table: "tokens", from: "tokens x", ended: "x.revoked_at", used: true, kept: keepRevoked},
	{table: "client_secrets", from: "client_secrets x", ended: "x.revoked_at", used: true, kept: keepRevoked},
	{table: "client_secrets", from: "client_secrets x", ended: "x.expires_at", used: true, kept: keepRevoked},
	{table: "audit_events", from: "audit_events x", ended: "x.at", kept: keepEvents},
})

func keepNothing(store.Retention) time.Duration    { return time.Microsecond }
func keepForGrace(r store.Retention) time.Duration { return r.Grace }
func keepRevoked(store.Retention) time.Duration    { return store.KeepRevoked }
func keepEvents(r store.Retention) time.Duration   { return r.Audit }

// expiryRules deletes rotated refresh tokens at their own expiry, or with their family: until then they could be presented
// again, and the row is how that is detected. The current token is deleted with its family only, and the family after all
// of its tokens.
func (t familyTables) expiryRules(used bool) []expiryRule {
	return []expiryRule{
		{table: t.refreshes, from: t.refreshes + " x", where: "x.rotated_at IS NOT NULL AND ", ended: "x.expires_at", used: used, kept: keepForGrace},
		{
			table: t.refreshes, from: t.families + " f JOIN " + t.refreshes + " x ON x.family_id = f.id", where: "x.family_id <> '' AND ",
			ended: "f.ended_at", used: used, kept: keepForGrace,
		},
		{
			table: t.families, from: t.families + " x", ended: "x.ended_at", kept: keepForGrace,
			where: "NOT EXISTS (SELECT 1 FROM " + t.refreshes + " r WHERE r.family_id = x.id AND r.family_id <> '') AND ",
		},
	}
}

// expired selects an expression over the rows that ended before $1, the oldest $2 of them. It reads along the index on the
// end of the rows.
func (r expiryRule) expired(expression string) string {
	return `SELECT ` + expression + ` FROM ` + r.from + ` WHERE ` + r.where + r.ended + ` > 0 AND ` + r.ended + ` < $1
ORDER BY ` + r.ended + ` LIMIT $2`
}

// before is $1 of expired; false: the rows are kept without limit.
func (r expiryRule) before(now time.Time, keep store.Retention) (int64, bool) {
	kept := r.kept(keep)
	return now.Add(-kept).UnixMicro(), kept > 0
}

// inBatch is the condition that an id is among those that the query selects from x.
func (d dialect) inBatch(query string) string { return d.batch[0] + query + d.batch[1] }

// The statements of a sweep delete expired rows, their uses, or both in one statement.
func (d dialect) deleteExpired(r expiryRule) string {
	key := cmp.Or(r.key, "id")
	return `DELETE FROM ` + r.table + ` WHERE ` + key + d.inBatch(r.expired("x."+key))
}

func (d dialect) deleteUses(r expiryRule) string {
	return `DELETE FROM last_used WHERE id` + d.inBatch(r.expired("x.id"))
}

func (d dialect) deleteExpiredAndUses(r expiryRule) string {
	return `WITH gone AS (` + d.deleteExpired(r) + ` RETURNING id),
uses AS (DELETE FROM last_used WHERE id = ANY (ARRAY(SELECT id FROM gone)) RETURNING id)
SELECT (SELECT COUNT(*) FROM gone), (SELECT COUNT(*) FROM uses)`
}

// endExpiredFamilies sets the end of families whose current refresh token expired unused, so that one column records the
// end of every family. Such a family could not be refreshed any more, so this takes no access away.
func (d dialect) endExpiredFamilies(t familyTables) string {
	current := expiryRule{from: t.refreshes + " x", where: "x.rotated_at IS NULL AND ", ended: "x.expires_at"}
	return `UPDATE ` + t.families + ` SET ended_at = (SELECT r.expires_at FROM ` + t.refreshes + ` r
	WHERE r.family_id = ` + t.families + `.id AND r.family_id <> '' AND r.rotated_at IS NULL)
WHERE ended_at IS NULL AND id` + d.inBatch(current.expired("x.family_id"))
}

// Sweep implements store.Upkeep. Each table is swept in a transaction of its own.
func (s *Store) Sweep(ctx context.Context, keep store.Retention, limit int) (swept map[string]int64, err error) {
	defer wrapErr(&err, "sweep expired rows")
	if limit < 1 || limit > maxSwept || keep.Grace < 10*time.Minute {
		return nil, fmt.Errorf("%w: a sweep of %d rows, kept for %s", store.ErrInvalid, limit, keep.Grace)
	}
	now := s.Now()
	var b batch
	for _, t := range []familyTables{appFamilies, userFamilies} {
		b.exec(s.dialect.endExpiredFamilies(t), now.Add(-keep.Grace).UnixMicro(), limit)
	}
	if err := s.db.send(ctx, b); err != nil {
		return nil, err
	}
	swept = map[string]int64{}
	var faults []error // an error on one table must not keep the others from being swept
	for _, r := range expiryRules {
		before, ends := r.before(now, keep)
		left := int64(limit) - swept[r.table]
		if !ends || left == 0 {
			continue
		}
		rows, uses, err := s.sweep(ctx, r, before, left)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", r.table, err))
		}
		if errors.Is(err, store.ErrUnavailable) { // the other tables would wait as well
			break
		}
		swept[r.table] += rows
		swept["last_used"] += uses
	}
	return swept, errors.Join(faults...)
}

func (s *Store) sweep(ctx context.Context, r expiryRule, before, limit int64) (rows, uses int64, err error) {
	switch {
	case !r.used:
		rows, err = s.db.exec(ctx, s.dialect.deleteExpired(r), before, limit)
	case s.dialect.consuming:
		err = s.db.row(ctx, s.dialect.deleteExpiredAndUses(r), []any{before, limit}, &rows, &uses)
	default: // no other writer runs between the two, so both select the same rows
		var b batch
		deletedUses := b.exec(s.dialect.deleteUses(r), before, limit)
		deletedRows := b.exec(s.dialect.deleteExpired(r), before, limit)
		if err = s.db.send(ctx, b); err == nil {
			rows, uses = deletedRows.changed, deletedUses.changed
		}
	}
	return rows, uses, err
}
