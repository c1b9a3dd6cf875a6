// Package issuer owns the rules for authorization codes, access tokens, refresh tokens and user tokens: which client
// gets one, with which rights and lifetime, and which tokens a replay revokes. Its Manager is go-oauth2's oauth2.Manager: the
// library dispatches the grants, and the Manager makes the checks that the library lacks (docs/decisions/go-oauth2.md).
//
// It changes the state of codes, tokens and refresh families, each time by one operation of the store. It never sees an
// HTTP request: the endpoints pass GrantParams.
package issuer

import (
	"context"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

// Store is the part of the storage that the issuer needs.
type Store interface {
	store.Codes
	store.Tokens
	store.Refreshes
	store.Credentials
	store.Integrations
	store.UserTokens
	MembersByUser(ctx context.Context, userID string) ([]store.Member, error)
	Now() time.Time
}

// Options are the settings of an Issuer. A zero field means its default.
type Options struct {
	CodeLifetime    time.Duration // 60 s; at most 10 min (RFC 6749 §4.1.2)
	AccessLifetime  time.Duration // of expiring access tokens: 1 h
	RefreshLifetime time.Duration // 30 days after the last rotation
	Grace           time.Duration // how long a repeated refresh gets the same answer: 10 s
	TokenLimit      int           // live non-expiring tokens of an installation; 0: no limit
	UserTokens      UserTokenOptions
	Keys            *signing.Keys // that sign user tokens; nil: there are none
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
}

// New makes an Issuer over s.
func New(s Store, c *scope.Catalogue, f secret.Format, o Options) *Issuer {
	o = o.withDefaults()
	return &Issuer{store: s, catalogue: c, format: f, options: o}
}
