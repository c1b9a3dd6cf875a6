package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/store"
)

// selectFailures reads the counts under n keys.
var selectFailures = sizes{text: func(n int) string {
	return `SELECT key, n, until FROM failures WHERE until > $1 AND key IN (` + parameters(2, n) + `)`
}}

// Waiting implements store.Limits.
func (s *Store) Waiting(ctx context.Context, limits ...store.Limit) (wait time.Duration, err error) {
	defer wrapErr(&err, "read the counts of %d keys", len(limits))
	if len(limits) == 0 {
		return 0, nil
	}
	now := s.micros()
	values := []any{now}
	for _, l := range limits {
		values = append(values, l.Key)
	}
	return longestWait(ctx, s.read(), limits, 1, now, selectFailures.of(len(limits)), values)
}

// upsertFailures adds one to the counts under n keys. A window that is over starts again.
var upsertFailures = sizes{text: func(n int) string {
	var values strings.Builder
	for i := range n {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($%d, 1, $%d)", 2*i+2, 2*i+3)
	}
	return `INSERT INTO failures (key, n, until) VALUES ` + values.String() + `
ON CONFLICT (key) DO UPDATE SET
	n = CASE WHEN failures.until > $1 THEN failures.n + 1 ELSE 1 END,
	until = CASE WHEN failures.until > $1 THEN failures.until ELSE excluded.until END
RETURNING key, n, until`
}}

// errOverLimit rolls an attempt back.
var errOverLimit = errors.New("over the limit")

// Attempt implements store.Limits. One statement counts under all keys and returns the counts; if one of them exceeds its
// limit, the whole statement is rolled back.
func (s *Store) Attempt(ctx context.Context, limits ...store.Limit) (wait time.Duration, err error) {
	defer wrapErr(&err, "count an attempt under %d keys", len(limits))
	if len(limits) == 0 {
		return 0, nil
	}
	limits = inOrder(limits)
	now := s.micros()
	values := []any{now}
	for _, l := range limits {
		values = append(values, l.Key, now+l.Window.Microseconds())
	}
	err = s.db.transact(ctx, func(ctx context.Context, q querier) (err error) {
		wait, err = longestWait(ctx, q, limits, 0, now, upsertFailures.of(len(limits)), values)
		if err == nil && wait > 0 {
			err = errOverLimit
		}
		return err
	})
	if errors.Is(err, errOverLimit) {
		err = nil
	}
	return wait, err
}

// longestWait runs a statement that returns counts, and returns the time until the windows of those end that exceed their
// limits with that many more attempts.
func longestWait(ctx context.Context, q querier, limits []store.Limit, more, now int64, sql string, values []any) (wait time.Duration, err error) {
	err = q.rows(ctx, sql, values, func(scan scanner) error {
		var key string
		var n, until int64
		if err := scan(&key, &n, &until); err != nil {
			return err
		}
		for _, l := range limits {
			if l.Key == key && n+more > int64(l.Max) {
				// Never zero, which means that there is no need to wait.
				wait = max(wait, time.Duration(until-now)*time.Microsecond, time.Microsecond)
			}
		}
		return nil
	})
	return wait, err
}

// returnAttempts takes an attempt back under n keys. The value of n is 1 for one attempt, and 0 for all that were counted: then
// the window is over. It is an upsert, not an update, because an upsert locks rows in the order of its values. A row that
// it inserts counts nothing, since its window is over.
var returnAttempts = sizes{text: func(n int) string {
	var values strings.Builder
	for i := range n {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($%d, $%d, $1)", 2*i+2, 2*i+3)
	}
	return `INSERT INTO failures (key, n, until) VALUES ` + values.String() + `
ON CONFLICT (key) DO UPDATE SET
	n = CASE WHEN excluded.n = 1 AND failures.n > 0 THEN failures.n - 1 ELSE 0 END,
	until = CASE WHEN excluded.n = 0 THEN excluded.until ELSE failures.until END`
}}

// Refund implements store.Limits.
func (s *Store) Refund(ctx context.Context, limits ...store.Limit) (err error) {
	defer wrapErr(&err, "take an attempt back under %d keys", len(limits))
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].Resets = false
	}
	return s.takeBack(ctx, limits)
}

// Reset implements store.Limits.
func (s *Store) Reset(ctx context.Context, limits ...store.Limit) (err error) {
	defer wrapErr(&err, "reset the counts of %d keys", len(limits))
	return s.takeBack(ctx, slices.DeleteFunc(slices.Clone(limits), func(l store.Limit) bool { return l.Keeps }))
}

// The table is read as a whole: it holds the failures of a day, and the operator's command asks seldom.
const unlock = `DELETE FROM failures WHERE key = $1 OR substr(key, 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || ':'`

// Unlock implements store.Limits.
func (s *Store) Unlock(ctx context.Context, by store.Principal, userID string, keys ...string) (err error) {
	defer wrapErr(&err, "unlock user %s", userID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var b batch
		for _, key := range keys {
			b.exec(unlock, key)
		}
		s.queueEvent(&b, by, store.Event{Kind: store.EventUserUnlocked, Subject: userID})
		return q.send(ctx, b)
	})
}

func (s *Store) takeBack(ctx context.Context, limits []store.Limit) error {
	if len(limits) == 0 {
		return nil
	}
	values := []any{s.micros() - time.Minute.Microseconds()} // over for every replica, whatever their clocks differ by
	for _, l := range inOrder(limits) {
		values = append(values, l.Key, flag(!l.Resets))
	}
	_, err := s.db.exec(ctx, returnAttempts.of(len(limits)), values...)
	return err
}

// inOrder sorts limits by key. All transactions lock keys in this order, which prevents deadlock.
func inOrder(limits []store.Limit) []store.Limit {
	return slices.SortedFunc(slices.Values(limits), func(a, b store.Limit) int { return cmp.Compare(a.Key, b.Key) })
}
