package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

const lacksChallenge = `Bearer realm="xenoauth", error="insufficient_scope"`

// wantForward asserts an answer of forward-auth: 200 with the identity and no body, or a refusal with its challenge and
// no identity.
func wantForward(t *testing.T, what string, a harness.Answer, status int, challenge string, want harness.Identity) {
	t.Helper()
	got := harness.IdentityOf(a.Header)
	if status != http.StatusOK {
		want = harness.Identity{}
		if a.String(t, "error") == "" || a.String(t, "error_description") == "" {
			t.Errorf("%s: the refusal does not say why: %s", what, a.Body)
		}
	} else if a.Body != "" {
		t.Errorf("%s: 200 with a body: %s", what, a.Body)
	}
	if a.Status != status || a.Header.Get("WWW-Authenticate") != challenge || !maps.Equal(got, want) {
		t.Errorf("%s: %d %q %v, want %d %q %v: %s", what, a.Status, a.Header.Get("WWW-Authenticate"), got, status, challenge, want, a.Body)
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Set-Cookie") != "" || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s: headers %v", what, a.Header)
	}
}

// TestForwardAuth asks with each kind of token for everything that a gateway can ask for.
func TestForwardAuth(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for _, b := range e.Bearers() {
			t.Run(b.Kind, func(t *testing.T) {
				e := e.With(t)
				self, roles := b.Identity["User"], strings.Fields(b.Identity["Scope"])
				anyone := cmp.Or(self, strings.Repeat("f", 24)) // a user who is not the subject of some tokens
				role := scope.RoleGuest                         // the highest that the token has
				for _, name := range roles {
					if parsed, err := scope.ParseRole(name); err == nil && parsed.Covers(role) {
						role = parsed
					}
				}
				person := b.OfApp && self != "" // an app for an admin
				has := func(p string, appHas bool) bool {
					return b.OfApp && person && appHas || !b.OfApp && scope.Default().RoleAllows(role, scope.Permission(p))
				}
				for _, c := range []struct {
					query string
					ok    bool
					app   string // scope= of the challenge, for an app's token
					other string // and for a role's
				}{
					{"", true, "", ""},
					{"scope=contacts", b.OfApp, "", "contacts"},
					{"scope=contacts+conversations", b.OfApp, "", "contacts conversations"},
					{"scope=contacts&scope=conversations", b.OfApp, "", "contacts conversations"},
					{"scope=contacts+faqs", false, "faqs", "contacts faqs"},
					{"scope=contacts&scope=faqs", false, "faqs", "contacts faqs"},
					{"scope=widget", false, "widget", "widget"},
					{"scope=bogus", false, "bogus", "bogus"},
					{"scope=%22%5C%0d%0a", false, "", ""},
					{"scope=guest", !b.OfApp, "guest", ""},
					{"scope=agent", !b.OfApp, "agent", ""},
					{"scope=bot", !b.OfApp && role.Covers(scope.RoleBot), "bot", "bot"},
					{"scope=admin", !b.OfApp && role == scope.RoleAdmin, "admin", "admin"},
					{"permission=contact:list", has("contact:list", true), "", ""},
					{"permission=contact:fetch", has("contact:fetch", true), "", ""},
					{"permission=contact:fetch&permission=message:list", has("contact:fetch", true), "", ""},
					{"permission=contact:delete", has("contact:delete", false), "", ""},
					{"permission=user:fetch", has("user:fetch", false), "", ""},
					{"permission=user:fetch:self", has("user:fetch", false), "", ""},
					{"permission=user:fetch:self&owner=" + anyone, self != "" && !b.OfApp || has("user:fetch", false), "", ""},
					{"permission=user:fetch:self&owner=" + strings.Repeat("0", 24), has("user:fetch", false), "", ""},
					{"permission=user:fetch&owner=" + anyone, has("user:fetch", false), "", ""},
					{"permission=user:update:self&owner=" + anyone, self != "" && !b.OfApp || has("user:update", false), "", ""},
					{"scope=contacts&permission=contact:list", person, "", "contacts"},
					{"scope=faqs&permission=contact:list", false, map[bool]string{true: "faqs"}[person], "faqs"},
					{"permission=knowledge_item:list", has("knowledge_item:list", false), map[bool]string{true: "faqs"}[person], ""},
					{"bot=" + cmp.Or(b.Identity["Bot"], strings.Repeat("0", 24)), b.Identity["Bot"] != "", "", ""},
					{"bot=" + anyone, self != "" && b.Identity["Bot"] == self, "", ""},
					{"aud=https://api.test", false, "", ""},
				} {
					a := e.Verify(b.Token, c.query)
					if c.ok {
						wantForward(t, c.query, a, http.StatusOK, "", b.Identity)
						continue
					}
					names := c.other
					if b.OfApp {
						names = c.app
					}
					challenge := lacksChallenge
					if names != "" {
						challenge += `, scope="` + names + `"`
					}
					wantForward(t, c.query, a, http.StatusForbidden, challenge, nil)
				}
				for _, query := range []string{
					"permission=contact:read", "permission=contacts", "permission=contact:list&permission=x", "permission=Contact:list", "permission=contact:list,contact:fetch", "permission=contact:list:self",
					"scope=%zz", "scope=a;scope=b", "x=%00", "permission=user:fetch&owner=a&owner=b", "permission=user:fetch:self&owner=" + anyone + "&owner=" + anyone,
					// A name that is not known, and one that means nothing where it stands.
					"permissions=contact:list", "scop=admin", "SCOPE=admin", "Scope=contacts", "scope[]=contacts", "unknown", "=", "=x", "scope=contacts&x=", "owner=" + anyone, "scope=contacts&owner=" + anyone,
					"audience=https://api.test", "resource=https://api.test", "bots=" + anyone,
					// A value that is missing, as from a variable that is not set.
					"scope=", "scope", "scope=+", "scope=contacts&scope=", "permission=", "permission=contact:list&permission", "permission=%09", "permission=user:fetch:self&owner=", "permission=user:fetch&owner=+",
					"bot=", "bot", "bot=+", "aud=", "aud", "aud=%20",
					// A value that no token can have, and two where one is meant.
					"bot=bot_0123456789", "bot=" + strings.ToUpper(strings.Repeat("f", 24)), "bot=" + anyone + "&bot=" + anyone, "aud=api.test", "aud=/x", "aud=https://a.test&aud=https://a.test",
				} {
					a := e.Verify(b.Token, query)
					wantForward(t, query, a, http.StatusForbidden, lacksChallenge, nil)
					if d := a.String(t, "error_description"); !strings.HasPrefix(d, "invalid forward-auth query: ") {
						t.Errorf("%s: error_description = %q", query, d)
					}
				}
				e.Revoke(b.Token)
				wantForward(t, "revoked", e.Verify(b.Token, ""), http.StatusUnauthorized, invalidChallenge, nil)
				wantForward(t, "revoked, asked wrongly", e.Verify(b.Token, "scope=%zz"), http.StatusUnauthorized, invalidChallenge, nil)
			})
		}
	})
}

