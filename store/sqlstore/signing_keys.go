package sqlstore

import (
	"context"
	"time"

	"xenoauth/store"
)

// selectSigningKeys reads the whole table: one row for each month that the server has run.
const selectSigningKeys = `SELECT kid, follows, alg, public_key, private_key, created_at, active_from, retire_at
FROM signing_keys WHERE kid <> '' ORDER BY active_from, kid`

// SigningKeys implements store.SigningKeys.
func (s *Store) SigningKeys(ctx context.Context) (list []store.SigningKey, err error) {
	defer wrapErr(&err, "list signing keys")
	return collect(ctx, s.read(), func(scan scanner) (k store.SigningKey, err error) {
		err = scan(&k.ID, &k.Follows, &k.Algorithm, &k.Public, &k.Private, scanTime(&k.CreatedAt), scanTime(&k.ActiveFrom), scanTime(&k.RetireAt))
		return k, err
	}, selectSigningKeys)
}

const (
	insertSigningKey = `INSERT INTO signing_keys (kid, follows, alg, public_key, private_key, created_at, active_from)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (follows) DO NOTHING`
	retireSigningKey = `UPDATE signing_keys SET retire_at = $2 WHERE kid = $1`
	// forgetSigningKeys also reads the whole table.
	forgetSigningKeys = `UPDATE signing_keys SET private_key = $2 WHERE kid <> '' AND retire_at <= $1`
)

// AddSigningKey implements store.SigningKeys.
func (s *Store) AddSigningKey(ctx context.Context, k store.SigningKey, retirePrevious time.Time) (err error) {
	defer wrapErr(&err, "add signing key %s", k.ID)
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, insertSigningKey, k.ID, k.Follows, k.Algorithm, k.Public, k.Private, at(k.CreatedAt), at(k.ActiveFrom))
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrConflict
		}
		if k.Follows != "" {
			if err := requireOne(q.exec(ctx, retireSigningKey, k.Follows, at(retirePrevious))); err != nil {
				return err
			}
		}
		if _, err := q.exec(ctx, forgetSigningKeys, s.micros(), []byte{}); err != nil {
			return err
		}
		return s.record(ctx, q, store.SystemPrincipal(), store.Event{Kind: store.EventSigningKeyCreated, Subject: k.ID})
	})
}
