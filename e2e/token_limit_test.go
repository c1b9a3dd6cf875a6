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
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		var tokens []string
		for range 27 {
			tokens = append(tokens, r.Grant(b, r.A).WantToken(t))
		}
		for i, token := range tokens {
			if r.Me(token).Status != http.StatusOK {
				t.Errorf("token %d of 27 is dead", i+1)
			}
		}
		if n := r.LiveGrants(r.U, r.A); n != 27 {
			t.Errorf("%d live grants, want 27", n)
		}
		r.WantEvents(r.A, store.EventTokenRevoked, 0)
		for _, path := range []string{"/developer/apps/" + r.A.ID, "/developer/apps/new", "/account/apps"} {
			if page := b.Get(path); page.Status != http.StatusOK || strings.Contains(page.Body, "oldest") {
				t.Errorf("%s: %d: %s", path, page.Status, page.Body)
			}
		}
	})
}

// TestTokenLimitIsSaid: with a limit of 3, the fourth token of an installation ends the first, which the audit trail records,
// another installation's stay, and the app's page, its form and the list of installed apps say so.
func TestTokenLimitIsSaid(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b, other := r.LoggedIn(r.U), r.Grant(r.LoggedIn(r.AddUser("other@users.test")), r.A).WantToken(t)
		var tokens []string
		for range 5 {
			tokens = append(tokens, r.Grant(b, r.A).WantToken(t))
		}
		for i, token := range tokens {
			r.WantLive(token, i >= 2)
		}
		r.WantLive(other, true)
		r.WantEvents(r.A, store.EventTokenRevoked, 2)
		for path, want := range map[string]string{
			"/developer/apps/" + r.A.ID: "up to 3 for each installation: one more ends the oldest",
			"/developer/apps/new":       "up to 3 for each installation: one more ends the oldest",
			"/account/apps":             "An app can hold 3 connections that do not expire; one more ends its oldest.",
		} {
			if page := b.Get(path); page.Status != http.StatusOK || !strings.Contains(page.Body, want) {
				t.Errorf("%s does not say %q: %d: %s", path, want, page.Status, page.Body)
			}
		}
	}, func(o *server.Options) { o.TokenLimit = 3 })
}
