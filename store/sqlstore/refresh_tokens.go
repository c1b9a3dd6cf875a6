package sqlstore

import (
	"context"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// selectRefresh reads a refresh token, its family and the rows that it depends on, live or not.
var selectRefresh = `SELECT r.id, r.hash, r.family_id, r.created_at, r.expires_at, r.rotated_at, r.sealed, r.sealed_until,
` + appFamilies.successor() + `, r.replaced_at, f.id, f.app_id, f.installation_id, f.scope, f.scope_asked, f.resource, f.created_at, f.ended_at,
a.scopes, o.user_id, o.account_id,
CASE WHEN f.ended_at IS NULL AND f.installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = f.installation_id) THEN 0 ELSE 1 END
FROM refresh_tokens r
JOIN families f ON f.id = r.family_id
JOIN apps a ON a.id = f.app_id
JOIN installations o ON o.id = f.installation_id
WHERE r.id = $1`

// RefreshByID implements store.Refreshes.
func (s *Store) RefreshByID(ctx context.Context, id store.LookupID) (r store.Refresh, f store.Family, err error) {
	defer wrapErr(&err, "look up refresh token %s", secret.ID(id))
	err = s.read().row(ctx, selectRefresh, []any{id[:]},
		scanID(&r.ID), &r.Hash, scanID(&r.Family), scanTime(&r.CreatedAt), scanTime(&r.ExpiresAt), scanTime(&r.RotatedAt), &r.Sealed,
		scanTime(&r.SealedUntil), scanID(&r.Successor), scanTime(&r.ReplacedAt),
		scanID(&f.ID), &f.AppID, &f.InstallationID, scanScopes(&f.Scope), &f.ScopeAsked, &f.Resource, scanTime(&f.CreatedAt), scanTime(&f.EndedAt),
		scanScopes(&f.AppScopes), &f.UserID, &f.AccountID, scanBool(&f.Ended))
	return r, f, err
}

// refreshRotation also issues the access token. App and installation are copied from the family: what a token depends on is
// not for the caller to decide.
var refreshRotation = newRotation(appFamilies,
	`family_id = (SELECT f.id FROM families f WHERE f.id = refresh_tokens.family_id AND f.ended_at IS NULL
	AND f.installation_id = (SELECT i.id `+liveRoots+` AND i.id = f.installation_id))`,
	[2]string{`hash`, `@next_hash`},
	`INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
	SELECT @token_id, @token_hash, f.app_id, f.installation_id, f.id, @token_scope, @token_resource, @token_created_at, @token_expires_at
	FROM gate JOIN families f ON f.id = gate.family_id`)

// Rotate implements store.Refreshes. There is no audit event: the rows are the record.
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (err error) {
	defer wrapErr(&err, "rotate refresh token %s", secret.ID(r.Old))
	n, t := r.Next, r.Token
	return refreshRotation.run(ctx, s, r.Old, r.Unused, args{
		{"now", s.micros()}, {"sealed", r.Sealed}, {"sealed_until", at(r.SealedUntil)}, {"old", r.Old[:]}, {"unused", r.Unused[:]},
		{"next_id", n.ID[:]}, {"next_hash", n.Hash}, {"next_created_at", at(n.CreatedAt)}, {"next_expires_at", at(n.ExpiresAt)},
		{"token_id", t.ID[:]}, {"token_hash", t.Hash}, {"token_scope", t.Scope.String()}, {"token_resource", t.Resource},
		{"token_created_at", at(t.CreatedAt)}, {"token_expires_at", at(t.ExpiresAt)},
	})
}

const (
	endFamily = `UPDATE families SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
RETURNING app_id, installation_id, (SELECT i.account_id FROM installations i WHERE i.id = families.installation_id)`
	selectFamily = `SELECT app_id FROM families WHERE id = $1`
)

// EndFamily implements store.Refreshes.
func (s *Store) EndFamily(ctx context.Context, by store.Principal, id store.LookupID, why string) (err error) {
	defer wrapErr(&err, "end family %s", secret.ID(id))
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventFamilyEnded, Subject: secret.ID(id).String(), Detail: why}
		err := q.row(ctx, endFamily, []any{id[:], s.micros()}, &e.AppID, &e.InstallationID, scanText(&e.AccountID))
		if notFound(err) { // it was ended before, or there is none
			return q.row(ctx, selectFamily, []any{id[:]}, &e.AppID)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
