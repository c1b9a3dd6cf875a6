package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// userTokenRoots reads the rows that a family f depends on: the user with the secret that opened it, the membership, the account.
const userTokenRoots = `JOIN users u ON u.id = f.user_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND COALESCE(u.password_at, 0) = f.password_at
JOIN members m ON m.account_id = f.account_id AND m.user_id = f.user_id
JOIN accounts c ON c.id = f.account_id AND c.disabled_at IS NULL AND c.deleted_at IS NULL
LEFT JOIN client_secrets s ON s.id = f.secret_id`

// endOfUserFamily is when a family f ends even if it is refreshed. Rows of older versions have no such time.
var endOfUserFamily = `COALESCE(f.ends_at, f.created_at + ` + strconv.FormatInt(store.UserFamilyLifetime.Microseconds(), 10) + `)`

// botSecretLive is about the s of userTokenRoots.
const botSecretLive = `(f.secret_id IS NULL OR s.id IS NOT NULL AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > @now))`

var (
	insertUserFamily = named(`INSERT INTO user_families (id, user_id, account_id, password_at, secret_id, created_at, ends_at, user_agent, ip)
SELECT @id, u.id, c.id, @password_at, @secret, @created_at, @ends_at, @user_agent, @ip
FROM users u JOIN members m ON m.user_id = u.id JOIN accounts c ON c.id = m.account_id
WHERE u.id = @user AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND COALESCE(u.password_at, 0) = @password_at
AND c.id = @account AND c.disabled_at IS NULL AND c.deleted_at IS NULL
AND (@has_secret = 0 OR EXISTS (SELECT 1 FROM client_secrets s WHERE s.id = @secret AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > @now)))`)

	insertUserRefresh = named(`INSERT INTO user_refresh_tokens (id, hash, token_hash, family_id, created_at, expires_at)
VALUES (@id, @hash, @token_hash, @family, @created_at, @expires_at)`)
)

// CreateUserFamily implements store.UserTokens.
func (s *Store) CreateUserFamily(ctx context.Context, by store.Principal, f store.UserFamily, first store.UserRefresh) (err error) {
	defer wrapErr(&err, "create user token of user %s", f.UserID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var b batch
		insertUserFamily.queue(&b, args{
			{"id", f.ID[:]}, {"password_at", microsOf(f.PasswordAt)}, {"secret", optional(f.SecretID)}, {"created_at", at(f.CreatedAt)},
			{"ends_at", at(f.EndsAt)}, {"user_agent", f.UserAgent}, {"ip", f.IP}, {"user", f.UserID}, {"account", f.AccountID},
			{"has_secret", flag(f.SecretID != (store.LookupID{}))}, {"now", s.micros()},
		}).orElse(store.ErrEnded)
		insertUserRefresh.queue(&b, args{
			{"id", first.ID[:]}, {"hash", first.Hash}, {"token_hash", first.TokenHash}, {"family", f.ID[:]},
			{"created_at", at(first.CreatedAt)}, {"expires_at", at(first.ExpiresAt)},
		})
		s.queueEvent(&b, by, store.Event{
			Kind: store.EventUserTokenIssued, AccountID: f.AccountID, Subject: f.UserID, Detail: secret.ID(f.ID).String(),
		})
		return q.send(ctx, b)
	})
}

// microsOf is a time in a column that is never NULL: 0 for never.
func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// selectUserRefresh reads a pair with its family and the rows that it depends on, live or not, all by primary key.
var selectUserRefresh = `SELECT r.id, r.hash, r.token_hash, r.family_id, r.created_at, r.expires_at, r.rotated_at, r.sealed, r.sealed_until,
` + userFamilies.successor() + `, r.replaced_at, f.id, f.user_id, f.account_id, f.password_at, f.secret_id, f.created_at, ` + endOfUserFamily + `, f.ended_at,
f.user_agent, f.ip,
s.created_at, s.expires_at, s.revoked_at, ` + userColumns + `, u.deleted_at, ` + accountColumns + `, c.deleted_at, m.role
FROM user_refresh_tokens r
JOIN user_families f ON f.id = r.family_id
LEFT JOIN users u ON u.id = f.user_id
LEFT JOIN accounts c ON c.id = f.account_id
LEFT JOIN members m ON m.account_id = f.account_id AND m.user_id = f.user_id
LEFT JOIN client_secrets s ON s.id = f.secret_id
WHERE r.id = $1`

