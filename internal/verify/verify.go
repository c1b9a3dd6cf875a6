// Package verify is the one look-up of a presented credential: which token or client is this, is it good right now, and
// what is it good for. Every endpoint that accepts a bearer token or a client secret asks here.
//
// It decides and changes nothing but the record of last use. Each question is one statement by primary key, answered by
// the database, so that a revocation holds for every look-up that starts after it. A credential's form and checksum are
// checked before anything is asked.
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

// ErrInvalid: the token is malformed, unknown, expired or revoked, or what it hangs on has ended. Callers learn no more.
var ErrInvalid = errors.New("invalid token")

// ErrClient: the client is unknown or not live, or its secret is wrong. Callers learn no more.
var ErrClient = errors.New("client authentication failed")

// Store is what verification needs of storage.
type Store interface {
	store.Credentials
	store.Refreshes
	store.Integrations
	store.UserTokens
	store.Usage
	Now() time.Time
}

// Identity is who a live token stands for, and what it may do.
type Identity struct {
	Kind         secret.Kind // Access, Expiring or Refresh; APIKey; Integration; JWT for a user token
	TokenID      secret.ID
	ClientID     string // of the app; of the API key that is the token, or that an integration token was got with; "" for a user token
	AppName      string
	Subject      string         // user id; without a user the client id (the two can never be equal)
	User         *store.User    // nil for an app's own token and an account-wide integration token
	Profile      bool           // the token's app may learn the user's name and e-mail address, as its consent page said; false for all other tokens
	Bot          bool           // the user is a bot
	Account      *store.Account // nil for an app's own token
	Role         scope.Role     // the user's role in the account today; admin for an account-wide integration token
	Acts         scope.Role     // the role that the token has, whose scopes are roles; "" for the tokens of apps
	Installation string
	Scopes       scope.Set          // implied ones included
	Permissions  []scope.Permission // what the scopes allow, as far as the user's role does
	Audience     []string           // RFC 8707 resources
	IssuedAt     time.Time
	ExpiresAt    time.Time         // zero: never
	Pair         *store.UserAccess // of a user token: the pair that it is of, as it was read
}

// OfApp says whether the token was given to an app, or is its refresh token.
func (id Identity) OfApp() bool {
	return id.Kind == secret.Access || id.Kind == secret.Expiring || id.Kind == secret.Refresh
}

// Verifier answers for credentials.
type Verifier struct {
	store     Store
	format    secret.Format
	catalogue *scope.Catalogue
	usage     *usage
	plans     []string // whose accounts may use API keys and integration tokens

	keys *signing.Keys // of user tokens; nil: there are none
}

// New makes a Verifier. Close it to write down the last uses.
func New(s Store, f secret.Format, c *scope.Catalogue, options ...Option) *Verifier {
	v := &Verifier{store: s, format: f, catalogue: c, usage: newUsage(s)}
	for _, set := range options {
		set(v)
	}
	return v
}

// Close stops the background writer after a last write.
func (v *Verifier) Close(ctx context.Context) error { return v.usage.close(ctx) }

// Lookup says whose access token this is, and records its use. ErrInvalid (for an API key that opens nothing ErrKey, too),
// ErrExpired for a user token, or store.ErrUnavailable when nobody can tell.
func (v *Verifier) Lookup(ctx context.Context, token string) (Identity, error) {
	id, err := v.Inspect(ctx, token)
	if err == nil {
		v.usage.note(id.TokenID, v.store.Now())
	}
	return id, err
}

// Inspect is Lookup that leaves no trace: for introspection and tools.
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

// live says whether the token and everything it hangs on are good at this moment.
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

// identity fills in what a live token is good for: its scopes as far as the app still has them, with those that they imply,
// so that everybody who is told of the token comes to the same answer. A token that is left with none is invalid.
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

// InspectRefresh identifies a refresh token, for introspection by its own app. One that was rotated is good for as
// long as its successor is unused. Others that cannot be used any more, and those of which the app has given up every
// scope, are ErrInvalid.
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
