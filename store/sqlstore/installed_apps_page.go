package sqlstore

import (
	"context"

	"xenoauth/store"
)

// visibleApps are the apps on accounts that user $1 may see: with an installation of their own, or on an account where they
// are an admin. The cost grows with the installations on those accounts, and with nothing else.
const visibleApps = `SELECT o.account_id, o.app_id, MAX(o.created_at) AS newest, COUNT(*) AS installers
FROM installations o
JOIN apps a ON a.id = o.app_id AND a.deleted_at IS NULL
JOIN accounts c ON c.id = o.account_id AND c.deleted_at IS NULL
WHERE o.id IN (
	SELECT x.id FROM installations x WHERE x.user_id = $1 AND x.user_id <> '' AND x.removed_at IS NULL
	UNION
	SELECT x.id FROM members m JOIN installations x ON x.account_id = m.account_id AND x.account_id <> '' AND x.removed_at IS NULL
	WHERE m.user_id = $1 AND m.role = 'admin'
)`

// selectInstalledApps takes a part of the visible apps, and of each some installations: the user's own and the newest.
var selectInstalledApps = `WITH part AS (
	` + visibleApps + searching("$6", "a.name", "c.name") + `
	GROUP BY o.account_id, o.app_id ORDER BY newest DESC, o.account_id, o.app_id LIMIT $3 OFFSET $4
), shown AS (
	SELECT o.id, part.newest, part.installers, ROW_NUMBER() OVER (
		PARTITION BY o.account_id, o.app_id ORDER BY CASE WHEN o.user_id = $1 THEN 0 ELSE 1 END, o.created_at DESC, o.id DESC
	) AS nth
	FROM part JOIN installations o ON o.account_id = part.account_id AND o.account_id <> '' AND o.app_id = part.app_id AND o.removed_at IS NULL
	WHERE o.user_id = $1 OR EXISTS (
		SELECT 1 FROM members m WHERE m.account_id = o.account_id AND m.user_id = $1 AND m.role = 'admin')
)
SELECT ` + installedColumns + `, shown.installers
FROM shown JOIN installations i ON i.id = shown.id ` + installedRoots + `
WHERE shown.nth <= $5
ORDER BY shown.newest DESC, i.account_id, i.app_id, i.created_at DESC, i.id DESC`

// InstalledApps implements store.Installations.
func (s *Store) InstalledApps(ctx context.Context, userID string, q store.InstalledQuery) (list []store.InstalledApp, more bool, err error) {
	defer wrapErr(&err, "installed apps of user %s", userID)
	most := limit(q.Limit)
	list, err = collect(ctx, s.read(), readListedApp, selectInstalledApps,
		userID, s.micros(), most+1, max(q.Offset, 0), limit(q.Installers), pattern(q.Search))
	if err != nil {
		return nil, false, err
	}
	// The app after the part shows that there is one.
	apps := 0
	for n, i := range list {
		if n == 0 || i.AppID != list[n-1].AppID || i.AccountID != list[n-1].AccountID {
			apps++
		}
		if apps > most {
			return list[:n], true, nil
		}
	}
	return list, false, nil
}

func readListedApp(scan scanner) (store.InstalledApp, error) {
	var installers int
	i, err := readInstalledApp(func(dest ...any) error { return scan(append(dest, &installers)...) })
	i.Installers = installers
	return i, err
}

const countInstalledApps = `SELECT COUNT(*) FROM (` + visibleApps + ` GROUP BY o.account_id, o.app_id LIMIT $2) AS apps`

// CountInstalledApps implements store.Installations.
func (s *Store) CountInstalledApps(ctx context.Context, userID string, max int) (n store.Count, err error) {
	defer wrapErr(&err, "count installed apps of user %s", userID)
	// One more than asked for shows whether there are more.
	err = s.read().row(ctx, countInstalledApps, []any{userID, max + 1}, &n.N)
	n.N, n.More = min(n.N, max), n.N > max
	return n, err
}
