package sqlstore

import (
	"context"

	"xenoauth/store"
)

// Installed is one rule: installation i was not removed, its app, account and user were not deleted, its user is
// still a member of its account, and it holds a live token. A live token is an access token that was not revoked, or a
// refresh family that can still be refreshed. Suspending an app or disabling an account or a user ends none of this:
// their tokens return. $2 is the time.
const (
	liveTokens   = `FROM tokens t WHERE t.installation_id = i.id AND t.installation_id <> '' AND t.revoked_at IS NULL`
	liveFamilies = `FROM families f JOIN refresh_tokens r ON r.family_id = f.id AND r.family_id <> '' AND r.rotated_at IS NULL
	WHERE f.installation_id = i.id AND f.installation_id <> '' AND f.ended_at IS NULL AND r.expires_at > $2`

	// holdsLiveToken has scalar subqueries, which are always looked up by key: an EXISTS may become a scan of the whole
	// other table.
	holdsLiveToken = `COALESCE((SELECT 1 ` + liveTokens + ` LIMIT 1), (SELECT 1 ` + liveFamilies + ` LIMIT 1), 0) = 1`

	// keptRoots goes after FROM … i.
	keptRoots = `JOIN apps a ON a.id = i.app_id AND a.deleted_at IS NULL
JOIN accounts c ON c.id = i.account_id AND c.deleted_at IS NULL
JOIN users u ON u.id = i.user_id AND u.deleted_at IS NULL
JOIN members m ON m.account_id = i.account_id AND m.user_id = i.user_id`
)

// countInstalled looks at $3 installations at most, whatever the app has.
const countInstalled = `WITH looked AS (
	SELECT x.id, x.app_id, x.account_id, x.user_id FROM installations x
	WHERE x.app_id = $1 AND x.app_id <> '' AND x.removed_at IS NULL LIMIT $3
)
SELECT (SELECT COUNT(*) FROM looked),
(SELECT COUNT(DISTINCT i.account_id) FROM looked i ` + keptRoots + ` WHERE ` + holdsLiveToken + `)`

// CountInstalled implements store.Apps.
func (s *Store) CountInstalled(ctx context.Context, appID string, most int) (n store.Count, err error) {
	defer wrapErr(&err, "count accounts with app %s", appID)
	var looked int
	// One more than asked for shows whether there are more.
	err = s.read().row(ctx, countInstalled, []any{appID, s.micros(), most + 1}, &looked, &n.N)
	n.N, n.More = min(n.N, most), looked > most
	return n, err
}
