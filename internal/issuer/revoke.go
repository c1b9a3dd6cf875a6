package issuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// RemoveAccessToken revokes an access token of the client in the Facts (RFC 7009 §2.1). A token that does not exist is
// as good as revoked: no error. Another app's token is UnauthorizedClient and stays as it is.
func (i *Issuer) RemoveAccessToken(ctx context.Context, access string) error {
	facts := factsOf(ctx)
	presented, kind, ok := i.parseAccess(access)
	if !ok {
		return nil
	}
	a, err := i.store.AccessByID(ctx, kind, presented.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !presented.Matches(a.Hash) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up token: %w", err)
	}
	if a.AppID != facts.Client.ID {
		return errForeign()
	}
	if err := i.store.RevokeToken(ctx, facts.By, kind, presented.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("revoke token of app %s: %w", a.AppID, err)
	}
	return nil
}

// RemoveRefreshToken ends a refresh token with its whole family, access tokens included (RFC 7009 §2.1). Errors as
// RemoveAccessToken.
func (i *Issuer) RemoveRefreshToken(ctx context.Context, refresh string) error {
	facts := factsOf(ctx)
	presented, ok := i.format.Parse(refresh)
	if !ok || presented.Kind != secret.Refresh {
		return nil
	}
	r, family, err := i.store.RefreshByID(ctx, presented.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !presented.Matches(r.Hash) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up refresh token: %w", err)
	}
	if family.AppID != facts.Client.ID {
		return errForeign()
	}
	if err := i.store.EndFamily(ctx, facts.By, family.ID, "revoked by the app"); err != nil {
		return fmt.Errorf("end family of app %s: %w", family.AppID, err)
	}
	return nil
}

// LoadAccessToken and LoadRefreshToken complete the Manager: what a token was issued with, without its text. Whether a
// token is good is package verify's to say.
func (i *Issuer) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	presented, kind, ok := i.parseAccess(access)
	if !ok {
		return nil, store.ErrNotFound
	}
	a, err := i.store.AccessByID(ctx, kind, presented.ID)
	if err != nil {
		return nil, fmt.Errorf("look up token: %w", err)
	}
	if !presented.Matches(a.Hash) {
		return nil, store.ErrNotFound
	}
	t := tokenInfo(a.AppID, "", "", a.Scope.String(), a.CreatedAt, 0)
	if !a.ExpiresAt.IsZero() {
		t.SetAccessExpiresIn(a.ExpiresAt.Sub(a.CreatedAt))
	}
	t.SetUserID(a.User.ID)
	return t, nil
}

// LoadRefreshToken: see LoadAccessToken.
func (i *Issuer) LoadRefreshToken(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	presented, ok := i.format.Parse(refresh)
	if !ok || presented.Kind != secret.Refresh {
		return nil, store.ErrNotFound
	}
	r, family, err := i.store.RefreshByID(ctx, presented.ID)
	if err != nil {
		return nil, fmt.Errorf("look up refresh token: %w", err)
	}
	if !presented.Matches(r.Hash) {
		return nil, store.ErrNotFound
	}
	t := tokenInfo(family.AppID, "", "", family.Scope.String(), r.CreatedAt, 0)
	t.SetRefreshCreateAt(r.CreatedAt)
	t.SetRefreshExpiresIn(r.ExpiresAt.Sub(r.CreatedAt))
	t.SetUserID(family.UserID)
	return t, nil
}

// parseAccess accepts the two kinds of access tokens.
func (i *Issuer) parseAccess(text string) (secret.Credential, store.TokenKind, bool) {
	c, ok := i.format.Parse(text)
	switch {
	case ok && c.Kind == secret.Access:
		return c, store.NonExpiring, true
	case ok && c.Kind == secret.Expiring:
		return c, store.Expiring, true
	}
	return secret.Credential{}, 0, false
}

func errForeign() *Error {
	return Errorf(UnauthorizedClient, "the token belongs to another app")
}
