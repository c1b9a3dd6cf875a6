package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// userTokenRoots is what a family f hangs on: the user with what opened it, the membership, the account.
const userTokenRoots = `JOIN users u ON u.id = f.user_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND COALESCE(u.password_at, 0) = f.password_at
JOIN members m ON m.account_id = f.account_id AND m.user_id = f.user_id
JOIN accounts c ON c.id = f.account_id AND c.disabled_at IS NULL AND c.deleted_at IS NULL
LEFT JOIN client_secrets s ON s.id = f.secret_id`

// endOfUserFamily is when a family f ends even if it is refreshed. Rows of older versions have no such time.
var endOfUserFamily = `COALESCE(f.ends_at, f.created_at + ` + strconv.FormatInt(store.UserFamilyLifetime.Microseconds(), 10) + `)`

// botSecretLive is about the s of userTokenRoots at the time $2.
const botSecretLive = `(f.secret_id IS NULL OR s.id IS NOT NULL AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $2))`

const (
	// $7 says whether there is a secret.
	insertUserFamily = `INSERT INTO user_families (id, user_id, account_id, password_at, secret_id, created_at, ends_at, user_agent, ip)
SELECT $1, u.id, c.id, $4, $5, $6, $9, $10, $11
FROM users u JOIN members m ON m.user_id = u.id JOIN accounts c ON c.id = m.account_id
WHERE u.id = $2 AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND COALESCE(u.password_at, 0) = $4
AND c.id = $3 AND c.disabled_at IS NULL AND c.deleted_at IS NULL
AND ($7 = 0 OR EXISTS (SELECT 1 FROM client_secrets s WHERE s.id = $5 AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $8)))`

	insertUserRefresh = `INSERT INTO user_refresh_tokens (id, hash, token_hash, family_id, previous_id, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

// CreateUserFamily implements store.UserTokens.
func (s *Store) CreateUserFamily(ctx context.Context, by store.Actor, f store.UserFamily, first store.UserRefresh) (err error) {
	defer tried(&err, "create user token of user %s", f.UserID)
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, insertUserFamily, f.ID[:], f.UserID, f.AccountID, microsOf(f.PasswordAt), optional(f.SecretID), at(f.CreatedAt),
			flag(f.SecretID != (store.LookupID{})), s.micros(), at(f.EndsAt), f.UserAgent, f.IP)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrEnded
		}
		_, err = q.exec(ctx, insertUserRefresh, first.ID[:], first.Hash, first.TokenHash, f.ID[:], nil, at(first.CreatedAt), at(first.ExpiresAt))
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{
			Kind: store.EventUserTokenIssued, AccountID: f.AccountID, Subject: f.UserID, Detail: secret.ID(f.ID).String(),
		})
	})
}

// microsOf is a time in a column that is never NULL: 0 for never.
func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// userSuccessor is refreshSuccessor for pairs.
const userSuccessor = `CASE WHEN r.rotated_at IS NULL THEN NULL ELSE (SELECT n.id FROM user_refresh_tokens n
	WHERE n.family_id = r.family_id AND n.family_id <> '' AND n.rotated_at IS NULL AND n.previous_id = r.id) END`

// selectUserRefresh reads a pair with its family and what that hangs on, live or not, all of it by primary key.
var selectUserRefresh = `SELECT r.id, r.hash, r.token_hash, r.family_id, r.created_at, r.expires_at, r.rotated_at, r.sealed, r.sealed_until,
` + userSuccessor + `, r.replaced_at, f.id, f.user_id, f.account_id, f.password_at, f.secret_id, f.created_at, ` + endOfUserFamily + `, f.ended_at,
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
	defer tried(&err, "look up user token %s", secret.ID(id))
	var passwordAt int64
	var opener store.Secret
	var userDeleted, accountDeleted time.Time
	f := &a.Owner
	dest := []any{
		toID(&a.ID), &a.Hash, &a.TokenHash, toID(&a.Family), toTime(&a.CreatedAt), toTime(&a.ExpiresAt), toTime(&a.RotatedAt),
		&a.Sealed, toTime(&a.SealedUntil), toID(&a.Successor), toTime(&a.ReplacedAt),
		toID(&f.ID), &f.UserID, &f.AccountID, &passwordAt, toID(&f.SecretID), toTime(&f.CreatedAt), toTime(&f.EndsAt),
		toTime(&f.EndedAt), toText(&f.UserAgent), toText(&f.IP),
		toTime(&opener.CreatedAt), toTime(&opener.ExpiresAt), toTime(&opener.RevokedAt),
	}
	dest = append(append(dest, toUser(&a.User)...), toTime(&userDeleted))
	dest = append(append(dest, toAccount(&a.Account)...), toTime(&accountDeleted), toRole(&a.Role))
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

// rotateUserRefresh is the gate of rotating: of any number of rotations, one finds the row current. $1 old, $2 now, $3
// sealed answer, $4 how long that is given again.
var rotateUserRefresh = `UPDATE user_refresh_tokens SET rotated_at = $2, sealed = $3, sealed_until = $4
WHERE id = $1 AND rotated_at IS NULL AND expires_at > $2
AND ` + userFamilyLive

// userFamilyLive is about the family of a row of user_refresh_tokens at the time $2, and the rows that it depends on.
var userFamilyLive = `family_id = (SELECT f.id FROM user_families f ` + userTokenRoots + `
	WHERE f.id = user_refresh_tokens.family_id AND f.ended_at IS NULL AND ` + endOfUserFamily + ` > $2 AND ` + botSecretLive + `)`

// replaceUserRefresh is the gate of rotating a pair for a second time, as replaceRefresh is. $1 old, $2 now, $3 the
// successor.
var replaceUserRefresh = `UPDATE user_refresh_tokens SET rotated_at = $2, replaced_at = $2
WHERE id = $3 AND previous_id = $1 AND rotated_at IS NULL
AND EXISTS (SELECT 1 FROM user_refresh_tokens o WHERE o.id = $1 AND o.expires_at > $2)
AND ` + userFamilyLive

// rotateUserAtOnce does everything in one round trip, and asks the database's own clock as redeeming does.
var rotateUserAtOnce = `WITH rotated AS (` + rotateUserRefresh + ` AND expires_at > ` + postgresNow + rotatedRefresh + `),
settled AS (
	UPDATE user_refresh_tokens p SET sealed = NULL, sealed_until = NULL FROM rotated WHERE p.id = rotated.previous_id
),` + userAddedAtOnce

// replaceUserAtOnce is rotateUserAtOnce for a pair that was rotated before, to $3. The sealed answer is $10.
var replaceUserAtOnce = `WITH rotated AS (` + replaceUserRefresh + ` AND EXISTS (SELECT 1 FROM user_refresh_tokens o WHERE o.id = $1 AND o.expires_at > ` + postgresNow + `)
	RETURNING family_id),
resealed AS (
	UPDATE user_refresh_tokens p SET rotated_at = $2, sealed = $10, sealed_until = $4 FROM rotated WHERE p.id = $1
),` + userAddedAtOnce

// userAddedAtOnce adds the successor to the family of the rotated token.
const userAddedAtOnce = `
successor AS (
	INSERT INTO user_refresh_tokens (id, hash, token_hash, family_id, previous_id, created_at, expires_at)
	SELECT $5, $6, $7, family_id, $1, $8, $9 FROM rotated
)
SELECT COUNT(*) FROM rotated`

// RotateUserRefresh implements store.UserTokens. There is no audit event: the rows are the record.
func (s *Store) RotateUserRefresh(ctx context.Context, r store.UserRotation) (err error) {
	defer tried(&err, "rotate user token %s", secret.ID(r.Old))
	gate := []any{r.Old[:], s.micros(), r.Sealed, at(r.SealedUntil)}
	if !s.dialect.consuming {
		return s.db.transact(ctx, func(ctx context.Context, q querier) error { return rotateUserStepwise(ctx, q, r, gate) })
	}
	n, statement, rotated := r.Next, rotateUserAtOnce, 0
	args := append(gate, n.ID[:], n.Hash, n.TokenHash, at(n.CreatedAt), at(n.ExpiresAt))
	if r.Unused != (store.LookupID{}) {
		statement, args[2] = replaceUserAtOnce, r.Unused[:]
		args = append(args, r.Sealed)
	}
	err = s.db.row(ctx, statement, args, &rotated)
	if err == nil && rotated == 0 {
		return whyNotRotatedUser(ctx, s.db, r)
	}
	return err
}

const (
	clearUserSealed = `UPDATE user_refresh_tokens SET sealed = NULL, sealed_until = NULL WHERE id = $1`
	resealUserAgain = `UPDATE user_refresh_tokens SET rotated_at = $2, sealed = $3, sealed_until = $4 WHERE id = $1`
)

// rotateUserStepwise is RotateUserRefresh inside a transaction.
func rotateUserStepwise(ctx context.Context, q querier, r store.UserRotation, gate []any) error {
	family, err := rotateUserGate(ctx, q, r, gate)
	if err != nil {
		return err
	}
	n := r.Next
	_, err = q.exec(ctx, insertUserRefresh, n.ID[:], n.Hash, n.TokenHash, family[:], r.Old[:], at(n.CreatedAt), at(n.ExpiresAt))
	return err
}

// rotateUserGate passes the gate of a rotation, settles the answer that is kept, and returns the family.
func rotateUserGate(ctx context.Context, q querier, r store.UserRotation, gate []any) (family store.LookupID, err error) {
	var previous store.LookupID
	if r.Unused == (store.LookupID{}) {
		err = q.row(ctx, rotateUserRefresh+rotatedRefresh, gate, toID(&family), toID(&previous))
		if err == nil {
			_, err = q.exec(ctx, clearUserSealed, previous[:])
		}
	} else {
		err = q.row(ctx, replaceUserRefresh+rotatedRefresh, []any{gate[0], gate[1], r.Unused[:]}, toID(&family), toID(&previous))
		if err == nil {
			_, err = q.exec(ctx, resealUserAgain, gate...)
		}
	}
	if notFound(err) {
		err = whyNotRotatedUser(ctx, q, r)
	}
	return family, err
}

const selectUserRotated = `SELECT CASE WHEN rotated_at IS NULL THEN 0 ELSE 1 END FROM user_refresh_tokens WHERE id = $1`

func whyNotRotatedUser(ctx context.Context, q querier, r store.UserRotation) error {
	return whyNotCurrent(ctx, q, selectUserRotated, r.Old, r.Unused)
}

const (
	endUserFamily    = `UPDATE user_families SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING user_id, account_id`
	selectUserFamily = `SELECT user_id FROM user_families WHERE id = $1`
	endFamilyOfUser  = `UPDATE user_families SET ended_at = $2 WHERE id = $1 AND user_id = $3 AND ended_at IS NULL RETURNING user_id, account_id`
)

// EndUserFamilyOf implements store.UserTokens.
func (s *Store) EndUserFamilyOf(ctx context.Context, by store.Actor, userID string, id store.LookupID, why string) (err error) {
	defer tried(&err, "end user tokens %s of user %s", secret.ID(id), userID)
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventUserTokenEnded, Detail: why}
		if err := q.row(ctx, endFamilyOfUser, []any{id[:], s.micros(), userID}, &e.Subject, &e.AccountID); err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}

