package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testInstallations(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("created, then widened", func(t *testing.T) { testInstallTwice(t, st) })
	t.Run("a removed one never returns", func(t *testing.T) {
		w := newWorld(t, st)
		g := TokenGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		no(t, st.RemoveInstallation(ctx, as(w.user), w.ins.ID))
		wants(t, st.RemoveInstallation(ctx, as(w.user), w.ins.ID), store.ErrNotFound)
		again := Install(t, st, w.user, w.account.ID, w.app.ID, Scopes(t, "widgets"))
		if again.ID == w.ins.ID || again.Scopes.String() != "widgets" {
			t.Fatalf("reinstalled as %s with %q", again.ID, again.Scopes)
		}
		equal(t, "token of the removed one lives", Live(t, st, store.NonExpiring, g.Token.ID), false)
	})
	t.Run("an Allow that decides nothing", func(t *testing.T) { testRefusedInstall(t, st) })
	t.Run("who may remove", func(t *testing.T) { testRemoveInstallation(t, st) })
	t.Run("removed from everyone at once", func(t *testing.T) { testRemoveInstallations(t, st) })
	t.Run("the profile named on its page", func(t *testing.T) { testProfile(t, st) })
	t.Run("live ones", func(t *testing.T) { testLiveInstallations(t, st) })
	t.Run("installed apps", func(t *testing.T) { testInstalledApps(t, st) })
}

func testInstallTwice(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	first := Install(t, st, u, a.ID, app.ID, Scopes(t, "widgets"))
	equal(t, "created", first.CreatedAt.IsZero() || !first.RemovedAt.IsZero(), false)
	second := Install(t, st, u, a.ID, app.ID, Scopes(t, "contacts"))
	equal(t, "id", second.ID, first.ID)
	equal(t, "scopes", second.Scopes.String(), "contacts widgets")
	third := Install(t, st, u, a.ID, app.ID, Scopes(t, "widgets"))
	if diff := cmp.Diff(second, third); diff != "" {
		t.Fatalf("after a consent to less (-want +got):\n%s", diff)
	}
	_, live, err := st.ConsentAccounts(ctx, u.ID, app.ID)
	no(t, err)
	if diff := cmp.Diff([]store.Installation{third}, live); diff != "" {
		t.Fatalf("live (-want +got):\n%s", diff)
	}
}

func testLiveInstallations(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	owner, second := NewUser(t, st)
	no(t, st.AddMember(ctx, operator, second.ID, w.user.ID, scope.RoleGuest))
	other := Install(t, st, w.user, second.ID, w.app.ID, Scopes(t, "faqs"))
	id := func(i store.Installation) string { return i.ID }
	_, live, err := st.ConsentAccounts(ctx, w.user.ID, w.app.ID)
	no(t, err)
	sameList(t, "on both accounts", ids(live, id), []string{w.ins.ID, other.ID})
	_, live, err = st.ConsentAccounts(ctx, owner.ID, w.app.ID)
	no(t, err)
	equal(t, "of another user", len(live), 0)
	no(t, st.RemoveMember(ctx, operator, second.ID, w.user.ID))
	_, live, err = st.ConsentAccounts(ctx, w.user.ID, w.app.ID)
	no(t, err)
	sameList(t, "after leaving one", ids(live, id), []string{w.ins.ID})
	no(t, st.DeleteApp(ctx, operator, w.app.ID))
	_, live, err = st.ConsentAccounts(ctx, w.user.ID, w.app.ID)
	no(t, err)
	equal(t, "of a deleted app", len(live), 0)
}

