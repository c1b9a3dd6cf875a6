package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// revoke asks the revocation endpoint as an app, with further parameters given as name, value, …
func revoke(e *harness.Env, app harness.App, token string, parameters ...string) harness.Answer {
	return e.Post("/oauth/revoke", app.As(append([]string{"token", token}, parameters...)...))
}

// wantRevoked asserts the one answer of a revocation that was taken.
func wantRevoked(t *testing.T, a harness.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || a.Body != "{}\n" {
		t.Fatalf("revocation answers %d %q, want 200 {}", a.Status, a.Body)
	}
	wantHeaders(t, a, map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Location": "", "Set-Cookie": "",
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": ""})
}

// TestRevoke_V1: an app, confidential or public, revokes its own access token (non-expiring, expiring, or the app's own) or
// refresh token, with no hint, the right one, the wrong one and an unknown one, by Basic and by post: 200 {}. The token is
// dead on both servers before the answer, for /api/me, introspection and refreshing. A refresh token, even one that was
// rotated, takes the whole family along; an access token dies alone, and its family can be refreshed.
func TestRevoke_V1(t *testing.T) {
	harness.EachPair(t, func(t *testing.T, e, second *harness.Env) {
		b := e.LoggedIn(e.U)
		echo := e.AddExpiring("Echo")
		for _, hint := range []string{"-", "access_token", "refresh_token", "urn:unknown"} {
			t.Run("hint "+hint, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				var parameters []string
				if hint != "-" {
					parameters = []string{"token_type_hint", hint}
				}
				dead := func(app harness.App, tokens ...string) {
					t.Helper()
					for _, server := range []*harness.Env{second.With(t), e} {
						for _, token := range tokens {
							server.WantLive(token, false)
							if app.Secret != "" {
								server.WantActive(app, token, false)
							}
						}
					}
				}
				forever, other := e.Grant(b, e.A).WantToken(t), e.Grant(b, e.A).WantToken(t)
				wantRevoked(t, revoke(e, e.A, forever, parameters...))
				dead(e.A, forever)
				e.WantLive(other, true)
				wantRevoked(t, e.Post("/oauth/revoke", harness.Pairs(append(parameters, "token", other)...), "Authorization", harness.Basic(e.A.ID, e.A.Secret)))
				dead(e.A, other)
				own := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
				wantRevoked(t, revoke(e, e.A, own, parameters...))
				dead(e.A, own)

				for _, app := range []harness.App{echo, e.P} {
					for _, rotated := range []bool{false, true} {
						f := newFamily(t, e, b, app)
						wantRevoked(t, revoke(e, app, f.access, parameters...))
						dead(app, f.access)
						next := refresh(second.With(t), app, f.refresh)
						access, last := next.WantToken(t), next.String(t, "refresh_token")
						ended := last
						if rotated {
							ended = f.refresh
						}
						wantRevoked(t, revoke(e, app, ended, parameters...))
						dead(app, access, last, f.access, f.refresh)
						refresh(second.With(t), app, last).WantGrantRefused(t)
						refresh(e, app, f.refresh).WantGrantRefused(t)
					}
				}
			})
		}
		if n := e.LiveGrants(e.U, e.A) + e.LiveGrants(e.U, e.P) + e.LiveGrants(e.U, echo); n != 0 {
			t.Errorf("%d grants live, want none", n)
		}
	})
}