// UserRefreshByID implements store.UserTokens.
func (s *Store) UserRefreshByID(ctx context.Context, id store.LookupID) (a store.UserAccess, err error) {
	defer wrapErr(&err, "look up user token %s", secret.ID(id))
	var passwordAt int64
	var opener store.Secret
	var userDeleted, accountDeleted time.Time
	f := &a.Owner
	dest := []any{
		scanID(&a.ID), &a.Hash, &a.TokenHash, scanID(&a.Family), scanTime(&a.CreatedAt), scanTime(&a.ExpiresAt), scanTime(&a.RotatedAt),
		&a.Sealed, scanTime(&a.SealedUntil), scanID(&a.Successor), scanTime(&a.ReplacedAt),
		scanID(&f.ID), &f.UserID, &f.AccountID, &passwordAt, scanID(&f.SecretID), scanTime(&f.CreatedAt), scanTime(&f.EndsAt),
		scanTime(&f.EndedAt), scanText(&f.UserAgent), scanText(&f.IP),
		scanTime(&opener.CreatedAt), scanTime(&opener.ExpiresAt), scanTime(&opener.RevokedAt),
	}
	dest = append(append(dest, toUser(&a.User)...), scanTime(&userDeleted))
	dest = append(append(dest, toAccount(&a.Account)...), scanTime(&accountDeleted), scanRole(&a.Role))
	if err := s.read().row(ctx, selectUserRefresh, []any{id[:]}, dest...); err != nil {
		return store.UserAccess{}, err
	}
	if passwordAt != 0 {
		f.PasswordAt = time.UnixMicro(passwordAt).UTC()
	}
	a.User.Password = ""
	now := s.Now()
	openerLive := f.SecretID == (store.LookupID{}) || opener.LiveAt(now)
	userLive := a.User.ID != "" && userDeleted.IsZero() && a.User.DisabledAt.IsZero() && a.User.PasswordAt.Equal(f.PasswordAt)
	accountLive := a.Account.ID != "" && accountDeleted.IsZero() && a.Account.DisabledAt.IsZero()
	a.Live = f.EndedAt.IsZero() && now.Before(f.EndsAt) && openerLive && userLive && accountLive && a.Role != ""
	return a, nil
}

var userRotation = newRotation(userFamilies,
	`family_id = (SELECT f.id FROM user_families f `+userTokenRoots+`
	WHERE f.id = user_refresh_tokens.family_id AND f.ended_at IS NULL AND `+endOfUserFamily+` > @now AND `+botSecretLive+`)`,
	[2]string{`hash, token_hash`, `@next_hash, @next_token_hash`})

// RotateUserRefresh implements store.UserTokens. There is no audit event: the rows are the record.
func (s *Store) RotateUserRefresh(ctx context.Context, r store.UserRotation) (err error) {
	defer wrapErr(&err, "rotate user token %s", secret.ID(r.Old))
	n := r.Next
	return userRotation.run(ctx, s, r.Old, r.Unused, args{
		{"now", s.micros()}, {"sealed", r.Sealed}, {"sealed_until", at(r.SealedUntil)}, {"old", r.Old[:]}, {"unused", r.Unused[:]},
		{"next_id", n.ID[:]}, {"next_hash", n.Hash}, {"next_token_hash", n.TokenHash},
		{"next_created_at", at(n.CreatedAt)}, {"next_expires_at", at(n.ExpiresAt)},
	})
}

const (
	endUserFamily    = `UPDATE user_families SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING user_id, account_id`
	selectUserFamily = `SELECT user_id FROM user_families WHERE id = $1`
	endFamilyOfUser  = `UPDATE user_families SET ended_at = $2 WHERE id = $1 AND user_id = $3 AND ended_at IS NULL RETURNING user_id, account_id`
)

