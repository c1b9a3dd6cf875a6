package e2e

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

// wantScopes asserts what a token may do, as its answer, /api/me and introspection say.
func wantScopes(t *testing.T, e *harness.Env, app harness.App, a harness.Answer, want string) {
	t.Helper()
	token := a.WantToken(t)
	sorted := func(s string) string {
		names := strings.Fields(s)
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	if got := a.String(t, "scope"); sorted(got) != sorted(want) {
		t.Errorf("scope = %q, want %q", got, want)
	}
	var scopes []string
	for _, s := range e.Me(token).JSON(t)["scopes"].([]any) {
		scopes = append(scopes, s.(string))
	}
	if got := sorted(strings.Join(scopes, " ")); got != sorted(want) {
		t.Errorf("/api/me says %q, want %q", got, want)
	}
	if app.Secret == "" {
		return
	}
	if got := e.Introspect(app, token).String(t, "scope"); sorted(got) != sorted(want) {
		t.Errorf("introspection says %q, want %q", got, want)
	}
}

// TestRefreshScope_R4: a refresh that asks for more than was granted (a scope that the app registered, one that it did not, an
// unknown or malformed one, alone or beside granted ones): invalid_scope, and the token is not rotated. One that asks for less:
// 200 and an access token of just that; the next one without scope, or with an empty one, returns to the full grant.
func TestRefreshScope_R4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for name, app := range refreshers(e) {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				f := newFamily(t, e, b.With(t), app, "scope", "faqs contacts")
				for _, wider := range []string{
					"widgets", "faqs contacts widgets", "faqs contacts conversations widgets", "admin", "faqs admin", "FAQS", "faqs,contacts",
					`faqs"`, `fa\qs`, "faqs\x01", "fäqs", " ", "faqs%20contacts", strings.Repeat("faqs ", 5000), strings.Repeat("x", 10_000),
				} {
					a := refresh(e, app, f.refresh, "scope", wider)
					a.WantRefused(t, http.StatusBadRequest, "invalid_scope")
				}
				refresh(e, app, f.refresh, "scope[]", "widgets").WantRefused(t, http.StatusBadRequest, "invalid_request")
				wantIntact(t, e, f, 1)

				token := f.refresh
				for _, step := range []struct{ ask, want string }{
					{"faqs", "faqs"}, {"contacts", "contacts"}, {"-", "faqs contacts"}, {"contacts faqs", "faqs contacts"}, {"faqs faqs", "faqs"}, {"", "faqs contacts"},
				} {
					var parameters []string
					if step.ask != "-" {
						parameters = []string{"scope", step.ask}
					}
					a := refresh(e, app, token, parameters...)
					wantScopes(t, e, app, a, step.want)
					token = a.String(t, "refresh_token")
				}
			})
		}
	})
}

// TestRefreshOtherCredential_R5: something else is presented as a refresh token: a non-expiring or expiring access token, the token of an
// app itself, a code, a client secret, the id of a consent request, a refresh token with another letter, one character
// changed, cut, doubled, with space around it, garbage of any length. Each is invalid_grant and does nothing to the real
// thing; and a refresh token is good for nothing but refreshing: not as a bearer token, not as a code.
func TestRefreshOtherCredential_R5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		echo := e.AddExpiring("Echo")
		forever := e.Grant(b, e.A).WantToken(t)
		code := b.Code(e.A)
		own := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
		request := b.Get(address(request(e.B))).Hidden("request_id")
		f := newFamily(t, e, b, echo)
		token := f.refresh
		for name, text := range map[string]string{
			"non-expiring token": forever, "expiring token": f.access, "token of an app": own, "code": code, "client secret": e.A.Secret,
			"consent request": request, "another letter": "xnoe" + token[4:], "a character changed": token[:len(token)-1] + string(token[len(token)-1]^1),
			"cut": token[:50], "doubled": token + token, "space before": " " + token, "newline after": token + "\n", "upper case": strings.ToUpper(token),
			"garbage": "x", "long": strings.Repeat("x", 10_000), "not ASCII": "rëfresh", "quotes": `'"--`,
			"well-formed, unknown": secret.Format{}.New(secret.Refresh).Reveal(),
		} {
			t.Run(name, func(t *testing.T) {
				for _, app := range []harness.App{e.A, echo, e.P} {
					refresh(e.With(t), app, text).WantGrantRefused(t)
				}
			})
		}
		e.WantLive(forever, true)
		e.WantLive(own, true)
		e.WantUnspent(code, 0)
		wantIntact(t, e, f, 1)

		e.WantLive(token, false)
		e.Exchange(echo, token).WantGrantRefused(t)
		wantIntact(t, e, f, 1)
		e.WantLive(refresh(e, echo, token).WantToken(t), true)
	})
}

