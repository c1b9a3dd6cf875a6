package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/store"
)

// Live rows are counted among the first rows of a table: a limit on the rows found would read the whole table if most rows
// have ended. Each statement returns how many rows it read, and how many of those are live. $1 is how many it reads, $2 the
// time.
const (
	countApps = `WITH looked AS (SELECT x.deleted_at FROM apps x WHERE CAST($2 AS BIGINT) > 0 LIMIT $1)
SELECT COUNT(*), COUNT(CASE WHEN deleted_at IS NULL THEN 1 END) FROM looked`

	// The order is that of the index on live installations.
	countInstalledPairs = `WITH looked AS (
	SELECT x.id, x.app_id, x.account_id, x.user_id FROM installations x
	WHERE x.user_id <> '' AND x.removed_at IS NULL ORDER BY x.user_id, x.account_id, x.app_id LIMIT $1
)
SELECT (SELECT COUNT(*) FROM looked),
(SELECT COUNT(*) FROM (SELECT DISTINCT i.account_id, i.app_id FROM looked i ` + keptRoots + ` WHERE ` + holdsLiveToken + `) pairs)`

	// The newest tokens are the most likely to be live.
	countLiveTokens = `WITH looked AS (SELECT x.installation_id, x.revoked_at FROM tokens x WHERE CAST($2 AS BIGINT) > 0 ORDER BY x.id DESC LIMIT $1)
SELECT COUNT(*), COUNT(CASE WHEN t.revoked_at IS NULL AND t.installation_id = (
	SELECT i.id FROM installations i ` + keptRoots + ` WHERE i.removed_at IS NULL AND i.id = t.installation_id
) THEN 1 END) FROM looked t`
)

// CountFigures implements store.Upkeep. An error on one figure does not keep the others from being counted.
func (s *Store) CountFigures(ctx context.Context, max int) (f store.Figures, err error) {
	defer wrapErr(&err, "count live rows")
	var faults []error
	for _, figure := range []struct {
		name, query string
		count       **store.Count
	}{{"apps", countApps, &f.Apps}, {"installations", countInstalledPairs, &f.Installed}, {"tokens", countLiveTokens, &f.Tokens}} {
		var read, n int
		// One more row than the limit shows whether there are more.
		if err := s.read().row(ctx, figure.query, []any{max + 1, s.micros()}, &read, &n); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", figure.name, classify(err)))
			continue
		}
		*figure.count = &store.Count{N: min(n, max), More: read > max}
	}
	return f, errors.Join(faults...)
}
