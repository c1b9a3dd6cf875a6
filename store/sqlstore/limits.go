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

const selectFailures = `SELECT n, until FROM failures WHERE key = $1 AND until > $2`

// Waiting implements store.Limits.
func (s *Store) Waiting(ctx context.Context, limits ...store.Limit) (wait time.Duration, err error) {
	defer tried(&err, "look at the counts of %d keys", len(limits))
	now := s.micros()
	for _, l := range limits {
		var n, until int64
		err := s.read().row(ctx, selectFailures, []any{l.Key, now}, &n, &until)
		if err != nil && !notFound(err) {
			return 0, err
		}
		if err == nil && n >= int64(l.Most) {
			wait = max(wait, remaining(until, now))
		}
	}
	return wait, nil
}

// Attempt implements store.Limits. One statement counts under all keys and says what the counts are now; a count that
// went over its bound takes the whole statement back.
func (s *Store) Attempt(ctx context.Context, limits ...store.Limit) (wait time.Duration, err error) {
	defer tried(&err, "count an attempt under %d keys", len(limits))
	if len(limits) == 0 {
		return 0, nil
	}
	limits = inOrder(limits)
	now := s.micros()
	err = s.db.transact(ctx, func(ctx context.Context, q querier) error {
		wait = 0
		return countAttempt(ctx, q, limits, now, &wait)
	})
	if errors.Is(err, errOverLimit) {
		err = nil
	}
	return wait, err
}

// errOverLimit rolls an attempt back.
var errOverLimit = errors.New("over the limit")

func countAttempt(ctx context.Context, q querier, limits []store.Limit, now int64, wait *time.Duration) error {
	most := make(map[string]int64, len(limits))
	args := []any{now}
	for _, l := range limits {
		most[l.Key] = int64(l.Most)
		args = append(args, l.Key, now+l.Window.Microseconds())
	}
	err := q.rows(ctx, upsertFailures(len(limits)), args, func(scan scanner) error {
		var key string
		var n, until int64
		if err := scan(&key, &n, &until); err != nil {
			return err
		}
		if n > most[key] {
			*wait = max(*wait, remaining(until, now))
		}
		return nil
	})
	if err == nil && *wait > 0 {
		err = errOverLimit
	}
	return err
}

// remaining is the time to the end of a window, and never nothing: nothing means to go on.
func remaining(until, now int64) time.Duration {
	return max(time.Duration(until-now)*time.Microsecond, time.Microsecond)
}

// upsertFailures counts one under each of n keys. A window that is over starts anew.
func upsertFailures(n int) string {
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
}

const (
	forgiveOne = `UPDATE failures SET n = n - 1 WHERE key = $1 AND n > 0`
	forgiveAll = `DELETE FROM failures WHERE key = $1`
)

// TakeBack implements store.Limits.
func (s *Store) TakeBack(ctx context.Context, limits ...store.Limit) (err error) {
	defer tried(&err, "take an attempt back under %d keys", len(limits))
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].Resets = false
	}
	return s.forgive(ctx, limits)
}

// Forgive implements store.Limits.
func (s *Store) Forgive(ctx context.Context, limits ...store.Limit) (err error) {
	defer tried(&err, "forgive under %d keys", len(limits))
	return s.forgive(ctx, slices.DeleteFunc(slices.Clone(limits), func(l store.Limit) bool { return l.Keeps }))
}

// The table is read as a whole: it holds the failures of a day, and the operator's command asks seldom.
const unlock = `DELETE FROM failures WHERE key = $1 OR substr(key, 1, length(CAST($1 AS TEXT)) + 1) = CAST($1 AS TEXT) || ':'`

// Unlock implements store.Limits.
func (s *Store) Unlock(ctx context.Context, by store.Actor, userID string, keys ...string) (err error) {
	defer tried(&err, "unlock user %s", userID)
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		for _, key := range keys {
			if _, err := q.exec(ctx, unlock, key); err != nil {
				return err
			}
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventUserUnlocked, Subject: userID})
	})
}

func (s *Store) forgive(ctx context.Context, limits []store.Limit) error {
	if len(limits) == 0 {
		return nil
	}
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		for _, l := range inOrder(limits) {
			statement := forgiveOne
			if l.Resets {
				statement = forgiveAll
			}
			if _, err := q.exec(ctx, statement, l.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// inOrder is the one order in which everybody takes keys, so that nobody waits for one who waits for them.
func inOrder(limits []store.Limit) []store.Limit {
	return slices.SortedFunc(slices.Values(limits), func(a, b store.Limit) int { return cmp.Compare(a.Key, b.Key) })
}
