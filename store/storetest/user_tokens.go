package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// UserPair is a family of the user in the account with its first pair, not stored yet.
func UserPair(st store.Store, u store.User, accountID string) (store.UserFamily, store.UserRefresh) {
	f := store.UserFamily{ID: secret.NewID(), UserID: u.ID, AccountID: accountID, PasswordAt: u.PasswordAt, CreatedAt: st.Now(), UserAgent: "curl/8", IP: "192.0.2.1"}
	f.EndsAt = f.CreatedAt.Add(store.UserFamilyLifetime)
	return f, NewUserRefresh(st, f.ID)
}

// NewUserRefresh is a pair that is not stored yet.
func NewUserRefresh(st store.Store, family store.LookupID) store.UserRefresh {
	id, token, now := secret.NewID(), secret.NewID(), st.Now()
	return store.UserRefresh{ID: id, Hash: hash(id), TokenHash: hash(token), Family: family, CreatedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour)}
}

// NewUserPair stores a family of the user with its first pair.
func NewUserPair(t testing.TB, st store.Store, u store.User, accountID string) (store.UserFamily, store.UserRefresh) {
	t.Helper()
	f, first := UserPair(st, u, accountID)
	if err := st.CreateUserFamily(t.Context(), as(u), f, first); err != nil {
		t.Fatalf("create user family: %v", err)
	}
	return f, first
}

// UserRotation replaces a pair.
func UserRotation(st store.Store, old store.LookupID) store.UserRotation {
	return store.UserRotation{Old: old, Next: NewUserRefresh(st, store.LookupID{}), Sealed: []byte("sealed"), SealedUntil: st.Now().Add(10 * time.Second)}
}

// userLive reports whether a pair is valid.
func userLive(t testing.TB, st store.Store, id store.LookupID) bool {
	t.Helper()
	a, err := st.UserRefreshByID(t.Context(), id)
	if err != nil {
		t.Fatalf("look up user token: %v", err)
	}
	return a.Live
}

func testUserTokens(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, account := NewUser(t, st)
	t.Run("created and read", func(t *testing.T) {
		f, first := NewUserPair(t, st, u, account.ID)
		a, err := st.UserRefreshByID(ctx, first.ID)
		no(t, err)
		user := u
		user.Password = ""
		want := store.UserAccess{UserRefresh: first, Owner: f, User: user, Account: account, Role: scope.RoleAdmin, Live: true}
		if diff := cmp.Diff(want, a); diff != "" {
			t.Fatalf("pair (-want +got):\n%s", diff)
		}
		_, err = st.UserRefreshByID(ctx, secret.NewID())
		wants(t, err, store.ErrNotFound)
		events, err := st.Events(ctx, store.EventFilter{AccountID: account.ID, Kind: store.EventUserTokenIssued})
		no(t, err)
		equal(t, "log-ins on record", len(events), 1)
		equal(t, "whose", events[0].Subject, u.ID)
	})
	t.Run("not created", func(t *testing.T) { testNoUserFamily(t, st) })
	t.Run("rotated", func(t *testing.T) { testUserRotated(t, st, u, account) })
	t.Run("not rotated", func(t *testing.T) {
		f, first := UserPair(st, u, account.ID)
		first.ExpiresAt = st.Now()
		no(t, st.CreateUserFamily(ctx, system, f, first))
		wants(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)), store.ErrEnded)
		wants(t, st.RotateUserRefresh(ctx, UserRotation(st, secret.NewID())), store.ErrNotFound)
	})
	t.Run("a failed insert rotates nothing", func(t *testing.T) {
		_, first := NewUserPair(t, st, u, account.ID)
		r := UserRotation(st, first.ID)
		r.Next.ID = first.ID
		wants(t, st.RotateUserRefresh(ctx, r), store.ErrConflict)
		no(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)))
	})
	t.Run("ended", func(t *testing.T) {
		f, first := NewUserPair(t, st, u, account.ID)
		_, bystander := NewUserPair(t, st, u, account.ID)
		no(t, st.EndUserFamily(ctx, system, f.ID, "reused"))
		no(t, st.EndUserFamily(ctx, system, f.ID, "reused"))
		equal(t, "live after its end", userLive(t, st, first.ID), false)
		equal(t, "another family lives", userLive(t, st, bystander.ID), true)
		wants(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)), store.ErrEnded)
		wants(t, st.EndUserFamily(ctx, system, secret.NewID(), ""), store.ErrNotFound)
		events, err := st.Events(ctx, store.EventFilter{AccountID: account.ID, Kind: store.EventUserTokenEnded})
		no(t, err)
		equal(t, "ends on record", len(events), 1)
		equal(t, "why", events[0].Detail, "reused")
	})
	t.Run("with its roots", func(t *testing.T) { testUserRoots(t, st) })
	t.Run("replaced", func(t *testing.T) { testUserReplaced(t, st, u, account) })
	t.Run("50 rotations at once", func(t *testing.T) { raceUserRotations(t, st) })
	t.Run("50 replacements at once", func(t *testing.T) { raceUserReplacements(t, st) })
	t.Run("rotation against the end", func(t *testing.T) { raceUserEnds(t, st) })
	t.Run("swept", func(t *testing.T) { testUserSwept(t, st) })
}

