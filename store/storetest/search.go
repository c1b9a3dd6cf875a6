package storetest

import (
	"slices"
	"strings"
	"testing"

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
