package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

var insertClientToken = named(`INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
SELECT @id, @hash, a.id, '', NULL, @scope, @resource, @created_at, @expires_at
FROM apps a WHERE a.id = @app AND a.confidential = 1 AND a.suspended_at IS NULL AND a.deleted_at IS NULL`)

// insertClientTokens add a condition for each of n scopes: the app may have it. They compare whole names: taking " name "
// out of the padded column changes it if and only if the name is there.
var insertClientTokens = sizes{text: func(n int) string {
	var sql strings.Builder
	sql.WriteString(insertClientToken.sql)
	const padded = `' ' || a.scopes || ' '`
	for i := range n {
		fmt.Fprintf(&sql, " AND replace(%s, $%d, '') <> %s", padded, len(insertClientToken.names)+i+1, padded)
	}
	return sql.String()
}}

// CreateClientToken implements store.Tokens.
func (s *Store) CreateClientToken(ctx context.Context, t store.Token) (err error) {
	defer wrapErr(&err, "create client token for app %s", t.AppID)
	if t.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: a token of an app itself expires", store.ErrInvalid)
	}
	list, err := insertClientToken.bind(args{
		{"id", t.ID[:]}, {"hash", t.Hash}, {"scope", t.Scope.String()}, {"resource", t.Resource},
		{"created_at", at(t.CreatedAt)}, {"expires_at", at(t.ExpiresAt)}, {"app", t.AppID},
	})
	if err != nil {
		return err
	}
	for _, name := range t.Scope.Slice() {
		list = append(list, " "+name+" ")
	}
	n, err := s.db.exec(ctx, insertClientTokens.of(t.Scope.Len()), list...)
	if err == nil && n == 0 {
		return store.ErrEnded
	}
	return err
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
func (s *Store) RevokeToken(ctx context.Context, by store.Principal, kind store.TokenKind, id store.LookupID) (err error) {
	defer wrapErr(&err, "revoke token %s", secret.ID(id))
	revoke, exists := revokeToken, selectToken
	if kind == store.Expiring {
		revoke, exists = revokeExpiringToken, selectExpiringToken
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventTokenRevoked, Subject: secret.ID(id).String()}
		err := q.row(ctx, revoke, []any{id[:], s.micros()}, &e.AppID, &e.InstallationID, scanText(&e.AccountID))
		if notFound(err) { // it was revoked before, or there is none
			return q.row(ctx, exists, []any{id[:]}, &e.AppID)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
