package sqlstore

import (
	"context"
	"time"

	"xenoauth/store"
)

const (
	selectCatalogue = `SELECT text, hash, since FROM catalogue WHERE id = 1`
	insertCatalogue = `INSERT INTO catalogue (id, text, hash, since) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING`
	updateCatalogue = `UPDATE catalogue SET text = $1, hash = $2, since = $3 WHERE id = 1 AND hash <> $2`
	insertServer    = `INSERT INTO servers (id, catalogue, seen_at) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET catalogue = excluded.catalogue, seen_at = excluded.seen_at`
	deleteServer = `DELETE FROM servers WHERE id = $1`
	// A server that was killed leaves its row. There are as many rows as servers were started in a day.
	deleteLostServers = `DELETE FROM servers WHERE seen_at < $1`
	selectServers     = `SELECT id, catalogue, seen_at FROM servers WHERE seen_at >= $1 ORDER BY id`

	serversKept = 24 * time.Hour
)

// Catalogue implements store.Catalogues.
func (s *Store) Catalogue(ctx context.Context) (c store.Catalogue, err error) {
	defer wrapErr(&err, "read the catalogue in force")
	err = s.read().row(ctx, selectCatalogue, nil, &c.Text, &c.Hash, scanTime(&c.Since))
	return c, err
}

// SetCatalogue implements store.Catalogues.
func (s *Store) SetCatalogue(ctx context.Context, by store.Principal, text, detail string) (changed bool, err error) {
	defer wrapErr(&err, "set the catalogue in force")
	hash := store.CatalogueHash(text)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		first, err := q.exec(ctx, insertCatalogue, text, hash, s.micros())
		if err != nil || first == 1 && text == "" {
			changed = false
			return err
		}
		others := first
		if first == 0 {
			if others, err = q.exec(ctx, updateCatalogue, text, hash, s.micros()); err != nil {
				return err
			}
		}
		if changed = others == 1; !changed {
			return nil
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventCatalogueChanged, Subject: hash[:16], Detail: detail})
	})
	return changed, err
}

// SeenServer implements store.Catalogues.
func (s *Store) SeenServer(ctx context.Context, id, hash string) (inForce string, err error) {
	defer wrapErr(&err, "note that the server runs")
	if _, err := s.db.exec(ctx, insertServer, id, hash, s.micros()); err != nil {
		return "", err
	}
	if _, err := s.db.exec(ctx, deleteLostServers, s.Now().Add(-serversKept).UnixMicro()); err != nil {
		return "", err
	}
	err = s.read().row(ctx, `SELECT hash FROM catalogue WHERE id = 1`, nil, &inForce)
	return inForce, err
}

// EndServer implements store.Catalogues.
func (s *Store) EndServer(ctx context.Context, id string) (err error) {
	defer wrapErr(&err, "note that the server ends")
	_, err = s.db.exec(ctx, deleteServer, id)
	return err
}

// RunningServers implements store.Catalogues.
func (s *Store) RunningServers(ctx context.Context, since time.Time) (list []store.RunningServer, err error) {
	defer wrapErr(&err, "list running servers")
	return collect(ctx, s.read(), func(scan scanner) (r store.RunningServer, err error) {
		err = scan(&r.ID, &r.Catalogue, scanTime(&r.SeenAt))
		return r, err
	}, selectServers, since.UnixMicro())
}
