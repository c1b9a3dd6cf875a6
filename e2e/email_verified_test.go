package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/store"
)

// setPassword gives a user another password, as the operator does.
func setPassword(e *harness.Env, userID string) error {
	_, err := e.Rules.SetPassword(context.Background(), harness.Operator, userID, "another horse battery", store.PasswordReset{})
	return err
}

// squatter has signed up with an address that is another person's, and has made with it all that there is.
type squatter struct {
	r        *harness.Env
	email    string
	user     store.User
	account  string
	browser  *harness.Browser
	program  harness.UserPair
	app      string // a token that an installed app holds
	keys     []harness.Key
	bot      harness.Bot
	botToken string
	own      harness.App // registered by the squatter
	victim   string      // a token of U's that this app holds
}

func squat(t *testing.T, e *harness.Env, email string) *squatter {
	t.Helper()
	s := &squatter{r: e, email: email, browser: e.Browser()}
	if a := s.browser.Post("/signup", url.Values{"name": {"Squatter"}, "email": {email}, "password": {harness.Password}}); a.Status != http.StatusSeeOther {
		t.Fatalf("sign-up answers %d: %.300s", a.Status, a.Body)
	}
	var err error
	if s.user, err = e.Rules.ResolveUser(context.Background(), harness.Operator, email); err != nil {
		t.Fatal(err)
	}
	members, err := e.Store.MembersByUser(context.Background(), s.user.ID)
	if err != nil || len(members) != 1 {
		t.Fatalf("accounts: %v, %v", members, err)
	}
	s.account = members[0].AccountID
	s.program = e.LogInProgram(email, harness.Password).WantUserPair(e)
	s.app = e.Grant(s.browser, e.A).WantToken(t)
	s.keys = []harness.Key{e.AddKey(s.account, ""), e.AddKey(s.account, s.user.ID, "admin")}
	s.bot = e.AddBot(s.account, "Spy")
	s.botToken = e.Integrate(harness.Keys(s.keys[0], s.bot)).WantIntegration(t)
	app, c, err := e.Rules.CreateApp(context.Background(), store.UserPrincipal(s.user.ID, ""), s.account,
		directory.AppForm{Name: "Trap", RedirectURIs: []string{harness.CB}, Scopes: []string{"contacts"}, Confidential: true})
	if err != nil {
		t.Fatal(err)
	}
	s.own = harness.App{ID: app.ID, Secret: c.Reveal(), URI: harness.CB}
	s.victim = e.Grant(e.LoggedIn(e.U), s.own).WantToken(t)
	s.want(t, true)
	return s
}

// want asserts that everything that the squatter has works, or that nothing does.
func (s *squatter) want(t *testing.T, live bool) {
	t.Helper()
	e := s.r.With(t)
	if a := s.browser.With(t).Get("/account"); (a.Status == http.StatusOK) != live {
		t.Errorf("the squatter's browser: /account answers %d, want logged in %t", a.Status, live)
	}
	for name, token := range map[string]string{"user token": s.program.Token, "installed app": s.app, "key with scopes": s.keys[1].Text,
		"integration token": s.botToken, "other people's token of the squatter's app": s.victim} {
		if a := e.Me(token); (a.Status == http.StatusOK) != live {
			t.Errorf("%s: /api/me answers %d, want live %t", name, a.Status, live)
		}
	}
	if a := e.Integrate(harness.Keys(s.keys[0])); (a.Status == http.StatusOK) != live {
		t.Errorf("account API key: the exchange answers %d, want live %t", a.Status, live)
	}
	if a := e.LogInProgram(s.bot.Email, s.bot.Secret); (a.Status == http.StatusOK) != live {
		t.Errorf("bot secret: the log-in answers %d, want live %t", a.Status, live)
	}
	if a := e.Token(s.own, "grant_type", "client_credentials"); (a.Status == http.StatusOK) != live {
		t.Errorf("client secret: the token endpoint answers %d, want live %t", a.Status, live)
	}
	if !live {
		if a := e.RefreshByPost(s.program.Refresh, s.email); a.Status == http.StatusOK {
			t.Error("the squatter's refresh token works")
		}
	}
}