// TestRevokeUnknownToken_V2: garbage of any form and length, a credential of another kind, one that was never minted, an expired token,
// one that was revoked before: 200 {}, and nothing else is touched. The token missing, empty, given twice, not UTF-8: 400
// invalid_request; JSON or no content type: 415; GET, HEAD, PUT, DELETE with everything right in the query: 405 with
// Allow: POST, and the token stays live.
func TestRevokeUnknownToken_V2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		live, gone := e.Grant(b, e.A).WantToken(t), e.Grant(b, e.A).WantToken(t)
		code := b.Code(e.A)
		expired := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
		id := e.Parse(expired).ID
		e.Exec(`UPDATE expiring_tokens SET expires_at = created_at WHERE id = $1`, id[:])
		for name, token := range map[string]string{
			"garbage": "x", "long": strings.Repeat("x", 10_000), "not ASCII": "tökén", "quotes": `'"--`, "code": code, "secret": e.A.Secret,
			"unknown": secret.Format{}.New(secret.Access).Reveal(), "unknown, expiring": secret.Format{}.New(secret.Expiring).Reveal(),
			"unknown, refresh": secret.Format{}.New(secret.Refresh).Reveal(), "expired": expired, "revoked": gone, "revoked again": gone,
			"a character changed": live[:len(live)-1] + string(live[len(live)-1]^1), "another kind of it": "xnoe" + live[4:], "space after": live + " ",
			"forged": forged(live),
		} {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				wantRevoked(t, revoke(e, e.A, token))
				wantRevoked(t, revoke(e, e.A, token, "token_type_hint", "refresh_token"))
			})
		}
		e.WantLive(gone, false)
		for name, form := range map[string]url.Values{
			"missing": e.A.As(), "empty": e.A.As("token", ""), "twice": e.A.As("token", live, "token", live), "twice, another": e.A.As("token", "x", "token", live),
			"hint twice": e.A.As("token", live, "token_type_hint", "access_token", "token_type_hint", "access_token"),
		} {
			t.Run(name, func(t *testing.T) { wantInvalidRequest(t, e.With(t).Post("/oauth/revoke", form)) })
		}
		for _, malformed := range []string{"token=%00", "token=%ff", "token=%zz", "token=x;y=z", "token=" + live + "%00"} {
			wantInvalidRequest(t, e.Raw("/oauth/revoke", malformed+"&"+e.A.As().Encode()))
		}
		ask := func(method, contentType, query, body string) harness.Answer {
			request, err := http.NewRequest(method, e.URL+"/oauth/revoke"+query, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", contentType)
			return e.Do(request)
		}
		sound := e.A.As("token", live).Encode()
		wantInvalidClient(t, ask(http.MethodPost, formType, "?"+sound, ""))
		for _, contentType := range []string{"application/json", "text/plain", "", "multipart/form-data; boundary=x"} {
			ask(http.MethodPost, contentType, "", sound).WantRefused(t, http.StatusUnsupportedMediaType, "invalid_request")
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			a := ask(method, formType, "?"+sound, sound)
			if allow := a.Header.Get("Allow"); a.Status != http.StatusMethodNotAllowed || !strings.Contains(allow, "POST") || strings.Contains(allow, "GET") {
				t.Errorf("%s: status %d, Allow %q", method, a.Status, allow)
			}
		}
		e.WantLive(live, true)
		e.WantUnspent(code, 0)
	})
}

// forged is a well-formed credential with the lookup id of a real one and a secret of its own.
func forged(real string) string {
	body := real[:27] + secret.Format{}.New(secret.Access).Reveal()[27:70]
	return body + checksum(body)
}

// TestRevokeForeignToken_V4: an app revokes a token that is not its own. A confidential app: 400 unauthorized_client for another app's access
// and refresh tokens, of confidential and of public apps. A public one, which has not authenticated: 200 {} as for garbage. A
// resource server: 400. A client id without its secret or with a wrong one: 401. A forged token with a real lookup
// id: 200 {}. Every token is live afterwards, and can be refreshed.
func TestRevokeForeignToken_V4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		forever := e.Grant(b, e.A).WantToken(t)
		own := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
		echo, public := newFamily(t, e, b, e.AddExpiring("Echo")), newFamily(t, e, b, e.P)
		second := e.AddApp("Papa two", false, harness.CB)
		server := e.AddResource("widgets")
		for name, token := range map[string]string{
			"non-expiring": forever, "of the app itself": own, "expiring": echo.access, "refresh": echo.refresh, "public": public.access, "public refresh": public.refresh,
		} {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				for _, hint := range []string{"access_token", "refresh_token"} {
					revoke(e, e.B, token, "token_type_hint", hint).WantRefused(t, http.StatusBadRequest, "unauthorized_client")
					revoke(e, server, token, "token_type_hint", hint).WantRefused(t, http.StatusBadRequest, "unauthorized_client")
					wantRevoked(t, revoke(e, second, token, "token_type_hint", hint))
					wantRevoked(t, revoke(e, e.N, token, "token_type_hint", hint))
				}
				wantRevoked(t, revoke(e, e.A, forged(token)))
				wantRevoked(t, revoke(e, e.B, forged(token)))
				wantInvalidClient(t, revoke(e, harness.App{ID: e.A.ID}, token))
				wantInvalidClient(t, revoke(e, harness.App{ID: e.A.ID, Secret: e.B.Secret}, token))
				wantInvalidClient(t, revoke(e, harness.App{ID: e.P.ID, Secret: "x"}, token))
				wantInvalidClient(t, e.Post("/oauth/revoke", url.Values{"token": {token}}))
				wantInvalidClient(t, e.Post("/oauth/revoke", url.Values{"token": {token}}, "Authorization", "Bearer "+token))
			})
		}
		e.WantLive(forever, true)
		e.WantLive(own, true)
		wantIntact(t, e, echo, 1)
		wantIntact(t, e, public, 1)
		e.WantLive(refresh(e, echo.app, echo.refresh).WantToken(t), true)
		e.WantLive(refresh(e, public.app, public.refresh).WantToken(t), true)
	})
}

