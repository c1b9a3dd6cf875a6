package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server"
	"xenoauth/store"
)

// TestManyExchanges is N8's part about the 26th exchange: 27 codes of one installation give 27 tokens that all work, no page
// speaks of a limit, and nothing in the audit trail ended.
func TestManyExchanges(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		var tokens []string
		for range 27 {
			tokens = append(tokens, e.Grant(b, e.A).WantToken(t))
		}
		for i, token := range tokens {
			if e.Me(token).Status != http.StatusOK {
				t.Errorf("token %d of 27 is dead", i+1)
			}
		}
		if n := e.LiveGrants(e.U, e.A); n != 27 {
			t.Errorf("%d live grants, want 27", n)
		}
		e.WantEvents(e.A, store.EventTokenRevoked, 0)
		for _, path := range []string{"/developer/apps/" + e.A.ID, "/developer/apps/new", "/account/apps"} {
			if page := b.Get(path); page.Status != http.StatusOK || strings.Contains(page.Body, "oldest") {
				t.Errorf("%s: %d: %s", path, page.Status, page.Body)
			}
		}
	})
}

// TestTokenLimitIsSaid: with a limit of 3, the fourth token of an installation ends the first, which the audit trail records,
// another installation's stay, and the app's page, its form and the list of installed apps say so.
func TestTokenLimitIsSaid(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b, other := e.LoggedIn(e.U), e.Grant(e.LoggedIn(e.AddUser("other@users.test")), e.A).WantToken(t)
		var tokens []string
		for range 5 {
			tokens = append(tokens, e.Grant(b, e.A).WantToken(t))
		}
		for i, token := range tokens {
			e.WantLive(token, i >= 2)
		}
		e.WantLive(other, true)
		e.WantEvents(e.A, store.EventTokenRevoked, 2)
		for path, want := range map[string]string{
			"/developer/apps/" + e.A.ID: "up to 3 per installation, and a new one ends the oldest",
			"/developer/apps/new":       "up to 3 per installation, and a new one ends the oldest",
			"/account/apps":             "An app can hold up to 3 connections that do not expire; a new one ends the oldest.",
		} {
			if page := b.Get(path); page.Status != http.StatusOK || !strings.Contains(page.Body, want) {
				t.Errorf("%s does not say %q: %d: %s", path, want, page.Status, page.Body)
			}
		}
	}, func(o *server.Options) { o.TokenLimit = 3 })
}
