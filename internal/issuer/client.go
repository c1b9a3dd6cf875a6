package issuer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// clientToken issues a token to a confidential app for itself (RFC 6749 §4.4): no user, no account, no refresh token.
func (m *Manager) clientToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	granted, err := m.ClientScope(tgr.Scope)
	if err != nil {
		return nil, err
	}
	app, now := m.params.Client.App, m.store.Now()
	token := store.Token{
		AppID: app.ID, Scope: granted, Resource: strings.Join(m.params.Resource, " "),
		CreatedAt: now, ExpiresAt: now.Add(m.options.AccessLifetime),
	}
	access := ""
	err = withFreshID(func() error {
		access = m.mint(&token, secret.Expiring)
		return m.store.CreateClientToken(ctx, token)
	})
	if errors.Is(err, store.ErrEnded) {
		return nil, ClientRefused(true, err)
	}
	if err != nil {
		return nil, fmt.Errorf("create token of app %s: %w", app.ID, err)
	}
	return tokenInfo(app.ID, access, "", m.catalogue.Spell(tgr.Scope, granted), m.options.AccessLifetime), nil
}

// ClientScope returns the scopes of a token that the client gets for itself: the scopes it asks for, or without a scope
// parameter every registered scope that needs no user. It is go-oauth2's client scope rule for client_credentials.
func (m *Manager) ClientScope(asked string) (scope.Set, error) {
	app := m.params.Client.App
	if app == nil || !app.Confidential {
		return scope.Set{}, NotConfidential()
	}
	var own []string
	for _, s := range m.catalogue.Describe(m.catalogue.Known(app.Scopes)) {
		if !s.NeedsUser {
			own = append(own, s.Name)
		}
	}
	allowed, err := scope.NewSet(own...)
	if err != nil {
		return scope.Set{}, fmt.Errorf("scopes of app %s: %w", app.ID, err)
	}
	if asked == "" {
		if allowed.Len() == 0 {
			return scope.Set{}, Errorf(InvalidScope, "the app has no scope that it may use without a user")
		}
		return allowed, nil
	}
	want, err := m.canonical(asked)
	if err != nil {
		return scope.Set{}, err
	}
	if !allowed.Covers(want) {
		return scope.Set{}, Errorf(InvalidScope, "scope includes a scope that this app did not register or that needs a user")
	}
	return want, nil
}

// NotConfidential refuses client_credentials to a client that is not a confidential app.
func NotConfidential() *Error {
	return Errorf(UnauthorizedClient, "only a confidential app may use client_credentials")
}

// canonical parses a scope parameter, which is not empty, into the catalogue's names.
func (i *Issuer) canonical(asked string) (scope.Set, error) {
	known, fault := i.catalogue.Ask(asked)
	if fault != "" {
		return scope.Set{}, Errorf(InvalidScope, "%s", fault)
	}
	return known.Scopes, nil
}
