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
func wantScopes(t *testing.T, r *harness.Env, app harness.App, a harness.Answer, want string) {
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
	for _, s := range r.Me(token).JSON(t)["scopes"].([]any) {
		scopes = append(scopes, s.(string))
	}
	if got := sorted(strings.Join(scopes, " ")); got != sorted(want) {
		t.Errorf("/api/me says %q, want %q", got, want)
	}
	if app.Secret == "" {
		return
	}
	if got := r.Introspect(app, token).String(t, "scope"); sorted(got) != sorted(want) {
		t.Errorf("introspection says %q, want %q", got, want)
	}
}

// TestRefreshScope_R4: a refresh that asks for more than was granted (what the app registered, what it did not, what nobody
// knows, malformed, alone or beside what was granted): invalid_scope, and the token is not rotated. One that asks for less:
// 200 and an access token of just that; the next one without scope, or with an empty one, returns to the full grant.
func TestRefreshScope_R4(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		for name, app := range refreshers(r) {
			t.Run(name, func(t *testing.T) {
				r := r.With(t)
				f := newFamily(t, r, b.With(t), app, "scope", "faqs contacts")
				for _, wider := range []string{
					"widgets", "faqs contacts widgets", "faqs contacts conversations widgets", "admin", "faqs admin", "FAQS", "faqs,contacts",
					`faqs"`, `fa\qs`, "faqs\x01", "fäqs", " ", "faqs%20contacts", strings.Repeat("faqs ", 5000), strings.Repeat("x", 10_000),
				} {
					a := refresh(r, app, f.refresh, "scope", wider)
					a.WantRefused(t, http.StatusBadRequest, "invalid_scope")
				}
				refresh(r, app, f.refresh, "scope[]", "widgets").WantRefused(t, http.StatusBadRequest, "invalid_request")
				wantIntact(t, r, f, 1)

				token := f.refresh
				for _, step := range []struct{ ask, want string }{
					{"faqs", "faqs"}, {"contacts", "contacts"}, {"-", "faqs contacts"}, {"contacts faqs", "faqs contacts"}, {"faqs faqs", "faqs"}, {"", "faqs contacts"},
				} {
					var parameters []string
					if step.ask != "-" {
						parameters = []string{"scope", step.ask}
					}
					a := refresh(r, app, token, parameters...)
					wantScopes(t, r, app, a, step.want)
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
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		echo := r.AddExpiring("Echo")
		forever := r.Grant(b, r.A).WantToken(t)
		code := b.Code(r.A)
		own := r.Token(r.A, "grant_type", "client_credentials").WantToken(t)
		request := b.Get(address(request(r.B))).Hidden("request_id")
		f := newFamily(t, r, b, echo)
		token := f.refresh
		for name, text := range map[string]string{
			"non-expiring token": forever, "expiring token": f.access, "token of an app": own, "code": code, "client secret": r.A.Secret,
			"consent request": request, "another letter": "xnoe" + token[4:], "a character changed": token[:len(token)-1] + string(token[len(token)-1]^1),
			"cut": token[:50], "doubled": token + token, "space before": " " + token, "newline after": token + "\n", "upper case": strings.ToUpper(token),
			"garbage": "x", "long": strings.Repeat("x", 10_000), "not ASCII": "rëfresh", "quotes": `'"--`,
			"well-formed, unknown": secret.Format{}.New(secret.Refresh).Reveal(),
		} {
			t.Run(name, func(t *testing.T) {
				for _, app := range []harness.App{r.A, echo, r.P} {
					refresh(r.With(t), app, text).WantGrantRefused(t)
				}
			})
		}
		r.WantLive(forever, true)
		r.WantLive(own, true)
		r.WantUnspent(code, 0)
		wantIntact(t, r, f, 1)

		r.WantLive(token, false)
		r.Exchange(echo, token).WantGrantRefused(t)
		wantIntact(t, r, f, 1)
		r.WantLive(refresh(r, echo, token).WantToken(t), true)
	})
}

// TestRefreshAfterWithdrawal_R6: between approval and refresh the user removes the app, is disabled or deleted, leaves the account, the
// account is disabled: invalid_grant; the app is suspended or deleted: it cannot authenticate, so invalid_client. The access
// token is dead in each case, nothing was rotated, and what is reversible works again once it is undone. A scope was
// withdrawn from the app: invalid_grant for all of the grant, while less may still be asked for. A changed password ends
// sessions, codes and the families of user tokens, but no app's family and no API key: the next page offers to look
// through the apps and the keys. (The reset mail comes with it.)
func TestRefreshAfterWithdrawal_R6(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		for name, c := range endings {
			t.Run(name, func(t *testing.T) {
				for sort, confidential := range map[string]bool{"confidential": true, "public": false} {
					t.Run(sort, func(t *testing.T) {
						r := r.With(t)
						app := r.AddApp(name+" "+sort, confidential, harness.CB, func(f *directory.AppForm) { f.Expiring = true })
						person := situation{t: t, r: r, u: r.AddUser(strings.ReplaceAll(name+sort, " ", "-") + "@users.test"), app: app}
						person.b = r.LoggedIn(person.u)
						f := newFamily(t, r, person.b, app)
						c.end(person)
						if strings.HasPrefix(name, "password") {
							wantIntact(t, r, f, 1)
							r.WantLive(refresh(r, app, f.refresh).WantToken(t), true)
							return
						}
						a := refresh(r, app, f.refresh)
						if c.invalidClient {
							wantInvalidClient(t, a)
						} else {
							a.WantGrantRefused(t)
						}
						r.WantLive(f.access, false)
						if n := r.Count(`SELECT COUNT(*) FROM expiring_tokens WHERE app_id = $1`, app.ID); n != 1 {
							t.Errorf("%d access tokens, want the first alone", n)
						}
						undo(person, name)
						if strings.HasSuffix(name, "disabled") || name == "app suspended" {
							r.WantLive(f.access, true)
							r.WantLive(refresh(r, app, f.refresh).WantToken(t), true)
						} else if name != "app deleted" {
							refresh(r, app, f.refresh).WantGrantRefused(t)
						}
					})
				}
			})
		}
		t.Run("scope withdrawn", func(t *testing.T) { withdraw(t, r.With(t)) })
		t.Run("password changed, and then", func(t *testing.T) { offered(t, r.With(t)) })
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

func withdraw(t *testing.T, r *harness.Env) {
	b := r.LoggedIn(r.U)
	for name, app := range refreshers(r) {
		f := newFamily(t, r, b, app, "scope", "faqs contacts")
		r.Register(app, "faqs")
		refresh(r, app, f.refresh).WantGrantRefused(t)
		refresh(r, app, f.refresh, "scope", "contacts").WantGrantRefused(t)
		refresh(r, app, f.refresh, "scope", "faqs contacts").WantGrantRefused(t)
		wantIntact(t, r, f, 1)
		wantScopes(t, r, app, refresh(r, app, f.refresh, "scope", "faqs"), "faqs")
		if t.Failed() {
			t.Fatalf("%s app", name)
		}
	}
}

// offered is what a change of the password does beside.
func offered(t *testing.T, r *harness.Env) {
	u := r.AddUser("pass@users.test")
	b, twin := r.LoggedIn(u), r.LoggedIn(u)
	app := r.AddApp("Pass", false, harness.CB)
	f := newFamily(t, r, b, app)
	code, pair := b.Code(r.A), r.UserTokens(u)
	key := r.AddKey(u.Account.ID, u.ID, "agent")
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
	r.Exchange(r.A, code).WantGrantRefused(t)
	r.WantLive(pair.Token, false)
	r.RefreshByPost(pair.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
	r.WantLive(refresh(r, app, f.refresh).WantToken(t), true)
	r.WantLive(key.Text, true)
}
