package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/store"
)

// Live rows are counted among the first rows of a table: a bound on the rows found would read the whole table where all
// rows but a few have ended. Each statement returns how many rows it looked at, and how many of those count; $1 is how many
// it looks at, $2 the time.
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

	// The newest tokens are the likeliest to be live.
	countLiveTokens = `WITH looked AS (SELECT x.installation_id, x.revoked_at FROM tokens x WHERE CAST($2 AS BIGINT) > 0 ORDER BY x.id DESC LIMIT $1)
SELECT COUNT(*), COUNT(CASE WHEN t.revoked_at IS NULL AND t.installation_id = (
	SELECT i.id FROM installations i ` + keptRoots + ` WHERE i.removed_at IS NULL AND i.id = t.installation_id
) THEN 1 END) FROM looked t`
)

// CountFigures implements store.Upkeep. What cannot be counted does not keep the others from being counted.
func (s *Store) CountFigures(ctx context.Context, most int) (f store.Figures, err error) {
	defer tried(&err, "count live rows")
	var faults []error
	for _, figure := range []struct {
		what, query string
		count       **store.Count
	}{{"apps", countApps, &f.Apps}, {"installations", countInstalledPairs, &f.Installed}, {"tokens", countLiveTokens, &f.Tokens}} {
		var looked, n int
		// One more than asked for shows whether there are more.
		if err := s.read().row(ctx, figure.query, []any{most + 1, s.micros()}, &looked, &n); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", figure.what, classify(err)))
			continue
		}
		*figure.count = &store.Count{N: min(n, most), More: looked > most}
	}
	return f, errors.Join(faults...)
}
