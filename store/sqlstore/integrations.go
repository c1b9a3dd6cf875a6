package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// insertIntegrationToken is the whole decision: $9 is the time, $10 the plans, each between spaces. Taking " name " out of
// them changes them if and only if it is there.
const insertIntegrationToken = `INSERT INTO integration_tokens (id, hash, key_id, key_secret, bot_id, bot_secret, created_at, expires_at)
SELECT $1, $2, k.id, s.id, $5, $6, $7, $8
FROM client_secrets s
JOIN api_keys k ON k.id = s.client_id
JOIN accounts c ON c.id = k.account_id
WHERE k.id = $3 AND s.id = $4 AND k.roles = '' AND k.revoked_at IS NULL
AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > $9)
AND c.disabled_at IS NULL AND c.deleted_at IS NULL AND c.plan <> '' AND replace($10, ' ' || c.plan || ' ', '') <> $10
AND ($5 = '' OR EXISTS (
	SELECT 1 FROM client_secrets z
	JOIN bots b ON b.api_key = z.client_id
	JOIN users u ON u.id = b.id
	JOIN members m ON m.account_id = b.account_id AND m.user_id = b.id
	WHERE z.id = $6 AND b.id = $5 AND b.account_id = k.account_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL
	AND z.revoked_at IS NULL AND (z.expires_at IS NULL OR z.expires_at > $9)))`

// CreateIntegrationToken implements store.Integrations.
func (s *Store) CreateIntegrationToken(ctx context.Context, t store.IntegrationToken, plans []string) (err error) {
	defer tried(&err, "create integration token for key %s", t.KeyID)
	if t.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: an integration token expires", store.ErrInvalid)
	}
	n, err := s.db.exec(ctx, insertIntegrationToken, t.ID[:], t.Hash, t.KeyID, t.KeySecret[:], t.BotID, optional(t.BotSecret),
		at(t.CreatedAt), at(t.ExpiresAt), s.micros(), " "+strings.Join(plans, "  ")+" ")
	if err == nil && n == 0 {
		return store.ErrEnded
	}
	return err
}

// selectIntegration reads a token and all it hangs on, by primary key. A secret whose row was swept works no more.
const selectIntegration = `SELECT t.id, t.hash, t.key_id, t.key_secret, t.bot_id, t.bot_secret, t.created_at, t.expires_at, t.revoked_at,
k.revoked_at, s.created_at, s.expires_at, s.revoked_at, ` + accountColumns + `,
z.created_at, z.expires_at, z.revoked_at, ` + userColumns + `, u.deleted_at, m.role
FROM integration_tokens t
JOIN api_keys k ON k.id = t.key_id
JOIN accounts c ON c.id = k.account_id AND c.deleted_at IS NULL
LEFT JOIN client_secrets s ON s.id = t.key_secret
LEFT JOIN client_secrets z ON z.id = t.bot_secret
LEFT JOIN users u ON u.id = t.bot_id
LEFT JOIN members m ON m.account_id = k.account_id AND m.user_id = t.bot_id
WHERE t.id = $1`

// IntegrationByID implements store.Integrations.
func (s *Store) IntegrationByID(ctx context.Context, id store.LookupID) (a store.IntegrationAccess, err error) {
	defer tried(&err, "look up integration token %s", secret.ID(id))
	var keyRevoked time.Time
	var bot deletable
	dest := []any{
		toID(&a.ID), &a.Hash, toText(&a.KeyID), toID(&a.KeySecret), toText(&a.BotID), toID(&a.BotSecret), toTime(&a.CreatedAt), toTime(&a.ExpiresAt),
		toTime(&a.RevokedAt), toTime(&keyRevoked), toTime(&a.Key.CreatedAt), toTime(&a.Key.ExpiresAt), toTime(&a.Key.RevokedAt),
	}
	dest = append(append(dest, toAccount(&a.Account)...), toTime(&a.Bot.CreatedAt), toTime(&a.Bot.ExpiresAt), toTime(&a.Bot.RevokedAt))
	dest = append(append(dest, bot.of(&a.User)...), toRole(&a.Role))
	if err := s.read().row(ctx, selectIntegration, []any{id[:]}, dest...); err != nil {
		return store.IntegrationAccess{}, err
	}
	a.KeyLive = keyRevoked.IsZero()
	a.AccountLive = a.Account.DisabledAt.IsZero()
	a.BotLive = bot.live(&a.User)
	return a, nil
}

const (
	revokeIntegration = `UPDATE integration_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
RETURNING key_id, (SELECT k.account_id FROM api_keys k WHERE k.id = integration_tokens.key_id)`
	selectIntegrationKey = `SELECT key_id FROM integration_tokens WHERE id = $1`
)

// RevokeIntegrationToken implements store.Integrations.
func (s *Store) RevokeIntegrationToken(ctx context.Context, by store.Actor, id store.LookupID) (err error) {
	defer tried(&err, "revoke integration token %s", secret.ID(id))
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventTokenRevoked, Subject: secret.ID(id).String()}
		err := q.row(ctx, revokeIntegration, []any{id[:], s.micros()}, &e.Detail, toText(&e.AccountID))
		if notFound(err) { // it was revoked before, or there is none
			return q.row(ctx, selectIntegrationKey, []any{id[:]}, &e.Detail)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
