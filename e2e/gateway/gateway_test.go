package gateway

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/store"
)

const (
	bare    = `Bearer realm="xenoauth"`
	invalid = `Bearer realm="xenoauth", error="invalid_token"`
	lacks   = `Bearer realm="xenoauth", error="insufficient_scope"`
)

// TestGateways: behind each gateway each kind of token opens what it should and nothing else: by scope, by permission, by
// role, of its own user; the API learns whose it is; and after the revocation the next request is refused.
func TestGateways(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		all := "contacts list manage self other"
		opens := map[string]string{
			"app": "contacts list", "expiring": "contacts list", "client credentials": "contacts", "user token": "list self", "API key": "list self",
			"integration, account": "list manage other", "integration, bot": "list self other",
		}
		for _, b := range w.env.Bearers() {
			t.Run(b.Kind, func(t *testing.T) {
				paths := map[string]string{"contacts": "/contacts", "list": "/list", "manage": "/manage", "other": "/users/" + strings.Repeat("0", 24)}
				if b.Subject != "" {
					paths["self"] = "/users/" + b.Subject
				}
				for _, name := range strings.Fields(all) {
					path, there := paths[name]
					if !there {
						continue
					}
					if !strings.Contains(opens[b.Kind], name) {
						a := w.ask(t, http.MethodGet, path, b.Token, "")
						if a.Status != http.StatusForbidden || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), lacks) {
							t.Errorf("%s: %d %q, want 403: %.300s", path, a.Status, a.Header.Get("WWW-Authenticate"), a.Body)
						}
						continue
					}
					seen := w.passes(t, path, w.ask(t, http.MethodGet, path, b.Token, ""))
					if !maps.Equal(seen.Identity, b.Identity) || seen.Authorization != "Bearer "+b.Token {
						t.Errorf("%s: the API sees %v, want %v", path, seen.Identity, b.Identity)
					}
				}
				open := paths[strings.Fields(opens[b.Kind])[0]]
				w.env.With(t).Revoke(b.Token)
				w.refused(t, "revoked", http.StatusUnauthorized, invalid, func() harness.Answer { return w.ask(t, http.MethodGet, open, b.Token, "") })
			})
		}
		w.refused(t, "no token", http.StatusUnauthorized, bare, func() harness.Answer { return w.ask(t, http.MethodGet, "/contacts", "", "") })
		w.refused(t, "garbage", http.StatusUnauthorized, invalid, func() harness.Answer { return w.ask(t, http.MethodGet, "/contacts", "x", "") })
		expired := w.env.ExpiredUserTokens(w.env.U).Token
		w.refused(t, "an expired user token", http.StatusForbidden, invalid, func() harness.Answer { return w.ask(t, http.MethodGet, "/list", expired, "") })
	})
}

// TestGatewayRoleToday: the next request after a change of role is judged by it.
func TestGatewayRoleToday(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		agent := w.env.AddAgent("anna@users.test")
		token := w.env.UserTokens(agent).Token
		for _, step := range []struct {
			role         scope.Role
			list, manage int
		}{{scope.RoleAgent, 200, 403}, {scope.RoleAdmin, 200, 200}, {scope.RoleGuest, 403, 403}} {
			w.env.SetRole(agent, step.role)
			if a := w.ask(t, http.MethodGet, "/list", token, ""); a.Status != step.list {
				t.Errorf("%s, /list: %d, want %d", step.role, a.Status, step.list)
			}
			if a := w.ask(t, http.MethodGet, "/manage", token, ""); a.Status != step.manage {
				t.Errorf("%s, /manage: %d, want %d", step.role, a.Status, step.manage)
			}
		}
	})
}

