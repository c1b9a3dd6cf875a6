package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

// ErrExpired is the kind of ErrInvalid for a user token of ours whose time is over. Its holder gets 403 and uses the refresh
// token (docs/dialects.md).
var ErrExpired = fmt.Errorf("expired user token: %w", ErrInvalid)

// UserTokens makes a Verifier accept user tokens that the keys have signed; without it, it accepts none.
func UserTokens(keys *signing.Keys) Option {
	return func(v *Verifier) { v.keys = keys }
}

// inspectUserToken is Inspect for a JWT. Signature and claims are verified first, without the database; then the database is
// asked whether exactly this token was issued, and whether user, account and membership are good today.
func (v *Verifier) inspectUserToken(ctx context.Context, token string) (Identity, error) {
	if v.keys == nil {
		return Identity{}, ErrInvalid
	}
	var claims signing.UserClaims
	err := v.keys.Verify(ctx, token, &claims)
	switch {
	case errors.Is(err, signing.ErrExpired):
		return Identity{}, ErrExpired
	case errors.Is(err, signing.ErrInvalid):
		return Identity{}, ErrInvalid
	case err != nil:
		return Identity{}, err
	}
	id, ok := secret.ParseTokenID(claims.ID)
	if !ok {
		return Identity{}, ErrInvalid
	}
	a, err := v.store.UserRefreshByID(ctx, store.LookupID(id))
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrInvalid
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up user token: %w", err)
	}
	if !secret.MatchesUserToken(token, a.TokenHash) || a.Owner.UserID != claims.UserID || !a.Live {
		return Identity{}, ErrInvalid
	}
	return v.acting(Identity{
		Kind: secret.JWT, TokenID: id, Subject: a.User.ID, User: &a.User, Bot: a.User.Bot, Account: &a.Account, Role: a.Role,
		IssuedAt: time.Unix(claims.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(claims.ExpiresAt, 0).UTC(), Pair: &a,
	}, []scope.Role{a.Role})
}
