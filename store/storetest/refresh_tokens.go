package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testRefreshes(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	t.Run("rotated", func(t *testing.T) { testRotated(t, w) })
	t.Run("replaced", func(t *testing.T) { testReplaced(t, newWorld(t, st)) })
	t.Run("not replaced", func(t *testing.T) { testNotReplaced(t, newWorld(t, st)) })
	t.Run("not rotated", func(t *testing.T) {
		g := FamilyGrant(st, w.ins)
		g.Refresh.ExpiresAt = st.Now()
		Redeem(t, st, w.ins, g)
		wants(t, st.Rotate(ctx, Rotation(st, g, g.Refresh.ID)), store.ErrEnded)
		wants(t, st.Rotate(ctx, Rotation(st, g, secret.NewID())), store.ErrNotFound)
		_, _, err := st.RefreshByID(ctx, secret.NewID())
		wants(t, err, store.ErrNotFound)
	})
	t.Run("a failed insert rotates nothing", func(t *testing.T) {
		g := FamilyGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		r := Rotation(st, g, g.Refresh.ID)
		r.Token.ID = g.Token.ID
		wants(t, st.Rotate(ctx, r), store.ErrConflict)
		no(t, st.Rotate(ctx, Rotation(st, g, g.Refresh.ID)))
	})
	t.Run("ended", func(t *testing.T) { testFamilyEnded(t, w) })
}

func testRotated(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	g := FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	first := Rotation(st, g, g.Refresh.ID)
	no(t, st.Rotate(ctx, first))
	old, _, err := st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	equal(t, "rotated", old.RotatedAt.IsZero(), false)
	equal(t, "sealed", string(old.Sealed), "sealed")
	equal(t, "sealed until", old.SealedUntil, first.SealedUntil)
	next, f, err := st.RefreshByID(ctx, first.Next.ID)
	no(t, err)
	equal(t, "next is current", next.RotatedAt.IsZero() && next.Family == g.Family.ID && !f.Ended, true)
	equal(t, "successors", old.Successor == first.Next.ID && next.Successor == store.LookupID{}, true)
	a, err := st.AccessByID(ctx, store.Expiring, first.Token.ID)
	no(t, err)
	if diff := cmp.Diff(first.Token, a.Token); diff != "" {
		t.Fatalf("token (-want +got):\n%s", diff)
	}
	equal(t, "access token from before lives", Live(t, st, store.Expiring, g.Token.ID), true)
	wants(t, st.Rotate(ctx, Rotation(st, g, g.Refresh.ID)), store.ErrConsumed)

	no(t, st.Rotate(ctx, Rotation(st, g, first.Next.ID)))
	old, _, err = st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	equal(t, "grace after the successor was used", len(old.Sealed) == 0 && old.SealedUntil.IsZero(), true)
	equal(t, "successor after it was used", old.Successor, store.LookupID{})
}

// testReplaced: a token whose successor is unused is rotated again; the successor ends as replaced, its access token lives.
func testReplaced(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	g := FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	first := Rotation(st, g, g.Refresh.ID)
	no(t, st.Rotate(ctx, first))
	again := Rotation(st, g, g.Refresh.ID)
	again.Unused, again.Sealed, again.SealedUntil = first.Next.ID, []byte("sealed again"), st.Now().Add(20*time.Second)
	no(t, st.Rotate(ctx, again))

	old, f, err := st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	equal(t, "sealed", string(old.Sealed), "sealed again")
	equal(t, "sealed until", old.SealedUntil, again.SealedUntil)
	equal(t, "successor", old.Successor, again.Next.ID)
	equal(t, "family lives", !f.Ended && old.ReplacedAt.IsZero(), true)
	replaced, _, err := st.RefreshByID(ctx, first.Next.ID)
	no(t, err)
	equal(t, "replaced", !replaced.ReplacedAt.IsZero() && !replaced.RotatedAt.IsZero() && replaced.Successor == store.LookupID{}, true)
	for _, token := range []store.LookupID{g.Token.ID, first.Token.ID, again.Token.ID} {
		equal(t, "access token lives", Live(t, st, store.Expiring, token), true)
	}
	wants(t, st.Rotate(ctx, Rotation(st, g, first.Next.ID)), store.ErrConsumed)
	wants(t, st.Rotate(ctx, Rotation(st, g, g.Refresh.ID)), store.ErrConsumed)
	late := Rotation(st, g, g.Refresh.ID)
	late.Unused = first.Next.ID
	wants(t, st.Rotate(ctx, late), store.ErrConsumed)

	no(t, st.Rotate(ctx, Rotation(st, g, again.Next.ID)))
	old, _, err = st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	equal(t, "after the successor was used", len(old.Sealed) == 0 && old.Successor == store.LookupID{}, true)
	late.Unused = again.Next.ID
	wants(t, st.Rotate(ctx, late), store.ErrConsumed)
}

