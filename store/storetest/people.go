package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testUsers(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("created with account and membership", func(t *testing.T) { testUserCreated(t, st) })
	t.Run("unknown", func(t *testing.T) {
		_, err := st.UserByID(ctx, secret.NewUserID())
		wants(t, err, store.ErrNotFound)
		_, err = st.UserByEmail(ctx, "nobody@example.org")
		wants(t, err, store.ErrNotFound)
		wants(t, st.SetUserName(ctx, operator, secret.NewUserID(), "N"), store.ErrNotFound)
		wants(t, st.SetUserPassword(ctx, operator, secret.NewUserID(), "", "p", nil), store.ErrNotFound)
		wants(t, st.SetUserDisabled(ctx, operator, secret.NewUserID(), true), store.ErrNotFound)
		wants(t, st.DeleteUser(ctx, operator, secret.NewUserID()), store.ErrNotFound)
	})
	t.Run("an address is never used again", func(t *testing.T) { testAddressTaken(t, st) })
	t.Run("values the edge should have refused", func(t *testing.T) {
		for name, bad := range map[string]string{"NUL": "a\x00b", "not UTF-8": "a\xff"} {
			u := store.User{ID: secret.NewUserID(), Email: name, Name: bad, CreatedAt: st.Now()}
			wants(t, st.CreateUser(ctx, system, u, store.Account{ID: secret.NewPublicID("acc_"), CreatedAt: st.Now()}), store.ErrInvalid)
			_, err := st.UserByEmail(ctx, bad)
			wants(t, err, store.ErrInvalid)
		}
	})
	t.Run("rehash", func(t *testing.T) { testRehash(t, st) })
	t.Run("password", func(t *testing.T) { testSetPassword(t, st) })
	t.Run("disabled and enabled", func(t *testing.T) { testUserDisabled(t, st) })
	t.Run("deleted", func(t *testing.T) { testUserDeleted(t, st) })
	t.Run("named and listed", func(t *testing.T) {
		u, _ := NewUser(t, st)
		no(t, st.SetUserName(ctx, as(u), u.ID, "Grete Müller 🌍"))
		got, err := st.UserByID(ctx, u.ID)
		no(t, err)
		equal(t, "name", got.Name, "Grete Müller 🌍")
		all := pages(t, func(u store.User) string { return u.ID }, func(p store.Page) ([]store.User, error) { return st.ListUsers(ctx, p) })
		if !slices.IsSorted(all) || !slices.Contains(all, u.ID) || len(slices.Compact(all)) != len(all) {
			t.Fatalf("all users by pages: %q", all)
		}
	})
}

func testUserCreated(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	got, err := st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "user", got, u)
	got, err = st.UserByEmail(ctx, u.Email)
	no(t, err)
	equal(t, "user by e-mail", got, u)
	account, err := st.AccountByID(ctx, a.ID)
	no(t, err)
	equal(t, "account", account, a)
	members, err := st.MembersByUser(ctx, u.ID)
	no(t, err)
	equal(t, "memberships", len(members), 1)
	equal(t, "member", members[0], store.Member{
		AccountID: a.ID, AccountName: a.Name, UserID: u.ID, Email: u.Email, UserName: u.Name, Role: scope.RoleAdmin, JoinedAt: u.CreatedAt,
	})
}

func testAddressTaken(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	again := store.User{ID: secret.NewUserID(), Email: u.Email, CreatedAt: st.Now()}
	account := store.Account{ID: secret.NewPublicID("acc_"), CreatedAt: st.Now()}
	wants(t, st.CreateUser(ctx, system, again, account), store.ErrConflict)
	_, err := st.AccountByID(ctx, account.ID)
	wants(t, err, store.ErrNotFound) // nothing of a refused user stays
	no(t, st.DeleteUser(ctx, operator, u.ID))
	wants(t, st.CreateUser(ctx, system, again, account), store.ErrConflict)
}

func testUserDisabled(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
	first, err := st.UserByID(ctx, u.ID)
	no(t, err)
	if first.DisabledAt.IsZero() {
		t.Fatal("the user is not disabled")
	}
	no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
	second, err := st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "disabled again", second, first)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, false))
	third, err := st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "enabled", third, u)
}

