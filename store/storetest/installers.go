package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// testRemoveInstallations: an admin and the operator end all of an app on an account, and nothing else; others end none.
// A removed installation can still be found by the users who saw it before.
func testRemoveInstallations(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st) // whose user is the account's admin
	member, own := NewUser(t, st)
	stranger, _ := NewUser(t, st)
	no(t, st.AddMember(ctx, operator, w.account.ID, member.ID, scope.RoleAgent))
	other, _ := NewApp(t, st, w.account.ID, nil)
	theirs := Install(t, st, member, w.account.ID, w.app.ID, Scopes(t, "faqs"))
	elsewhere := Install(t, st, member, own.ID, w.app.ID, Scopes(t, "faqs"))
	another := Install(t, st, member, w.account.ID, other.ID, Scopes(t, "faqs"))
	id := func(i store.Installer) string { return i.InstallationID }
	installers := func() []store.Installer {
		t.Helper()
		list, err := st.Installers(ctx, w.account.ID, w.app.ID, 10)
		no(t, err)
		return list
	}
	sameList(t, "installers", ids(installers(), id), []string{w.ins.ID, theirs.ID})
	want := store.Installer{InstallationID: theirs.ID, UserID: member.ID, UserName: member.Name, UserEmail: member.Email}
	if diff := cmp.Diff(want, installers()[1]); diff != "" {
		t.Fatalf("installer (-want +got):\n%s", diff)
	}
	for _, u := range []store.User{member, stranger} {
		n, err := st.RemoveInstallations(ctx, as(u), w.account.ID, w.app.ID)
		no(t, err)
		equal(t, "removed by one who may not", n, 0)
	}
	dependents := hangOn(t, w)
	n, err := st.RemoveInstallations(ctx, as(w.user), w.account.ID, w.app.ID)
	no(t, err)
	equal(t, "removed", n, 2)
	dependents.check(t, w, false)
	equal(t, "installers left", len(installers()), 0)
	for _, i := range []store.Installation{elsewhere, another} {
		a, err := st.InstalledAppByID(ctx, member.ID, i.ID)
		no(t, err)
		equal(t, "removed elsewhere", a.RemovedAt.IsZero(), true)
	}
	n, err = st.RemoveInstallations(ctx, operator, w.account.ID, w.app.ID)
	no(t, err)
	equal(t, "removed again", n, 0)
	events, err := st.Events(ctx, store.EventFilter{AppID: w.app.ID, Kind: store.EventInstallationRemoved})
	no(t, err)
	equal(t, "events", len(events), 2)

	for _, u := range []store.User{member, w.user} {
		a, err := st.InstalledAppByID(ctx, u.ID, theirs.ID)
		no(t, err)
		equal(t, "removed", a.RemovedAt.IsZero(), false)
		equal(t, "name", a.AppName, w.app.Name)
		equal(t, "role", a.Role, scope.RoleAgent)
	}
	for _, u := range []store.User{stranger, {ID: ""}} {
		_, err := st.InstalledAppByID(ctx, u.ID, theirs.ID)
		wants(t, err, store.ErrNotFound)
	}
	_, err = st.InstalledAppByID(ctx, member.ID, w.ins.ID)
	wants(t, err, store.ErrNotFound)
}

// testProfile: an installation, and a token of it, records whether the consent page named the user's name and e-mail address.
func testProfile(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	g := TokenGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	for _, told := range []bool{false, true, true} {
		a := NewApproval(t, st, w.user, w.account.ID, w.app.ID, Scopes(t, "widgets"))
		a.Installation.Profile = told
		ins, err := st.Install(ctx, as(w.user), a)
		no(t, err)
		access, err := st.AccessByID(ctx, store.NonExpiring, g.Token.ID)
		no(t, err)
		_, live, err := st.ConsentAccounts(ctx, w.user.ID, w.app.ID)
		no(t, err)
		equal(t, "told, as installed", ins.Profile, told)
		equal(t, "told, as listed", live[0].Profile, told)
		equal(t, "told, of a token", access.Profile, told)
	}
	last, err := st.Install(ctx, as(w.user), NewApproval(t, st, w.user, w.account.ID, w.app.ID, Scopes(t, "widgets")))
	no(t, err)
	equal(t, "told once", last.Profile, true)
}
