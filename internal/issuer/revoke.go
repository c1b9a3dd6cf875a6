package issuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// LoadAccessToken returns client, user, scope and lifetime of an access token, without its text. Whether the token is valid at
// the moment is for package verify. store.ErrNotFound: there is no such token.
func (m *Manager) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	presented, kind, ok := m.parseAccess(access)
	if !ok {
		return nil, store.ErrNotFound
	}
	a, err := m.store.AccessByID(ctx, kind, presented.ID)
	if err != nil {
		return nil, fmt.Errorf("look up token: %w", err)
	}
	if !presented.Matches(a.Hash) {
		return nil, store.ErrNotFound
	}
	t := tokenInfo(a.AppID, "", "", a.Scope.String(), 0)
	if !a.ExpiresAt.IsZero() {
		t.AccessExpiresIn = a.ExpiresAt.Sub(a.CreatedAt)
	}
	t.UserID = a.User.ID
	return t, nil
}

// RemoveAccessToken revokes an access token of the client (RFC 7009 §2.1). A token that does not exist counts as revoked.
// For another app's token the error is UnauthorizedClient, and the token stays valid.
func (m *Manager) RemoveAccessToken(ctx context.Context, access string) error {
	t, err := m.LoadAccessToken(ctx, access)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.GetClientID() != m.params.Client.ID {
		return errForeign()
	}
	presented, kind, _ := m.parseAccess(access)
	if err := m.store.RevokeToken(ctx, m.params.By, kind, presented.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("revoke token of app %s: %w", t.GetClientID(), err)
	}
	return nil
}

// RemoveRefreshToken ends a refresh token with its whole family, access tokens included (RFC 7009 §2.1), whether or not it
// can still be used. Errors as RemoveAccessToken.
func (m *Manager) RemoveRefreshToken(ctx context.Context, refresh string) error {
	r, err := m.findRefresh(ctx, refresh)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.family.AppID != m.params.Client.ID {
		return errForeign()
	}
	if err := m.store.EndFamily(ctx, m.params.By, r.family.ID, "revoked by the app"); err != nil {
		return fmt.Errorf("end family of app %s: %w", r.family.AppID, err)
	}
	return nil
}

// parseAccess parses both kinds of access tokens.
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