func testUserDeleted(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	no(t, st.DeleteUser(ctx, operator, u.ID))
	_, err := st.UserByID(ctx, u.ID)
	wants(t, err, store.ErrNotFound)
	_, err = st.UserByEmail(ctx, u.Email)
	wants(t, err, store.ErrNotFound)
	members, err := st.MembersByAccount(ctx, a.ID)
	no(t, err)
	equal(t, "members left", len(members), 0)
	wants(t, st.DeleteUser(ctx, operator, u.ID), store.ErrNotFound)
}

func testRehash(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	no(t, st.RehashPassword(ctx, u.ID, "another", "new"))
	got, err := st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "password after a rehash of another one", got.Password, u.Password)
	no(t, st.RehashPassword(ctx, u.ID, u.Password, "new"))
	got, err = st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "password", got.Password, "new")
	equal(t, "password set at", got.PasswordAt, u.PasswordAt)
}

func testSetPassword(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	kept, ended := newSession(t, st, w.user), newSession(t, st, w.user)
	redeemed, open := NewCode(t, st, w.ins), NewCode(t, st, w.ins)
	g := TokenGrant(st, w.ins)
	no(t, st.Redeem(ctx, redeemed.ID, g, 25))

	wants(t, st.SetUserPassword(ctx, as(w.user), w.user.ID, "another", "new", kept.ID), store.ErrConflict)
	no(t, st.SetUserPassword(ctx, as(w.user), w.user.ID, w.user.Password, "new", kept.ID))
	got, err := st.UserByID(ctx, w.user.ID)
	no(t, err)
	equal(t, "password", got.Password, "new")
	if !got.PasswordAt.After(w.user.PasswordAt) {
		t.Fatal("PasswordAt did not advance")
	}
	_, _, err = st.SessionByID(ctx, kept.ID)
	no(t, err)
	_, _, err = st.SessionByID(ctx, ended.ID)
	wants(t, err, store.ErrNotFound)
	c, err := st.CodeByID(ctx, open.ID)
	no(t, err)
	equal(t, "code ended", c.Ended, true)
	wants(t, st.Redeem(ctx, open.ID, TokenGrant(st, w.ins), 25), store.ErrEnded)
	equal(t, "the token from before lives on", Live(t, st, store.NonExpiring, g.Token.ID), true)

	no(t, st.SetUserPassword(ctx, operator, w.user.ID, "new", "newer", nil))
	_, _, err = st.SessionByID(ctx, kept.ID)
	wants(t, err, store.ErrNotFound)
}

