package sqlstore

import (
	"cmp"
	"context"
	"time"

	"xenoauth/store"
)

const insertPageValue = `INSERT INTO page_values (id, subject, sealed, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`

// KeepPageValue implements store.PageValues.
func (s *Store) KeepPageValue(ctx context.Context, v store.PageValue) (err error) {
	defer wrapErr(&err, "keep a page's value")
	_, err = s.db.exec(ctx, insertPageValue, v.ID, v.Subject, v.Sealed, at(v.CreatedAt), at(v.ExpiresAt))
	return err
}

// keepForm is the gate of a form: of any number of transactions by the same form, one inserts the row. The others wait for
// it, and continue only if it is rolled back.
func (s *Store) keepForm(ctx context.Context, q querier, by store.Principal, e store.Event) error {
	var b batch
	s.queueForm(&b, by, e)
	return q.send(ctx, b)
}

// queueForm is keepForm as a part of a batch.
func (s *Store) queueForm(b *batch, by store.Principal, e store.Event) {
	now := s.Now()
	b.exec(insertPageValue+` ON CONFLICT (id) DO NOTHING`, []byte(by.Form()), cmp.Or(e.AppID, e.Subject), nil, at(now), at(now.Add(store.FormKept))).
		orElse(store.ErrConsumed)
}

const pageValueColumns = `id, subject, sealed, created_at, expires_at`

func toPageValue(v *store.PageValue) []any {
	return []any{&v.ID, &v.Subject, &v.Sealed, scanTime(&v.CreatedAt), scanTime(&v.ExpiresAt)}
}

const selectPageValue = `SELECT ` + pageValueColumns + ` FROM page_values WHERE id = $1 AND expires_at > $2`

// PageValueByID implements store.PageValues.
func (s *Store) PageValueByID(ctx context.Context, id []byte) (v store.PageValue, err error) {
	defer wrapErr(&err, "look up a page's value")
	err = s.read().row(ctx, selectPageValue, []any{id, s.micros()}, toPageValue(&v)...)
	return v, err
}

// The subject of a value that was taken is "taken".
const (
	takePageValue = `UPDATE page_values SET subject = 'taken', expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END
WHERE id = $1 AND expires_at > $2 AND subject <> 'taken' AND sealed IS NOT NULL RETURNING ` + pageValueColumns
	returnPageValue = `UPDATE page_values SET subject = '' WHERE id = $1 AND subject = 'taken' AND expires_at > $2`
)

// TakePageValue implements store.PageValues.
func (s *Store) TakePageValue(ctx context.Context, id []byte, until time.Time) (v store.PageValue, err error) {
	defer wrapErr(&err, "take a page's value")
	err = s.db.row(ctx, takePageValue, []any{id, s.micros(), at(until)}, toPageValue(&v)...)
	return v, err
}

// ReturnPageValue implements store.PageValues.
func (s *Store) ReturnPageValue(ctx context.Context, id []byte) (err error) {
	defer wrapErr(&err, "return a page's value")
	_, err = s.db.exec(ctx, returnPageValue, id, s.micros())
	return err
}