func testRefusedInstall(t *testing.T, st store.Store) {
	tests := map[string]struct {
		change func(t *testing.T, w world, a *store.Approval)
		want   error
	}{
		"another session's": {func(t *testing.T, w world, a *store.Approval) { a.Session = hash(secret.NewID()) }, store.ErrConflict},
		"no session":        {func(t *testing.T, w world, a *store.Approval) { a.Session = nil }, store.ErrConflict},
		"unknown request":   {func(t *testing.T, w world, a *store.Approval) { a.Request = secret.NewID() }, store.ErrNotFound},
		"another app's request": {func(t *testing.T, w world, a *store.Approval) {
			app, _ := NewApp(t, st, w.account.ID, nil)
			a.Installation.AppID = app.ID
		}, store.ErrConflict},
		"denied": {func(t *testing.T, w world, a *store.Approval) {
			no(t, st.DenyRequest(t.Context(), as(w.user), a.Request, a.Session))
		}, store.ErrConsumed},
		"address withdrawn": {func(t *testing.T, w world, a *store.Approval) {
			app := w.app
			app.RedirectURIs = []string{"https://elsewhere.test/cb"}
			no(t, st.UpdateApp(t.Context(), operator, app, ""))
		}, store.ErrEnded},
		"scope withdrawn": {func(t *testing.T, w world, a *store.Approval) {
			app := w.app
			app.Scopes = Scopes(t, "contacts")
			no(t, st.UpdateApp(t.Context(), operator, app, ""))
		}, store.ErrEnded},
		"not a member": {func(t *testing.T, w world, a *store.Approval) {
			_, other := NewUser(t, st)
			a.Installation.AccountID = other.ID
		}, store.ErrEnded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, st)
			a := NewApproval(t, st, w.user, w.account.ID, w.app.ID, Scopes(t, "faqs", "widgets"))
			untouched := a
			test.change(t, w, &a)
			_, err := st.Install(t.Context(), as(w.user), a)
			wants(t, err, test.want)
			_, live, err := st.ConsentAccounts(t.Context(), w.user.ID, w.app.ID)
			no(t, err)
			if diff := cmp.Diff([]store.Installation{w.ins}, live); diff != "" {
				t.Fatalf("live installation (-want +got):\n%s", diff)
			}
			if r, err := st.RequestByID(t.Context(), untouched.Request); err != nil || name != "denied" && !r.DecidedAt.IsZero() {
				t.Fatalf("a refused Allow decided the request: %v, %v", r.DecidedAt, err)
			}
		})
	}
}

func testRemoveInstallation(t *testing.T, st store.Store) {
	ctx := t.Context()
	owner, account := NewUser(t, st)
	member, _ := NewUser(t, st)
	agent, _ := NewUser(t, st)
	stranger, _ := NewUser(t, st)
	no(t, st.AddMember(ctx, operator, account.ID, member.ID, scope.RoleGuest))
	no(t, st.AddMember(ctx, operator, account.ID, agent.ID, scope.RoleBot))
	app, _ := NewApp(t, st, account.ID, nil)
	for name, test := range map[string]struct {
		by   store.Principal
		want error
	}{
		"stranger":               {as(stranger), store.ErrNotFound},
		"member who is no admin": {as(agent), store.ErrNotFound},
		"visitor":                {store.VisitorPrincipal("192.0.2.7"), store.ErrNotFound},
		"app":                    {store.AppPrincipal(app.ID, ""), store.ErrNotFound},
		"system":                 {system, store.ErrNotFound},
		"zero principal":         {store.Principal{}, store.ErrNotPermitted},
		"user without an id":     {store.UserPrincipal("", ""), store.ErrNotPermitted},
		"its user":               {as(member), nil},
		"admin of the account":   {as(owner), nil},
		"operator":               {operator, nil},
	} {
		t.Run(name, func(t *testing.T) {
			i := Install(t, st, member, account.ID, app.ID, Scopes(t, "widgets"))
			g, c := FamilyGrant(st, i), NewCode(t, st, i)
			Redeem(t, st, i, g)
			if err := st.RemoveInstallation(ctx, test.by, i.ID); test.want == nil {
				no(t, err)
			} else {
				wants(t, err, test.want)
			}
			removed := test.want == nil
			equal(t, "token lives", Live(t, st, store.Expiring, g.Token.ID), !removed)
			got, err := st.CodeByID(ctx, c.ID)
			no(t, err)
			equal(t, "code ended", got.Ended, removed)
		})
	}
	wants(t, st.RemoveInstallation(ctx, operator, "ins_none"), store.ErrNotFound)
}

