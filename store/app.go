package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// App is a registered third-party application (OAuth: client).
type App struct {
	ID           string // the client id, app_…
	AccountID    string // the account whose admins share the app
	AccountName  string // read only
	CreatedBy    string // user id; "" when the operator made it
	Name         string
	Description  string
	Homepage     string    // https URL or ""
	LogoURL      string    // https URL or ""
	RedirectURIs []string  // in the order the developer gave, 1 to 10
	Scopes       scope.Set // canonical scopes the app may ask for
	Confidential bool      // has secrets; otherwise public
	Expiring     bool      // tokens expire and come with a refresh token, although the app is confidential
	PKCERequired bool      // an authorization request without code_challenge is refused
	Version      int64     // counts changes; UpdateApp is refused when it is not the stored one
	CreatedAt    time.Time
	UpdatedAt    time.Time
	VerifiedAt   time.Time // when the operator verified it; zero: not verified
	UnverifiedAt time.Time // when the verification ended; zero while verified and for an app that never was
	// UnverifiedFor names the fields whose change by a developer ended the verification; "" if an operator ended it.
	UnverifiedFor string
	SuspendedAt   time.Time // reversible
}

// Apps stores apps. Every method treats a deleted app as ErrNotFound; suspended apps are returned. UpdateApp and DeleteApp return
// ErrNotFound to a Principal that does not manage the app.
type Apps interface {
	// CreateApp stores a with its redirect URIs and, for a confidential app, its first secret.
	// ErrEnded: the account is not live. ErrConflict: the id is or was in use.
	CreateApp(ctx context.Context, by Principal, a App, first *Secret) error
	// CreateAppWithin is CreateApp for an account that the Principal manages and that has fewer than max apps; else ErrNotFound or
	// ErrLimit.
	CreateAppWithin(ctx context.Context, by Principal, a App, first *Secret, max int) error
	AppByID(ctx context.Context, id string) (App, error)
	// ManagedApp is AppByID for a Principal that manages the app: the operator, or an admin of its account. ErrNotFound: it does
	// not manage it.
	ManagedApp(ctx context.Context, by Principal, id string) (App, error)
	// AppsByUser lists the apps of all accounts of which the user is an admin, newest first.
	AppsByUser(ctx context.Context, userID string) ([]App, error)
	// ListApps lists all apps in the order of their ids.
	ListApps(ctx context.Context, p Page) ([]App, error)
	// UpdateApp replaces the fields that a developer can edit: name, description, homepage, logo, redirect URIs, scopes, Expiring, PKCERequired.
	// unverifyFor, if not "", names changes that end a verification: it ends in the same transaction, with an audit event of
	// its own. ErrConflict: a.Version is not the stored version, so the app was changed in between.
	UpdateApp(ctx context.Context, by Principal, a App, unverifyFor string) error
	SetAppSuspended(ctx context.Context, by Principal, id string, suspended bool) error
	// VerifyApp marks this version of the app as verified. ErrConflict: the app was changed since.
	VerifyApp(ctx context.Context, by Principal, id string, version int64) error
	// UnverifyApp ends the verification.
	UnverifyApp(ctx context.Context, by Principal, id string) error
	// VerifiedNames lists the names of verified apps and of their accounts. Its cost grows with the number of verified apps.
	VerifiedNames(ctx context.Context) ([]VerifiedName, error)
	// DeleteApp is final: every code and token of the app is invalid when it returns. The client id is never used again.
	DeleteApp(ctx context.Context, by Principal, id string) error
	// CountInstalled counts the accounts on which the app is installed: those with at least one live token. It reads max
	// installations, however many the app has.
	CountInstalled(ctx context.Context, appID string, max int) (Count, error)
}

// Limits of CountInstalled: for a page about one app, and for each line of a list.
const (
	MaxInstalls       = 10_000
	MaxInstallsListed = 1_000
)

// Count is a number that was counted up to a limit.
type Count struct {
	N    int
	More bool // there may be more than N
}

// VerifiedName is a verified app with its publisher.
type VerifiedName struct {
	AppID       string
	Name        string
	AccountID   string
	AccountName string
}

// Secret is a credential of an app, a resource server, an API key or a bot, as a hash.
type Secret struct {
	ID         LookupID
	ClientID   string // app_…, rs_…, key_… or bot_…
	Hash       []byte // SHA-256, 32 bytes
	Hint       string // its last characters; those that are unknown, of secrets made by an older version, are question marks
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: valid until revoked
	RevokedAt  time.Time
	LastUsedAt time.Time // read only
}

// MaxSecrets is how many secrets of one client may be live at the same time.
const MaxSecrets = 2

// Secrets stores these credentials. Their owner is called the client, whether it is an app, a resource server, a key or a bot.
type Secrets interface {
	// SecretsByClient lists secrets that are neither revoked nor expired, newest first.
	SecretsByClient(ctx context.Context, clientID string) ([]Secret, error)
	// SecretsByClients is SecretsByClient for many clients, by their ids. Clients without such secrets are not in the answer.
	SecretsByClients(ctx context.Context, clientIDs []string) (map[string][]Secret, error)
	// SecretByID returns a secret, live or not. ErrNotFound: there is no such secret.
	SecretByID(ctx context.Context, id LookupID) (Secret, error)
	// AddSecret stores another secret and, if othersUntil is not zero, lets the client's other live secrets expire then
	// (an earlier expiry stays). ErrLimit: MaxSecrets are live already. ErrEnded: the client is not live or
	// is public, or the Principal does not manage it.
	AddSecret(ctx context.Context, by Principal, s Secret, othersUntil time.Time) error
	// RevokeSecret ends one secret of the client at once. ErrNotFound: there is no such active
	// secret of this client, or the Principal does not manage the client.
	RevokeSecret(ctx context.Context, by Principal, clientID string, id LookupID) error
}

// ResourceServer is an API of the platform that verifies tokens.
type ResourceServer struct {
	ID        string // the client id, rs_…
	Name      string
	CreatedAt time.Time
}

// Resources stores resource servers.
type Resources interface {
	CreateResource(ctx context.Context, by Principal, r ResourceServer, first Secret) error
	ListResources(ctx context.Context) ([]ResourceServer, error)
	ResourceByID(ctx context.Context, id string) (ResourceServer, error)
	RemoveResource(ctx context.Context, by Principal, id string) error
}
