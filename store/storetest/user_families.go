package storetest

import (
	"testing"
	"time"

	"xenoauth/store"
)

// testUserFamilies: a user's families are listed while they can be used, end one by one or all at once with the sessions,
// and have an end that no refresh moves.
func testUserFamilies(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, account := NewUser(t, st)
	stranger, elsewhere := NewUser(t, st)
	kept, _ := NewUserPair(t, st, stranger, elsewhere.ID)
	list := func(userID string) []store.ListedUserFamily {
		t.Helper()
		families, err := st.UserFamiliesByUser(ctx, userID, 10)
		no(t, err)
		return families
	}

	first, pair := NewUserPair(t, st, u, account.ID)
	second, _ := NewUserPair(t, st, u, account.ID)
	used := st.Now()
	no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{pair.ID: used}))
	rotation := UserRotation(st, pair.ID)
	no(t, st.RotateUserRefresh(ctx, rotation))
	families := list(u.ID)
	equal(t, "families", len(families), 2)
	oldest := families[1]
	if oldest.ID != first.ID {
		oldest = families[0] // both were made in the same microsecond
	}
	equal(t, "program", oldest.UserAgent, first.UserAgent)
	equal(t, "address", oldest.IP, first.IP)
	equal(t, "account", oldest.AccountName, account.Name)
	equal(t, "ends at", oldest.EndsAt, first.EndsAt)
	equal(t, "refreshed at", oldest.RefreshedAt, rotation.Next.CreatedAt)
	equal(t, "last used", oldest.LastUsedAt, used)

	wants(t, st.EndUserFamilyOf(ctx, as(u), u.ID, kept.ID, "mine"), store.ErrNotFound)
	no(t, st.EndUserFamilyOf(ctx, as(u), u.ID, second.ID, "mine"))
	wants(t, st.EndUserFamilyOf(ctx, as(u), u.ID, second.ID, "mine"), store.ErrNotFound)
	equal(t, "families after one has ended", len(list(u.ID)), 1)

	here, there := newSession(t, st, u), newSession(t, st, u)
	no(t, st.EndLogIns(ctx, as(u), u.ID, here.ID))
	_, _, err := st.SessionByID(ctx, here.ID)
	no(t, err)
	_, _, err = st.SessionByID(ctx, there.ID)
	wants(t, err, store.ErrNotFound)
	equal(t, "families after all log-ins have ended", len(list(u.ID)), 0)
	equal(t, "a pair of an ended family is live", userLive(t, st, rotation.Next.ID), false)
	equal(t, "another user's families", len(list(stranger.ID)), 1)

	over, last := UserPair(st, u, account.ID)
	over.EndsAt = st.Now()
	no(t, st.CreateUserFamily(ctx, system, over, last))
	equal(t, "a family past its end is live", userLive(t, st, last.ID), false)
	wants(t, st.RotateUserRefresh(ctx, UserRotation(st, last.ID)), store.ErrEnded)
	equal(t, "families past their end", len(list(u.ID)), 0)

	old, only := UserPair(st, u, account.ID) // as an older version stores it
	old.EndsAt = time.Time{}
	no(t, st.CreateUserFamily(ctx, system, old, only))
	a, err := st.UserRefreshByID(ctx, only.ID)
	no(t, err)
	equal(t, "end of an older version's family", a.Owner.EndsAt, old.CreatedAt.Add(store.UserFamilyLifetime))
	old, only = UserPair(st, u, account.ID)
	old.EndsAt, old.CreatedAt = time.Time{}, st.Now().Add(-store.UserFamilyLifetime)
	no(t, st.CreateUserFamily(ctx, system, old, only))
	equal(t, "an older version's family after 90 days is live", userLive(t, st, only.ID), false)
}
