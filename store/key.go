package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// How many keys and bots an account may have at a time: their lists have no pages.
const (
	MaxAPIKeys = 200
	MaxBots    = 1000
)

// APIKey is a key of an account. One without roles is exchanged for integration tokens; one with roles is itself a bearer
// token that acts for a member. Its credentials are Secrets, at most MaxSecrets live ones, so that it can be rotated.
type APIKey struct {
	ID          string // key_…
	AccountID   string
	AccountName string       // read only
	UserID      string       // the member that a key with roles acts for, person or bot; "" without roles
	UserEmail   string       // read only
	UserName    string       // read only
	UserBot     bool         // read only
	Roles       []scope.Role // ascending; empty: an account API key
	Name        string
	CreatedBy   string // user id; "" when the operator made it
	CreatedAt   time.Time
	Hint        string    // read only: of the newest live secret
	LastUsedAt  time.Time // read only: of any live secret
}

// APIKeys stores the keys of accounts. Revoked keys, and those of deleted accounts, are ErrNotFound; so is, for writes, a key or an
// account that the Principal does not manage.
type APIKeys interface {
	// CreateAPIKey stores k with its first secret. ErrEnded: the account is not live, or the user is not a live member of
	// it. ErrLimit: MaxAPIKeys are live already.
	CreateAPIKey(ctx context.Context, by Principal, k APIKey, first Secret) error
	// ManagedAPIKey returns a live key to a Principal that manages it: the operator, or an admin of its account. ErrNotFound:
	// there is no such key, or it does not manage it.
	ManagedAPIKey(ctx context.Context, by Principal, id string) (APIKey, error)
	// APIKeysByUser lists the keys of all accounts of which the user is an admin, newest first.
	APIKeysByUser(ctx context.Context, userID string) ([]APIKey, error)
	// ListAPIKeys lists all keys in the order of their ids.
	ListAPIKeys(ctx context.Context, p Page) ([]APIKey, error)
	// RevokeAPIKey is final: the key and all of its integration tokens are invalid when it returns.
	RevokeAPIKey(ctx context.Context, by Principal, id string) error
}

// Bot is a program that is a member of one account, with the role bot. It is also a User, under the same id.
type Bot struct {
	ID          string // 24 lower-case hexadecimal characters: the user id
	AccountID   string
	AccountName string // read only
	Email       string
	Name        string
	APIKey      string // bot_…, public: it names the bot beside its secret
	CreatedBy   string // user id; "" when the operator made it
	CreatedAt   time.Time
	DisabledAt  time.Time // read only; reversible
	Hint        string    // read only: of the newest live secret
	LastUsedAt  time.Time // read only: of any live secret
}

// Bots stores bots. Removed bots, and those of deleted accounts, are ErrNotFound; so is, for writes, a bot or an account that the
// Principal does not manage. The secrets of a bot are Secrets of the client id APIKey.
type Bots interface {
	// CreateBot stores b, its user, its membership and its first secret. ErrEnded: the account is not live. ErrLimit:
	// MaxBots are there already.
	CreateBot(ctx context.Context, by Principal, b Bot, first Secret) error
	// BotByID finds a bot by its id, or by its APIKey, which no id is like.
	BotByID(ctx context.Context, id string) (Bot, error)
	// ManagedBot is BotByID for a Principal that manages the bot. ErrNotFound: it does not manage it.
	ManagedBot(ctx context.Context, by Principal, id string) (Bot, error)
	// BotsByUser lists the bots of all accounts of which the user is an admin, newest first.
	BotsByUser(ctx context.Context, userID string) ([]Bot, error)
	// ListBots lists all bots in the order of their ids.
	ListBots(ctx context.Context, p Page) ([]Bot, error)
	// RemoveBot is final: the bot leaves its account, and its tokens are invalid when it returns. Neither its id nor
	// its e-mail address is used again. It is DeleteUser with another event.
	RemoveBot(ctx context.Context, by Principal, id string) error
}

// KeyAccess is a key as found by one of its credentials, with everything that decides whether it is valid. The account is
// not deleted.
type KeyAccess struct {
	Key         APIKey // without names and use
	RevokedAt   time.Time
	Secret      Secret // the presented one, live or not
	Account     Account
	AccountLive bool
	// The rest is empty for a key without roles.
	User     User // without password
	UserLive bool
	Role     scope.Role // today's role of the user in the account; "" if not a member
}

// BotAccess is a bot as found by its secret, with everything that decides whether it is valid.
type BotAccess struct {
	Bot         Bot    // without account name and use
	Secret      Secret // the presented one, live or not
	User        User   // without password
	UserLive    bool   // neither disabled nor removed
	Account     Account
	AccountLive bool
	Role        scope.Role
}

// IntegrationToken is a short-lived token that an account API key, alone or with a bot's, was exchanged for.
type IntegrationToken struct {
	ID        LookupID
	Hash      []byte
	KeyID     string
	KeySecret LookupID // that proved the key
	BotID     string   // "" for an account-wide token
	BotSecret LookupID // that proved the bot
	CreatedAt time.Time
	ExpiresAt time.Time
}

// IntegrationAccess is an integration token with everything that decides whether it is valid, read in one statement.
type IntegrationAccess struct {
	IntegrationToken
	RevokedAt   time.Time
	KeyLive     bool   // not revoked
	Key         Secret // that proved the key: its times alone
	Account     Account
	AccountLive bool
	// The rest is empty for an account-wide token.
	Bot     Secret // that proved the bot: its times alone
	User    User   // the bot; without password
	BotLive bool   // neither disabled nor removed
	Role    scope.Role
}

// Integrations stores integration tokens, and looks up the credentials that are exchanged for them. Each look-up is
// one statement by primary key.
type Integrations interface {
	// KeyBySecret returns the key with that secret, live or not. ErrNotFound: no such key, or its account was deleted.
	KeyBySecret(ctx context.Context, secret LookupID) (KeyAccess, error)
	// BotBySecret returns the bot with that secret, live or not. ErrNotFound: no such bot.
	BotBySecret(ctx context.Context, secret LookupID) (BotAccess, error)
	// CreateIntegrationToken stores t if, in the same statement, its key is a live account API key whose secret works, its
	// account is live and has one of the plans, and its bot, if it has one, is a live one of the same account whose secret
	// works; else ErrEnded. There is no audit event: the row is the record.
	CreateIntegrationToken(ctx context.Context, t IntegrationToken, plans []string) error
	// IntegrationByID returns a token, live or not. ErrNotFound: no such token.
	IntegrationByID(ctx context.Context, id LookupID) (IntegrationAccess, error)
	// RevokeIntegrationToken ends one token. Revoking again is no error. ErrNotFound: no such token.
	RevokeIntegrationToken(ctx context.Context, by Principal, id LookupID) error
}

// LiveAt reports whether a secret is valid at that time. The zero Secret never is.
func (s Secret) LiveAt(now time.Time) bool {
	return !s.CreatedAt.IsZero() && s.RevokedAt.IsZero() && (s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt))
}
