package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server/web"
	"xenoauth/store/storetest"
)

// TestLists: the lists of a developer's apps and of installed apps come in pages of 25 with links between them; a search
// narrows them, keeps the text in its field, and never puts it into a sentence. A page that does not exist is empty.
func TestLists(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		u := e.AddUser("lists@users.test")
		e = e.With(t)
		e.U = u
		const apps = 30
		for n := range apps {
			app := e.AddApp(fmt.Sprintf("Reader %02d", n), true, harness.CB)
			storetest.Install(t, e.Store, u.User, u.Account.ID, app.ID, storetest.Scopes(t, "faqs"))
		}
		b := e.LoggedIn(u)
		shown := func(path string) int {
			t.Helper()
			a := b.Get(path)
			if a.Status != http.StatusOK {
				t.Fatalf("%s: %d", path, a.Status)
			}
			n := 0
			for i := range apps {
				if strings.Contains(a.Body, fmt.Sprintf("Reader %02d", i)) {
					n++
				}
			}
			return n
		}
		for _, path := range []string{"/developer/apps", "/account/apps"} {
			first := b.Get(path)
			if n := shown(path); n != web.PageSize || !strings.Contains(first.Body, `href="`+path+`?page=2"`) || strings.Contains(first.Body, `rel="prev"`) {
				t.Errorf("%s: %d apps on the first page: %.3000s", path, n, first.Body)
			}
			second := b.Get(path + "?page=2")
			if n := shown(path + "?page=2"); n != apps-web.PageSize || !strings.Contains(second.Body, `href="`+path+`" rel="prev"`) || strings.Contains(second.Body, `rel="next"`) {
				t.Errorf("%s: %d apps on the second page", path, n)
			}
			if n := shown(path + "?q=reader+1"); n != 10 {
				t.Errorf("%s: %d apps found, want 10", path, n)
			}
			const text = "Call+0800+now"
			none := b.Get(path + "?q=" + text)
			if n := strings.Count(none.Body, "Call 0800 now"); n != 1 || !strings.Contains(none.Body, `value="Call 0800 now"`) || !strings.Contains(none.Body, "No results match") {
				t.Errorf("%s: the text of the address stands %d times on the page", path, n)
			}
			for _, page := range []string{"3", "0", "-1", "x", "99999999999999999999"} {
				if a := b.Get(path + "?page=" + page); a.Status != http.StatusOK {
					t.Errorf("%s, page %s: %d", path, page, a.Status)
				}
			}
		}
	})
}
