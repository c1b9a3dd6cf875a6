package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// logIns is a user with all that a log-in gives: the browser under test, another one, and two programs, one of which has
// refreshed its tokens; and with what does not depend on a log-in: an installed app and API keys of both kinds.
type logIns struct {
	r           *harness.Env
	user        harness.User
	here, there *harness.Browser
	programs    []harness.UserPair
	app         string // access token
	keys        []harness.Key
	bot         harness.Bot
}

func logInEverywhere(t *testing.T, e *harness.Env, email string) *logIns {
	l := &logIns{r: e, user: e.AddUser(email)}
	l.here, l.there = e.LoggedIn(l.user), e.LoggedIn(l.user)
	l.programs = []harness.UserPair{e.UserTokens(l.user), e.UserTokens(l.user)}
	old := l.programs[0]
	l.programs[0] = e.RefreshByPost(old.Refresh, l.user.Email).WantUserPair(e)
	l.app = e.Grant(l.here, e.A).WantToken(t)
	l.keys = []harness.Key{e.AddKey(l.user.Account.ID, ""), e.AddKey(l.user.Account.ID, l.user.ID, "agent")}
	l.bot = e.AddBot(l.user.Account.ID, "Order bot")
	return l
}

// want asserts which log-ins are live, and that all that does not depend on one is.
func (l *logIns) want(t *testing.T, here, there bool, programs ...bool) {
	t.Helper()
	e := l.r.With(t)
	for name, browser := range map[string]struct {
		b    *harness.Browser
		live bool
	}{"this": {l.here, here}, "the other": {l.there, there}} {
		if a := browser.b.With(t).Get("/account"); (a.Status == http.StatusOK) != browser.live {
			t.Errorf("%s browser: /account answers %d, want logged in %t", name, a.Status, browser.live)
		}
	}
	for i, live := range programs {
		e.WantLive(l.programs[i].Token, live)
		if !live {
			if a := e.RefreshByPost(l.programs[i].Refresh, l.user.Email); a.Status != http.StatusUnauthorized {
				t.Errorf("program %d: refreshing answers %d, want 401", i+1, a.Status)
			}
		}
	}
	e.WantLive(l.app, true)
	e.WantLive(l.keys[1].Text, true)
	e.Integrate(harness.Keys(l.keys[0], l.bot)).WantIntegration(t)
}

// TestLogOutElsewhere_N8: "You are logged out of all other browsers and programs", after the button and after a change of the
// password: other sessions and every family of user tokens are dead, access and refresh tokens alike; apps, keys and bots
// work, and the page names them with links. Sessions and programs are listed with their address, name, use and end, and
// end one by one, another person's never. A family ends 90 days after its log-in however often it is refreshed, one of an
// older version too, and its last tokens do not outlive it. The log-out page states that it is about this browser alone.
func TestLogOutElsewhere_N8(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		t.Run("the page lists and ends each", func(t *testing.T) { testEndOneByOne(t, e.With(t)) })
		t.Run("log out everywhere else", func(t *testing.T) {
			l := logInEverywhere(t, e.With(t), "everywhere@users.test")
			l.want(t, true, true, true, true)
			a := l.here.Post("/account/security/sessions", url.Values{})
			page := l.here.Follow(a)
			wantTexts(t, page.Body, "logged out of all other browsers and programs", "Installed apps, API keys and bots keep working",
				`href="/account/apps">1 installed app<`, `href="/account/keys">2 API keys<`, `href="/account/bots">1 bot<`)
			if strings.Contains(page.Body, "Log out everywhere else") {
				t.Error("the button is still offered with nothing to end")
			}
			l.want(t, true, false, false, false)
		})
		t.Run("another password", func(t *testing.T) {
			l := logInEverywhere(t, e.With(t), "password@users.test")
			a := l.here.Post("/account/security", url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}})
			page := l.here.Follow(a)
			wantTexts(t, page.Body, "You were logged out of all other browsers and programs", `href="/account/apps"`, `href="/account/keys"`, `href="/account/bots"`)
			l.want(t, true, false, false, false)
		})
		t.Run("log out", func(t *testing.T) {
			l := logInEverywhere(t, e.With(t), "out@users.test")
			page := l.here.Get("/logout")
			wantTexts(t, page.Body, "This logs out this browser only", "keep working")
			l.here.Post("/logout", page.Form("/logout"))
			l.want(t, false, true, true, true)
		})
		t.Run("the absolute end", func(t *testing.T) { testAbsoluteEnd(t, e.With(t)) })
	})
}

