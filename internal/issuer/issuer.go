// Package issuer owns the rules for authorization codes, access tokens, refresh tokens and user tokens: who may get one,
// what it carries, how long it lives, what a replay ends, and which key signs. It implements go-oauth2's oauth2.Manager,
// so that the library dispatches the grants, and it refuses what the library would let through
// (docs/decisions/go-oauth2.md).
//
// It moves the state of codes, tokens and refresh families, always by one operation of the store. It never sees an
// HTTP request: what an endpoint has proven arrives as Facts in the context.
package issuer

import (
	"context"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Store is what the issuer needs of storage.
type Store interface {
	store.Codes
	store.Tokens
	store.Refreshes
	store.Credentials
	store.Integrations
	store.UserTokens
	store.SigningKeys
	MembersByUser(ctx context.Context, userID string) ([]store.Member, error)
	Now() time.Time
}

// Options are the issuer's settings. A zero field means its default.
type Options struct {
	CodeLifetime    time.Duration // 60 s; at most 10 min (RFC 6749 §4.1.2)
	AccessLifetime  time.Duration // of expiring access tokens: 1 h
	RefreshLifetime time.Duration // 30 days after the last rotation
	Grace           time.Duration // in which a repeated refresh gets the same answer: 10 s
	TokenLimit      int           // live non-expiring tokens of an installation: 0 is any number
	UserTokens      UserTokenOptions
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.CodeLifetime, time.Minute)
	set(&o.AccessLifetime, time.Hour)
	set(&o.RefreshLifetime, 30*24*time.Hour)
	set(&o.Grace, 10*time.Second)
	o.UserTokens = o.UserTokens.withDefaults()
	return o
}

// Issuer makes codes and tokens.
type Issuer struct {
	store     Store
	catalogue *scope.Catalogue
	format    secret.Format
	options   Options
	keys      *signingKeys
}

var _ oauth2.Manager = (*Issuer)(nil)

// New makes an Issuer over s.
func New(s Store, c *scope.Catalogue, f secret.Format, o Options) *Issuer {
	o = o.withDefaults()
	return &Issuer{store: s, catalogue: c, format: f, options: o, keys: &signingKeys{store: s, options: o.UserTokens}}
}

// Facts are what an endpoint has established before it asks for a code or a token, and what go-oauth2's request type
// has no field for.
type Facts struct {
	By     store.Actor
	Client store.Client // token and revocation endpoint: the authenticated client

	// Authorization endpoint only.
	Installation store.Installation
	RedirectSent bool
	ScopeAsked   string

	Resource []string // RFC 8707 resource parameters
}

type factsKey struct{}

// WithFacts puts f where the Manager's methods find it.
func WithFacts(ctx context.Context, f Facts) context.Context {
	return context.WithValue(ctx, factsKey{}, f)
}

func factsOf(ctx context.Context) Facts {
	f, _ := ctx.Value(factsKey{}).(Facts)
	return f
}

// GenerateAccessToken redeems an authorization code or gives an app a token of its own. Errors are *Error, or the
// store's.
func (i *Issuer) GenerateAccessToken(ctx context.Context, gt oauth2.GrantType, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	switch gt {
	case oauth2.AuthorizationCode:
		return i.redeem(ctx, tgr)
	case oauth2.ClientCredentials:
		return i.clientToken(ctx, tgr)
	default:
		return nil, Errorf(UnsupportedGrantType, "grant_type must be authorization_code, client_credentials or refresh_token")
	}
}

// GetClient answers go-oauth2's question for a client. No secret is in the answer: clients are authenticated before
// the library is asked.
func (i *Issuer) GetClient(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	c, err := i.store.ClientByID(ctx, id, store.LookupID{})
	if err != nil {
		return nil, err
	}
	return &models.Client{ID: c.ID, Public: c.App != nil && !c.App.Confidential}, nil
}

// tokenInfo is the answer to a granted token request in go-oauth2's terms; lifetime 0 means that it never expires.
func tokenInfo(clientID, access, refresh, scope string, created time.Time, lifetime time.Duration) *models.Token {
	t := models.NewToken()
	t.SetClientID(clientID)
	t.SetAccess(access)
	t.SetAccessCreateAt(created)
	t.SetAccessExpiresIn(lifetime)
	t.SetRefresh(refresh)
	t.SetScope(scope)
	return t
}
