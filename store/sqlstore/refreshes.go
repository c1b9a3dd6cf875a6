package sqlstore

import (
	"context"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// refreshSuccessor is what row r was rotated to, while that is current: one look-up in the unique index of current tokens,
// and none for a current row.
const refreshSuccessor = `CASE WHEN r.rotated_at IS NULL THEN NULL ELSE (SELECT n.id FROM refresh_tokens n
	WHERE n.family_id = r.family_id AND n.family_id <> '' AND n.rotated_at IS NULL AND n.previous_id = r.id) END`

const insertRefresh = `INSERT INTO refresh_tokens (id, hash, family_id, previous_id, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)`

// selectRefresh reads a refresh token, its family and what that hangs on, live or not.
const selectRefresh = `SELECT r.id, r.hash, r.family_id, r.created_at, r.expires_at, r.rotated_at, r.sealed, r.sealed_until,
` + refreshSuccessor + `, r.replaced_at, f.id, f.app_id, f.installation_id, f.scope, f.scope_asked, f.resource, f.created_at, f.ended_at,
a.scopes, o.user_id, o.account_id,
CASE WHEN f.ended_at IS NULL AND f.installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = f.installation_id) THEN 0 ELSE 1 END
FROM refresh_tokens r
JOIN families f ON f.id = r.family_id
JOIN apps a ON a.id = f.app_id
JOIN installations o ON o.id = f.installation_id
WHERE r.id = $1`

// RefreshByID implements store.Refreshes.
func (s *Store) RefreshByID(ctx context.Context, id store.LookupID) (r store.Refresh, f store.Family, err error) {
	defer tried(&err, "look up refresh token %s", secret.ID(id))
	err = s.read().row(ctx, selectRefresh, []any{id[:]},
		toID(&r.ID), &r.Hash, toID(&r.Family), toTime(&r.CreatedAt), toTime(&r.ExpiresAt), toTime(&r.RotatedAt), &r.Sealed,
		toTime(&r.SealedUntil), toID(&r.Successor), toTime(&r.ReplacedAt), toID(&f.ID), &f.AppID, &f.InstallationID, toScopes(&f.Scope), &f.ScopeAsked, &f.Resource,
		toTime(&f.CreatedAt), toTime(&f.EndedAt), toScopes(&f.AppScopes), &f.UserID, &f.AccountID, toBool(&f.Ended))
	return r, f, err
}

// rotateRefresh is the gate of rotating: of any number of rotations, one finds the row current. $1 old, $2 now, $3
// sealed answer, $4 how long that is given again.
const rotateRefresh = `UPDATE refresh_tokens SET rotated_at = $2, sealed = $3, sealed_until = $4
WHERE id = $1 AND rotated_at IS NULL AND expires_at > $2
AND ` + familyLive

// familyLive is about the family of a row of refresh_tokens, and the rows that it depends on.
const familyLive = `family_id = (SELECT f.id FROM families f WHERE f.id = refresh_tokens.family_id AND f.ended_at IS NULL
	AND f.installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = f.installation_id))`

// replaceRefresh is the gate of rotating a token for a second time: of any number of replacements of its unused successor,
// and of rotations of that, one finds the successor current. $1 old, $2 now, $3 the successor.
const replaceRefresh = `UPDATE refresh_tokens SET rotated_at = $2, replaced_at = $2
WHERE id = $3 AND previous_id = $1 AND rotated_at IS NULL
AND EXISTS (SELECT 1 FROM refresh_tokens o WHERE o.id = $1 AND o.expires_at > $2)
AND ` + familyLive

const rotatedRefresh = ` RETURNING family_id, previous_id`

// rotateAtOnce does everything in one round trip, and asks the database's own clock as redeeming does.
const rotateAtOnce = `WITH rotated AS (` + rotateRefresh + ` AND expires_at > ` + postgresNow + rotatedRefresh + `),
settled AS (
	UPDATE refresh_tokens p SET sealed = NULL, sealed_until = NULL FROM rotated WHERE p.id = rotated.previous_id
),` + addedAtOnce

// replaceAtOnce is rotateAtOnce for a token that was rotated before, to $3. The sealed answer is $15.
const replaceAtOnce = `WITH rotated AS (` + replaceRefresh + ` AND EXISTS (SELECT 1 FROM refresh_tokens o WHERE o.id = $1 AND o.expires_at > ` + postgresNow + `)
	RETURNING family_id),
resealed AS (
	UPDATE refresh_tokens p SET rotated_at = $2, sealed = $15, sealed_until = $4 FROM rotated WHERE p.id = $1
),` + addedAtOnce

// addedAtOnce adds the successor and its access token to the family of the rotated token.
const addedAtOnce = `
successor AS (
	INSERT INTO refresh_tokens (id, hash, family_id, previous_id, created_at, expires_at)
	SELECT $5, $6, family_id, $1, $7, $8 FROM rotated
),
created AS (
	INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
	SELECT $9, $10, f.app_id, f.installation_id, f.id, $11, $12, $13, $14 FROM rotated JOIN families f ON f.id = rotated.family_id
)
SELECT COUNT(*) FROM rotated`

// Rotate implements store.Refreshes. There is no audit event: the rows are the record.
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (err error) {
	defer tried(&err, "rotate refresh token %s", secret.ID(r.Old))
	gate := []any{r.Old[:], s.micros(), r.Sealed, at(r.SealedUntil)}
	if !s.dialect.consuming {
		return s.db.transact(ctx, func(ctx context.Context, q querier) error { return rotateStepwise(ctx, q, r, gate) })
	}
	n, t := r.Next, r.Token
	args := append(gate, n.ID[:], n.Hash, at(n.CreatedAt), at(n.ExpiresAt),
		t.ID[:], t.Hash, t.Scope.String(), t.Resource, at(t.CreatedAt), at(t.ExpiresAt))
	statement, rotated := rotateAtOnce, 0
	if r.Unused != (store.LookupID{}) {
		statement, args[2] = replaceAtOnce, r.Unused[:]
		args = append(args, r.Sealed)
	}
	err = s.db.row(ctx, statement, args, &rotated)
	if err == nil && rotated == 0 {
		return whyNotRotated(ctx, s.db, r)
	}
	return err
}

const (
	clearSealed = `UPDATE refresh_tokens SET sealed = NULL, sealed_until = NULL WHERE id = $1`
	resealAgain = `UPDATE refresh_tokens SET rotated_at = $2, sealed = $3, sealed_until = $4 WHERE id = $1`
	// copied from the family: what a token hangs on is not the caller's to say.
	selectFamilyRoots = `SELECT app_id, installation_id FROM families WHERE id = $1`
)

// rotateStepwise is Rotate inside a transaction.
func rotateStepwise(ctx context.Context, q querier, r store.Rotation, gate []any) error {
	family, err := rotateGate(ctx, q, r, gate)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, insertRefresh, r.Next.ID[:], r.Next.Hash, family[:], r.Old[:], at(r.Next.CreatedAt), at(r.Next.ExpiresAt))
	if err != nil {
		return err
	}
	t := r.Token
	t.Family = family
	if err := q.row(ctx, selectFamilyRoots, []any{family[:]}, &t.AppID, &t.InstallationID); err != nil {
		return err
	}
	return addExpiringToken(ctx, q, t)
}