// TestForwardAuthAliases: a scope is known by each of its names, and what was granted by an alias, too.
func TestForwardAuthAliases(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A, "scope", "brands").WantToken(t)
		for _, name := range []string{"widgets", "widget", "brands"} {
			if a := e.Verify(token, "scope="+name); a.Status != http.StatusOK || a.Header.Get("X-Xenoauth-Scope") != "widgets" {
				t.Errorf("scope=%s: %d, X-Xenoauth-Scope %q: %s", name, a.Status, a.Header.Get("X-Xenoauth-Scope"), a.Body)
			}
		}
	})
}

// TestForwardAuthRoleToday: permissions and roles are those that the user has at this moment.
func TestForwardAuthRoleToday(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		agent := e.AddAgent("anna@users.test")
		app := e.Grant(e.LoggedIn(agent), e.A, "scope", "contacts", "account", e.U.Account.ID).WantToken(t)
		user, key := e.UserTokens(agent).Token, e.AddKey(e.U.Account.ID, agent.ID, "admin").Text
		for _, step := range []struct {
			role                 scope.Role
			list, fetch, isAdmin bool
		}{
			{scope.RoleAgent, true, false, false}, {scope.RoleAdmin, true, true, true}, {scope.RoleGuest, false, false, false},
		} {
			e.SetRole(agent, step.role)
			for kind, token := range map[string]string{"app": app, "user token": user, "API key": key} {
				for query, want := range map[string]bool{"permission=contact:list": step.list, "permission=contact:fetch": step.fetch, "scope=admin": step.isAdmin && kind != "app"} {
					if a := e.Verify(token, query); (a.Status == http.StatusOK) != want || !want && a.Status != http.StatusForbidden {
						t.Errorf("%s of a member who is %s now, %s: %d, want passage: %v", kind, step.role, query, a.Status, want)
					}
				}
			}
		}
		e.Exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, agent.ID)
		for _, token := range []string{app, user, key} {
			wantForward(t, "disabled", e.Verify(token, ""), http.StatusUnauthorized, invalidChallenge, nil)
		}
	})
}

