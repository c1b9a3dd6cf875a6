package e2e

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestCodeAfterWithdrawal_C9: Between consent and redemption the user changes the password or the operator sets it, the user is
// disabled or deleted or leaves the account, the account is disabled, or the user removes the app: invalid_grant. The app is
// suspended or deleted: it cannot authenticate, so invalid_client (see K7). The app has lost one of the scopes or all:
// invalid_grant, since the token would not have the scopes of the answer. No token is issued in any case, nor when a suspended app
// is resumed after the user has removed it.
func TestCodeAfterWithdrawal_C9(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, c := range endings {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				slug := strings.ReplaceAll(name, " ", "-")
				person := situation{t: t, r: e, u: e.AddUser(slug + "@users.test"), app: e.AddApp("App "+name, true, harness.CB)}
				person.b = e.LoggedIn(person.u)
				code := person.b.Code(person.app)
				c.end(person)
				a := e.Exchange(person.app, code)
				if c.invalidClient {
					a.WantRefused(t, http.StatusUnauthorized, "invalid_client")
				} else {
					a.WantGrantRefused(t)
				}
				e.WantUnspent(code, 0)
				if n := e.Count(`SELECT COUNT(*) FROM tokens WHERE app_id = $1`, person.app.ID); n != 0 {
					t.Errorf("%d tokens were made of a dead code", n)
				}
			})
		}
		t.Run("scope given up", func(t *testing.T) { redeemGivenUp(t, e.With(t)) })
	})
}

func redeemGivenUp(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	for name, app := range codeApps(e) {
		code := b.Code(app, "scope", "faqs contacts")
		for _, left := range []string{"faqs", "widgets"} {
			e.Register(app, left)
			e.Exchange(app, code).WantGrantRefused(t)
		}
		e.WantUnspent(code, 0)
		if n := e.LiveGrants(e.U, app); n != 0 {
			t.Errorf("%s: %d grants of scopes that were given up", name, n)
		}
		e.Register(app, "contacts", "faqs")
		wantScopes(t, e, app, e.Exchange(app, code), "faqs contacts")
	}
}

// situation is a person with a browser who has just approved an app.
type situation struct {
	t   *testing.T
	r   *harness.Env
	u   harness.User
	app harness.App
	b   *harness.Browser
}

func (s situation) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// endings are the ways in which a code loses what it hangs on.
var endings = map[string]struct {
	end           func(s situation)
	invalidClient bool
}{
	"password changed": {end: func(s situation) {
		a := s.b.Post("/account/security", url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}})
		if a.Status != http.StatusSeeOther {
			s.t.Fatalf("change password: %d: %.300s", a.Status, a.Body)
		}
	}},
	"password set": {end: func(s situation) {
		s.must(setPassword(s.r, s.u.ID))
	}},
	"user disabled": {end: func(s situation) {
		s.must(s.r.Store.SetUserDisabled(context.Background(), harness.Operator, s.u.ID, true))
	}},
	"user deleted": {end: func(s situation) {
		s.must(s.r.Store.DeleteUser(context.Background(), harness.Operator, s.u.ID))
	}},
	"user left": {end: func(s situation) {
		s.must(s.r.Store.RemoveMember(context.Background(), harness.Operator, s.u.Account.ID, s.u.ID))
	}},
	"account disabled": {end: func(s situation) {
		s.r.Exec(`UPDATE accounts SET disabled_at = created_at WHERE id = $1`, s.u.Account.ID)
	}},
	"app removed": {end: func(s situation) { s.uninstall() }},
	"app suspended": {invalidClient: true, end: func(s situation) {
		s.must(s.r.Store.SetAppSuspended(context.Background(), harness.Operator, s.app.ID, true))
	}},
	"app deleted": {invalidClient: true, end: func(s situation) {
		s.must(s.r.Rules.DeleteApp(context.Background(), harness.Operator, s.app.ID))
	}},
	"app suspended and removed and resumed": {end: func(s situation) {
		s.must(s.r.Store.SetAppSuspended(context.Background(), harness.Operator, s.app.ID, true))
		s.uninstall()
		s.must(s.r.Store.SetAppSuspended(context.Background(), harness.Operator, s.app.ID, false))
	}},
}

// uninstall presses Remove on the installed-apps page.
func (s situation) uninstall() {
	s.t.Helper()
	installed, _, err := s.r.Store.InstalledApps(context.Background(), s.u.ID, store.InstalledQuery{})
	s.must(err)
	if len(installed) != 1 {
		s.t.Fatalf("%d apps are installed, want 1", len(installed))
	}
	if a := s.b.Post("/account/apps/"+installed[0].ID+"/remove", url.Values{}); a.Status != http.StatusSeeOther {
		s.t.Fatalf("remove app: %d: %.300s", a.Status, a.Body)
	}
}

// TestCodeOtherCredential_C10: Something else is presented as a code: a non-expiring or expiring access token, a refresh token, the
// client secret, the id of a consent request, a code with another letter or a character changed, with space around it,
// garbage of any length. Each is invalid_grant and does nothing to the real thing; and a code is good for nothing but
// redemption: as a bearer token, as a refresh token and at introspection it is unknown, and stays redeemable.
func TestCodeOtherCredential_C10(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		echo := e.AddExpiring("Echo")
		token := e.Grant(b, e.A).WantToken(t)
		family := e.Grant(b, echo)
		expiring, refresh := family.WantToken(t), family.String(t, "refresh_token")
		page := b.Authorize("client_id", e.B.ID, "scope", "contacts")
		request := page.Hidden("request_id")
		if request == "" {
			t.Fatalf("no consent page: %d", page.Status)
		}
		code := b.Code(e.A)
		flipped := code[:len(code)-1] + string(code[len(code)-1]^1)
		for name, text := range map[string]string{
			"non-expiring token": token, "expiring token": expiring, "refresh token": refresh, "consent request": request,
			"client secret": e.A.Secret, "another letter": "xnoa" + code[4:], "a character changed": flipped, "cut": code[:40],
			"space before": " " + code, "newline after": code + "\n", "doubled": code + code, "garbage": "x", "long": strings.Repeat("x", 10_000),
			"not ASCII": "cödé", "quotes": `'"--`, "well-formed, unknown": secret.Format{}.New(secret.Code).Reveal(),
		} {
			t.Run(name, func(t *testing.T) {
				for _, app := range []harness.App{e.A, echo} {
					e.With(t).Exchange(app, text).WantGrantRefused(t)
				}
			})
		}
		e.WantLive(token, true)
		e.WantLive(expiring, true)
		e.WantActive(echo, refresh, true)

		e.WantLive(code, false)
		e.WantActive(e.A, code, false)
		e.Token(e.A, "grant_type", "refresh_token", "refresh_token", code).WantGrantRefused(t)
		e.WantUnspent(code, 0)
		e.WantLive(e.Exchange(e.A, code).WantToken(t), true)
		e.WantCode(b.Decide(page, "allow"), harness.CB, "")
	})
}
