package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testRequests(t *testing.T, st store.Store) {
	ctx := t.Context()
	mine, foreign := hash(secret.NewID()), hash(secret.NewID())
	t.Run("kept as they came", func(t *testing.T) {
		id := secret.NewID()
		want := store.Request{
			ID: id, Hash: hash(id), Session: mine, AppID: "app_x", RedirectURI: "https://a.test/cb?x=1", RedirectSent: true,
			Scope: Scopes(t, "widgets"), ScopeAsked: "brands", State: "<a>&'\"\r\n%00🌍", Challenge: "c", Resource: "https://r",
			Fault: "invalid_scope", FaultDetail: "scope is unknown", CreatedAt: st.Now(), ExpiresAt: st.Now().Add(time.Minute), UserID: "u",
		}
		no(t, st.CreateRequest(ctx, want, 0))
		got, err := st.RequestByID(ctx, id)
		no(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("request (-want +got):\n%s", diff)
		}
		_, err = st.RequestByID(ctx, secret.NewID())
		wants(t, err, store.ErrNotFound)
	})
	t.Run("denied once, by its session", func(t *testing.T) {
		r := NewRequest(t, st, "app_x", mine, Scopes(t, "widgets"))
		wants(t, st.DenyRequest(ctx, system, r.ID, foreign), store.ErrConflict)
		wants(t, st.DenyRequest(ctx, system, r.ID, nil), store.ErrConflict)
		no(t, st.DenyRequest(ctx, system, r.ID, mine))
		wants(t, st.DenyRequest(ctx, system, r.ID, mine), store.ErrConsumed)
		wants(t, st.DenyRequest(ctx, system, secret.NewID(), mine), store.ErrNotFound)
		got, err := st.RequestByID(ctx, r.ID)
		no(t, err)
		equal(t, "decided", got.DecidedAt.IsZero(), false)
		equal(t, "decision", got.Decision, store.DecisionDeny)
	})
	t.Run("one answer is kept", func(t *testing.T) {
		r := NewRequest(t, st, "app_x", mine, Scopes(t, "widgets"))
		wants(t, st.KeepAnswer(ctx, r.ID, []byte("early")), store.ErrConsumed)
		no(t, st.DenyRequest(ctx, system, r.ID, mine))
		no(t, st.KeepAnswer(ctx, r.ID, []byte("first")))
		wants(t, st.KeepAnswer(ctx, r.ID, []byte("second")), store.ErrConsumed)
		got, err := st.RequestByID(ctx, r.ID)
		no(t, err)
		equal(t, "answer", string(got.Answer), "first")
	})
	t.Run("of no session", func(t *testing.T) {
		r := NewRequest(t, st, "app_x", nil, Scopes(t, "widgets"))
		got, err := st.RequestByID(ctx, r.ID)
		no(t, err)
		equal(t, "session", got.Session == nil, true)
		wants(t, st.DenyRequest(ctx, system, r.ID, mine), store.ErrConflict)
		wants(t, st.DenyRequest(ctx, system, r.ID, nil), store.ErrConflict)
		wants(t, st.DenyRequest(ctx, system, r.ID, []byte{}), store.ErrConflict)
	})
	t.Run("the oldest of a holder end", func(t *testing.T) {
		keep := map[string]int{"ip:one": 7, "ip:two": 3, "": 0} // without a holder, requests are not counted
		made := map[string][]store.LookupID{}
		for i := range 21 {
			id, holder := secret.NewID(), []string{"ip:one", "ip:two", ""}[i%3]
			no(t, st.CreateRequest(ctx, store.Request{ID: id, Hash: hash(id), AppID: "app_x", RedirectURI: "https://a.test/cb", Scope: Scopes(t, "widgets"), Holder: holder,
				CreatedAt: st.Now().Add(time.Duration(i) * time.Second), ExpiresAt: st.Now().Add(time.Minute)}, keep[holder]))
			made[holder] = append(made[holder], id)
		}
		for holder, ids := range made {
			for i, id := range ids { // the newest was stored beside those that were kept
				_, err := st.RequestByID(ctx, id)
				equal(t, "kept", err == nil, holder != "ip:two" || i >= len(ids)-3-1)
			}
		}
	})
	t.Run("expired", func(t *testing.T) {
		r := NewRequest(t, st, "app_x", mine, Scopes(t, "widgets"))
		r.ID, r.ExpiresAt = secret.NewID(), st.Now()
		no(t, st.CreateRequest(ctx, r, 0))
		wants(t, st.DenyRequest(ctx, system, r.ID, mine), store.ErrEnded)
	})
}
