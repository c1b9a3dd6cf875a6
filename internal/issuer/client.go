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

// clientToken gives a confidential app a token of its own (RFC 6749 §4.4): no user, no account, no refresh token.
func (i *Issuer) clientToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	facts := factsOf(ctx)
	app := facts.Client.App
	if app == nil || !app.Confidential {
		return nil, Errorf(UnauthorizedClient, "only a confidential app may use client_credentials")
	}
	granted, err := i.clientScopes(app, tgr.Scope)
	if err != nil {
		return nil, err
	}
	now := i.store.Now()
	token := store.Token{
		AppID: app.ID, Scope: granted, Resource: strings.Join(facts.Resource, " "),
		CreatedAt: now, ExpiresAt: now.Add(i.options.AccessLifetime),
	}
	access := ""
	err = untilFree(func() error {
		access = i.mint(&token, secret.Expiring)
		return i.store.CreateClientToken(ctx, token)
	})
	if errors.Is(err, store.ErrEnded) {
		return nil, ClientRefused(true, err)
	}
	if err != nil {
		return nil, fmt.Errorf("create token of app %s: %w", app.ID, err)
	}
	return tokenInfo(app.ID, access, "", i.catalogue.Spell(tgr.Scope, granted), now, i.options.AccessLifetime), nil
}

// clientScopes are the scopes an app may hold by itself: those it registered that do not need a user.
func (i *Issuer) clientScopes(app *store.App, asked string) (scope.Set, error) {
	var own []string
	for _, s := range i.catalogue.Describe(i.catalogue.Known(app.Scopes)) {
		if !s.NeedsUser {
			own = append(own, s.Name)
		}
	}
	may, err := scope.NewSet(own...)
	if err != nil {
		return scope.Set{}, fmt.Errorf("scopes of app %s: %w", app.ID, err)
	}
	if asked == "" {
		if may.Len() == 0 {
			return scope.Set{}, Errorf(InvalidScope, "the app has no scope that it may use without a user")
		}
		return may, nil
	}
	want, err := i.canonical(asked)
	if err != nil {
		return scope.Set{}, err
	}
	if !may.Covers(want) {
		return scope.Set{}, Errorf(InvalidScope, "scope asks for what this app did not register, or what needs a user")
	}
	return want, nil
}

// canonical reads a scope parameter, which is not empty, by the names of the catalogue.
func (i *Issuer) canonical(asked string) (scope.Set, error) {
	known, fault := i.catalogue.Ask(asked)
	if fault != "" {
		return scope.Set{}, Errorf(InvalidScope, "%s", fault)
	}
	return known.Scopes, nil
}
