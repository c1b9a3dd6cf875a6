// Package verify looks up presented credentials: it identifies a token or client, decides whether it is valid at the moment,
// and returns its rights. Every endpoint that accepts a bearer token or a client secret uses it.
//
// It changes no state except the record of last use. Each look-up is one statement by primary key, answered by the
// database, so that a revocation holds for every look-up that starts after it. A credential's form and checksum are
// checked before the database is used.
package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

// ErrInvalid: the token is malformed, unknown, expired or revoked, or something that it depends on has ended. Callers are not
// given the reason.
var ErrInvalid = errors.New("invalid token")

// ErrClient: the client is unknown or not live, or its secret is wrong. Callers are not given the reason.
var ErrClient = errors.New("client authentication failed")

// Store is the part of the storage that verification needs.
type Store interface {
	store.Credentials
	store.Refreshes
	store.Integrations
	store.UserTokens
	store.Usage
	Now() time.Time
}

// Identity is the party that a live token stands for, with its rights.
type Identity struct {
	Kind         secret.Kind // Access, Expiring or Refresh; APIKey; Integration; JWT for a user token
	TokenID      secret.ID
	ClientID     string // of the app; of the API key that is the token, or that an integration token was exchanged for; "" for a user token
	AppName      string
	Subject      string         // user id; without a user the client id (the two can never be equal)
	User         *store.User    // nil for an app's own token and an account-wide integration token
	Profile      bool           // the token's app may see the user's name and e-mail address, because its consent page listed them; false for all other tokens
	Bot          bool           // the user is a bot
	Account      *store.Account // nil for an app's own token
	Role         scope.Role     // the user's current role in the account; admin for an account-wide integration token
	Acts         scope.Role     // of a token whose scopes are roles: the role it acts with; "" for the tokens of apps
	Installation string
	Scopes       scope.Set          // implied ones included
	Permissions  []scope.Permission // of the scopes, limited by the user's role
	Audience     []string           // RFC 8707 resources
	IssuedAt     time.Time
	ExpiresAt    time.Time         // zero: never
	Pair         *store.UserAccess // of a user token: the pair that it is of, as it was read
}

// OfApp reports whether the token was issued to an app, or is its refresh token.
func (id Identity) OfApp() bool {
	return id.Kind == secret.Access || id.Kind == secret.Expiring || id.Kind == secret.Refresh
}

// Verifier looks up credentials.
type Verifier struct {
	store     Store
	format    secret.Format
	catalogue *scope.Catalogue
	usage     *usage
	plans     []string // plans whose accounts may use API keys and integration tokens

	keys *signing.Keys // of user tokens; nil: there are none
}

// New makes a Verifier. Close writes the last uses that are still buffered.
func New(s Store, f secret.Format, c *scope.Catalogue, options ...Option) *Verifier {
	v := &Verifier{store: s, format: f, catalogue: c, usage: newUsage(s)}
	for _, set := range options {
		set(v)
	}
	return v
}

// Close stops the background writer after a last write.
func (v *Verifier) Close(ctx context.Context) error { return v.usage.close(ctx) }

// Lookup identifies an access token and records its use. Errors are ErrInvalid (and ErrKey for an unknown API key),
// ErrExpired for a user token, or store.ErrUnavailable if the database does not answer.
func (v *Verifier) Lookup(ctx context.Context, token string) (Identity, error) {
	id, err := v.Inspect(ctx, token)
	if err == nil {
		v.usage.note(id.TokenID, v.store.Now())
	}
	return id, err
}

// Inspect is Lookup without recording the use, for introspection and tools.
func (v *Verifier) Inspect(ctx context.Context, token string) (Identity, error) {
	if signing.IsJWT(token) {
		return v.inspectUserToken(ctx, token)
	}
	c, ok := v.format.Parse(token)
	if !ok {
		return Identity{}, ErrInvalid
	}
	kind := store.NonExpiring
	switch c.Kind {
	case secret.Access:
	case secret.Expiring:
		kind = store.Expiring
	case secret.APIKey:
		return v.inspectKey(ctx, c)
	case secret.Integration:
		return v.inspectIntegration(ctx, c)
	default:
		return Identity{}, ErrInvalid
	}
	a, err := v.store.AccessByID(ctx, kind, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrInvalid
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up token: %w", err)
	}
	if !c.Matches(a.Hash) || !v.live(a) {
		return Identity{}, ErrInvalid
	}
	return v.identity(c, a)
}

// live reports whether the token, and everything that it depends on, is valid at the moment.
func (v *Verifier) live(a store.Access) bool {
	if !a.RevokedAt.IsZero() || !a.AppLive {
		return false
	}
	if !a.ExpiresAt.IsZero() && !v.store.Now().Before(a.ExpiresAt) {
		return false
	}
	if a.InstallationID == "" {
		return true
	}
	return a.InstallationLive && a.UserLive && a.AccountLive && a.Role != ""
}

// identity fills in the rights of a live token: its scopes as far as the app still has them, with the scopes that they
// imply, so that every API that introspects the token sees the same ones. A token that is left with no scope is invalid.
func (v *Verifier) identity(c secret.Credential, a store.Access) (Identity, error) {
	scopes := a.Scope.Intersect(a.App.Scopes)
	if scopes.Len() == 0 {
		return Identity{}, ErrInvalid
	}
	id := Identity{
		Kind: c.Kind, TokenID: c.ID,
		ClientID: a.AppID, AppName: a.App.Name, Subject: a.AppID,
		Scopes: v.catalogue.Expand(scopes), Audience: strings.Fields(a.Resource),
		IssuedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}
	if a.InstallationID != "" {
		id.Subject, id.User, id.Account = a.User.ID, &a.User, &a.Account
		id.Role, id.Installation, id.Profile = a.Role, a.InstallationID, a.Profile
		id.Permissions = v.catalogue.Effective(scopes, a.Role)
	}
	return id, nil
}

// InspectRefresh identifies a refresh token, for introspection by its own app. A rotated token is valid for as long as its
// successor is unused. Any other token that cannot be used any more, and a token of which the app has given up every
// scope, is ErrInvalid.
func (v *Verifier) InspectRefresh(ctx context.Context, token string) (Identity, error) {
	c, ok := v.format.Parse(token)
	if !ok || c.Kind != secret.Refresh {
		return Identity{}, ErrInvalid
	}
	r, f, err := v.store.RefreshByID(ctx, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrInvalid
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up refresh token: %w", err)
	}
	scopes := f.Scope.Intersect(f.AppScopes)
	spent := !r.RotatedAt.IsZero() && r.Successor == (store.LookupID{})
	if !c.Matches(r.Hash) || spent || f.Ended || !v.store.Now().Before(r.ExpiresAt) || scopes.Len() == 0 {
		return Identity{}, ErrInvalid
	}
	return Identity{
		Kind: c.Kind, TokenID: c.ID, ClientID: f.AppID, Subject: f.UserID, Installation: f.InstallationID,
		Account: &store.Account{ID: f.AccountID}, Scopes: scopes, Audience: strings.Fields(f.Resource),
		IssuedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}, nil
}
