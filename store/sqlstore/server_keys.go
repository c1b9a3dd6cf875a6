package sqlstore

import (
	"context"
	"fmt"

	"xenoauth/store"
)

const (
	insertKey = `INSERT INTO server_keys (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`
	selectKey = `SELECT value FROM server_keys WHERE name = $1`
)

// sealedTables names for each key the table whose rows only that key can open.
var sealedTables = map[string]string{"cookie": "sessions", "signing": "signing_keys"}

// EnsureKey implements store.Keys.
func (s *Store) EnsureKey(ctx context.Context, name string, candidate []byte) (key []byte, err error) {
	defer wrapErr(&err, "ensure key %s", name)
	err = s.read().row(ctx, selectKey, []any{name}, &key)
	if !notFound(err) {
		return key, err
	}
	if table := sealedTables[name]; table != "" {
		var n int64
		if err := s.read().row(ctx, countFirst(table), []any{1}, &n); err != nil {
			return nil, err
		}
		if n > 0 {
			// Another replica may have stored the key, and used it, since the first read.
			if err := s.read().row(ctx, selectKey, []any{name}, &key); !notFound(err) {
				return key, err
			}
			return nil, fmt.Errorf("%w from the table server_keys, and rows of %s depend on it: restore it, or delete those rows if it is lost for good", store.ErrKeyLost, table)
		}
	}
	if _, err := s.db.exec(ctx, insertKey, name, candidate, s.micros()); err != nil {
		return nil, err
	}
	err = s.read().row(ctx, selectKey, []any{name}, &key)
	return key, err
}
