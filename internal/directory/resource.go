package directory

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ResourceServer returns a resource server. NotFoundError if there is none.
func (d *Directory) ResourceServer(ctx context.Context, by store.Principal, id string) (store.ResourceServer, error) {
	if err := operatorOnly(by); err != nil {
		return store.ResourceServer{}, err
	}
	r, err := d.store.ResourceByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.ResourceServer{}, &NotFoundError{What: "resource server", Ref: id}
	}
	if err != nil {
		return store.ResourceServer{}, fmt.Errorf("find resource server: %w", err)
	}
	return r, nil
}

// ResourceSecrets lists the active secrets of the resource server, newest first.
func (d *Directory) ResourceSecrets(ctx context.Context, by store.Principal, id string) ([]store.Secret, error) {
	if _, err := d.ResourceServer(ctx, by, id); err != nil {
		return nil, err
	}
	secrets, err := d.store.SecretsByClient(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list secrets of resource server %s: %w", id, err)
	}
	return secrets, nil
}

// RevokeResourceSecret is RevokeSecret for a resource server.
func (d *Directory) RevokeResourceSecret(ctx context.Context, by store.Principal, id string, secretID secret.ID) error {
	if _, err := d.ResourceServer(ctx, by, id); err != nil {
		return err
	}
	if err := d.store.RevokeSecret(ctx, by, id, store.LookupID(secretID)); err != nil {
		return fmt.Errorf("revoke secret %s of resource server %s: %w", secretID, id, err)
	}
	return nil
}
