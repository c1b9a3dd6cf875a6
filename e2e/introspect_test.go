package e2e

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// wantInactive asserts exactly what is said of a token that is not good, or not the asker's to know of.
func wantInactive(t *testing.T, a harness.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || a.Body != "{\"active\":false}\n" {
		t.Errorf("introspection answers %d %q, want 200 {\"active\":false}", a.Status, a.Body)
	}
	wantHeaders(t, a, map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "WWW-Authenticate": "",
		"Access-Control-Allow-Origin": "", "Location": "", "Set-Cookie": ""})
}

// TestIntrospectUnauthenticated_I1: introspection without credentials, with a wrong secret, an unknown, suspended or deleted app or a removed
// resource server, with the token itself as Bearer, and by a public app (which cannot prove who it is), about a live token:
// 401 invalid_client with WWW-Authenticate: Basic, and nothing about the token.
func TestIntrospectUnauthenticated_I1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		token, public := e.Grant(b, e.A).WantToken(t), e.Grant(b, e.P).WantToken(t)
		suspended, deleted, removed := e.AddApp("Sierra", true, harness.CB), e.AddApp("Delta", true, harness.CB), e.AddResource("removed")
		own := map[harness.App]string{suspended: e.Grant(b, suspended).WantToken(t), deleted: e.Grant(b, deleted).WantToken(t)}
		for _, err := range []error{
			e.Store.SetAppSuspended(context.Background(), harness.Operator, suspended.ID, true),
			e.Store.DeleteApp(context.Background(), harness.Operator, deleted.ID),
			e.Store.RemoveResource(context.Background(), harness.Operator, removed.ID),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]struct {
			form    url.Values
			headers []string
		}{
			"none":                  {url.Values{"token": {token}}, nil},
			"id alone":              {url.Values{"token": {token}, "client_id": {e.A.ID}}, nil},
			"wrong secret":          {harness.App{ID: e.A.ID, Secret: secret.Format{}.New(secret.Client).Reveal()}.As("token", token), nil},
			"another app's secret":  {harness.App{ID: e.A.ID, Secret: e.B.Secret}.As("token", token), nil},
			"wrong secret by Basic": {url.Values{"token": {token}}, []string{"Authorization", harness.Basic(e.A.ID, "wrong")}},
			"the token as Bearer":   {url.Values{"token": {token}}, []string{"Authorization", "Bearer " + token}},
			"the token as secret":   {harness.App{ID: e.A.ID, Secret: token}.As("token", token), nil},
			"unknown app":           {harness.App{ID: "app_" + strings.Repeat("0", 22), Secret: e.A.Secret}.As("token", token), nil},
			"suspended app":         {suspended.As("token", own[suspended]), nil},
			"deleted app":           {deleted.As("token", own[deleted]), nil},
			"removed resource":      {removed.As("token", token), nil},
			"public app":            {e.P.As("token", public), nil},
			"public app by Basic":   {url.Values{"token": {public}}, []string{"Authorization", harness.Basic(e.P.ID, "")}},
			"public app, no token":  {e.P.As(), nil},
			"assertion":             {url.Values{"token": {token}, "client_assertion": {"e30.e30.e30"}, "client_assertion_type": {bearerAssertion}}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				a := e.With(t).Post("/oauth/introspect", c.form, c.headers...)
				wantInvalidClient(t, a)
				wantMembers(t, a, "error", "error_description")
			})
		}
		e.WantLive(token, true)
	})
}

// TestIntrospectForeignToken_I2: a confidential app asks about tokens of another confidential app, of a public app, of that app itself, and
// about refresh tokens of others: exactly {"active":false}, as for garbage. A resource server sees the access tokens, an
// app its own.
func TestIntrospectForeignToken_I2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		server := e.AddResource("widgets")
		echo, public := newFamily(t, e, b, e.AddExpiring("Echo")), newFamily(t, e, b, e.P)
		own := e.Token(e.A, "grant_type", "client_credentials").WantToken(t)
		for name, token := range map[string]string{
			"non-expiring": e.Grant(b, e.A).WantToken(t), "of the app itself": own, "expiring": echo.access, "refresh": echo.refresh,
			"public": public.access, "public refresh": public.refresh,
		} {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				for _, hint := range []string{"access_token", "refresh_token", "x", ""} {
					wantInactive(t, e.Post("/oauth/introspect", e.B.As("token", token, "token_type_hint", hint)))
				}
				e.WantActive(server, token, e.Parse(token).Kind != secret.Refresh)
			})
		}
		e.WantActive(e.A, own, true)
		e.WantActive(echo.app, echo.access, true)
		e.WantActive(echo.app, echo.refresh, true)
	})
}