// TestUnverifiedEmail_N9: an address that its user only typed at sign-up gives no authority. It is email_verified false in /api/me
// (true for a user that the operator added), is shown as unverified on the profile page, and cannot be added to an account.
// Spelled in capitals, full width or punycode it is the same user. When its owner proves it, by user edit, by a reset of the
// password or by taking it over, all that the squatter has ends in one step: sessions, user tokens, installed apps, keys of
// both kinds, integration tokens, secrets of bots and apps, and the tokens of other people that the squatter's app holds.
// A deleted user who never proved an address leaves it free; a verified one is never free again.
func TestUnverifiedEmail_N9(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		ctx := context.Background()
		t.Run("no authority", func(t *testing.T) {
			s := squat(t, e.With(t), "authority@owners.test")
			for token, verified := range map[string]bool{s.app: false, s.program.Token: false, e.Grant(e.LoggedIn(e.U), e.A).WantToken(t): true} {
				user, _ := e.Me(token).JSON(t)["user"].(map[string]any)
				if user["email_verified"] != verified {
					t.Errorf("/api/me answers the user %v, want email_verified %t", user, verified)
				}
			}
			if page := s.browser.Get("/account"); !strings.Contains(page.Body, "Not verified") {
				t.Error("the profile page does not say that the address is not verified")
			}
			if page := e.LoggedIn(e.U).Get("/account"); strings.Contains(page.Body, "Not verified") {
				t.Error("the profile page calls a verified address unverified")
			}
			err := e.Store.AddMember(ctx, harness.Operator, e.U.Account.ID, s.user.ID, scope.RoleAgent)
			if !errors.Is(err, store.ErrUnverified) {
				t.Errorf("adding the squatter to an account: %v, want ErrUnverified", err)
			}
		})
		t.Run("one mailbox is one user", func(t *testing.T) { testOneMailbox(t, e.With(t)) })
		for name, prove := range map[string]func(e *harness.Env, s *squatter) error{
			"edit": func(e *harness.Env, s *squatter) error {
				_, err := e.Rules.EditUser(ctx, harness.Operator, s.user.ID, store.UserEdit{VerifyEmail: true})
				return err
			},
			"reset": func(e *harness.Env, s *squatter) error { return setPassword(e, s.user.ID) },
			"verified reset": func(e *harness.Env, s *squatter) error {
				_, err := e.Rules.SetPassword(ctx, harness.Operator, s.user.ID, "another horse battery", store.PasswordReset{VerifyEmail: true})
				return err
			},
			"take over": func(e *harness.Env, s *squatter) error {
				_, _, err := e.Rules.AddUser(ctx, harness.Operator, directory.NewUser{Email: s.email, Password: "another horse battery", TakeOver: true})
				return err
			},
		} {
			t.Run("proved by "+name, func(t *testing.T) {
				e := e.With(t)
				s := squat(t, e, strings.ReplaceAll(name, " ", "-")+"@owners.test")
				bystander := e.Grant(e.LoggedIn(e.U), e.B).WantToken(t)
				if err := prove(e, s); err != nil {
					t.Fatal(err)
				}
				s.want(t, false)
				e.WantLive(bystander, true)
				owner, err := e.Rules.ResolveUser(ctx, harness.Operator, s.email)
				if err != nil || owner.EmailVerifiedAt.IsZero() != (name == "reset") {
					t.Fatalf("the owner is %+v, %v", owner, err)
				}
				if name == "take over" && owner.ID == s.user.ID {
					t.Error("the owner has got the squatter's user")
				}
				if name != "edit" {
					e.LogInProgram(s.email, harness.Password).WantError(t, http.StatusUnauthorized, "invalid_grant")
					e.LogInProgram(s.email, "another horse battery").WantUserPair(e)
				}
			})
		}
		t.Run("freed", func(t *testing.T) { testFreedAddress(t, e.With(t)) })
		t.Run("a verified user keeps everything that the reset does not name", func(t *testing.T) {
			e := e.With(t)
			u := e.AddUser("kept@users.test")
			app, program := e.Grant(e.LoggedIn(u), e.A).WantToken(t), e.UserTokens(u)
			key := e.AddKey(u.Account.ID, u.ID, "agent")
			if err := setPassword(e, u.ID); err != nil {
				t.Fatal(err)
			}
			e.WantLive(program.Token, false)
			e.WantLive(app, true)
			e.WantLive(key.Text, true)
			if _, err := e.Rules.SetPassword(ctx, harness.Operator, u.ID, harness.Password, store.PasswordReset{EndCredentials: true}); err != nil {
				t.Fatal(err)
			}
			e.WantLive(app, false)
			e.WantLive(key.Text, false)
		})
	})
}

