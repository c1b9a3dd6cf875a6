package sqlstore

import (
	"context"

	"xenoauth/store"
)

const selectInstalledApp = installedApp + `WHERE i.id = $3 AND (i.user_id = $1 AND i.user_id <> '' OR EXISTS (
	SELECT 1 FROM members v WHERE v.account_id = i.account_id AND v.user_id = $1 AND v.role = 'admin'))`

// InstalledAppByID implements store.Installations.
func (s *Store) InstalledAppByID(ctx context.Context, userID, id string) (i store.InstalledApp, err error) {
	defer wrapErr(&err, "installed app %s of user %s", id, userID)
	list, err := collect(ctx, s.read(), readInstalledApp, selectInstalledApp, userID, s.micros(), id)
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.InstalledApp{}, err
	}
	return list[0], nil
}

// selectInstallers reads the account's live installations by their index; those of the app are few of them or all.
const selectInstallers = `SELECT i.id, u.id, u.name, u.email
FROM installations i
JOIN users u ON u.id = i.user_id AND u.deleted_at IS NULL
JOIN members m ON m.account_id = i.account_id AND m.user_id = i.user_id
WHERE i.account_id = $1 AND i.account_id <> '' AND i.app_id = $2 AND i.removed_at IS NULL
ORDER BY i.created_at, i.id LIMIT $3`

// Installers implements store.Installations.
func (s *Store) Installers(ctx context.Context, accountID, appID string, max int) (list []store.Installer, err error) {
	defer wrapErr(&err, "installers of app %s on account %s", appID, accountID)
	return collect(ctx, s.read(), func(scan scanner) (i store.Installer, err error) {
		err = scan(&i.InstallationID, &i.UserID, &i.UserName, &i.UserEmail)
		return i, err
	}, selectInstallers, accountID, appID, max)
}

const selectRemovable = `SELECT i.id FROM installations i
WHERE i.account_id = $1 AND i.account_id <> '' AND i.app_id = $2 AND i.removed_at IS NULL
AND ($3 = 1 OR EXISTS (SELECT 1 FROM members m WHERE m.account_id = i.account_id AND m.user_id = $4 AND m.role = 'admin'))
ORDER BY i.id`

// RemoveInstallations implements store.Installations.
func (s *Store) RemoveInstallations(ctx context.Context, by store.Principal, accountID, appID string) (n int, err error) {
	defer wrapErr(&err, "remove app %s from account %s", appID, accountID)
	operator, userID := operatorOrUser(by)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		ids, err := collect(ctx, q, func(scan scanner) (id string, err error) {
			err = scan(&id)
			return id, err
		}, selectRemovable, accountID, appID, operator, userID)
		if err != nil {
			return err
		}
		n = 0
		for _, id := range ids {
			// One that another transaction removes at the same time is gone, as requested.
			done, err := s.runAsIn(ctx, q, by, &removeInstallation, removedEvent(id), manager(by))
			if err != nil {
				return err
			}
			if done {
				n++
			}
		}
		return nil
	})
	return n, err
}