// TestForwardAuthDead: no token, malformed ones, and those that are over. Nothing is ever a 400.
func TestForwardAuthDead(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		token := e.Grant(b, e.A).WantToken(t)
		mint := secret.Format{}
		live := "access_token=" + token
		wantForward(t, "no token", e.Verify("", ""), 401, bareChallenge, nil)
		wantForward(t, "no token, asked wrongly", e.Verify("", "scope=%zz&permission=x"), 401, bareChallenge, nil)
		wantForward(t, "a token in the query", e.Verify("", live), 401, bareChallenge, nil)
		for name, header := range map[string]string{
			"empty": "", "scheme alone": "Bearer", "no scheme": token, "Basic": harness.Basic(e.A.ID, e.A.Secret), "a tab": "Bearer \t" + token, "two tokens": "Bearer " + token + " " + token,
			"list": "Bearer " + token + ", Bearer " + token, "garbage": "Bearer x", "dots": "Bearer " + strings.Repeat(".", 40<<10), "unknown": "Bearer " + mint.New(secret.Access).Reveal(),
			"code": "Bearer " + b.Code(e.A), "client secret": "Bearer " + e.A.Secret, "bot secret": "Bearer " + e.AddBot(e.U.Account.ID, "One").Secret,
			"account API key": "Bearer " + e.AddKey(e.U.Account.ID, "").Text, "refresh token of a user": "Bearer " + e.UserTokens(e.U).Refresh,
			"refresh token of an app": "Bearer " + e.Grant(b, e.AddExpiring("Expiring")).String(t, "refresh_token"),
		} {
			wantForward(t, name, e.Verify("", "", "Authorization", header), 401, invalidChallenge, nil)
			wantForward(t, name+", asked wrongly", e.Verify("", "permission=x&%zz", "Authorization", header), 401, invalidChallenge, nil)
		}
		wantForward(t, "two headers", e.Verify(token, "", "Authorization", "Bearer "+token), 401, invalidChallenge, nil)
		expired := e.ExpiredUserTokens(e.U).Token
		for _, query := range []string{"", "scope=admin", "permission=x"} {
			a := e.Verify(expired, query)
			a.WantExpired(t)
			wantForward(t, "an expired user token", a, 403, invalidChallenge, nil)
		}
		wantForward(t, "beside access_token in the query", e.Verify(token, live), 403, lacksChallenge, nil)
		e.WantLive(token, true)
	})
}

