package verify

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// inspectIntegration is Inspect for an integration token. An account-wide token has the permissions of an admin and no user;
// a bot's token acts as the bot.
func (v *Verifier) inspectIntegration(ctx context.Context, c secret.Credential) (Identity, error) {
	a, err := v.store.IntegrationByID(ctx, store.LookupID(c.ID))
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrInvalid
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up integration token: %w", err)
	}
	if !c.Matches(a.Hash) || !v.integrationLive(a) {
		return Identity{}, ErrInvalid
	}
	id := Identity{
		Kind: c.Kind, TokenID: c.ID, ClientID: a.KeyID, Subject: a.KeyID,
		Account: &a.Account, Role: scope.RoleAdmin, IssuedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}
	if a.BotID == "" {
		return v.acting(id, []scope.Role{scope.RoleAdmin})
	}
	id.Subject, id.User, id.Role, id.Bot = a.User.ID, &a.User, a.Role, true
	return v.acting(id, []scope.Role{scope.RoleBot})
}

// integrationLive reports whether an integration token, and everything that it depends on, is valid at the moment.
func (v *Verifier) integrationLive(a store.IntegrationAccess) bool {
	now := v.store.Now()
	if !a.RevokedAt.IsZero() || !now.Before(a.ExpiresAt) {
		return false
	}
	if !a.KeyLive || !a.Key.LiveAt(now) || !v.mayUseAPI(a.Account, a.AccountLive) {
		return false
	}
	return a.BotID == "" || a.BotLive && a.Bot.LiveAt(now) && a.Role != ""
}
