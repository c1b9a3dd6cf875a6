package issuer

import (
	"context"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const (
	// IntegrationLifetime is the documented lifetime of an integration token (docs/dialects.md, Integration tokens).
	IntegrationLifetime = time.Hour
	// integrationGrace is added for clients that ask for the next token slightly late.
	integrationGrace = time.Minute
)

// IntegrationToken issues a token for an authenticated account API key, alone or with an authenticated bot of the same account.
// The token ends with the key, the bot, and the secrets that they authenticated with. store.ErrEnded: one of them has ended,
// or the bot is of another account.
func (i *Issuer) IntegrationToken(ctx context.Context, key store.KeyAccess, bot *store.BotAccess, plans []string) (secret.Credential, error) {
	c := i.format.New(secret.Integration)
	now, hash := i.store.Now(), c.Hash()
	t := store.IntegrationToken{
		ID: store.LookupID(c.ID), Hash: hash[:], KeyID: key.Key.ID, KeySecret: key.Secret.ID,
		CreatedAt: now, ExpiresAt: now.Add(IntegrationLifetime + integrationGrace),
	}
	if bot != nil {
		if bot.Bot.AccountID != key.Key.AccountID {
			return secret.Credential{}, fmt.Errorf("bot %s is not in account %s: %w", bot.Bot.ID, key.Key.AccountID, store.ErrEnded)
		}
		t.BotID, t.BotSecret = bot.Bot.ID, bot.Secret.ID
	}
	if err := i.store.CreateIntegrationToken(ctx, t, plans); err != nil {
		return secret.Credential{}, fmt.Errorf("create integration token of key %s: %w", key.Key.ID, err)
	}
	return c, nil
}