// testNoUserFamily: no family starts for a user who is not live or not a member, or whose secret has ended.
func testNoUserFamily(t *testing.T, st store.Store) {
	ctx := t.Context()
	for name, end := range map[string]func(t *testing.T, u *store.User, account *string, f *store.UserFamily){
		"a disabled user": func(t *testing.T, u *store.User, _ *string, _ *store.UserFamily) {
			no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
		},
		"a deleted user": func(t *testing.T, u *store.User, _ *string, _ *store.UserFamily) {
			no(t, st.DeleteUser(ctx, operator, u.ID))
		},
		"no member": func(t *testing.T, u *store.User, a *string, _ *store.UserFamily) {
			no(t, st.RemoveMember(ctx, operator, *a, u.ID))
		},
		"another account": func(t *testing.T, _ *store.User, _ *string, f *store.UserFamily) {
			_, other := NewUser(t, st)
			f.AccountID = other.ID
		},
		"another password since": func(t *testing.T, u *store.User, _ *string, _ *store.UserFamily) {
			no(t, st.SetUserPassword(ctx, operator, u.ID, u.Password, "$argon2id$new", nil))
		},
		"an unknown secret": func(_ *testing.T, _ *store.User, _ *string, f *store.UserFamily) { f.SecretID = secret.NewID() },
	} {
		t.Run(name, func(t *testing.T) {
			u, account := NewUser(t, st)
			f, first := UserPair(st, u, account.ID)
			end(t, &u, &account.ID, &f)
			wants(t, st.CreateUserFamily(ctx, system, f, first), store.ErrEnded)
			_, err := st.UserRefreshByID(ctx, first.ID)
			wants(t, err, store.ErrNotFound)
		})
	}
}

func testUserRotated(t *testing.T, st store.Store, u store.User, account store.Account) {
	ctx := t.Context()
	_, first := NewUserPair(t, st, u, account.ID)
	rotation := UserRotation(st, first.ID)
	no(t, st.RotateUserRefresh(ctx, rotation))
	old, err := st.UserRefreshByID(ctx, first.ID)
	no(t, err)
	equal(t, "rotated", old.RotatedAt.IsZero(), false)
	equal(t, "sealed", string(old.Sealed), "sealed")
	equal(t, "sealed until", old.SealedUntil, rotation.SealedUntil)
	equal(t, "access token from before lives", old.Live, true)
	next, err := st.UserRefreshByID(ctx, rotation.Next.ID)
	no(t, err)
	equal(t, "next is current", next.RotatedAt.IsZero() && next.Live && next.Family == first.Family, true)
	equal(t, "next access token", string(next.TokenHash), string(rotation.Next.TokenHash))
	wants(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)), store.ErrConsumed)
	no(t, st.RotateUserRefresh(ctx, UserRotation(st, rotation.Next.ID)))
	old, err = st.UserRefreshByID(ctx, first.ID)
	no(t, err)
	equal(t, "grace after the successor was used", len(old.Sealed) == 0 && old.SealedUntil.IsZero(), true)
}