func testInstalledApps(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	member, _ := NewUser(t, st)
	no(t, st.AddMember(ctx, operator, w.account.ID, member.ID, scope.RoleAgent))
	theirs := Install(t, st, member, w.account.ID, w.app.ID, Scopes(t, "faqs"))
	list := func(u store.User) []store.InstalledApp {
		t.Helper()
		apps, more, err := st.InstalledApps(ctx, u.ID, store.InstalledQuery{})
		equal(t, "more", more, false)
		no(t, err)
		return apps
	}
	id := func(i store.InstalledApp) string { return i.ID }

	used, late := TokenGrant(st, w.ins), FamilyGrant(st, w.ins)
	ended, expired := FamilyGrant(st, w.ins), FamilyGrant(st, w.ins)
	expired.Refresh.ExpiresAt = st.Now()
	revoked := TokenGrant(st, w.ins)
	for _, g := range []store.Grant{used, late, ended, expired, revoked} {
		Redeem(t, st, w.ins, g)
	}
	no(t, st.Rotate(ctx, Rotation(st, late, late.Refresh.ID))) // still one family
	no(t, st.EndFamily(ctx, system, ended.Family.ID, ""))
	no(t, st.RevokeToken(ctx, system, store.NonExpiring, revoked.Token.ID))
	at := st.Now()
	no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{used.Token.ID: at.Add(-time.Hour), late.Token.ID: at}))

	apps := list(w.user)
	sameList(t, "an admin's", ids(apps, id), []string{theirs.ID, w.ins.ID})
	want := store.InstalledApp{
		Installation: w.ins, AppName: w.app.Name, AppHomepage: w.app.Homepage, AccountName: w.account.Name,
		UserName: w.user.Name, UserEmail: w.user.Email, Role: scope.RoleAdmin, AppScopes: w.app.Scopes, Tokens: 2, LastUsedAt: at, Installers: 2,
	}
	if diff := cmp.Diff(want, apps[1]); diff != "" {
		t.Fatalf("installed app (-want +got):\n%s", diff)
	}
	equal(t, "tokens of an installation without any", apps[0].Tokens, 0)
	no(t, st.EndFamily(ctx, system, late.Family.ID, ""))
	no(t, st.RevokeToken(ctx, system, store.NonExpiring, used.Token.ID))
	gone := list(w.user)[1]
	equal(t, "tokens when all have ended", gone.Tokens, 0)
	equal(t, "last used when all have ended", gone.LastUsedAt, at)
	sameList(t, "a member's", ids(list(member), id), []string{theirs.ID})
	no(t, st.RemoveInstallation(ctx, operator, theirs.ID))
	sameList(t, "after removal", ids(list(w.user), id), []string{w.ins.ID})
	no(t, st.DeleteApp(ctx, operator, w.app.ID))
	equal(t, "after the app was deleted", len(list(w.user)), 0)
}

// testRoots ends each root of a credential, and checks every credential that depends on it.
func testRoots(t *testing.T, st store.Store) {
	type end func(t *testing.T, w world) error
	for name, root := range map[string]struct {
		end    end
		revive end // nil: final
	}{
		"installation removed": {end: func(t *testing.T, w world) error {
			return st.RemoveInstallation(t.Context(), operator, w.ins.ID)
		}},
		"app deleted": {end: func(t *testing.T, w world) error { return st.DeleteApp(t.Context(), operator, w.app.ID) }},
		"app suspended": {
			end:    func(t *testing.T, w world) error { return st.SetAppSuspended(t.Context(), operator, w.app.ID, true) },
			revive: func(t *testing.T, w world) error { return st.SetAppSuspended(t.Context(), operator, w.app.ID, false) },
		},
		"user deleted": {end: func(t *testing.T, w world) error { return st.DeleteUser(t.Context(), operator, w.user.ID) }},
		"user disabled": {
			end:    func(t *testing.T, w world) error { return st.SetUserDisabled(t.Context(), operator, w.user.ID, true) },
			revive: func(t *testing.T, w world) error { return st.SetUserDisabled(t.Context(), operator, w.user.ID, false) },
		},
		"account disabled": {
			end: func(t *testing.T, w world) error {
				return st.SetAccountDisabled(t.Context(), operator, w.account.ID, true)
			},
			revive: func(t *testing.T, w world) error {
				return st.SetAccountDisabled(t.Context(), operator, w.account.ID, false)
			},
		},
		"member left": {
			end: func(t *testing.T, w world) error {
				return st.RemoveMember(t.Context(), operator, w.account.ID, w.user.ID)
			},
			revive: func(t *testing.T, w world) error {
				return st.AddMember(t.Context(), operator, w.account.ID, w.user.ID, scope.RoleGuest)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, st)
			dependents := hangOn(t, w)
			dependents.check(t, w, true)
			no(t, root.end(t, w))
			dependents.check(t, w, false)
			if root.revive != nil {
				no(t, root.revive(t, w))
				dependents.check(t, w, true)
			}
		})
	}
}

