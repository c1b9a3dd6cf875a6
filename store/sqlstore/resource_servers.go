package sqlstore

import (
	"context"

	"xenoauth/store"
)

const (
	resourceColumns = `r.id, r.name, r.created_at`
	insertResource  = `INSERT INTO resource_servers (id, name, created_at) VALUES ($1, $2, $3)`
)

func readResource(scan scanner) (r store.ResourceServer, err error) {
	err = scan(&r.ID, &r.Name, scanTime(&r.CreatedAt))
	return r, err
}

// CreateResource implements store.Resources.
func (s *Store) CreateResource(ctx context.Context, by store.Principal, r store.ResourceServer, first store.Secret) (err error) {
	defer wrapErr(&err, "create resource server %s", r.ID)
	if err := by.Permitted(); err != nil {
		return err
	}
	if !isResource(r.ID) {
		return store.ErrInvalid // look-ups of clients go by the prefix
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if _, err := q.exec(ctx, insertResource, r.ID, r.Name, at(r.CreatedAt)); err != nil {
			return err
		}
		first.ClientID = r.ID
		if err := addSecret(ctx, q, first); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventResourceCreated, Subject: r.ID})
	})
}

// selectResources reads the whole table: a platform has a handful.
const selectResources = `SELECT ` + resourceColumns + ` FROM resource_servers r WHERE r.removed_at IS NULL ORDER BY r.created_at, r.id`

// ListResources implements store.Resources.
func (s *Store) ListResources(ctx context.Context) (list []store.ResourceServer, err error) {
	defer wrapErr(&err, "list resource servers")
	return collect(ctx, s.read(), readResource, selectResources)
}

const selectResource = `SELECT ` + resourceColumns + ` FROM resource_servers r WHERE r.removed_at IS NULL AND r.id = $1`

// ResourceByID implements store.Resources.
func (s *Store) ResourceByID(ctx context.Context, id string) (r store.ResourceServer, err error) {
	defer wrapErr(&err, "resource server %s", id)
	err = s.read().row(ctx, selectResource, []any{id}, &r.ID, &r.Name, scanTime(&r.CreatedAt))
	return r, err
}

const removeResource = `UPDATE resource_servers SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL`

// RemoveResource implements store.Resources.
func (s *Store) RemoveResource(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "remove resource server %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := requireOne(q.exec(ctx, removeResource, id, s.micros())); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventResourceRemoved, Subject: id})
	})
}