// testUserReplaced is testReplaced and testNotReplaced for pairs.
func testUserReplaced(t *testing.T, st store.Store, u store.User, account store.Account) {
	ctx := t.Context()
	f, first := NewUserPair(t, st, u, account.ID)
	rotation := UserRotation(st, first.ID)
	no(t, st.RotateUserRefresh(ctx, rotation))
	again := UserRotation(st, first.ID)
	again.Unused, again.Sealed = rotation.Next.ID, []byte("sealed again")
	taken := again
	taken.Next.ID = first.ID
	wants(t, st.RotateUserRefresh(ctx, taken), store.ErrConflict)
	no(t, st.RotateUserRefresh(ctx, again))
	old, err := st.UserRefreshByID(ctx, first.ID)
	no(t, err)
	equal(t, "sealed", string(old.Sealed), "sealed again")
	equal(t, "successor", old.Successor, again.Next.ID)
	replaced, err := st.UserRefreshByID(ctx, rotation.Next.ID)
	no(t, err)
	equal(t, "replaced", !replaced.ReplacedAt.IsZero() && !replaced.RotatedAt.IsZero() && replaced.Successor == store.LookupID{}, true)
	equal(t, "its access token lives", replaced.Live, true)
	for _, late := range []store.UserRotation{UserRotation(st, first.ID), UserRotation(st, rotation.Next.ID), again} {
		wants(t, st.RotateUserRefresh(ctx, late), store.ErrConsumed)
	}

	last := UserRotation(st, first.ID)
	last.Unused = again.Next.ID
	no(t, st.EndUserFamily(ctx, system, f.ID, "over"))
	wants(t, st.RotateUserRefresh(ctx, last), store.ErrEnded)
}

// raceUserReplacements: of many replacements of one unused pair, and one use of it, one wins.
func raceUserReplacements(t *testing.T, st store.Store) {
	u, account := NewUser(t, st)
	_, first := NewUserPair(t, st, u, account.ID)
	rotation := UserRotation(st, first.ID)
	no(t, st.RotateUserRefresh(t.Context(), rotation))
	rotations := make([]store.UserRotation, contenders)
	for i := range rotations {
		rotations[i] = UserRotation(st, first.ID)
		rotations[i].Unused = rotation.Next.ID
	}
	rotations[contenders/2] = UserRotation(st, rotation.Next.ID)
	winner := oneWinner(t, race(contenders, func(i int) error { return st.RotateUserRefresh(t.Context(), rotations[i]) }), store.ErrConsumed)
	old, err := st.UserRefreshByID(t.Context(), first.ID)
	no(t, err)
	want := rotations[winner].Next.ID
	if winner == contenders/2 {
		want = store.LookupID{}
	}
	equal(t, "successor", old.Successor, want)
}

// testUserRoots: tokens become valid again when a disabled root is enabled, and not after a final end; while a root is disabled, none
// rotates.
func testUserRoots(t *testing.T, st store.Store) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		end, back func(u store.User, a store.Account) error
	}{
		"user disabled": {
			func(u store.User, _ store.Account) error { return st.SetUserDisabled(ctx, operator, u.ID, true) },
			func(u store.User, _ store.Account) error { return st.SetUserDisabled(ctx, operator, u.ID, false) },
		},
		"account disabled": {
			func(_ store.User, a store.Account) error { return st.SetAccountDisabled(ctx, operator, a.ID, true) },
			func(_ store.User, a store.Account) error { return st.SetAccountDisabled(ctx, operator, a.ID, false) },
		},
		"user deleted": {func(u store.User, _ store.Account) error { return st.DeleteUser(ctx, operator, u.ID) }, nil},
		"member left": {
			func(u store.User, a store.Account) error { return st.RemoveMember(ctx, operator, a.ID, u.ID) }, nil,
		},
		"password changed": {
			func(u store.User, _ store.Account) error {
				return st.SetUserPassword(ctx, operator, u.ID, u.Password, "$argon2id$new", nil)
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, account := NewUser(t, st)
			_, first := NewUserPair(t, st, u, account.ID)
			no(t, c.end(u, account))
			equal(t, "live", userLive(t, st, first.ID), false)
			wants(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)), store.ErrEnded)
			if c.back != nil {
				no(t, c.back(u, account))
				equal(t, "live again", userLive(t, st, first.ID), true)
				no(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)))
			}
		})
	}
	t.Run("role today", func(t *testing.T) {
		u, account := NewUser(t, st)
		_, first := NewUserPair(t, st, u, account.ID)
		no(t, st.SetMemberRole(ctx, operator, account.ID, u.ID, scope.RoleGuest))
		a, err := st.UserRefreshByID(ctx, first.ID)
		no(t, err)
		equal(t, "role", a.Role, scope.RoleGuest)
	})
	t.Run("a bot's secret", func(t *testing.T) {
		u, account := NewUser(t, st)
		app, opener := NewApp(t, st, account.ID, nil) // whose secret it is makes no difference here
		f, first := UserPair(st, u, account.ID)
		f.SecretID = opener.ID
		no(t, st.CreateUserFamily(ctx, system, f, first))
		no(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)))
		equal(t, "live", userLive(t, st, first.ID), true)
		_, second := UserPair(st, u, account.ID)
		f.ID = second.Family
		no(t, st.CreateUserFamily(ctx, system, f, second))
		no(t, st.RevokeSecret(ctx, operator, app.ID, opener.ID))
		equal(t, "live after the secret", userLive(t, st, first.ID), false)
		wants(t, st.RotateUserRefresh(ctx, UserRotation(st, second.ID)), store.ErrEnded)
		_, third := UserPair(st, u, account.ID)
		f.ID = third.Family
		wants(t, st.CreateUserFamily(ctx, system, f, third), store.ErrEnded)
	})
}

