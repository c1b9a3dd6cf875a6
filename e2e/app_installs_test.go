package e2e

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/store"
)

var installedOn = regexp.MustCompile(`<dt>Installed on</dt><dd>([^<]*)</dd>`)

// TestInstallationCount_N6: an app counts as installed on the accounts with at least one live token: not when it was approved and never
// exchanged, not when its only token was revoked or its only family ended, once for two members of one account. The
// developer's list, the app's page, the question before it is deleted and the store, which the command line asks, give one
// number; the user's page shows an app without a live token as allowed and not connected, and can remove it.
func TestInstallationCount_N6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		owner := e.LoggedIn(e.U)
		app := e.AddExpiring("Counted")
		count := func(what string, want int) {
			t.Helper()
			words := fmt.Sprintf("%d accounts", want)
			if want == 1 {
				words = "1 account"
			}
			n, err := e.Store.CountInstalled(t.Context(), app.ID, store.MaxInstalls)
			if err != nil || n != (store.Count{N: want}) {
				t.Errorf("%s: the store counts %+v, %v; want %d", what, n, err, want)
			}
			page := owner.Get("/developer/apps/" + app.ID).Body
			if m := installedOn.FindStringSubmatch(page); m == nil || m[1] != words {
				t.Errorf("%s: the app's page says %q, want %q", what, m, words)
			}
			deletes := owner.Get("/developer/apps/" + app.ID + "/delete").Body
			if strings.Contains(deletes, "it is not installed on any account") != (want == 0) || strings.Contains(deletes, "stops working on "+words) != (want > 0) {
				t.Errorf("%s: before the deletion: %.2000s", what, deletes)
			}
			list := owner.Get("/developer/apps").Body
			line := list[strings.Index(list, app.ID):]
			if !strings.Contains(line[:strings.Index(line, "</li>")], `"row-side">`+words+"<") {
				t.Errorf("%s: the list does not say %q", what, words)
			}
		}
		first, second, other := e.AddUser("first@users.test"), e.AddUser("second@users.test"), e.AddUser("other@users.test")
		if err := e.Store.AddMember(t.Context(), harness.Operator, first.Account.ID, second.ID, scope.RoleAgent); err != nil {
			t.Fatal(err)
		}
		if err := e.Store.RemoveMember(t.Context(), harness.Operator, second.Account.ID, second.ID); err != nil {
			t.Fatal(err)
		}
		b := e.LoggedIn(first)
		connected := func(what string, want bool) {
			t.Helper()
			if page := b.Get("/account/apps").Body; strings.Contains(page, "Allowed, not connected") == want || !strings.Contains(page, "Counted") {
				t.Errorf("%s: the user's page: %.2500s", what, page)
			}
		}
		count("never approved", 0)
		code := b.Code(app)
		count("approved, never exchanged", 0)
		connected("approved, never exchanged", false)
		answer := e.Exchange(app, code)
		count("exchanged", 1)
		connected("exchanged", true)
		third := e.Grant(e.LoggedIn(second), app)
		count("two members of one account", 1)
		e.Grant(e.LoggedIn(other), app)
		count("two accounts", 2)
		for _, a := range []harness.Answer{answer, third} {
			e.Post("/oauth/revoke", app.As("token", a.String(t, "refresh_token")))
		}
		count("all tokens of one account revoked", 1)
		connected("revoked", false)
		e.Exec(`UPDATE refresh_tokens SET expires_at = 1`)
		count("refresh tokens expired", 0)
		e.Grant(b, app)
		count("connected again", 1)
		if err := e.Store.RemoveMember(t.Context(), harness.Operator, first.Account.ID, second.ID); err != nil {
			t.Fatal(err)
		}
		count("the other member has left", 1)
		if n, err := e.Store.CountInstalled(t.Context(), app.ID, 1); err != nil || !n.More {
			t.Errorf("counted up to a bound: %+v, %v; want that there may be more", n, err)
		}
		installed, _, err := e.Store.InstalledApps(t.Context(), first.ID, store.InstalledQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range installed {
			b.Post("/account/apps/"+i.ID+"/remove", url.Values{})
		}
		count("removed", 0)
	})
}
