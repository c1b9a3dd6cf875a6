package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/store"
)

// TestRemoveInstallation_N5: three members installed one app on an account. The installed-apps page of an admin has one row for it
// with all installers, that of another member only their own. Before and after a removal the page names whose access ends
// and whose goes on, and the tokens agree; an admin ends that of one other member, or all at once; another member cannot.
// Of members whose name is another's, or reads as a part of the sentence ("you"), the page gives the address as well.
// A second press, and going back to the page, is answered like the first one. Strangers get 404, and so do members for another member's
// installation.
func TestRemoveInstallation_N5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		anna, ben := e.AddAgent("anna@users.test"), e.AddAgent("ben@users.test")
		e.Exec(`UPDATE users SET name = 'Anna' WHERE id = $1`, anna.ID)
		e.Exec(`UPDATE users SET name = '' WHERE id = $1`, ben.ID) // goes by the address
		n := newInstalled(t, e, e.U, anna, ben)

		if page := n.of(anna).Get("/account/apps").Body; strings.Count(page, "<article") != 1 || strings.Contains(page, "ben@users.test") {
			t.Errorf("Anna sees another's installation: %s", said(page))
		}
		page := n.of(e.U).Get("/account/apps").Body
		if text := said(page); strings.Count(page, "<article") != 1 || !containsAll(text, []string{"For you", "For Anna", "For ben@users.test"}) {
			t.Errorf("an admin's list is not one row with three installers: %s", text)
		}

		// A member removes their own, twice.
		path := "/account/apps/" + n.id(anna) + "/remove"
		for _, other := range []string{n.id(ben), "all"} {
			if a := n.of(anna).Post(path, url.Values{"for": {other}}); a.Status != http.StatusNotFound {
				t.Errorf("Anna removes for %s: %d", other, a.Status)
			}
		}
		if a := e.LoggedIn(e.AddUser("eve@users.test")).Post(path, url.Values{}); a.Status != http.StatusNotFound {
			t.Errorf("a stranger removes: %d", a.Status)
		}
		n.want(true, e.U, anna, ben)
		ask := n.of(anna).Get(path)
		if text := said(ask.Body); !containsAll(text, []string{"for you at once", "It keeps its access for User u and ben@users.test", "An admin of the account can remove it for all members."}) || strings.Contains(ask.Body, `name="for"`) {
			t.Errorf("Anna is asked %s", text)
		}
		left := "Alpha was removed from User u for you. It still has access there for User u and ben@users.test."
		n.notice(anna, left, func(b *harness.Browser) harness.Answer { return b.Post(path, ask.Form(path)) })
		n.want(false, anna)
		n.want(true, e.U, ben)
		n.notice(anna, left, func(b *harness.Browser) harness.Answer { return b.Post(path, ask.Form(path)) })
		n.notice(anna, left, func(b *harness.Browser) harness.Answer { return b.Get(path) })

		// An admin removes another's, by name, from the one row.
		path = "/account/apps/" + n.id(e.U) + "/remove"
		ask = n.of(e.U).Get(path)
		if text := said(ask.Body); !containsAll(text, []string{"for you", "for ben@users.test", "for all members (2)"}) {
			t.Errorf("the admin is asked %s", text)
		}
		left = "Alpha was removed from User u for ben@users.test. It still has access there for you."
		n.notice(e.U, left, func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {n.id(ben)}}) })
		n.want(false, ben)
		n.want(true, e.U)
		n.notice(e.U, left, func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {n.id(ben)}}) })

		// A name is its bearer's choice: it must not be taken for another member, or for a word of the page.
		n.install(ben)
		for name, called := range map[string]string{"User U": "User U (ben@users.test)", "you": "you (ben@users.test)", "Anna and all others": "Anna and all others (ben@users.test)"} {
			e.Exec(`UPDATE users SET name = $1 WHERE id = $2`, name, ben.ID)
			if text := said(n.of(e.U).Get("/account/apps").Body); !strings.Contains(text, "For "+called) {
				t.Errorf("a member named %q is listed without the address: %s", name, text)
			}
			if text := said(n.of(e.U).Get(path).Body); !strings.Contains(text, "for "+called) {
				t.Errorf("a member named %q is offered without the address: %s", name, text)
			}
		}
		e.Exec(`UPDATE users SET name = 'User u' WHERE id IN ($1, $2)`, ben.ID, anna.ID)
		n.install(anna)
		twin := "User u (anna@users.test). It still has access there for you and User u (ben@users.test)."
		n.notice(e.U, "Alpha was removed from User u for "+twin, func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {n.id(anna)}}) })
		e.Exec(`UPDATE users SET name = '' WHERE id = $1`, ben.ID)
		n.notice(e.U, "for ben@users.test. It still", func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {n.id(ben)}}) })

		// All at once, after two have connected it again; their other apps stay.
		before := "/account/apps/" + n.id(ben) + "/remove"
		n.install(anna)
		n.install(ben)
		n.notice(ben, "Alpha had already been removed from User u and has been connected again since.", func(b *harness.Browser) harness.Answer { return b.Post(before, url.Values{}) })
		n.want(true, ben)
		other := e.Grant(e.LoggedIn(anna), e.B, "account", e.U.Account.ID).WantToken(t)
		ask = n.of(e.U).Get(path)
		if text := said(ask.Body); !strings.Contains(text, "for all members (3)") {
			t.Errorf("the admin is asked %s", text)
		}
		all := "Alpha was removed from User u for all members. It no longer has access to the account."
		n.notice(e.U, all, func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {"all"}}) })
		n.want(false, e.U, anna, ben)
		n.notice(e.U, all, func(b *harness.Browser) harness.Answer { return b.Post(path, url.Values{"for": {"all"}}) })
		e.WantLive(other, true)
		e.WantEvents(e.A, store.EventInstallationRemoved, 7)

		// The last one: only now has the app no access.
		n.install(anna)
		n.notice(anna, "Alpha was removed from User u. It no longer has access to the account.",
			func(b *harness.Browser) harness.Answer {
				return b.Post("/account/apps/"+n.id(anna)+"/remove", url.Values{})
			})
		n.want(false, anna)
	})
}

