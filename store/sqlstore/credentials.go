package sqlstore

import (
	"context"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// accessRoots reads the rows that a token t depends on, live or not, all by primary key.
const accessRoots = appColumns + `, a.deleted_at, i.id, i.removed_at, i.profile, ` + userColumns + `, u.deleted_at, ` + accountColumns + `, c.deleted_at, m.role `

const accessJoins = `
JOIN apps a ON a.id = t.app_id
LEFT JOIN installations i ON i.id = t.installation_id
LEFT JOIN users u ON u.id = i.user_id
LEFT JOIN accounts c ON c.id = i.account_id
LEFT JOIN members m ON m.account_id = i.account_id AND m.user_id = i.user_id
WHERE t.id = $1`

// endOfFamily is when the family of an expiring token t ended. One whose row is gone had ended: the token must not come
// back to life because its family was swept before it.
const endOfFamily = `CASE WHEN t.family_id IS NULL OR f.id IS NOT NULL THEN f.ended_at ELSE t.created_at END, `

const (
	selectAccess = `SELECT t.id, t.hash, t.app_id, t.installation_id, CAST(NULL AS BYTEA), t.scope, t.resource, t.created_at,
CAST(NULL AS BIGINT), t.revoked_at, CAST(NULL AS BIGINT), ` +
		accessRoots + `FROM tokens t` + accessJoins
	selectExpiringAccess = `SELECT t.id, t.hash, t.app_id, t.installation_id, t.family_id, t.scope, t.resource, t.created_at, t.expires_at, t.revoked_at, ` +
		endOfFamily + accessRoots + `FROM expiring_tokens t LEFT JOIN families f ON f.id = t.family_id` + accessJoins
)

// AccessByID implements store.Credentials.
func (s *Store) AccessByID(ctx context.Context, kind store.TokenKind, id store.LookupID) (a store.Access, err error) {
	defer wrapErr(&err, "look up token %s", secret.ID(id))
	sql := selectAccess
	if kind == store.Expiring {
		sql = selectExpiringAccess
	}
	var found struct { // beside a
		familyEnded, appDeleted, removed, accountDeleted time.Time
		installation                                     string
		user                                             nullableUser
	}
	dest := append(make([]any, 0, 60), scanID(&a.ID), &a.Hash, &a.AppID, &a.InstallationID, scanID(&a.Family), scanScopes(&a.Scope), &a.Resource,
		scanTime(&a.CreatedAt), scanTime(&a.ExpiresAt), scanTime(&a.RevokedAt), scanTime(&found.familyEnded))
	dest = append(appendApp(dest, &a.App), scanTime(&found.appDeleted))
	dest = append(dest, scanText(&found.installation), scanTime(&found.removed), scanBool(&a.Profile))
	dest = found.user.appendTo(dest, &a.User)
	dest = append(appendAccount(dest, &a.Account), scanTime(&found.accountDeleted), scanRole(&a.Role))
	if err := s.read().row(ctx, sql, []any{id[:]}, dest...); err != nil {
		return store.Access{}, err
	}
	if a.RevokedAt.IsZero() {
		a.RevokedAt = found.familyEnded
	}
	a.AppLive = found.appDeleted.IsZero() && a.App.SuspendedAt.IsZero()
	a.InstallationLive = found.installation != "" && found.removed.IsZero()
	a.UserLive = found.user.live(&a.User)
	a.AccountLive = a.Account.ID != "" && found.accountDeleted.IsZero() && a.Account.DisabledAt.IsZero()
	return a, nil
}

const (
	// joinSecret finds the secret with the presented lookup id if it is this client's and live.
	joinSecret = ` LEFT JOIN client_secrets s ON s.id = $2 AND s.client_id = $1 AND s.revoked_at IS NULL
AND (s.expires_at IS NULL OR s.expires_at > $3) `
	selectAppClient = `SELECT s.hash, ` + appColumns + ` FROM apps a` + joinSecret + `WHERE a.id = $1 AND a.deleted_at IS NULL`

	selectResourceClient = `SELECT s.hash, ` + resourceColumns + ` FROM resource_servers r` + joinSecret + `WHERE r.id = $1 AND r.removed_at IS NULL`
)

// ClientByID implements store.Credentials.
func (s *Store) ClientByID(ctx context.Context, clientID string, secretID store.LookupID) (c store.Client, err error) {
	defer wrapErr(&err, "look up client %s", clientID)
	args := []any{clientID, secretID[:], s.micros()}
	c.ID = clientID
	if isResource(clientID) {
		c.Resource, c.Live = &store.ResourceServer{}, true
		err = s.read().row(ctx, selectResourceClient, args, &c.Secret, &c.Resource.ID, &c.Resource.Name, scanTime(&c.Resource.CreatedAt))
	} else {
		c.App = &store.App{}
		err = s.read().row(ctx, selectAppClient, args, appendApp(append(make([]any, 0, 20), &c.Secret), c.App)...)
		c.Live = c.App.SuspendedAt.IsZero()
	}
	if err != nil {
		return store.Client{}, err
	}
	return c, nil
}