// troubles are what a database in trouble may say.
var troubles = map[string]error{
	"unavailable":        store.ErrUnavailable,
	"wrapped":            fmt.Errorf("connect: refused: %w", store.ErrUnavailable),
	"deadline":           context.DeadlineExceeded,
	"canceled":           fmt.Errorf("conn closed: %w", context.Canceled),
	"joined with others": errors.Join(io.ErrUnexpectedEOF, store.ErrUnavailable),
}

// eachTrouble runs test on a server whose operations fail in each way, on each database.
func eachTrouble(t *testing.T, test func(t *testing.T, e *harness.Env, fail func(method string), mend func())) {
	t.Helper()
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, trouble := range troubles {
			t.Run(name, func(t *testing.T) {
				test(t, e.With(t), func(method string) { e.Faults.Fail(fmt.Errorf("%s: %w", method, trouble), method) }, e.Faults.Heal)
			})
		}
	})
}

// TestRevokeOutage_V6: the database fails while the client is looked up, while the token is, or at the very write, in every
// wording, for access and refresh tokens of confidential and public apps: 503 temporarily_unavailable with Retry-After,
// never a 200, and no word of what happened. The token is live as before; once the database is back, the same request ends it.
func TestRevokeOutage_V6(t *testing.T) {
	eachTrouble(t, func(t *testing.T, e *harness.Env, fail func(method string), mend func()) {
		b := e.LoggedIn(e.U)
		echo := newFamily(t, e, b, e.AddExpiring("Echo"))
		public := newFamily(t, e, b, e.P)
		for _, c := range []struct {
			app        harness.App
			token      string
			operations []string
		}{
			{e.A, e.Grant(b, e.A).WantToken(t), []string{"ClientByID", "AccessByID", "RevokeToken"}},
			{echo.app, echo.access, []string{"ClientByID", "AccessByID", "RevokeToken"}},
			{echo.app, echo.refresh, []string{"ClientByID", "RefreshByID", "EndFamily"}},
			{public.app, public.access, []string{"ClientByID", "AccessByID", "RevokeToken"}},
			{public.app, public.refresh, []string{"ClientByID", "RefreshByID", "EndFamily"}},
		} {
			access := c.token
			if e.Parse(c.token).Kind == secret.Refresh {
				access = refresh(e, c.app, c.token).WantToken(t)
			}
			for _, operation := range c.operations {
				fail(operation)
				a := revoke(e, c.app, c.token)
				mend()
				wantUnavailable(t, a)
				if strings.Contains(a.Body, operation) || strings.Contains(a.Body, "refused") {
					t.Errorf("the answer tells of the database: %s", a.Body)
				}
				e.WantLive(access, true)
			}
			wantRevoked(t, revoke(e, c.app, c.token))
			e.WantLive(access, false)
		}
	})
}