// TestRefreshAfterWithdrawal_R6: between approval and refresh the user removes the app, is disabled or deleted, leaves the account, the
// account is disabled: invalid_grant; the app is suspended or deleted: it cannot authenticate, so invalid_client. The access
// token is dead in each case, nothing was rotated, and what is reversible works again once it is undone. A scope was
// withdrawn from the app: invalid_grant for all of the grant, while less may still be asked for. A changed password ends
// sessions, codes and the families of user tokens, but no app's family and no API key: the next page offers to look
// through the apps and the keys. (The reset mail comes with it.)
func TestRefreshAfterWithdrawal_R6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, c := range endings {
			t.Run(name, func(t *testing.T) {
				for sort, confidential := range map[string]bool{"confidential": true, "public": false} {
					t.Run(sort, func(t *testing.T) {
						e := e.With(t)
						app := e.AddApp(name+" "+sort, confidential, harness.CB, func(f *directory.AppForm) { f.Expiring = true })
						person := situation{t: t, r: e, u: e.AddUser(strings.ReplaceAll(name+sort, " ", "-") + "@users.test"), app: app}
						person.b = e.LoggedIn(person.u)
						f := newFamily(t, e, person.b, app)
						c.end(person)
						if strings.HasPrefix(name, "password") {
							wantIntact(t, e, f, 1)
							e.WantLive(refresh(e, app, f.refresh).WantToken(t), true)
							return
						}
						a := refresh(e, app, f.refresh)
						if c.invalidClient {
							wantInvalidClient(t, a)
						} else {
							a.WantGrantRefused(t)
						}
						e.WantLive(f.access, false)
						if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens WHERE app_id = $1`, app.ID); n != 1 {
							t.Errorf("%d access tokens, want the first alone", n)
						}
						undo(person, name)
						if strings.HasSuffix(name, "disabled") || name == "app suspended" {
							e.WantLive(f.access, true)
							e.WantLive(refresh(e, app, f.refresh).WantToken(t), true)
						} else if name != "app deleted" {
							refresh(e, app, f.refresh).WantGrantRefused(t)
						}
					})
				}
			})
		}
		t.Run("scope withdrawn", func(t *testing.T) { withdraw(t, e.With(t)) })
		t.Run("password changed, and then", func(t *testing.T) { offered(t, e.With(t)) })
	})
}

// undo takes back what can be taken back.
func undo(s situation, name string) {
	switch name {
	case "user disabled":
		s.must(s.r.Store.SetUserDisabled(context.Background(), harness.Operator, s.u.ID, false))
	case "account disabled":
		s.r.Exec(`UPDATE accounts SET disabled_at = NULL WHERE id = $1`, s.u.Account.ID)
	case "app suspended":
		s.must(s.r.Store.SetAppSuspended(context.Background(), harness.Operator, s.app.ID, false))
	}
}

func withdraw(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	for name, app := range refreshers(e) {
		f := newFamily(t, e, b, app, "scope", "faqs contacts")
		e.Register(app, "faqs")
		refresh(e, app, f.refresh).WantGrantRefused(t)
		refresh(e, app, f.refresh, "scope", "contacts").WantGrantRefused(t)
		refresh(e, app, f.refresh, "scope", "faqs contacts").WantGrantRefused(t)
		wantIntact(t, e, f, 1)
		wantScopes(t, e, app, refresh(e, app, f.refresh, "scope", "faqs"), "faqs")
		if t.Failed() {
			t.Fatalf("%s app", name)
		}
	}
}

// offered is what a change of the password does beside.
func offered(t *testing.T, e *harness.Env) {
	u := e.AddUser("pass@users.test")
	b, twin := e.LoggedIn(u), e.LoggedIn(u)
	app := e.AddApp("Pass", false, harness.CB)
	f := newFamily(t, e, b, app)
	code, pair := b.Code(e.A), e.UserTokens(u)
	key := e.AddKey(u.Account.ID, u.ID, "agent")
	changed := b.Post("/account/security", url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}})
	page := b.Follow(changed)
	page.WantPage(t, http.StatusOK)
	for _, offer := range []string{`href="/account/apps">2 installed apps<`, `href="/account/keys">1 API key<`} {
		if !strings.Contains(page.Body, offer) {
			t.Errorf("the page does not offer %s: %.2000s", offer, page.Body)
		}
	}
	if a := twin.Get("/account"); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/login?next=profile" {
		t.Errorf("the other browser is still logged in: %d", a.Status)
	}
	e.Exchange(e.A, code).WantGrantRefused(t)
	e.WantLive(pair.Token, false)
	e.RefreshByPost(pair.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
	e.WantLive(refresh(e, app, f.refresh).WantToken(t), true)
	e.WantLive(key.Text, true)
}
