package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// TestConsentShowsProfile_N10: an app with one scope that has nothing to do with people. The consent page names the user's name and
// e-mail address, with their values, first among the grants, and the installed-apps page lists them; /api/me and
// the app's introspection of its own token then have them. An installation that was approved before the page named them
// gives neither until the user approves again, of which the next authorization request is the occasion, even where the
// scopes were approved; a resource server of the platform sees the user as ever. An app's own token has no user at all.
func TestConsentShowsProfile_N10(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b, api := e.LoggedIn(e.U), e.AddResource("API")
		page := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs")
		page.WantPage(t, http.StatusOK)
		first := said(items.FindString(page.Body[strings.Index(page.Body, "<h2>"):]))
		if first != "Your name and e-mail address "+e.U.Name+", "+e.U.Email+"; also the name of the account and your role in it." {
			t.Errorf("the first line of the list of grants: %q", first)
		}
		token := e.Grant(b, e.A, "scope", "faqs").WantToken(t)
		learns := func(what, name, email string) {
			t.Helper()
			user := e.Me(token).JSON(t)["user"].(map[string]any)
			username, _ := e.Introspect(e.A, token).JSON(t)["username"].(string)
			if user["id"] != e.U.ID || user["name"] != name || user["email"] != email || username != email {
				t.Errorf("%s: /api/me has %v, introspection %q; want %q, %q", what, user, username, name, email)
			}
			if got := e.Introspect(api, token).JSON(t)["username"]; got != e.U.Email {
				t.Errorf("%s: a resource server sees %v", what, got)
			}
			if text := said(b.Get("/account/apps").Body); strings.Contains(text, e.U.Name+", "+e.U.Email) != (name != "") || strings.Contains(text, "No name and no e-mail address") != (name == "") {
				t.Errorf("%s: installed apps has %s", what, text)
			}
		}
		learns("approved", e.U.Name, e.U.Email)
		more := func() (asked, known bool) {
			t.Helper()
			page := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs contacts")
			page.WantPage(t, http.StatusOK)
			return strings.Contains(page.Body, `>Your name and e-mail address<`), strings.Contains(said(page.Body), "Already allowed: FAQs, and your name and e-mail address")
		}
		if asked, known := more(); asked || !known {
			t.Errorf("asked for more, the page has the name and the address as new: %t, as known: %t", asked, known)
		}

		e.Exec(`UPDATE installations SET profile = 0`) // as the migration leaves earlier approvals
		learns("approved before the page named them", "", "")
		if asked, known := more(); !asked || known {
			t.Errorf("asked for more by an app that does not know them, the page has the name and the address as new: %t, as known: %t", asked, known)
		}
		again := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs", "state", "xyz")
		again.WantPage(t, http.StatusOK) // although the scopes are approved
		learns("asked again", "", "")
		before := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs", "state", "xyz")
		e.Exec(`UPDATE requests SET app_seen = ''`) // as the release before keeps what it shows
		e.WantCode(b.Decide(before, "allow"), harness.CB, "xyz")
		learns("allowed on a page of the release before", "", "")
		again = b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs", "state", "xyz")
		e.WantCode(b.Decide(again, "allow"), harness.CB, "xyz")
		learns("approved again", e.U.Name, e.U.Email)
		e.WantCode(b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "faqs", "state", "xyz"), harness.CB, "xyz") // without a page

		own := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
		if user := e.Me(own).JSON(t)["user"]; user != nil {
			t.Errorf("an app's own token has the user %v", user)
		}
		for _, b := range e.Bearers() { // all but apps' tokens are the user's own
			if user, ok := e.Me(b.Token).JSON(t)["user"].(map[string]any); ok && user["email"] == "" {
				t.Errorf("%s: no e-mail address: %v", b.Kind, user)
			}
		}
	})
}
