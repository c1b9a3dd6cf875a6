package sqlstore

import (
	"context"

	"xenoauth/store"
)

const (
	verifyApp = `UPDATE apps SET verified_at = $2, unverified_at = NULL, unverified_for = ''
WHERE id = $1 AND version = $3 AND deleted_at IS NULL AND verified_at IS NULL`
	endVerification = `UPDATE apps SET verified_at = NULL, unverified_at = $2, unverified_for = $3
WHERE id = $1 AND deleted_at IS NULL AND verified_at IS NOT NULL`
	selectAppVersion = `SELECT account_id, version FROM apps WHERE id = $1 AND deleted_at IS NULL`
)

// VerifyApp implements store.Apps.
func (s *Store) VerifyApp(ctx context.Context, by store.Principal, id string, version int64) (err error) {
	defer wrapErr(&err, "verify version %d of app %s", version, id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		changed, err := q.exec(ctx, verifyApp, id, s.micros(), version)
		if err != nil {
			return err
		}
		var accountID string
		var stored int64
		if err := q.row(ctx, selectAppVersion, []any{id}, &accountID, &stored); err != nil {
			return err
		}
		switch {
		case changed == 1:
			return s.record(ctx, q, by, appEvent(store.EventAppVerified, accountID, id))
		case stored != version:
			return store.ErrConflict
		}
		return nil
	})
}

// UnverifyApp implements store.Apps.
func (s *Store) UnverifyApp(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "take back the verification of app %s", id)
	return s.setAppState(ctx, by, id, store.EventAppUnverified, endVerification, id, s.micros(), "")
}

// selectVerifiedNames reads along apps_verified.
const selectVerifiedNames = `SELECT a.id, a.name, c.id, c.name FROM apps a JOIN accounts c ON c.id = a.account_id
WHERE a.verified_at > 0 AND a.deleted_at IS NULL`

// VerifiedNames implements store.Apps.
func (s *Store) VerifiedNames(ctx context.Context) (list []store.VerifiedName, err error) {
	defer wrapErr(&err, "names of verified apps")
	return collect(ctx, s.read(), func(scan scanner) (v store.VerifiedName, err error) {
		err = scan(&v.AppID, &v.Name, &v.AccountID, &v.AccountName)
		return v, err
	}, selectVerifiedNames)
}