// installed is one app, installed on an account by several members.
type installed struct {
	t        *testing.T
	r        *harness.Env
	browsers map[string]*harness.Browser // by user id
	tokens   map[string]string
}

func newInstalled(t *testing.T, e *harness.Env, users ...harness.User) *installed {
	n := &installed{t, e, map[string]*harness.Browser{}, map[string]string{}}
	for _, u := range users {
		n.browsers[u.ID] = e.LoggedIn(u)
		n.install(u)
	}
	return n
}

func (n *installed) of(u harness.User) *harness.Browser { return n.browsers[u.ID] }

func (n *installed) install(u harness.User) {
	n.t.Helper()
	page := n.of(u).Authorize("client_id", n.r.A.ID, "redirect_uri", harness.CB, "scope", "contacts", "state", "xyz", "prompt", "consent")
	a := n.of(u).Post("/oauth/consent", url.Values{"request_id": {page.Hidden("request_id")}, "decision": {"allow"}, "account": {n.r.U.Account.ID}})
	n.tokens[u.ID] = n.r.Exchange(n.r.A, n.r.WantCode(a, harness.CB, "xyz")).WantToken(n.t)
}

// id is the member's installation, which the app learns from introspection; it stays known when it has ended.
func (n *installed) id(u harness.User) string {
	n.t.Helper()
	_, list, err := n.r.Store.ConsentAccounts(n.t.Context(), u.ID, n.r.A.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	if len(list) == 1 {
		n.tokens["installation of "+u.ID] = list[0].ID
	}
	return n.tokens["installation of "+u.ID]
}

func (n *installed) want(live bool, users ...harness.User) {
	n.t.Helper()
	for _, u := range users {
		n.r.WantLive(n.tokens[u.ID], live)
	}
}

// notice does something that leads to the list of apps, and asserts its notice.
func (n *installed) notice(u harness.User, text string, do func(*harness.Browser) harness.Answer) {
	n.t.Helper()
	a := do(n.of(u))
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account/apps" {
		n.t.Errorf("answered %d %s, want the list of apps: %s", a.Status, a.Header.Get("Location"), said(a.Body))
		return
	}
	if page := said(n.of(u).Get("/account/apps").Body); !strings.Contains(page, text) {
		n.t.Errorf("the page does not have %q: %s", text, page)
	}
}
