package verify

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// BotCredentials are the secret that a bot presented and its name, which is either Email or Key.
type BotCredentials struct {
	Email  string // of its user, normalised
	Key    string // its API key, bot_…
	Secret secret.Text
}

// IsBotSecret reports whether a text has the form of a bot's secret. An endpoint that also accepts passwords decides by the
// form of the text, so that its answer does not depend on which users exist.
func (v *Verifier) IsBotSecret(text string) bool {
	c, ok := v.format.Parse(text)
	return ok && c.Kind == secret.Bot
}

// Bot authenticates a bot by its secret and records the use. The error is store.ErrUnavailable or ErrClient, which covers every
// cause: a wrong name or secret, or a bot or account that was removed or disabled.
func (v *Verifier) Bot(ctx context.Context, presented BotCredentials) (store.BotAccess, error) {
	c, ok := v.format.Parse(presented.Secret.Reveal())
	if !ok || c.Kind != secret.Bot {
		return store.BotAccess{}, ErrClient
	}
	a, err := v.store.BotBySecret(ctx, store.LookupID(c.ID))
	if errors.Is(err, store.ErrNotFound) {
		return store.BotAccess{}, ErrClient
	}
	if err != nil {
		return store.BotAccess{}, fmt.Errorf("look up bot: %w", err)
	}
	named := presented.Key == a.Bot.APIKey && presented.Email == "" || presented.Email == a.Bot.Email && presented.Key == ""
	if !c.Matches(a.Secret.Hash) || !named || !a.Secret.LiveAt(v.store.Now()) || !a.UserLive || !a.AccountLive || a.Role == "" {
		return store.BotAccess{}, ErrClient
	}
	v.usage.note(c.ID, v.store.Now())
	return a, nil
}

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