// dependents is one credential of each kind that depends on an installation.
type dependents struct {
	token, family store.Grant
	code          store.Code
}

func hangOn(t *testing.T, w world) dependents {
	h := dependents{token: TokenGrant(w.store, w.ins), family: FamilyGrant(w.store, w.ins), code: NewCode(t, w.store, w.ins)}
	Redeem(t, w.store, w.ins, h.token)
	Redeem(t, w.store, w.ins, h.family)
	return h
}

// check uses every credential; the live ones stay usable for the next check.
func (h *dependents) check(t *testing.T, w world, live bool) {
	t.Helper()
	ctx, st := t.Context(), w.store
	equal(t, "token lives", Live(t, st, store.NonExpiring, h.token.Token.ID), live)
	equal(t, "expiring token lives", Live(t, st, store.Expiring, h.family.Token.ID), live)
	c, err := st.CodeByID(ctx, h.code.ID)
	no(t, err)
	equal(t, "code ended", c.Ended, !live)
	_, f, err := st.RefreshByID(ctx, h.family.Refresh.ID)
	no(t, err)
	equal(t, "family ended", f.Ended, !live)

	next := Rotation(st, h.family, h.family.Refresh.ID)
	fresh := Code(st, w.ins)
	if !live {
		wants(t, st.CreateCode(ctx, fresh), store.ErrEnded)
		wants(t, st.Redeem(ctx, h.code.ID, TokenGrant(st, w.ins), 25), store.ErrEnded)
		wants(t, st.Rotate(ctx, next), store.ErrEnded)
		return
	}
	no(t, st.CreateCode(ctx, fresh))
	no(t, st.Redeem(ctx, h.code.ID, TokenGrant(st, w.ins), 25))
	no(t, st.Rotate(ctx, next))
	h.code, h.family.Refresh = fresh, &next.Next
}

// testOwnRoots: a created token gets the app, installation and family of its code or refresh token, whatever the caller passes.
func testOwnRoots(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	other := newWorld(t, st)
	token, family := TokenGrant(st, other.ins), FamilyGrant(st, other.ins)
	no(t, st.Redeem(ctx, NewCode(t, st, w.ins).ID, token, 25))
	no(t, st.Redeem(ctx, NewCode(t, st, w.ins).ID, family, 25))
	next := Rotation(st, FamilyGrant(st, other.ins), family.Refresh.ID)
	no(t, st.Rotate(ctx, next))
	for kind, ids := range map[store.TokenKind][]store.LookupID{
		store.NonExpiring: {token.Token.ID}, store.Expiring: {family.Token.ID, next.Token.ID},
	} {
		for _, id := range ids {
			a, err := st.AccessByID(ctx, kind, id)
			no(t, err)
			equal(t, "app", a.AppID, w.app.ID)
			equal(t, "installation", a.InstallationID, w.ins.ID)
			equal(t, "in the family", a.Family == family.Family.ID, kind == store.Expiring)
		}
	}
	r, f, err := st.RefreshByID(ctx, next.Next.ID)
	no(t, err)
	equal(t, "family", r.Family, family.Family.ID)
	equal(t, "app of the family", f.AppID, w.app.ID)
	equal(t, "installation of the family", f.InstallationID, w.ins.ID)
}
