package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
)

// logInAt posts the log-in form that a redirect leads to, and returns the answer.
func logInAt(t *testing.T, b *harness.Browser, to harness.Answer, email string) harness.Answer {
	t.Helper()
	page := b.Follow(to)
	form := page.Form("/login")
	if form == nil {
		t.Fatalf("no log-in form: %d %.300s", page.Status, page.Body)
	}
	form.Set("email", email)
	form.Set("password", harness.Password)
	return b.Post("/login", form)
}

// away is what happened while a consent page was open.
type away struct {
	r    *harness.Env
	b    *harness.Browser
	page harness.Answer
}

func (a away) older(d time.Duration) {
	id := a.r.Parse(a.page.Hidden("request_id")).ID
	a.r.Exec(`UPDATE requests SET created_at = created_at - $1, expires_at = expires_at - $1 WHERE id = $2`, d.Microseconds(), id[:])
}

// asked opens a consent page in a new browser of the fixture's user.
func asked(e *harness.Env) away {
	b := e.LoggedIn(e.U)
	return away{e, b, b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "contacts", "state", "xyz", "prompt", "consent")}
}

// TestNoDeadEnds: whatever happens between a consent page and its answer, the browser is led on. After another log-in of
// the same user, or 16 minutes, Allow shows the page again and grants nothing; logged out, it leads by the log-in to the
// same request; Deny on an old page still redirects to the app. A log-in 16 minutes after the app sent the browser goes on to the
// consent page; after an hour, the log-in page, and what follows it, name the app and say that its request has ended.
func TestNoDeadEnds(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		again := func(t *testing.T, b *harness.Browser, a harness.Answer) {
			t.Helper()
			page := b.Follow(a)
			page.WantPage(t, http.StatusOK)
			if n := e.Count(`SELECT COUNT(*) FROM codes`); n != 0 {
				t.Fatalf("%d codes before the page was answered", n)
			}
			e.With(t).WantRedirectError(b.Decide(page, "deny"), harness.CB, "access_denied", "xyz")
		}
		t.Run("logged in again", func(t *testing.T) {
			a := asked(e.With(t))
			a.b.LogIn(e.U.Email)
			again(t, a.b, a.b.Decide(a.page, "allow"))
		})
		t.Run("logged out", func(t *testing.T) {
			a := asked(e.With(t))
			a.b.Post("/logout", url.Values{})
			again(t, a.b, logInAt(t, a.b, a.b.Decide(a.page, "allow"), e.U.Email))
		})
		t.Run("too late to allow", func(t *testing.T) {
			a := asked(e.With(t))
			a.older(16 * time.Minute)
			again(t, a.b, a.b.Decide(a.page, "allow"))
		})
		t.Run("too late to deny", func(t *testing.T) {
			a := asked(e.With(t))
			a.older(59 * time.Minute)
			e.With(t).WantRedirectError(a.b.Decide(a.page, "deny"), harness.CB, "access_denied", "xyz")
		})
		for name, leave := range map[string]func(b *harness.Browser){
			"denied after a log-out":    func(b *harness.Browser) { b.Post("/logout", url.Values{}) },
			"denied after a new log-in": func(b *harness.Browser) { b.LogIn(e.U.Email) },
		} {
			t.Run(name, func(t *testing.T) {
				a := asked(e.With(t))
				leave(a.b)
				e.With(t).WantRedirectError(a.b.Decide(a.page, "deny"), harness.CB, "access_denied", "xyz")
			})
		}
		t.Run("an hour later", func(t *testing.T) {
			a := asked(e.With(t))
			a.older(61 * time.Minute)
			over := a.b.Decide(a.page, "allow")
			over.WantPage(t, http.StatusBadRequest)
			if !strings.Contains(over.Body, "This request has expired") || !strings.Contains(over.Body, "“Alpha” (app.test)") {
				t.Errorf("the page says %.600s", over.Body)
			}
		})
		t.Run("another user", func(t *testing.T) {
			a := asked(e.With(t))
			a.b.LogIn(e.AddUser("dora@users.test").Email)
			a.b.Decide(a.page, "allow").WantPage(t, http.StatusForbidden)
		})
		for late, reached := range map[time.Duration]bool{16 * time.Minute: true, 61 * time.Minute: false} {
			t.Run("log-in after "+late.String(), func(t *testing.T) {
				e, b := e.With(t), e.Browser().With(t)
				to := b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "contacts", "state", "xyz")
				id := e.Parse(to.Location(t).Query().Get("next")).ID
				e.Exec(`UPDATE requests SET created_at = created_at - $1, expires_at = expires_at - $1 WHERE id = $2`, late.Microseconds(), id[:])
				if page := b.Follow(to); strings.Contains(page.Body, "The request from “Alpha” is no longer valid") == reached {
					t.Errorf("the log-in page: %.900s", page.Body)
				}
				after := b.Follow(logInAt(t, b, to, e.U.Email))
				if reached {
					after.WantPage(t, http.StatusOK)
					b.Decide(after, "deny")
				} else if after.WantPage(t, http.StatusBadRequest); !strings.Contains(after.Body, "“Alpha” (app.test)") {
					t.Errorf("the page after the log-in: %.600s", after.Body)
				}
			})
		}
	})
}