// testNotReplaced: nothing is replaced in a family that has ended, in place of another token than the successor, or when the
// new row cannot be stored.
func testNotReplaced(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	start := func() (store.Grant, store.Rotation) {
		g := FamilyGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		first := Rotation(st, g, g.Refresh.ID)
		no(t, st.Rotate(ctx, first))
		again := Rotation(st, g, g.Refresh.ID)
		again.Unused = first.Next.ID
		return g, again
	}
	g, again := start()
	_, other := start()
	unknown := again
	unknown.Unused = secret.NewID()
	wants(t, st.Rotate(ctx, unknown), store.ErrNotFound)
	foreign := again
	foreign.Unused = other.Unused
	wants(t, st.Rotate(ctx, foreign), store.ErrEnded)
	taken := again
	taken.Token.ID = g.Token.ID
	wants(t, st.Rotate(ctx, taken), store.ErrConflict)
	r, _, err := st.RefreshByID(ctx, again.Unused)
	no(t, err)
	equal(t, "still current", r.RotatedAt.IsZero() && r.ReplacedAt.IsZero(), true)
	no(t, st.EndFamily(ctx, system, g.Family.ID, "over"))
	wants(t, st.Rotate(ctx, again), store.ErrEnded)
}

func testFamilyEnded(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	g, bystander := FamilyGrant(st, w.ins), FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	Redeem(t, st, w.ins, bystander)
	no(t, st.EndFamily(ctx, system, g.Family.ID, "reused"))
	no(t, st.EndFamily(ctx, system, g.Family.ID, "reused"))
	a, err := st.AccessByID(ctx, store.Expiring, g.Token.ID)
	no(t, err)
	equal(t, "access token revoked", a.RevokedAt.IsZero(), false)
	_, f, err := st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	equal(t, "family ended", f.Ended && !f.EndedAt.IsZero(), true)
	wants(t, st.Rotate(ctx, Rotation(st, g, g.Refresh.ID)), store.ErrEnded)
	equal(t, "another family lives", Live(t, st, store.Expiring, bystander.Token.ID), true)
	wants(t, st.EndFamily(ctx, system, secret.NewID(), ""), store.ErrNotFound)
	events, err := st.Events(ctx, store.EventFilter{AppID: w.app.ID, Kind: store.EventFamilyEnded})
	no(t, err)
	equal(t, "ends on record", len(events), 1)
	equal(t, "why", events[0].Detail, "reused")
	equal(t, "whose account", events[0].AccountID, w.account.ID)
}