// TestIntrospectInactive_I3: an app and a resource server introspect tokens that are not valid: garbage of any form,
// expired, revoked, of a refresh token that was rotated or whose family ended, of a disabled, deleted or departed
// user, of a disabled account, of a removed installation, of an app that gave up all its scopes; a code, a secret, a
// request id: 200 exactly {"active":false}, with the same headers to the byte. (Length and headers are compared here; the time depends on the look-up of
// the client: see K7.)
func TestIntrospectInactive_I3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		server, echo := e.AddResource("widgets"), e.AddExpiring("Echo")
		live := e.Grant(b, e.A).WantToken(t)
		tokens := map[string]string{
			"garbage": "x", "long": strings.Repeat("x", 10_000), "not ASCII": "tökén", "quotes": `'"--`, "code": b.Code(e.A), "secret": e.A.Secret,
			"request": b.Get(address(request(e.B))).Hidden("request_id"), "unknown": secret.Format{}.New(secret.Access).Reveal(),
			"unknown, expiring": secret.Format{}.New(secret.Expiring).Reveal(), "unknown refresh": secret.Format{}.New(secret.Refresh).Reveal(),
			"forged": forged(live), "another kind": "xnoe" + live[4:], "space before": " " + live, "doubled": live + live,
		}
		tokens["revoked"] = e.Grant(b, e.A).WantToken(t)
		wantRevoked(t, revoke(e, e.A, tokens["revoked"]))
		expired := newFamily(t, e, b, echo)
		tokens["expired"], tokens["expired refresh"] = expired.access, expired.refresh
		access, refreshID := e.Parse(expired.access).ID, e.Parse(expired.refresh).ID
		e.Exec(`UPDATE expiring_tokens SET expires_at = created_at WHERE id = $1`, access[:])
		e.Exec(`UPDATE refresh_tokens SET expires_at = created_at WHERE id = $1`, refreshID[:])
		rotated := newFamily(t, e, b, echo)
		// Until its successor is used, a rotated one can be used again.
		successor := refresh(e, echo, rotated.refresh)
		successor.WantToken(t)
		refresh(e, echo, successor.String(t, "refresh_token")).WantToken(t)
		tokens["rotated refresh"] = rotated.refresh
		ended := newFamily(t, e, b, echo)
		wantRevoked(t, revoke(e, echo, ended.refresh))
		tokens["of an ended family"], tokens["refresh of an ended family"] = ended.access, ended.refresh
		owner := map[string]harness.App{}
		poor := e.AddExpiring("Poor")
		given := newFamily(t, e, b, poor)
		e.Register(poor, "widgets")
		tokens["of an app without its scopes"], tokens["refresh of an app without its scopes"] = given.access, given.refresh
		owner["of an app without its scopes"], owner["refresh of an app without its scopes"] = poor, poor
		for name, c := range endings {
			if c.invalidClient || strings.HasPrefix(name, "password") {
				continue // the app could not ask; the token is good
			}
			person := situation{t: t, r: e, u: e.AddUser(strings.ReplaceAll(name, " ", "-") + "@users.test"), app: e.AddApp("App "+name, true, harness.CB)}
			person.b = e.LoggedIn(person.u)
			tokens[name] = e.Grant(person.b, person.app).WantToken(t)
			owner[name] = person.app
			c.end(person)
		}
		var first harness.Answer
		for name, token := range tokens {
			t.Run(name, func(t *testing.T) {
				askers := []harness.App{server, e.A, echo}
				if app, ofItsOwn := owner[name]; ofItsOwn {
					askers = append(askers, app)
				}
				for _, asker := range askers {
					a := e.With(t).Introspect(asker, token)
					wantInactive(t, a)
					if first.Header == nil {
						first = a
					}
					wantSameAnswer(t, a, first)
				}
			})
		}
		e.WantActive(e.A, live, true)
	})
}

// formValue is what each rendered form has of its own.
var formValue = regexp.MustCompile(`name="form" value="[A-Z2-7]{26}"`)

// wantSameAnswer asserts that nothing but time, request id and the form's own value differs between two answers.
func wantSameAnswer(t *testing.T, a, b harness.Answer) {
	t.Helper()
	if a.Status != b.Status || formValue.ReplaceAllString(a.Body, "") != formValue.ReplaceAllString(b.Body, "") {
		t.Errorf("answers differ:\n%d %s\n%d %s", a.Status, a.Body, b.Status, b.Body)
	}
	one, two := a.Header.Clone(), b.Header.Clone()
	for _, name := range []string{"Date", "X-Request-Id"} {
		one.Del(name)
		two.Del(name)
	}
	for name := range one {
		if !slices.Equal(one[name], two[name]) {
			t.Errorf("%s tells them apart: %q, %q", name, one[name], two[name])
		}
	}
	if len(one) != len(two) {
		t.Errorf("the headers differ: %v, %v", one, two)
	}
}