// TestGatewayPassesRequests: what passes reaches the API as it was sent, method, query and body; what the API answers
// comes back, its own faults among them.
func TestGatewayPassesRequests(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.env.Bearers()[0].Token
		big := strings.Repeat("0123456789", 50_000)
		for _, body := range []string{"", "name=Ursula&access_token=x", big} {
			for _, method := range strings.Fields("GET POST PUT PATCH DELETE OPTIONS") {
				const path = "/contacts/1?scope=admin&x=%zz;y&owner=me"
				seen := w.passes(t, method, w.ask(t, method, path, token, body, "Content-Type", "application/x-www-form-urlencoded"))
				if seen.Method != method || seen.URI != path || seen.Body != body {
					t.Errorf("the API saw %s %s with %d bytes, want %s %s with %d", seen.Method, seen.URI, len(seen.Body), method, path, len(body))
				}
			}
		}
		if a := w.ask(t, http.MethodHead, "/contacts", token, ""); a.Status != http.StatusOK {
			t.Errorf("HEAD: %d", a.Status)
		}
		w.refused(t, "a large body without a token", http.StatusUnauthorized, bare, func() harness.Answer { return w.ask(t, http.MethodPost, "/contacts", "", big) })
		if a := w.ask(t, http.MethodGet, "/contacts/broken", token, ""); a.Status != http.StatusInternalServerError || a.String(t, "URI") != "/contacts/broken" {
			t.Errorf("the API's own fault comes back as %d: %.300s", a.Status, a.Body)
		}
	})
}

// TestGatewayIsNotFooled: an identity that the client invents, in any spelling that an API could take for the header, does
// not reach the API, where Xenoauth has another and where it has none; nor can the client take one away, or choose what
// is asked.
func TestGatewayIsNotFooled(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, b := range w.env.Bearers() {
			path := "/list"
			if b.Kind == "client credentials" {
				path = "/contacts"
			}
			var spoofed []string
			for name := range b.Identity {
				for _, spelling := range []string{"X-Xenoauth-", "x-xenoauth-", "X_Xenoauth_", "X-Xenoauth_", "X_XENOAUTH-"} {
					spoofed = append(spoofed, spelling+name, "invented")
				}
			}
			spoofed = append(spoofed, "X-Original-URI", "/oauth/verify?scope=guest", "X-Forwarded-Uri", "/", "X-Forwarded-Method", "GET", "X-Forwarded-For", "127.0.0.1", "X-Forwarded-Host", "evil.test")
			seen := w.passes(t, b.Kind, w.ask(t, http.MethodPost, path, b.Token, "body", spoofed...))
			if !maps.Equal(seen.Identity, b.Identity) || len(seen.Others) > 0 {
				t.Errorf("%s: the API sees %v and %q, want %v", b.Kind, seen.Identity, seen.Others, b.Identity)
			}
			hops := "close, X-Xenoauth-User, x-xenoauth-account, X-Xenoauth-App, X-Xenoauth-Bot, X-Xenoauth-Installation, X-Xenoauth-Scope"
			seen = w.passes(t, b.Kind, w.ask(t, http.MethodGet, path, b.Token, "", "Connection", hops))
			if !maps.Equal(seen.Identity, b.Identity) {
				t.Errorf("%s, named as hop by hop: the API sees %v, want %v", b.Kind, seen.Identity, b.Identity)
			}
			w.refused(t, b.Kind+", asked to be an admin's", http.StatusForbidden, lacks+`, scope="admin"`, func() harness.Answer {
				if b.Kind == "integration, account" { // which is one
					b.Token = w.env.UserTokens(w.env.AddAgent("anna@users.test")).Token
				}
				return w.ask(t, http.MethodGet, "/manage?scope=guest&owner="+b.Subject, b.Token, "", spoofed...)
			})
		}
		w.refused(t, "nobody", http.StatusUnauthorized, bare, func() harness.Answer {
			return w.ask(t, http.MethodGet, "/contacts", "", "", "X-Xenoauth-User", w.env.U.ID, "X-Xenoauth-Scope", "contacts")
		})
		before := w.reached.Load()
		token := w.env.UserTokens(w.env.U).Token
		if a := w.ask(t, http.MethodGet, "/list", token, "", "Authorization", "Bearer "+token); a.Status < 400 || a.Status >= 500 || w.reached.Load() != before {
			t.Errorf("two Authorization headers: %d", a.Status)
		}
	})
}

