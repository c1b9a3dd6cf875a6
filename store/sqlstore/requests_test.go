package sqlstore_test

import (
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestTrimRequestsWaitsForNoOne: while another transaction deletes old requests of a holder, those that store further ones of
// it pass over the rows. Waiting, one session that asks for many consent pages at once would hold all connections to the
// database.
func TestTrimRequestsWaitsForNoOne(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	const kept, old = 3, 5
	for i := range kept + old {
		id := secret.NewID()
		created := st.Now().Add(time.Duration(i) * time.Second)
		r := store.Request{ID: store.LookupID(id), Hash: []byte{1}, AppID: "app_x", RedirectURI: "https://a.test/cb", Holder: "session:x", CreatedAt: created, ExpiresAt: created.Add(time.Minute)}
		if err := st.CreateRequest(t.Context(), r); err != nil {
			t.Fatal(err)
		}
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
	if err := st.TrimRequests(t.Context(), "session:x", kept); err != nil {
		t.Fatalf("beside another: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM requests`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != kept+1 {
		t.Errorf("%d requests, want %d and the one that another held", n, kept)
	}
	if err := st.TrimRequests(t.Context(), "session:x", kept); err != nil || count() != kept {
		t.Errorf("afterwards: %v, %d requests, want %d", err, count(), kept)
	}
}
