package sqlstore_test

import (
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestCreateRequest_ConcurrentTrims: while another transaction deletes old requests of a holder, a request that is created
// passes over the locked rows. If it waited, one session that asks for many consent pages at once would hold all connections
// to the database.
func TestCreateRequest_ConcurrentTrims(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	const kept, old = 3, 5
	n := 0
	create := func(keep int) {
		t.Helper()
		n++
		id, created := secret.NewID(), st.Now().Add(time.Duration(n)*time.Second)
		r := store.Request{ID: store.LookupID(id), Hash: []byte{1}, AppID: "app_x", RedirectURI: "https://a.test/cb", Holder: "session:x", CreatedAt: created, ExpiresAt: created.Add(time.Minute)}
		if err := st.CreateRequest(t.Context(), r, keep); err != nil {
			t.Fatal(err)
		}
	}
	for range kept + old {
		create(100)
	}
	db := dbtest.DB(t, st)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `DELETE FROM requests WHERE id = (SELECT id FROM requests ORDER BY created_at LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	create(kept)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	want := func(want int) {
		t.Helper()
		count := 0
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM requests`).Scan(&count); err != nil || count != want {
			t.Errorf("%d requests, error %v; want %d", count, err, want)
		}
	}
	want(kept + 1 + 1) // the new one, and the one that the other transaction held
	create(kept)
	want(kept + 1)
}