func testOneMailbox(t *testing.T, e *harness.Env) {
	e.AddUser("ada@b\u00fccher.test")
	for name, spelling := range map[string]string{
		"capitals": "ADA@B\u00dcCHER.TEST", "decomposed": "ada@bu\u0308cher.test", "punycode": "ada@xn--bcher-kva.test",
		"full width": "\uff41\uff44\uff41@b\u00fccher\uff0etest", "ideographic full stop": "ada@b\u00fccher\u3002test",
	} {
		a := e.Browser().Post("/signup", url.Values{"name": {"X"}, "email": {spelling}, "password": {harness.Password}})
		if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "already in use") {
			t.Errorf("%s: sign-up answers %d, want that the address is in use", name, a.Status)
		}
		if a := e.Browser().Post("/login", url.Values{"email": {spelling}, "password": {harness.Password}}); a.Status != http.StatusSeeOther {
			t.Errorf("%s: log-in answers %d, want 303", name, a.Status)
		}
	}
	// An older version kept the domain as it was typed.
	e.Exec(`UPDATE users SET email = $1 WHERE email = $2`, "ada@b\u00fccher.test", "ada@xn--bcher-kva.test")
	for _, spelling := range []string{"ada@b\u00fccher.test", "ada@xn--bcher-kva.test"} {
		if a := e.Browser().Post("/login", url.Values{"email": {spelling}, "password": {harness.Password}}); a.Status != http.StatusSeeOther {
			t.Errorf("an older address as %s: log-in answers %d, want 303", spelling, a.Status)
		}
		a := e.Browser().Post("/signup", url.Values{"name": {"X"}, "email": {spelling}, "password": {harness.Password}})
		if a.Status != http.StatusUnprocessableEntity {
			t.Errorf("an older address as %s: sign-up answers %d, want 422", spelling, a.Status)
		}
	}
	for _, other := range []string{"ad.a@b\u00fccher.test", "ada+x@b\u00fccher.test"} {
		if a := e.Browser().Post("/signup", url.Values{"name": {"X"}, "email": {other}, "password": {harness.Password}}); a.Status != http.StatusSeeOther {
			t.Errorf("%s: sign-up answers %d, want another user", other, a.Status)
		}
	}
}

// testFreedAddress: a deleted user does not keep an address that was never proved.
func testFreedAddress(t *testing.T, e *harness.Env) {
	ctx := context.Background()
	signUp := func(email string) int {
		return e.Browser().Post("/signup", url.Values{"name": {"X"}, "email": {email}, "password": {harness.Password}}).Status
	}
	if status := signUp("free@owners.test"); status != http.StatusSeeOther {
		t.Fatalf("sign-up answers %d", status)
	}
	var taken *directory.EmailTakenError
	_, _, err := e.Rules.AddUser(ctx, harness.Operator, directory.NewUser{Email: "free@owners.test", Password: harness.Password})
	if !errors.As(err, &taken) || taken.Unverified == nil || !strings.Contains(err.Error(), "--take-over") {
		t.Fatalf("adding a user with an address that another has typed: %v", err)
	}
	if err := e.Store.DeleteUser(ctx, harness.Operator, taken.Unverified.ID); err != nil {
		t.Fatal(err)
	}
	if status := signUp("free@owners.test"); status != http.StatusSeeOther {
		t.Errorf("the address of a deleted user who never proved it: sign-up answers %d, want 303", status)
	}
	u := e.AddUser("proved@owners.test")
	_, _, err = e.Rules.AddUser(ctx, harness.Operator, directory.NewUser{Email: u.Email, Password: harness.Password, TakeOver: true})
	if !errors.As(err, &taken) || taken.Unverified != nil {
		t.Errorf("taking over a verified address: %v, want that it is in use", err)
	}
	if err := e.Store.DeleteUser(ctx, harness.Operator, u.ID); err != nil {
		t.Fatal(err)
	}
	if status := signUp(u.Email); status != http.StatusUnprocessableEntity {
		t.Errorf("a verified address of a deleted user: sign-up answers %d, want 422", status)
	}
}