// TestForwardAuthMethodsAndHeaders: every method is answered alike, and nothing that the client sent beside the token
// changes the answer.
func TestForwardAuthMethodsAndHeaders(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		browser := e.LoggedIn(e.U)
		bearer := e.Bearers()[0]
		for _, method := range strings.Fields("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND QUERY get X-Y") {
			for _, query := range []string{"scope=contacts", "scope=faqs"} {
				a := browser.With(t).Visit(method, "/oauth/verify?"+query, "Authorization: Bearer "+bearer.Token)
				want, identity := http.StatusOK, bearer.Identity
				if query == "scope=faqs" {
					want, identity = http.StatusForbidden, harness.Identity{}
				}
				if got := harness.IdentityOf(a.Header); a.Status != want || !maps.Equal(got, identity) {
					t.Errorf("%s ?%s: %d %v, want %d: %.200s", method, query, a.Status, got, want, a.Body)
				}
			}
			if a := browser.With(t).Visit(method, "/oauth/verify"); a.Status != http.StatusUnauthorized {
				t.Errorf("%s with a session and no token: %d, want 401", method, a.Status)
			}
		}
		spoofed := []string{"X-Forwarded-Method", "DELETE", "X-HTTP-Method-Override", "DELETE", "Content-Type", "application/x-www-form-urlencoded", "Expect", "100-continue", "Accept", "text/html"}
		for name := range bearer.Identity {
			spoofed = append(spoofed, "X-Xenoauth-"+name, strings.Repeat("0", 24), "X-Forwarded-"+name, "admin", "X_Xenoauth_"+name, "admin")
		}
		for _, name := range []string{"X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path"} {
			spoofed = append(spoofed, name, "/oauth/verify?scope=admin&owner="+e.U.ID)
		}
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Authorization", "X-Original-Authorization", "Proxy-Authorization"} {
			spoofed = append(spoofed, name, "Bearer evil.test")
		}
		wantForward(t, "spoofed, good", e.Verify(bearer.Token, "scope=contacts", spoofed...), 200, "", bearer.Identity)
		wantForward(t, "spoofed, lacking", e.Verify(bearer.Token, "scope=faqs", spoofed...), 403, lacksChallenge+`, scope="faqs"`, nil)
		wantForward(t, "spoofed, self", e.Verify(bearer.Token, "permission=user:fetch:self", spoofed...), 403, lacksChallenge, nil)
		wantForward(t, "spoofed, no token", e.Verify("", "", spoofed...), 401, bareChallenge, nil)
		for _, path := range []string{"/oauth/verify/", "//oauth/verify", "/oauth/./verify", "/oauth/%76erify", "/oauth/verify/x", "/oauth/Verify"} {
			if a := browser.With(t).Visit("GET", path, "Authorization: Bearer "+bearer.Token); a.Status != http.StatusNotFound || len(harness.IdentityOf(a.Header)) > 0 {
				t.Errorf("%s: %d, want 404", path, a.Status)
			}
		}
	})
}

// TestForwardAuthWithoutTheBody: a gateway may send on what the client declared about a body and never send the body.
// The answer does not wait for it, and bytes of it that do come are not the next request.
func TestForwardAuthWithoutTheBody(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
		for name, declared := range map[string]string{
			"a length":     "Content-Length: 1000\r\n\r\n",
			"a long one":   "Content-Length: 10000000000\r\n\r\n",
			"some of it":   "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\naccess_token=x",
			"chunked":      "Transfer-Encoding: chunked\r\n\r\n",
			"half a chunk": "Transfer-Encoding: chunked\r\n\r\n100\r\nabc",
			"all of it":    "Content-Length: 8\r\n\r\nGET / HT",
		} {
			for authorization, want := range map[string]int{"Bearer " + token: http.StatusOK, "Bearer x": http.StatusUnauthorized} {
				c := e.With(t).Dial()
				if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil { // before the server's own limit
					t.Fatal(err)
				}
				c.Send(fmt.Sprintf("POST /oauth/verify HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n%s", authorization, declared))
				a, ok := c.Receive()
				if !ok || a.Status != want {
					t.Errorf("%s declared: %d (%v), want %d", name, a.Status, ok, want)
				}
				c.Close()
			}
		}
		if a := e.Post("/oauth/verify?scope=contacts", url.Values{"scope": {"admin"}, "access_token": {"x"}}, "Authorization", "Bearer "+token); a.Status != http.StatusOK {
			t.Errorf("with a body: %d: %s", a.Status, a.Body)
		}
	})
}

// TestForwardAuthOutage: while the database is unavailable, every request gets 503: none passes, and none is refused as invalid.
func TestForwardAuthOutage(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		bearers := e.Bearers()
		e = e.Sibling()
		e.Faults.Fail(store.ErrUnavailable, "AccessByID", "KeyBySecret", "IntegrationByID", "UserRefreshByID")
		for _, away := range []bool{true, false} {
			if !away {
				e.Faults.Heal()
			}
			for _, b := range bearers {
				a := e.Verify(b.Token, "permission=x")
				if away && (a.Header.Get("Retry-After") == "" || a.String(t, "error") != "temporarily_unavailable") {
					t.Errorf("%s: Retry-After %q: %s", b.Kind, a.Header.Get("Retry-After"), a.Body)
				}
				if away {
					wantForward(t, b.Kind, a, http.StatusServiceUnavailable, "", nil)
				} else {
					wantForward(t, b.Kind, e.Verify(b.Token, ""), http.StatusOK, "", b.Identity)
				}
			}
		}
	})
}
