package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

const insertExpiringToken = `INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

func addExpiringToken(ctx context.Context, q querier, t store.Token) error {
	_, err := q.exec(ctx, insertExpiringToken, t.ID[:], t.Hash, t.AppID, t.InstallationID, optional(t.Family), t.Scope.String(),
		t.Resource, at(t.CreatedAt), at(t.ExpiresAt))
	return err
}

// insertClientToken is completed by one condition a scope.
const insertClientToken = `INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
SELECT $1, $2, a.id, '', NULL, $4, $5, $6, $7
FROM apps a WHERE a.id = $3 AND a.confidential = 1 AND a.suspended_at IS NULL AND a.deleted_at IS NULL`

// CreateClientToken implements store.Tokens.
func (s *Store) CreateClientToken(ctx context.Context, t store.Token) (err error) {
	defer tried(&err, "create client token for app %s", t.AppID)
	if t.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: a token of an app itself expires", store.ErrInvalid)
	}
	args := []any{t.ID[:], t.Hash, t.AppID, t.Scope.String(), t.Resource, at(t.CreatedAt), at(t.ExpiresAt)}
	conditions, args := hasScopes("a.scopes", t.Scope, args)
	n, err := s.db.exec(ctx, insertClientToken+conditions, args...)
	if err == nil && n == 0 {
		return store.ErrEnded
	}
	return err
}

// hasScopes makes the conditions under which a column of scopes holds each of set, and adds their arguments. It compares
// whole names: replacing " name " in the padded column changes it if and only if the name is there. The text depends on
// the number of scopes alone.
func hasScopes(column string, set scope.Set, args []any) (string, []any) {
	var sql strings.Builder
	padded := `' ' || ` + column + ` || ' '`
	for _, name := range set.Slice() {
		args = append(args, " "+name+" ")
		fmt.Fprintf(&sql, " AND replace(%s, $%d, '') <> %s", padded, len(args), padded)
	}
	return sql.String(), args
}

const (
	revokeToken = `UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
RETURNING app_id, installation_id, (SELECT i.account_id FROM installations i WHERE i.id = tokens.installation_id)`
	revokeExpiringToken = `UPDATE expiring_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
RETURNING app_id, installation_id, (SELECT i.account_id FROM installations i WHERE i.id = expiring_tokens.installation_id)`
	selectToken         = `SELECT app_id FROM tokens WHERE id = $1`
	selectExpiringToken = `SELECT app_id FROM expiring_tokens WHERE id = $1`
)

// RevokeToken implements store.Tokens.
func (s *Store) RevokeToken(ctx context.Context, by store.Actor, kind store.TokenKind, id store.LookupID) (err error) {
	defer tried(&err, "revoke token %s", secret.ID(id))
	revoke, exists := revokeToken, selectToken
	if kind == store.Expiring {
		revoke, exists = revokeExpiringToken, selectExpiringToken
	}
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventTokenRevoked, Subject: secret.ID(id).String()}
		err := q.row(ctx, revoke, []any{id[:], s.micros()}, &e.AppID, &e.InstallationID, toText(&e.AccountID))
		if notFound(err) { // it was revoked before, or there is none
			return q.row(ctx, exists, []any{id[:]}, &e.AppID)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
