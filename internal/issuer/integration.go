package issuer

import (
	"context"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const (
	// IntegrationLifetime is how long an integration token is promised to work (docs/dialects.md, Integration tokens).
	IntegrationLifetime = time.Hour
	// integrationGrace is for clients that ask for the next token a moment too late.
	integrationGrace = time.Minute
)

// IntegrationToken gives a token to a proven account API key, or to a proven bot of the same account beside it. It ends
// with the key, with the bot, and with the secrets that proved them. store.ErrEnded: something of that has ended, or was
// never so, such as a bot of another account.
func (i *Issuer) IntegrationToken(ctx context.Context, key store.KeyAccess, bot *store.BotAccess, plans []string) (secret.Credential, error) {
	c := i.format.New(secret.Integration)
	now, hash := i.store.Now(), c.Hash()
	t := store.IntegrationToken{
		ID: store.LookupID(c.ID), Hash: hash[:], KeyID: key.Key.ID, KeySecret: key.Secret.ID,
		CreatedAt: now, ExpiresAt: now.Add(IntegrationLifetime + integrationGrace),
	}
	if bot != nil {
		if bot.Bot.AccountID != key.Key.AccountID {
			return secret.Credential{}, fmt.Errorf("bot %s is not of account %s: %w", bot.Bot.ID, key.Key.AccountID, store.ErrEnded)
		}
		t.BotID, t.BotSecret = bot.Bot.ID, bot.Secret.ID
	}
	if err := i.store.CreateIntegrationToken(ctx, t, plans); err != nil {
		return secret.Credential{}, fmt.Errorf("create integration token of key %s: %w", key.Key.ID, err)
	}
	return c, nil
}