func testAccounts(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("plan", func(t *testing.T) {
		_, a := NewUser(t, st)
		no(t, st.SetAccountPlan(ctx, operator, a.ID, "free"))
		got, err := st.AccountByID(ctx, a.ID)
		no(t, err)
		equal(t, "plan", got.Plan, "free")
		wants(t, st.SetAccountPlan(ctx, operator, "acc_none", "free"), store.ErrNotFound)
	})
	t.Run("disabled", func(t *testing.T) {
		u, a := NewUser(t, st)
		for _, disabled := range []bool{true, true, false, false} {
			no(t, st.SetAccountDisabled(ctx, operator, a.ID, disabled))
			got, err := st.AccountByID(ctx, a.ID)
			no(t, err)
			equal(t, "disabled", !got.DisabledAt.IsZero(), disabled)
			members, err := st.MembersByUser(ctx, u.ID)
			no(t, err)
			equal(t, "disabled, as its member sees it", members[0].Disabled, disabled)
		}
		for _, kind := range []string{store.EventAccountDisabled, store.EventAccountEnabled} {
			events, err := st.Events(ctx, store.EventFilter{AccountID: a.ID, Kind: kind})
			no(t, err)
			equal(t, kind+", told once", len(events), 1)
		}
		wants(t, st.SetAccountDisabled(ctx, operator, "acc_none", true), store.ErrNotFound)
	})
	t.Run("members come and go", func(t *testing.T) {
		owner, a := NewUser(t, st)
		u, own := NewUser(t, st)
		no(t, st.AddMember(ctx, as(owner), a.ID, u.ID, scope.RoleGuest))
		wants(t, st.AddMember(ctx, as(owner), a.ID, u.ID, scope.RoleAgent), store.ErrConflict)
		no(t, st.SetMemberRole(ctx, as(owner), a.ID, u.ID, scope.RoleAgent))
		members, err := st.MembersByAccount(ctx, a.ID)
		no(t, err)
		sameList(t, "members", ids(members, func(m store.Member) string { return m.UserID + " " + string(m.Role) }),
			[]string{owner.ID + " admin", u.ID + " agent"})
		members, err = st.MembersByUser(ctx, u.ID)
		no(t, err)
		sameList(t, "memberships", ids(members, func(m store.Member) string { return m.AccountID }), []string{own.ID, a.ID})
		no(t, st.RemoveMember(ctx, as(owner), a.ID, u.ID))
		wants(t, st.RemoveMember(ctx, as(owner), a.ID, u.ID), store.ErrNotFound)
		wants(t, st.SetMemberRole(ctx, as(owner), a.ID, u.ID, scope.RoleAgent), store.ErrNotFound)
	})
	t.Run("unknown ends", func(t *testing.T) {
		u, a := NewUser(t, st)
		wants(t, st.AddMember(ctx, operator, a.ID, secret.NewUserID(), scope.RoleAgent), store.ErrNotFound)
		wants(t, st.AddMember(ctx, operator, "acc_none", u.ID, scope.RoleAgent), store.ErrNotFound)
		wants(t, st.SetMemberRole(ctx, operator, a.ID, u.ID, "owner"), store.ErrInvalid)
		_, err := st.AccountByID(ctx, "acc_none")
		wants(t, err, store.ErrNotFound)
	})
	t.Run("listed", func(t *testing.T) {
		_, a := NewUser(t, st)
		all := pages(t, func(a store.Account) string { return a.ID }, func(p store.Page) ([]store.Account, error) { return st.ListAccounts(ctx, p) })
		sorted := slices.Sorted(slices.Values(all))
		if !slices.Contains(all, a.ID) || len(slices.Compact(sorted)) != len(all) {
			t.Fatalf("all accounts by pages: %q", all)
		}
	})
}

func newSession(t testing.TB, st store.Store, u store.User) store.Session {
	t.Helper()
	now := st.Now()
	s := store.Session{
		ID: hash(secret.NewID()), UserID: u.ID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour), UserAgent: "Test", IP: "192.0.2.1", Data: []byte("d"),
	}
	if _, err := st.CreateSession(t.Context(), as(u), s, nil); err != nil {
		t.Fatalf("create session: %v", err)
	}
	return s
}

func createSession(t testing.TB, st store.Store, by store.Principal, s store.Session) error {
	t.Helper()
	_, err := st.CreateSession(t.Context(), by, s, nil)
	return err
}

func testSessions(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("of an enabled user until it expires", func(t *testing.T) { testSessionExpiry(t, st) })
	t.Run("not of a disabled or deleted user", func(t *testing.T) { testSessionUser(t, st) })
	t.Run("the oldest end", func(t *testing.T) {
		u, _ := NewUser(t, st)
		other, _ := NewUser(t, st)
		kept := newSession(t, st, other)
		var made []store.Session
		for i := range 5 {
			s := newSession(t, st, u)
			s.SeenAt = s.CreatedAt.Add(time.Duration(i) * time.Minute)
			no(t, st.SaveSession(ctx, s))
			made = append(made, s)
		}
		no(t, st.EndOldSessions(ctx, as(u), u.ID, 5))
		no(t, st.EndOldSessions(ctx, as(u), u.ID, 3))
		for i, s := range append(made, kept) {
			_, _, err := st.SessionByID(ctx, s.ID)
			equal(t, "live", err == nil, i >= 2)
		}
	})
	t.Run("one replaces another", func(t *testing.T) { testReplacedSession(t, st) })
	t.Run("listed and logged out", func(t *testing.T) {
		u, _ := NewUser(t, st)
		first, second := newSession(t, st, u), newSession(t, st, u)
		list, err := st.SessionsByUser(ctx, u.ID)
		no(t, err)
		equal(t, "sessions", len(list), 2)
		no(t, st.DeleteSession(ctx, as(u), first.ID))
		no(t, st.DeleteSession(ctx, as(u), first.ID))
		list, err = st.SessionsByUser(ctx, u.ID)
		no(t, err)
		equal(t, "sessions", len(list), 1)
		equal(t, "session left", string(list[0].ID), string(second.ID))
		no(t, st.SaveSession(ctx, first))
		_, _, err = st.SessionByID(ctx, first.ID)
		wants(t, err, store.ErrNotFound)
	})
}