// TestGatewayReadsPathsOneWay: a path that the gateway would resolve before it guards it, and an API read as it was written,
// or the other way round, does not reach the API: neither may open what the other guards.
func TestGatewayReadsPathsOneWay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.env.Bearers()[0].Token // opens /contacts and /list, and not /manage
		for _, path := range []string{
			"/manage/../contacts", "/manage/./../contacts", "//manage/../contacts", "/manage//../contacts", "/manage/%2e%2e/contacts", "/manage/.%2E/contacts", "/manage/..%2fcontacts", "/manage/..%3b/contacts", "/contacts/..%3B/manage",
			"/manage%2f..%2Fcontacts", "/contacts/../manage", "/contacts/..;/manage", "/contacts/..;x=y/manage", "/contacts/..%5cmanage", `/contacts/..\manage`, "/contacts/..%2fmanage",
			"//contacts", "/contacts//1", "/./contacts", "/contacts/.", "/contacts/..", "/contacts/..?x", "/contacts/%2e%2e?x",
		} {
			before := w.reached.Load()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, token)
			a, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			conn.Close()
			if a.StatusCode < 400 || a.StatusCode >= 500 || w.reached.Load() != before {
				t.Errorf("%s: %d, and it has reached the API: %v", path, a.StatusCode, w.reached.Load() != before)
			}
		}
		for _, path := range []string{"/contacts/.well-known", "/contacts/a.b", "/contacts/a%20b", "/contacts/a..b", "/contacts?x=//..%2f"} {
			w.passes(t, path, w.ask(t, http.MethodGet, path, token, ""))
		}
	})
}

// TestGatewayWithoutXenoauth: while Xenoauth cannot look, and while there is none, every request is a 503 that says when to
// come again, and none reaches the API.
func TestGatewayWithoutXenoauth(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.env.Bearers()[0].Token
		unavailable := func(what string, ask func() harness.Answer) {
			t.Helper()
			if a := w.refused(t, what, http.StatusServiceUnavailable, "", ask); a.Header.Get("Retry-After") == "" || a.String(t, "error") != "temporarily_unavailable" {
				t.Errorf("%s: Retry-After %q: %s", what, a.Header.Get("Retry-After"), a.Body)
			}
		}
		good := func() harness.Answer { return w.ask(t, http.MethodGet, "/contacts", token, "") }
		w.passes(t, "before", good())
		w.asked.Faults.Fail(store.ErrUnavailable, "AccessByID")
		unavailable("without the database", good)
		w.asked.Faults.Heal()
		w.passes(t, "between", good())
		w.front.Close()
		unavailable("a good token", good)
		unavailable("a body", func() harness.Answer { return w.ask(t, http.MethodPost, "/contacts", token, "body") })
		unavailable("no token", func() harness.Answer { return w.ask(t, http.MethodGet, "/list", "", "") })
	})
}

// TestGatewayDocument: every file that docs/gateways.md names is there, and it knows which gateways run here.
func TestGatewayDocument(t *testing.T) {
	t.Parallel()
	const docs = "../../docs"
	text, err := os.ReadFile(filepath.Join(docs, "gateways.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, l := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(docs, l[1])); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
		named[filepath.Base(l[1])] = true
	}
	for _, p := range products {
		for _, name := range p.files {
			if !named[name] {
				t.Errorf("%s is not named", name)
			}
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (nginx|Caddy|Traefik|Envoy).*$`).FindAllString(string(text), -1) {
		if run := strings.Contains(heading, "nginx") || strings.Contains(heading, "Caddy"); run == strings.Contains(heading, "not run") {
			t.Errorf("%q does not say whether it is run", heading)
		}
	}
}