func raceUserRotations(t *testing.T, st store.Store) {
	u, account := NewUser(t, st)
	_, first := NewUserPair(t, st, u, account.ID)
	rotations := make([]store.UserRotation, contenders)
	for i := range rotations {
		rotations[i] = UserRotation(st, first.ID)
		rotations[i].Sealed = fmt.Appendf(nil, "answer %d", i)
	}
	winner := oneWinner(t, race(contenders, func(i int) error { return st.RotateUserRefresh(t.Context(), rotations[i]) }), store.ErrConsumed)
	old, err := st.UserRefreshByID(t.Context(), first.ID)
	no(t, err)
	equal(t, "kept answer", string(old.Sealed), fmt.Sprintf("answer %d", winner))
	for i, r := range rotations {
		a, err := st.UserRefreshByID(t.Context(), r.Next.ID)
		if i == winner {
			no(t, err)
			equal(t, "winner's family", a.Family, first.Family)
			continue
		}
		wants(t, err, store.ErrNotFound)
	}
}

// raceUserEnds lets a rotation and the end of its family, or another password, meet.
func raceUserEnds(t *testing.T, st store.Store) {
	for i := range meetings {
		u, account := NewUser(t, st)
		f, first := NewUserPair(t, st, u, account.ID)
		rotation := UserRotation(st, first.ID)
		errs := race(2, func(racer int) error {
			switch {
			case racer == 1:
				return st.RotateUserRefresh(t.Context(), rotation)
			case i%3 == 0:
				return st.EndUserFamily(t.Context(), system, f.ID, "reused")
			case i%3 == 1:
				return st.EndLogIns(t.Context(), as(u), u.ID, nil)
			default:
				return st.SetUserPassword(t.Context(), operator, u.ID, u.Password, "$argon2id$new", nil)
			}
		})
		no(t, errs[0])
		equal(t, "live", userLive(t, st, first.ID), false)
		if errs[1] == nil {
			equal(t, "successor live", userLive(t, st, rotation.Next.ID), false)
		} else {
			wants(t, errs[1], store.ErrEnded)
		}
		wants(t, st.RotateUserRefresh(t.Context(), UserRotation(st, rotation.Next.ID)), errorOf(errs[1]))
	}
}

// testUserSwept: rotated pairs are kept as long as a reuse can be detected, and a family is deleted after all of them.
func testUserSwept(t *testing.T, st store.Store) {
	ctx := t.Context()
	sweepAll(t, st, retention, 100)
	u, account := NewUser(t, st)
	now := st.Now()

	alive, first := UserPair(st, u, account.ID)
	first.ExpiresAt = now.Add(time.Minute)
	no(t, st.CreateUserFamily(ctx, system, alive, first))
	no(t, st.RotateUserRefresh(ctx, UserRotation(st, first.ID)))

	expired, only := UserPair(st, u, account.ID)
	only.ExpiresAt = now.Add(-2 * time.Hour)
	no(t, st.CreateUserFamily(ctx, system, expired, only))
	no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{only.ID: now}))

	want := map[string]int64{"user_families": 1, "user_refresh_tokens": 1, "last_used": 1}
	sameSweep(t, "an expired family", sweepAll(t, st, retention, 100), want)
	_, err := st.UserRefreshByID(ctx, only.ID)
	wants(t, err, store.ErrNotFound)
	equal(t, "the rotated pair betrays a reuse", userLive(t, st, first.ID), true)
}