// EndUserFamilyOf implements store.UserTokens.
func (s *Store) EndUserFamilyOf(ctx context.Context, by store.Principal, userID string, id store.LookupID, why string) (err error) {
	defer wrapErr(&err, "end user tokens %s of user %s", secret.ID(id), userID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventUserTokenEnded, Detail: why}
		if err := q.row(ctx, endFamilyOfUser, []any{id[:], s.micros(), userID}, &e.Subject, &e.AccountID); err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}

// EndUserFamily implements store.UserTokens.
func (s *Store) EndUserFamily(ctx context.Context, by store.Principal, id store.LookupID, why string) (err error) {
	defer wrapErr(&err, "end user tokens %s", secret.ID(id))
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventUserTokenEnded, Detail: why}
		err := q.row(ctx, endUserFamily, []any{id[:], s.micros()}, &e.Subject, &e.AccountID)
		if notFound(err) { // it was ended before, or there is none
			return q.row(ctx, selectUserFamily, []any{id[:]}, &e.Subject)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}

// selectUserFamilies reads the families of user $1 that can still be used at $2, with their newest pair.
var selectUserFamilies = `SELECT f.id, f.user_id, f.account_id, c.name, f.secret_id, f.created_at, ` + endOfUserFamily + `, f.user_agent, f.ip,
r.created_at, r.expires_at,
(SELECT MAX(l.used_at) FROM user_refresh_tokens p JOIN last_used l ON l.id = p.id WHERE p.family_id = f.id AND p.family_id <> '')
FROM user_families f
JOIN users u ON u.id = f.user_id AND COALESCE(u.password_at, 0) = f.password_at
JOIN members m ON m.account_id = f.account_id AND m.user_id = f.user_id
JOIN accounts c ON c.id = f.account_id AND c.deleted_at IS NULL
JOIN user_refresh_tokens r ON r.family_id = f.id AND r.family_id <> '' AND r.rotated_at IS NULL
WHERE f.user_id = $1 AND f.user_id <> '' AND f.ended_at IS NULL AND r.expires_at > $2 AND ` + endOfUserFamily + ` > $2
ORDER BY f.created_at DESC, f.id DESC LIMIT $3`

func readUserFamily(scan scanner) (f store.ListedUserFamily, err error) {
	err = scan(scanID(&f.ID), &f.UserID, &f.AccountID, scanText(&f.AccountName), scanID(&f.SecretID), scanTime(&f.CreatedAt), scanTime(&f.EndsAt),
		scanText(&f.UserAgent), scanText(&f.IP), scanTime(&f.RefreshedAt), scanTime(&f.ExpiresAt), scanTime(&f.LastUsedAt))
	return f, err
}

// UserFamiliesByUser implements store.UserTokens.
func (s *Store) UserFamiliesByUser(ctx context.Context, userID string, n int) (list []store.ListedUserFamily, err error) {
	defer wrapErr(&err, "user tokens of user %s", userID)
	return collect(ctx, s.read(), readUserFamily, selectUserFamilies, userID, s.micros(), limit(n))
}

const endUserFamilies = `UPDATE user_families SET ended_at = $2 WHERE user_id = $1 AND user_id <> '' AND ended_at IS NULL`

// EndLogIns implements store.UserTokens.
func (s *Store) EndLogIns(ctx context.Context, by store.Principal, userID string, keep []byte) (err error) {
	defer wrapErr(&err, "end the log-ins of user %s", userID)
	if keep == nil {
		keep = []byte{} // equal to no id; NULL would be equal and unequal to none
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		sessions, err := q.exec(ctx, deleteSessions, userID, keep)
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		families, err := q.exec(ctx, endUserFamilies, userID, s.micros())
		if err != nil {
			return fmt.Errorf("end user tokens: %w", err)
		}
		return s.record(ctx, q, by, store.Event{
			Kind: store.EventLogInsEnded, Subject: userID, Detail: fmt.Sprintf("%d sessions, %d user tokens", sessions, families),
		})
	})
}
