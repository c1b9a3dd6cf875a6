package verify

import (
	"context"
	"errors"
	"fmt"

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