// TestFormsOutliveTheirSession: the values of a form are kept when the session has ended before it was sent: after the
// next log-in in that browser it is shown, and sent by one more click. A password is never kept, nor anything of a browser
// that was never logged in or sends more than 4 kB, nor a cookie value made by another browser, nor for longer than 15 minutes.
func TestFormsOutliveTheirSession(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		ended := func() *harness.Browser {
			b := e.LoggedIn(e.U)
			e.Exec(`DELETE FROM sessions`)
			return b
		}
		to := func(b *harness.Browser, path string, form url.Values) string {
			return b.Post(path, form).Header.Get("Location")
		}
		form := harness.Pairs("name", "Typed <b>for</b> long", "redirect_uris", "https://one.test/cb", "redirect_uris", "https://two.test/cb", "scopes", "contacts")
		b := ended()
		page := b.Follow(logInAt(t, b, b.Post("/developer/apps", form), e.U.Email))
		page.WantPage(t, http.StatusOK)
		if !strings.Contains(page.Body, "Typed &lt;b&gt;for&lt;/b&gt; long") {
			t.Errorf("the page does not show the typed values: %.900s", page.Body)
		}
		kept := page.Form("/developer/apps")
		if kept.Get("name") != form.Get("name") || len(kept["redirect_uris"]) != 2 || kept.Get("form") == "" {
			t.Fatalf("the form holds %v", kept)
		}
		if a := b.Make("/developer/apps", kept); a.Status != http.StatusOK || !strings.Contains(a.Body, " registered</h1>") {
			t.Errorf("the kept form answers %d: %.300s", a.Status, a.Body)
		}
		if page := b.Get("/account/form"); !strings.Contains(page.Body, "No form to send") {
			t.Error("the form is still kept after it was sent")
		}

		b = ended()
		if got := to(b, "/account/security", harness.Pairs("current_password", harness.Password, "password", "another horse battery")); got != "/login?next=security" {
			t.Errorf("a form with a password leads to %s", got)
		}
		if got := to(b, "/account", harness.Pairs("name", strings.Repeat("x", 5000))); got != "/login?next=profile" {
			t.Errorf("a form of 5 kB leads to %s", got)
		}
		if got := to(e.Browser(), "/account", harness.Pairs("name", "Stranger")); got != "/login?next=profile" {
			t.Errorf("a stranger's form leads to %s", got)
		}

		if got := to(b, "/account", harness.Pairs("name", "Later")); got != "/login?next=form" {
			t.Fatalf("the form leads to %s", got)
		}
		value := b.Cookie("xenoauth-form")
		// Another user of the browser does not see it.
		other := logInAt(t, b, b.Post("/account", harness.Pairs("name", "Later")), e.AddUser("dora@users.test").Email)
		if page := b.Follow(other); strings.Contains(page.Body, "Later") || !strings.Contains(page.Body, "No form to send") {
			t.Errorf("another user of the browser is shown %.900s", page.Body)
		}
		in := e.LoggedIn(e.U)
		for name, cookie := range map[string]string{"changed": value[:len(value)-2] + "AA", "empty": "", "garbage": "x", "long": strings.Repeat("A", 5000)} {
			if page := e.Browser().Send(http.MethodGet, "/account/form", nil, "Cookie", "xenoauth="+in.Cookie("xenoauth")+"; xenoauth-form="+cookie); !strings.Contains(page.Body, "No form to send") {
				t.Errorf("%s: %.300s", name, page.Body)
			}
		}
		if strings.Contains(value, "Later") {
			t.Error("the cookie is not sealed")
		}
	})
}

// TestCookiesBlocked: a browser that keeps no cookies gets a page about that after a right password, at every place that a log-in leads
// to, and not shown the log-in form again without a word. A program that posts the log-in without having seen the page, and
// keeps the cookie, is let in as before; and a browser that was never logged in is only sent to log in.
func TestCookiesBlocked(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		parked := e.Browser().Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "contacts").Location(t).Query().Get("next")
		for _, next := range []string{"", "keys", "developer-new", parked} {
			first := e.Post("/login", harness.Pairs("email", e.U.Email, "password", harness.Password, "next", next), "Origin", e.URL, "Referer", e.URL+"/login?next="+next)
			if first.Status != http.StatusSeeOther || first.Header.Get("Referrer-Policy") != "same-origin" {
				t.Fatalf("log-in answers %d, Referrer-Policy %q", first.Status, first.Header.Get("Referrer-Policy"))
			}
			path := first.Header.Get("Location")
			lost := e.Browser().Send(http.MethodGet, path, nil, "Referer", e.URL+"/login?next="+next)
			lost.WantPage(t, http.StatusForbidden)
			if !strings.Contains(lost.Body, "Cookies are blocked") {
				t.Errorf("%s: %.300s", path, lost.Body)
			}
			for _, from := range []string{"", "https://evil.test/login", e.URL + "/", e.URL + "/logout"} {
				if a := e.Browser().Send(http.MethodGet, path, nil, "Referer", from); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login") {
					t.Errorf("%s from %q answers %d", path, from, a.Status)
				}
			}
		}
		in := e.LoggedIn(e.U)
		if a := in.Send(http.MethodGet, "/account", nil, "Referer", e.URL+"/login"); a.Status != http.StatusOK {
			t.Errorf("with the cookie, the page answers %d", a.Status)
		}
		// A reload after a log-out in another tab also comes from the log-in page.
		if a := in.Post("/logout", url.Values{}); a.Status != http.StatusSeeOther {
			t.Fatalf("log-out answers %d", a.Status)
		}
		if a := in.Send(http.MethodGet, "/account", nil, "Referer", e.URL+"/login"); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=profile" {
			t.Errorf("a page that is reloaded after a log-out answers %d: %.300s", a.Status, a.Body)
		}
	})
}
