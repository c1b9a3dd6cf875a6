package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testSigningKeys(t *testing.T, st store.Store) {
	ctx := t.Context()
	now := st.Now()
	key := func(follows string, from time.Time) store.SigningKey {
		return store.SigningKey{ID: secret.NewID().String(), Follows: follows, Algorithm: "ES256", Public: []byte("public"), Private: []byte("sealed"), CreatedAt: now, ActiveFrom: from}
	}
	list, err := st.SigningKeys(ctx)
	no(t, err)
	equal(t, "keys of a new database", len(list), 0)

	candidates := make([]store.SigningKey, contenders)
	for i := range candidates {
		candidates[i] = key("", now)
	}
	winner := oneWinner(t, race(contenders, func(i int) error { return st.AddSigningKey(ctx, candidates[i], time.Time{}) }), store.ErrConflict)
	first := candidates[winner]

	second := key(first.ID, now.Add(time.Hour))
	no(t, st.AddSigningKey(ctx, second, now.Add(-time.Minute)))
	wants(t, st.AddSigningKey(ctx, key(first.ID, now), now), store.ErrConflict)
	wants(t, st.AddSigningKey(ctx, key("none", now), now), store.ErrNotFound)

	list, err = st.SigningKeys(ctx)
	no(t, err)
	first.RetireAt, first.Private = now.Add(-time.Minute), nil // its time had come when the second was made
	if diff := cmp.Diff([]store.SigningKey{first, second}, list, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("keys (-want +got):\n%s", diff)
	}
}
