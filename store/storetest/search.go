package storetest

import (
	"slices"
	"strings"
	"testing"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// testSearch: each list is narrowed by a text in a name, an address or an id, without regard to the case of ASCII letters and
// with no character of it a wildcard; and lists of what accounts have by the account.
func testSearch(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	no(t, st.SetUserName(ctx, as(u), u.ID, "Zoë 100%_Sure!"))
	other, otherAccount := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	otherApp, _ := NewApp(t, st, otherAccount.ID, nil)
	bot, _ := NewBot(t, st, a.ID)
	otherBot, _ := NewBot(t, st, otherAccount.ID)
	users := func(p store.Page) []string {
		return pages(t, func(u store.User) string { return u.ID }, func(q store.Page) ([]store.User, error) {
			q.Search = p.Search
			return st.ListUsers(ctx, q)
		})
	}
	for search, want := range map[string]bool{
		"": true, "zoë 100%_sure!": true, "SURE": true, "%": true, "_": true, "!": true, "100_": false, "z%e": false,
		strings.ToUpper(u.Email): true, u.ID[4:]: true, other.Email: false,
	} {
		if got := slices.Contains(users(store.Page{Search: search}), u.ID); got != want {
			t.Errorf("users by %q hold the user: %t, want %t", search, got, want)
		}
	}
	sameList(t, "accounts by id", pages(t, func(a store.Account) string { return a.ID }, func(q store.Page) ([]store.Account, error) {
		q.Search = a.ID
		return st.ListAccounts(ctx, q)
	}), []string{a.ID})
	apps := func(account, search string) []string {
		return pages(t, func(a store.App) string { return a.ID }, func(q store.Page) ([]store.App, error) {
			q.Account, q.Search = account, search
			return st.ListApps(ctx, q)
		})
	}
	sameList(t, "apps of an account", apps(a.ID, ""), []string{app.ID})
	sameList(t, "apps by name", apps(a.ID, app.Name), []string{app.ID})
	sameList(t, "apps of an account by the id of another's", apps(a.ID, otherApp.ID), nil)
	bots := func(account, search string) []string {
		return pages(t, func(b store.Bot) string { return b.ID }, func(q store.Page) ([]store.Bot, error) {
			q.Account, q.Search = account, search
			return st.ListBots(ctx, q)
		})
	}
	sameList(t, "bots of an account", bots(a.ID, ""), []string{bot.ID})
	sameList(t, "bots by API key", bots("", strings.ToUpper(otherBot.APIKey)), []string{otherBot.ID})
}

// testInstalledAppsInParts: the list of installed apps is cut between apps on accounts, narrowed by their names, and holds the
// person's own installation of each and the newest of the others.
func testInstalledAppsInParts(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st) // whose user is the account's admin
	var apps []string
	for range 4 {
		app, _ := NewApp(t, st, w.account.ID, nil)
		Install(t, st, w.user, w.account.ID, app.ID, Scopes(t, "faqs"))
		apps = append(apps, app.ID)
	}
	for range 3 {
		member, _ := NewUser(t, st)
		no(t, st.AddMember(ctx, operator, w.account.ID, member.ID, scope.RoleAgent))
		Install(t, st, member, w.account.ID, apps[0], Scopes(t, "faqs"))
	}
	part := func(q store.InstalledQuery) ([]store.InstalledApp, bool) {
		t.Helper()
		list, more, err := st.InstalledApps(ctx, w.user.ID, q)
		no(t, err)
		return list, more
	}
	appOf := func(i store.InstalledApp) string { return i.AppID }
	// Of the app that three members installed last comes the newest, and the person's own.
	list, more := part(store.InstalledQuery{Limit: 2, Installers: 2})
	sameList(t, "the first two", ids(list, appOf), []string{apps[0], apps[0], apps[3]})
	equal(t, "and more", more, true)
	equal(t, "installations of the first", list[0].Installers, 4)
	equal(t, "the person's own among them", list[1].UserID, w.user.ID)
	list, more = part(store.InstalledQuery{Offset: 2, Limit: 3})
	sameList(t, "the others", ids(list, appOf), []string{apps[2], apps[1], w.app.ID})
	equal(t, "and no more", more, false)
	list, _ = part(store.InstalledQuery{Search: strings.ToUpper(w.account.Name)})
	equal(t, "found by the account's name", len(list), 4+4)
	list, _ = part(store.InstalledQuery{Search: "no such name"})
	equal(t, "found by another", len(list), 0)
	for max, want := range map[int]store.Count{10: {N: 5}, 5: {N: 5}, 4: {N: 4, More: true}} {
		n, err := st.CountInstalledApps(ctx, w.user.ID, max)
		no(t, err)
		equal(t, "counted", n, want)
	}
}