// EndUserFamily implements store.UserTokens.
func (s *Store) EndUserFamily(ctx context.Context, by store.Actor, id store.LookupID, why string) (err error) {
	defer tried(&err, "end user tokens %s", secret.ID(id))
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
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
	err = scan(toID(&f.ID), &f.UserID, &f.AccountID, toText(&f.AccountName), toID(&f.SecretID), toTime(&f.CreatedAt), toTime(&f.EndsAt),
		toText(&f.UserAgent), toText(&f.IP), toTime(&f.RefreshedAt), toTime(&f.ExpiresAt), toTime(&f.LastUsedAt))
	return f, err
}

// UserFamiliesByUser implements store.UserTokens.
func (s *Store) UserFamiliesByUser(ctx context.Context, userID string, n int) (list []store.ListedUserFamily, err error) {
	defer tried(&err, "user tokens of user %s", userID)
	return collect(ctx, s.read(), readUserFamily, selectUserFamilies, userID, s.micros(), limit(n))
}

const endUserFamilies = `UPDATE user_families SET ended_at = $2 WHERE user_id = $1 AND user_id <> '' AND ended_at IS NULL`

// EndLogIns implements store.UserTokens.
func (s *Store) EndLogIns(ctx context.Context, by store.Actor, userID string, keep []byte) (err error) {
	defer tried(&err, "end the log-ins of user %s", userID)
	if keep == nil {
		keep = []byte{} // equal to no id; NULL would be equal and unequal to none
	}
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
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
