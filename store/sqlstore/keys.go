package sqlstore

import "context"

const (
	insertKey = `INSERT INTO server_keys (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`
	selectKey = `SELECT value FROM server_keys WHERE name = $1`
)

// EnsureKey implements store.Keys.
func (s *Store) EnsureKey(ctx context.Context, name string, candidate []byte) (key []byte, err error) {
	defer tried(&err, "ensure key %s", name)
	err = s.read().row(ctx, selectKey, []any{name}, &key)
	if !notFound(err) {
		return key, err
	}
	if _, err := s.db.exec(ctx, insertKey, name, candidate, s.micros()); err != nil {
		return nil, err
	}
	err = s.read().row(ctx, selectKey, []any{name}, &key)
	return key, err
}
