package directory

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// RevokeToken ends, for the operator, an access token, an integration token, an API key with everything that depends on it, or a
// refresh token or user token with its whole family. The token need not be valid now: a token of a suspended app must not become
// valid again with the app. store.ErrNotFound: this server did not issue the token; the error does not contain the text.
func (d *Directory) RevokeToken(ctx context.Context, by store.Principal, token string) error {
	if err := operatorOnly(by); err != nil {
		return err
	}
	var err error
	c, _ := d.format.Parse(token)
	switch c.Kind {
	case 0: // user tokens have another form
		err = d.revokeUserToken(ctx, by, token)
	case secret.Access:
		err = d.revokeAccess(ctx, by, c, store.NonExpiring)
	case secret.Expiring:
		err = d.revokeAccess(ctx, by, c, store.Expiring)
	case secret.Refresh:
		err = d.revokeFamily(ctx, by, c)
	case secret.Integration:
		err = d.revokeIntegration(ctx, by, c)
	case secret.APIKey:
		err = d.revokeKey(ctx, by, c)
	case secret.Client, secret.Bot:
		err = d.revokeOneSecret(ctx, by, c)
	default:
		return fmt.Errorf("this is a %s, which is not a token: %w", c.Kind, store.ErrNotFound)
	}
	if errors.Is(err, store.ErrNotFound) {
		return errNoToken
	}
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", c.ID, err)
	}
	return nil
}

// errNoToken does not reveal whether the form, the id or the secret is wrong.
var errNoToken = fmt.Errorf("this server has no such token: %w", store.ErrNotFound)

func (d *Directory) revokeAccess(ctx context.Context, by store.Principal, c secret.Credential, kind store.TokenKind) error {
	a, err := d.store.AccessByID(ctx, kind, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(a.Hash) {
		return store.ErrNotFound
	}
	return d.store.RevokeToken(ctx, by, kind, store.LookupID(c.ID))
}

func (d *Directory) revokeFamily(ctx context.Context, by store.Principal, c secret.Credential) error {
	r, f, err := d.store.RefreshByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(r.Hash) {
		return store.ErrNotFound
	}
	return d.store.EndFamily(ctx, by, f.ID, "revoked by the operator")
}

func (d *Directory) revokeIntegration(ctx context.Context, by store.Principal, c secret.Credential) error {
	a, err := d.store.IntegrationByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(a.Hash) {
		return store.ErrNotFound
	}
	return d.store.RevokeIntegrationToken(ctx, by, store.LookupID(c.ID))
}

// revokeOneSecret ends the presented secret of an app, a resource server or a bot, and no other secret.
func (d *Directory) revokeOneSecret(ctx context.Context, by store.Principal, c secret.Credential) error {
	s, err := d.store.SecretByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(s.Hash) {
		return store.ErrNotFound
	}
	return d.store.RevokeSecret(ctx, by, s.ClientID, store.LookupID(c.ID))
}

func (d *Directory) revokeKey(ctx context.Context, by store.Principal, c secret.Credential) error {
	a, err := d.store.KeyBySecret(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(a.Secret.Hash) {
		return store.ErrNotFound
	}
	return d.store.RevokeAPIKey(ctx, by, a.Key.ID)
}
