package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// insertIntegrationToken is the whole decision. @plans are the plans that allow it, each between spaces: taking " name " out
// of them changes them if and only if the name is there.
var insertIntegrationToken = named(`INSERT INTO integration_tokens (id, hash, key_id, key_secret, bot_id, bot_secret, created_at, expires_at)
SELECT @id, @hash, k.id, s.id, @bot, @bot_secret, @created_at, @expires_at
FROM client_secrets s
JOIN api_keys k ON k.id = s.client_id
JOIN accounts c ON c.id = k.account_id
WHERE k.id = @key AND s.id = @key_secret AND k.roles = '' AND k.revoked_at IS NULL
AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > @now)
AND c.disabled_at IS NULL AND c.deleted_at IS NULL AND c.plan <> '' AND replace(@plans, ' ' || c.plan || ' ', '') <> @plans
AND (@bot = '' OR EXISTS (
	SELECT 1 FROM client_secrets z
	JOIN bots b ON b.api_key = z.client_id
	JOIN users u ON u.id = b.id
	JOIN members m ON m.account_id = b.account_id AND m.user_id = b.id
	WHERE z.id = @bot_secret AND b.id = @bot AND b.account_id = k.account_id AND u.disabled_at IS NULL AND u.deleted_at IS NULL
	AND z.revoked_at IS NULL AND (z.expires_at IS NULL OR z.expires_at > @now)))`)

// CreateIntegrationToken implements store.Integrations.
func (s *Store) CreateIntegrationToken(ctx context.Context, t store.IntegrationToken, plans []string) (err error) {
	defer wrapErr(&err, "create integration token for key %s", t.KeyID)
	if t.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: an integration token expires", store.ErrInvalid)
	}
	n, err := insertIntegrationToken.exec(ctx, s.db, args{
		{"id", t.ID[:]}, {"hash", t.Hash}, {"bot", t.BotID}, {"bot_secret", optional(t.BotSecret)},
		{"created_at", at(t.CreatedAt)}, {"expires_at", at(t.ExpiresAt)}, {"key", t.KeyID}, {"key_secret", t.KeySecret[:]},
		{"now", s.micros()}, {"plans", " " + strings.Join(plans, "  ") + " "},
	})
	if err == nil && n == 0 {
		return store.ErrEnded
	}
	return err
}

// selectIntegration reads a token and the rows that it depends on, by primary key. A secret whose row was swept is no longer valid.
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
	defer wrapErr(&err, "look up integration token %s", secret.ID(id))
	var found struct {
		keyRevoked time.Time
		bot        nullableUser
	}
	dest := append(make([]any, 0, 40), scanID(&a.ID), &a.Hash, scanText(&a.KeyID), scanID(&a.KeySecret), scanText(&a.BotID), scanID(&a.BotSecret),
		scanTime(&a.CreatedAt), scanTime(&a.ExpiresAt), scanTime(&a.RevokedAt), scanTime(&found.keyRevoked),
		scanTime(&a.Key.CreatedAt), scanTime(&a.Key.ExpiresAt), scanTime(&a.Key.RevokedAt))
	dest = appendAccount(dest, &a.Account)
	dest = append(dest, scanTime(&a.Bot.CreatedAt), scanTime(&a.Bot.ExpiresAt), scanTime(&a.Bot.RevokedAt))
	dest = append(found.bot.appendTo(dest, &a.User), scanRole(&a.Role))
	if err := s.read().row(ctx, selectIntegration, []any{id[:]}, dest...); err != nil {
		return store.IntegrationAccess{}, err
	}
	a.KeyLive = found.keyRevoked.IsZero()
	a.AccountLive = a.Account.DisabledAt.IsZero()
	a.BotLive = found.bot.live(&a.User)
	return a, nil
}

const (
	revokeIntegration = `UPDATE integration_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
RETURNING key_id, (SELECT k.account_id FROM api_keys k WHERE k.id = integration_tokens.key_id)`
	selectIntegrationKey = `SELECT key_id FROM integration_tokens WHERE id = $1`
)

// RevokeIntegrationToken implements store.Integrations.
func (s *Store) RevokeIntegrationToken(ctx context.Context, by store.Principal, id store.LookupID) (err error) {
	defer wrapErr(&err, "revoke integration token %s", secret.ID(id))
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventTokenRevoked, Subject: secret.ID(id).String()}
		err := q.row(ctx, revokeIntegration, []any{id[:], s.micros()}, &e.Detail, scanText(&e.AccountID))
		if notFound(err) { // it was revoked before, or there is none
			return q.row(ctx, selectIntegrationKey, []any{id[:]}, &e.Detail)
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