func testReplacedSession(t *testing.T, st store.Store) {
	ctx := t.Context()
	old, _ := NewUser(t, st)
	u, _ := NewUser(t, st)
	replaced, other := newSession(t, st, old), newSession(t, st, u)
	s := other
	s.ID = hash(secret.NewID())
	others, err := st.CreateSession(ctx, as(u), s, replaced.ID)
	no(t, err)
	equal(t, "other sessions", others, 1)
	_, _, err = st.SessionByID(ctx, replaced.ID)
	wants(t, err, store.ErrNotFound)
	events, err := st.Events(ctx, store.EventFilter{Kind: store.EventSessionEnded, Limit: 500})
	no(t, err)
	ended := 0
	for _, e := range events {
		if e.Subject == old.ID && e.By == as(old).Actor() {
			ended++
		}
	}
	equal(t, "events of the replaced session", ended, 1)

	no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
	last := newSession(t, st, old)
	s.ID = hash(secret.NewID())
	_, err = st.CreateSession(ctx, as(u), s, last.ID)
	wants(t, err, store.ErrEnded)
	_, _, err = st.SessionByID(ctx, last.ID) // has ended even so
	wants(t, err, store.ErrNotFound)
}

func testSessionExpiry(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	s := newSession(t, st, u)
	got, user, err := st.SessionByID(ctx, s.ID)
	no(t, err)
	equal(t, "user", user, u)
	equal(t, "session", string(got.ID)+got.UserID+got.UserAgent+got.IP+string(got.Data), string(s.ID)+u.ID+"Test192.0.2.1d")
	equal(t, "expires", got.ExpiresAt, s.ExpiresAt)
	s.SeenAt, s.Data = st.Now(), nil
	no(t, st.SaveSession(ctx, s))
	got, _, err = st.SessionByID(ctx, s.ID)
	no(t, err)
	equal(t, "seen", got.SeenAt, s.SeenAt)
	equal(t, "data", len(got.Data), 0)
	s.ExpiresAt = st.Now()
	no(t, st.SaveSession(ctx, s))
	_, _, err = st.SessionByID(ctx, s.ID)
	wants(t, err, store.ErrNotFound)
	s.ExpiresAt = st.Now().Add(time.Hour)
	no(t, st.SaveSession(ctx, s)) // an expired session does not come back
	_, _, err = st.SessionByID(ctx, s.ID)
	wants(t, err, store.ErrNotFound)
}

func testSessionUser(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, _ := NewUser(t, st)
	s := newSession(t, st, u)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
	_, _, err := st.SessionByID(ctx, s.ID)
	wants(t, err, store.ErrNotFound)
	other := s
	other.ID = hash(secret.NewID())
	wants(t, createSession(t, st, as(u), other), store.ErrEnded)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, false))
	_, _, err = st.SessionByID(ctx, s.ID)
	no(t, err)
	no(t, st.DeleteUser(ctx, operator, u.ID))
	_, _, err = st.SessionByID(ctx, s.ID)
	wants(t, err, store.ErrNotFound)
	wants(t, createSession(t, st, as(u), other), store.ErrEnded)
}

func testStore(t *testing.T, st store.Store) {
	no(t, st.Ping(t.Context()))
	before := st.Now()
	if d := time.Since(before).Abs(); d > 5*time.Second {
		t.Fatalf("Now is %v away from this machine's clock", d)
	}
	if after := st.Now(); after.Before(before) || after.Location() != time.UTC || !after.Equal(after.Truncate(time.Microsecond)) {
		t.Fatalf("Now: %v, then %v; want ascending UTC microseconds", before, after)
	}
	u, a := NewUser(t, st)
	if got, err := st.UserByID(t.Context(), u.ID); err != nil || got.CreatedAt != u.CreatedAt {
		t.Fatalf("a time came back as %v, %v; want %v", got.CreatedAt, err, u.CreatedAt)
	}
	long := strings.Repeat("é", 5000)
	no(t, st.SetUserName(t.Context(), operator, u.ID, long))
	if _, err := st.AccountByID(t.Context(), a.ID+strings.Repeat("x", 100_000)); err == nil {
		t.Fatal("found an account by a long id")
	}
}