func raceRotate(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	g := FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	rotations := make([]store.Rotation, contenders)
	for i := range rotations {
		rotations[i] = Rotation(st, g, g.Refresh.ID)
		rotations[i].Sealed = fmt.Appendf(nil, "answer %d", i)
	}
	winner := oneWinner(t, race(contenders, func(i int) error { return st.Rotate(t.Context(), rotations[i]) }), store.ErrConsumed)
	old, _, err := st.RefreshByID(t.Context(), g.Refresh.ID)
	no(t, err)
	equal(t, "kept answer", string(old.Sealed), fmt.Sprintf("answer %d", winner))
	for i, r := range rotations {
		_, _, err := st.RefreshByID(t.Context(), r.Next.ID)
		if i == winner {
			no(t, err)
			continue
		}
		wants(t, err, store.ErrNotFound)
		_, err = st.AccessByID(t.Context(), store.Expiring, r.Token.ID)
		wants(t, err, store.ErrNotFound)
	}
}

// raceReplace: of many replacements of one unused successor one wins, and there is one current token.
func raceReplace(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	g := FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	first := Rotation(st, g, g.Refresh.ID)
	no(t, st.Rotate(t.Context(), first))
	rotations := make([]store.Rotation, contenders)
	for i := range rotations {
		rotations[i] = Rotation(st, g, g.Refresh.ID)
		rotations[i].Unused, rotations[i].Sealed = first.Next.ID, fmt.Appendf(nil, "answer %d", i)
	}
	winner := oneWinner(t, race(contenders, func(i int) error { return st.Rotate(t.Context(), rotations[i]) }), store.ErrConsumed)
	old, _, err := st.RefreshByID(t.Context(), g.Refresh.ID)
	no(t, err)
	equal(t, "kept answer", string(old.Sealed), fmt.Sprintf("answer %d", winner))
	equal(t, "successor", old.Successor, rotations[winner].Next.ID)
	for i, r := range rotations {
		if i != winner {
			_, _, err := st.RefreshByID(t.Context(), r.Next.ID)
			wants(t, err, store.ErrNotFound)
			_, err = st.AccessByID(t.Context(), store.Expiring, r.Token.ID)
			wants(t, err, store.ErrNotFound)
		}
	}
}

// raceUse: a successor is used while the token before it is presented again: one of the two happens, never both.
func raceUse(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	for range meetings {
		g := FamilyGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		first := Rotation(st, g, g.Refresh.ID)
		no(t, st.Rotate(t.Context(), first))
		replacement := Rotation(st, g, g.Refresh.ID)
		replacement.Unused = first.Next.ID
		both := []store.Rotation{Rotation(st, g, first.Next.ID), replacement}
		winner := oneWinner(t, race(2, func(i int) error { return st.Rotate(t.Context(), both[i]) }), store.ErrConsumed)
		old, _, err := st.RefreshByID(t.Context(), g.Refresh.ID)
		no(t, err)
		next, _, err := st.RefreshByID(t.Context(), first.Next.ID)
		no(t, err)
		equal(t, "replaced", old.Successor == replacement.Next.ID && !next.ReplacedAt.IsZero(), winner == 1)
		equal(t, "used", old.Successor == store.LookupID{} && next.Successor == both[0].Next.ID && next.ReplacedAt.IsZero(), winner == 0)
	}
}

// raceEndFamily lets a rotation and the end of its family meet.
func raceEndFamily(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	for range meetings {
		g := FamilyGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		rotation := Rotation(st, g, g.Refresh.ID)
		errs := race(2, func(i int) error {
			if i == 0 {
				return st.EndFamily(t.Context(), system, g.Family.ID, "reused")
			}
			return st.Rotate(t.Context(), rotation)
		})
		no(t, errs[0])
		if errs[1] != nil {
			wants(t, errs[1], store.ErrEnded)
		}
		dead(t, st, store.Expiring, g.Token.ID)
		dead(t, st, store.Expiring, rotation.Token.ID)
		wants(t, st.Rotate(t.Context(), Rotation(st, g, rotation.Next.ID)), errorOf(errs[1]))
	}
}

// errorOf is what rotating the successor must say: there is none if it was never made, and it is dead if it was.
func errorOf(rotated error) error {
	if rotated != nil {
		return store.ErrNotFound
	}
	return store.ErrEnded
}