// TestRemoveAndDeleteApp_V7: a user clicks Remove on the installed apps, and a developer deletes the app in the portal. Before the
// answer, on both servers: every access token, refresh token and unredeemed code of that user and app is dead, and after the
// deletion the app's own token and its secret, too. Other people's tokens of the removed app, and other apps' tokens of
// the same person, live; a consent page that was open grants nothing of a deleted app, and the removed one must ask again.
func TestRemoveAndDeleteApp_V7(t *testing.T) {
	harness.EachPair(t, func(t *testing.T, e, second *harness.Env) {
		olga := e.AddUser("olga@users.test")
		for name, confidential := range map[string]bool{"non-expiring": true, "with refresh tokens": false} {
			t.Run(name, func(t *testing.T) {
				e, second := e.With(t), second.With(t)
				app := e.AddApp("Victor "+name, confidential, harness.CB)
				mine := situation{t: t, r: e, u: e.AddUser(strings.ReplaceAll(name, " ", "-") + "@users.test"), app: app}
				mine.b = e.LoggedIn(mine.u)
				// The list shows one app when Remove is pressed; the other one is approved after it.
				first, others := approve(t, mine.b, e, app), approve(t, e.LoggedIn(olga), e, app)
				mine.uninstall()
				first.wantDead(t, second, app)
				first.wantDead(t, e, app)
				others.wantLive(t, second)
				wantConsent(t, mine.b.Get(address(request(app))), "Victor "+name)

				again, beside := approve(t, mine.b, e, app), approve(t, mine.b, e, e.B)
				open := mine.b.Get(address(request(app, "scope", "contacts widgets")))
				path := "/developer/apps/" + app.ID + "/delete"
				if a := e.LoggedIn(e.U).Post(path, url.Values{"confirm": {"Victor " + name}}); a.Status != http.StatusSeeOther {
					t.Fatalf("delete app: %d: %.300s", a.Status, a.Body)
				}
				for _, server := range []*harness.Env{second, e} {
					again.wantDead(t, server, app)
					others.wantDead(t, server, app)
					beside.wantLive(t, server)
					wantInvalidClient(t, server.Token(app, "grant_type", "client_credentials"))
				}
				mine.b.Decide(open, "allow").WantPage(t, http.StatusBadRequest)
				mine.b.Get(address(request(app))).WantPage(t, http.StatusBadRequest)
				e.WantEvents(app, store.EventAppDeleted, 1)
			})
		}
	})
}

// approval is what somebody's approval of an app has led to so far: tokens, a refresh token if it has one, a code, and the
// token of the app itself.
type approval struct {
	tokens  []string
	refresh string
	code    string
	own     string
}

func approve(t *testing.T, b *harness.Browser, e *harness.Env, app harness.App) approval {
	t.Helper()
	b = b.With(t)
	one, two := e.Grant(b, app), e.Grant(b, app)
	a := approval{tokens: []string{one.WantToken(t), two.WantToken(t)}, refresh: two.String(t, "refresh_token"), code: b.Code(app)}
	if a.refresh != "" {
		next := refresh(e, app, a.refresh)
		a.tokens, a.refresh = append(a.tokens, next.WantToken(t)), next.String(t, "refresh_token")
	}
	if app.Secret != "" {
		a.own = e.Token(app, "grant_type", "client_credentials").WantToken(t)
	}
	a.wantLive(t, e)
	return a
}

func (a approval) wantLive(t *testing.T, e *harness.Env) {
	t.Helper()
	for _, token := range a.tokens {
		e.With(t).WantLive(token, true)
	}
}

// wantDead asserts it of all; the app's own token lives while the app does.
func (a approval) wantDead(t *testing.T, e *harness.Env, app harness.App) {
	t.Helper()
	e = e.With(t)
	for _, token := range a.tokens {
		e.WantLive(token, false)
	}
	deleted := e.Count(`SELECT COUNT(*) FROM apps WHERE id = $1 AND deleted_at IS NOT NULL`, app.ID) == 1
	refused := func(answer harness.Answer) {
		t.Helper()
		if deleted {
			wantInvalidClient(t, answer)
		} else {
			answer.WantGrantRefused(t)
		}
	}
	if a.refresh != "" {
		refused(refresh(e, app, a.refresh))
	}
	refused(e.Exchange(app, a.code))
	e.WantUnspent(a.code, 0)
	if a.own != "" {
		e.WantLive(a.own, !deleted)
	}
}