func wantTexts(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func testEndOneByOne(t *testing.T, e *harness.Env) {
	l := logInEverywhere(t, e, "oneby@users.test")
	page := l.here.Get("/account/security")
	page.WantPage(t, http.StatusOK)
	families, err := e.Store.UserFamiliesByUser(context.Background(), l.user.ID, 10)
	if err != nil || len(families) != 2 {
		t.Fatalf("families: %v, %v", families, err)
	}
	for _, f := range families {
		wantTexts(t, page.Body, "/account/security/programs/"+secret.ID(f.ID).String()+"/end", "Go-http-client", f.EndsAt.Format("2 January 2006"))
		if f.EndsAt.Sub(f.CreatedAt) != 90*24*time.Hour || f.IP == "" {
			t.Errorf("family %+v, want an end after 90 days and an address", f)
		}
	}
	sessions, err := e.Store.SessionsByUser(context.Background(), l.user.ID)
	if err != nil || len(sessions) != 2 {
		t.Fatalf("sessions: %v, %v", sessions, err)
	}
	other := ""
	for _, session := range sessions {
		if id := hex.EncodeToString(session.ID); strings.Contains(page.Body, "/account/security/sessions/"+id+"/end") {
			if other != "" {
				t.Error("the page offers to end its own session")
			}
			other = id
		}
	}

	stranger := e.LoggedIn(e.U)
	for _, path := range []string{"sessions/" + other, "programs/" + secret.ID(families[0].ID).String()} {
		stranger.Post("/account/security/"+path+"/end", url.Values{})
	}
	l.want(t, true, true, true, true)

	if a := l.here.Post("/account/security/programs/"+familyOf(e, l.programs[0])+"/end", url.Values{}); a.Status != http.StatusSeeOther {
		t.Fatalf("ending a program answers %d", a.Status)
	}
	l.want(t, true, true, false, true)
	if a := l.here.Post("/account/security/sessions/"+other+"/end", url.Values{}); a.Status != http.StatusSeeOther {
		t.Fatalf("ending a session answers %d", a.Status)
	}
	l.want(t, true, false, false, true)
	for _, path := range []string{"sessions/x/end", "programs/x/end"} {
		if a := l.here.Post("/account/security/"+path, url.Values{}); a.Status != http.StatusNotFound {
			t.Errorf("%s answers %d, want 404", path, a.Status)
		}
	}
}

// familyOf is the id of a pair's family, as the page has it.
func familyOf(e *harness.Env, p harness.UserPair) string {
	refresh, _ := secret.ParseUserRefresh(p.Refresh)
	a, err := e.Store.UserRefreshByID(context.Background(), store.LookupID(refresh.ID))
	if err != nil {
		return fmt.Sprint(err)
	}
	return secret.ID(a.Family).String()
}

func testAbsoluteEnd(t *testing.T, e *harness.Env) {
	for name, sql := range map[string]string{
		"of this version":       `UPDATE user_families SET ends_at = ends_at - $1 WHERE user_id = $2`,
		"of the version before": `UPDATE user_families SET ends_at = NULL, created_at = created_at - $1 WHERE user_id = $2`,
	} {
		t.Run(name, func(t *testing.T) {
			u := e.AddUser(strings.ReplaceAll(name, " ", "-") + "@users.test")
			p := e.UserTokens(u)
			nearly := 90*24*time.Hour - time.Hour
			e.Exec(sql, nearly.Microseconds(), u.ID)
			p = e.RefreshByPost(p.Refresh, u.Email).WantUserPair(e)
			id := e.Me(p.Token)
			if at, ok := id.JSON(t)["expires_at"].(float64); !ok || time.Until(time.Unix(int64(at), 0)) > time.Hour {
				t.Errorf("an hour before the end of its family a token expires at %v", id.JSON(t)["expires_at"])
			}
			e.Exec(sql, (2 * time.Hour).Microseconds(), u.ID)
			e.WantLive(p.Token, false)
			if a := e.RefreshByPost(p.Refresh, u.Email); a.Status != http.StatusUnauthorized {
				t.Errorf("refreshing after the end answers %d, want 401", a.Status)
			}
			if page := e.LoggedIn(u).Get("/account/security"); strings.Contains(page.Body, "/account/security/programs/") {
				t.Error("a family past its end is listed")
			}
		})
	}
}
