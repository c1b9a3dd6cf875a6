package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Secrets returns an app, as App does, and its active secrets, newest first.
func (d *Directory) Secrets(ctx context.Context, by store.Principal, appID string) (store.App, []store.Secret, error) {
	a, err := d.App(ctx, by, appID)
	if err != nil || !a.Confidential {
		return a, nil, err
	}
	secrets, err := d.store.SecretsByClient(ctx, appID)
	if err != nil {
		return store.App{}, nil, fmt.Errorf("list secrets of app %s: %w", appID, err)
	}
	return a, secrets, nil
}

// RotateSecret mints another secret of a confidential app and returns it, only here. The other secrets are valid until
// othersUntil; zero means until they are revoked, and a time that is not in the future ends them at once. Two secrets
// can be active: a third is refused with *SecretLimitError, unless the others end at once. ErrPublicApp if the app is
// public.
func (d *Directory) RotateSecret(ctx context.Context, by store.Principal, appID string, othersUntil time.Time) (secret.Credential, error) {
	if err := mayManage(by); err != nil {
		return secret.Credential{}, err
	}
	c, err := d.rotate(ctx, by, appID, secret.Client, othersUntil)
	if errors.Is(err, store.ErrEnded) {
		a, lookUp := d.App(ctx, by, appID)
		switch {
		case lookUp != nil:
			return secret.Credential{}, lookUp
		case !a.Confidential:
			return secret.Credential{}, ErrPublicApp
		}
	}
	return c, err
}

// RevokeSecret ends one secret at once. The last one can be revoked as well: the app then cannot authenticate until it
// gets another, which is what its owner wants after a leak.
func (d *Directory) RevokeSecret(ctx context.Context, by store.Principal, appID string, id secret.ID) error {
	if err := mayManage(by); err != nil {
		return err
	}
	if err := d.store.RevokeSecret(ctx, by, appID, store.LookupID(id)); err != nil {
		return fmt.Errorf("revoke secret %s of app %s: %w", id, appID, err)
	}
	return nil
}

// CreateResource registers an API of the platform as a resource server and returns its secret, only here.
func (d *Directory) CreateResource(ctx context.Context, by store.Principal, name string) (store.ResourceServer, secret.Credential, error) {
	if err := operatorOnly(by); err != nil {
		return store.ResourceServer{}, secret.Credential{}, err
	}
	name, fault := cleanName(name, maxPersonName)
	if fault == "" && name == "" {
		fault = "Enter a name."
	}
	if fault != "" {
		return store.ResourceServer{}, secret.Credential{}, FieldErrors{"name": fault}
	}
	r := store.ResourceServer{ID: secret.NewPublicID("rs_"), Name: name, CreatedAt: d.store.Now()}
	c := d.format.New(secret.Client)
	if err := d.store.CreateResource(ctx, by, r, d.secretRow(r.ID, c)); err != nil {
		return store.ResourceServer{}, secret.Credential{}, fmt.Errorf("create resource server: %w", err)
	}
	return r, c, nil
}

// RotateResourceSecret is RotateSecret for a resource server.
func (d *Directory) RotateResourceSecret(ctx context.Context, by store.Principal, id string, othersUntil time.Time) (secret.Credential, error) {
	if _, err := d.ResourceServer(ctx, by, id); err != nil {
		return secret.Credential{}, err
	}
	return d.rotate(ctx, by, id, secret.Client, othersUntil)
}

// rotate adds a secret to a client that exists.
func (d *Directory) rotate(ctx context.Context, by store.Principal, clientID string, kind secret.Kind, othersUntil time.Time) (secret.Credential, error) {
	// Secrets that end at once do not count towards the limit.
	if now := d.store.Now(); !othersUntil.IsZero() && othersUntil.Before(now) {
		othersUntil = now
	}
	c := d.format.New(kind)
	err := d.store.AddSecret(ctx, by, d.secretRow(clientID, c), othersUntil)
	if errors.Is(err, store.ErrLimit) {
		return secret.Credential{}, &SecretLimitError{}
	}
	if err != nil {
		return secret.Credential{}, fmt.Errorf("add a secret to %s: %w", clientID, err)
	}
	return c, nil
}

// secretRow returns the stored form of a client secret.
func (d *Directory) secretRow(clientID string, c secret.Credential) store.Secret {
	hash := c.Hash()
	return store.Secret{ID: store.LookupID(c.ID), ClientID: clientID, Hash: hash[:], Hint: c.Hint(), CreatedAt: d.store.Now()}
}