// TestIntrospectActive_I4: a live token that never expires, with no hint, the right, the wrong and an unknown one, asked about by its
// app and by a resource server: active, scope, client_id, sub, account, installation, username, token_type, iat, iss and
// permissions, and no exp (0 or null would mean dead). An expiring one has exp. An app's own token has its client id for
// sub and no user. A refresh token asked about by its own app: active, with exp and without token_type and username; by a
// resource server: {"active":false}. Introspection is no use: last used stays as it was.
func TestIntrospectActive_I4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		server, echo := e.AddResource("widgets"), e.AddExpiring("Echo")
		forever := e.Grant(b, e.A).WantToken(t)
		f := newFamily(t, e, b, echo)
		own := e.Token(e.A, "grant_type", "client_credentials", "scope", "faqs").WantToken(t)
		person := []string{"active", "scope", "client_id", "sub", "account", "installation", "username", "token_type", "iat", "iss", "permissions"}
		for _, c := range []struct {
			name, token string
			app         harness.App
			members     []string
			want        map[string]any
		}{
			{"non-expiring", forever, e.A, person, map[string]any{"scope": "contacts", "client_id": e.A.ID, "sub": e.U.ID, "account": e.U.Account.ID,
				"username": e.U.Email, "token_type": "Bearer", "iss": e.URL}},
			{"expiring", f.access, echo, append(person, "exp"), map[string]any{"client_id": echo.ID, "sub": e.U.ID}},
			{"of the app itself", own, e.A, []string{"active", "scope", "client_id", "sub", "token_type", "iat", "exp", "iss", "permissions"}, map[string]any{"scope": "faqs", "sub": e.A.ID}},
			{"refresh", f.refresh, echo, []string{"active", "scope", "client_id", "sub", "account", "installation", "iat", "exp", "iss", "permissions"}, map[string]any{"sub": e.U.ID}},
		} {
			t.Run(c.name, func(t *testing.T) {
				e := e.With(t)
				for _, hint := range []string{"", "access_token", "refresh_token", "x"} {
					for _, asker := range []harness.App{c.app, server} {
						a := e.Post("/oauth/introspect", asker.As("token", c.token, "token_type_hint", hint))
						if asker == server && c.name == "refresh" {
							wantInactive(t, a)
							continue
						}
						wantMembers(t, a, c.members...)
						object := a.JSON(t)
						for member, want := range c.want {
							if object[member] != want {
								t.Errorf("%s = %v, want %v", member, object[member], want)
							}
						}
						if object["active"] != true || object["iat"].(float64) <= 0 {
							t.Errorf("active %v, iat %v", object["active"], object["iat"])
						}
						if exp, expires := object["exp"].(float64); expires && exp <= object["iat"].(float64) {
							t.Errorf("exp %v is not after iat %v", exp, object["iat"])
						}
						wantHeaders(t, a, map[string]string{"Cache-Control": "no-store", "Content-Type": "application/json", "Access-Control-Allow-Origin": ""})
					}
				}
			})
		}
		id := e.Parse(forever).ID
		if n := e.Count(`SELECT COUNT(*) FROM last_used WHERE id = $1`, id[:]); n != 0 {
			t.Errorf("introspection counts as a use")
		}
	})
}

// TestIntrospectOutage_I6: the database fails while the client is looked up or while the token is, in every wording, for access and
// refresh tokens: 503 temporarily_unavailable with Retry-After, never active:false (callers delete tokens on that) and
// never a 401. Once it is back, the same tokens are active.
func TestIntrospectOutage_I6(t *testing.T) {
	eachTrouble(t, func(t *testing.T, e *harness.Env, fail func(method string), mend func()) {
		b := e.LoggedIn(e.U)
		server := e.AddResource("widgets")
		echo := newFamily(t, e, b, e.AddExpiring("Echo"))
		forever := e.Grant(b, e.A).WantToken(t)
		for _, c := range []struct {
			asker      harness.App
			token      string
			operations []string
		}{
			{e.A, forever, []string{"ClientByID", "AccessByID"}},
			{server, forever, []string{"ClientByID", "AccessByID"}},
			{echo.app, echo.access, []string{"ClientByID", "AccessByID"}},
			{echo.app, echo.refresh, []string{"ClientByID", "RefreshByID"}},
		} {
			for _, operation := range c.operations {
				fail(operation)
				a, me := e.Introspect(c.asker, c.token), e.Me(c.token)
				mend()
				wantUnavailable(t, a)
				if operation == "AccessByID" {
					wantUnavailable(t, me)
				}
			}
			e.WantActive(c.asker, c.token, true)
		}
		e.WantLive(forever, true)
	})
}