// rotateGate passes the gate of a rotation, settles the answer that is kept, and returns the family.
func rotateGate(ctx context.Context, q querier, r store.Rotation, gate []any) (family store.LookupID, err error) {
	var previous store.LookupID
	if r.Unused == (store.LookupID{}) {
		err = q.row(ctx, rotateRefresh+rotatedRefresh, gate, toID(&family), toID(&previous))
		if err == nil {
			_, err = q.exec(ctx, clearSealed, previous[:])
		}
	} else {
		err = q.row(ctx, replaceRefresh+rotatedRefresh, []any{gate[0], gate[1], r.Unused[:]}, toID(&family), toID(&previous))
		if err == nil {
			_, err = q.exec(ctx, resealAgain, gate...)
		}
	}
	if notFound(err) {
		err = whyNotRotated(ctx, q, r)
	}
	return family, err
}

const selectRotated = `SELECT CASE WHEN rotated_at IS NULL THEN 0 ELSE 1 END FROM refresh_tokens WHERE id = $1`

// whyNotRotated distinguishes a rotation that lost to another one from a token that cannot be rotated.
func whyNotRotated(ctx context.Context, q querier, r store.Rotation) error {
	return whyNotCurrent(ctx, q, selectRotated, r.Old, r.Unused)
}

// whyNotCurrent asks by selectRotated of either table.
func whyNotCurrent(ctx context.Context, q querier, selectRotated string, old, unused store.LookupID) error {
	if unused != (store.LookupID{}) {
		old = unused
	}
	var rotated bool
	if err := q.row(ctx, selectRotated, []any{old[:]}, toBool(&rotated)); err != nil {
		return err
	}
	if rotated {
		return store.ErrConsumed
	}
	return store.ErrEnded
}

const (
	endFamily = `UPDATE families SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
RETURNING app_id, installation_id, (SELECT i.account_id FROM installations i WHERE i.id = families.installation_id)`
	selectFamily = `SELECT app_id FROM families WHERE id = $1`
)

// EndFamily implements store.Refreshes.
func (s *Store) EndFamily(ctx context.Context, by store.Actor, id store.LookupID, why string) (err error) {
	defer tried(&err, "end family %s", secret.ID(id))
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventFamilyEnded, Subject: secret.ID(id).String(), Detail: why}
		err := q.row(ctx, endFamily, []any{id[:], s.micros()}, &e.AppID, &e.InstallationID, toText(&e.AccountID))
		if notFound(err) { // it was ended before, or there is none
			return q.row(ctx, selectFamily, []any{id[:]}, &e.AppID)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
