package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server"
	"xenoauth/store"
)

// TestForwardedAddressAndPath_H5: Forwarded addresses (X-Forwarded-For, Forwarded, X-Real-IP, and the like) from a client that is no configured proxy
// change nothing: not the address in the audit trail, and not who is counted when passwords are guessed. From a proxy, the address is the one that the
// proxy saw, and not what the client put before it. Every path that is not written in its one plain way (//, /./, /../, an encoded
// letter, a slash at the end, another case, a backslash, a path parameter) is 404 without a redirect, whatever stands there when it is
// tidied up, and nothing happens. Headers and fields that name another method, path or host are ignored.
func TestForwardedAddressAndPath_H5(t *testing.T) {
	t.Run("addresses", func(t *testing.T) {
		few := func(o *server.Options) { o.Limits.IP = 5 }
		harness.Each(t, spoofedAddresses, few)
	})
	t.Run("addresses from a proxy", func(t *testing.T) {
		harness.Each(t, forwardedAddresses, func(o *server.Options) {
			o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
		})
	})
	t.Run("paths", func(t *testing.T) { harness.Each(t, unplainPaths) })
	t.Run("other methods", func(t *testing.T) { harness.Each(t, methodOverride) })
}

// seen is the address that the latest log-in of a user came from, as the audit trail has it.
func seen(t *testing.T, e *harness.Env) string {
	t.Helper()
	ips := e.Strings(`SELECT actor_ip FROM audit_events WHERE kind = $1 ORDER BY at DESC, id DESC`, store.EventSessionCreated)
	if len(ips) == 0 {
		t.Fatal("nobody has logged in")
	}
	return ips[0]
}

func spoofedAddresses(t *testing.T, e *harness.Env) {
	headers := []string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Forwarded", "X-Cluster-Client-IP"}
	right := url.Values{"email": {e.U.Email}, "password": {harness.Password}}
	for i, name := range headers {
		value := strange(i)
		if name == "Forwarded" {
			value = "for=" + value
		}
		wantLogInStatus(t, e.Browser().Send(http.MethodPost, "/login", right, name, value), http.StatusSeeOther)
		if ip := seen(t, e); ip != "127.0.0.1" {
			t.Errorf("%s: the log-in came from %q, it is said", name, ip)
		}
	}
	if log := e.Log.String(); strings.Count(log, "X-Forwarded-For ignored") != 1 {
		t.Error("the log does not state once that a proxy may be missing from trusted-proxies")
	}
	for i := range 8 {
		wrong := url.Values{"email": {fmt.Sprintf("user%d@users.test", i)}, "password": {"wrong"}}
		want := http.StatusUnprocessableEntity
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		wantLogInStatus(t, e.Browser().Send(http.MethodPost, "/login", wrong, headers[i%len(headers)], strange(i), "X-Forwarded-For", strange(i)), want)
	}
}

func forwardedAddresses(t *testing.T, e *harness.Env) {
	right := url.Values{"email": {e.U.Email}, "password": {harness.Password}}
	for sent, want := range map[string]string{
		"198.51.100.7":                         "198.51.100.7",
		"192.0.2.1, 198.51.100.7":              "198.51.100.7", // what the client says of itself stands left
		"192.0.2.1, 198.51.100.7, 10.1.2.3":    "198.51.100.7", // two proxies of ours
		"198.51.100.7, 192.0.2.1, 10.1, 10.0.": "127.0.0.1",    // a proxy does not write this
		"unknown":                              "127.0.0.1",
		"198.51.100.7:1234":                    "198.51.100.7",
		"[2001:db8::7]:1234":                   "2001:db8::7",
		"10.1.2.3":                             "10.1.2.3",
		"'; DROP TABLE users; --":              "127.0.0.1",
	} {
		wantLogInStatus(t, e.Browser().Send(http.MethodPost, "/login", right, "X-Forwarded-For", sent, "Forwarded", "for=192.0.2.9", "X-Real-IP", "192.0.2.9"), http.StatusSeeOther)
		if ip := seen(t, e); ip != want {
			t.Errorf("X-Forwarded-For: %s: the log-in came from %q, want %q", sent, ip, want)
		}
	}
}

func unplainPaths(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	token := e.Grant(b, e.A).WantToken(t)
	form := e.A.As("grant_type", "client_credentials", "token", token).Encode()
	lines := []string{"Content-Type: " + formType, fmt.Sprintf("Content-Length: %d", len(form)), "Origin: " + e.URL}
	before := e.CountGrants()
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/verify", "/api/me", "/account/security", "/login", "/developer/apps"} {
		dir, name := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/")+1:]
		for _, target := range []string{
			"/" + path, "//" + path, dir + "//" + name, dir + "/./" + name, dir + "/x/../" + name, dir + "/" + name + "/", dir + "/" + name + "/.", dir + "/" + name + "/..",
			dir + "/%2e/" + name, dir + "/" + name + "%2f", dir + "%2f" + name, dir + "/%" + fmt.Sprintf("%x", name[0]) + name[1:], dir + "/" + name + "%00", dir + "/" + name + "%20",
			strings.ToUpper(path), dir + "/" + strings.ToUpper(name[:1]) + name[1:], dir + "/" + name + ";x=1", dir + "/;/" + name, strings.Replace(path, "/", "\\", 1), dir + "\\" + name,
			dir + "/" + name + ".", dir + "/" + name + ".json", "/x/.." + path, "/static/.." + path, "/static/%2e%2e" + path, path + "/%2e%2e/" + name,
		} {
			if target == path {
				continue
			}
			for _, a := range []harness.Answer{b.Visit(http.MethodGet, target), b.Visit(http.MethodPost, target, append(lines, "", form)...), b.Visit(http.MethodGet, target, "Authorization: Bearer "+token)} {
				if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" {
					t.Errorf("%q: status = %d to %q, want 404", target, a.Status, a.Header.Get("Location"))
				}
			}
		}
	}
	e.WantLive(token, true)
	if n := e.CountGrants(); n != before {
		t.Errorf("%d grants came of it", n-before)
	}
}

func methodOverride(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	token := e.Grant(b, e.A).WantToken(t)
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		if a := b.Send(http.MethodGet, "/logout?_method=POST", nil, name, "POST"); a.Status != http.StatusOK {
			t.Errorf("%s: POST on a GET: %d", name, a.Status)
		}
		a := b.Send(http.MethodGet, "/oauth/revoke?_method=POST&"+e.A.As("token", token).Encode(), nil, name, "POST")
		if a.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST on a GET of /oauth/revoke: %d", name, a.Status)
		}
		form := e.A.As("grant_type", "client_credentials", "_method", "DELETE")
		e.Post("/oauth/token", form, name, "DELETE").WantToken(t)
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Original-URI"} {
		if a := e.Browser().Send(http.MethodGet, "/login", nil, name, "/account"); !strings.Contains(a.Body, "<h1>Log in</h1>") {
			t.Errorf("%s changes the page: %d", name, a.Status)
		}
		if a := b.Send(http.MethodGet, "/nowhere", nil, name, "/account"); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", name, a.Status)
		}
		for query, want := range map[string]int{"scope=contacts": http.StatusOK, "scope=admin": http.StatusForbidden} {
			if a := e.Verify(token, query, name, "/oauth/verify?scope=guest"); a.Status != want {
				t.Errorf("%s changes what forward-auth is asked: %s: %d, want %d", name, query, a.Status, want)
			}
		}
	}
	e.WantLive(token, true)
	b.Get("/account").WantPage(t, http.StatusOK)
}

// TestHandlerPanic_H8: a handler panics, of a page, of a form, and of each kind of endpoint: 500 with only the request's id, as a
// page or as JSON; one line of the log has that id, the panic and its place; nothing is changed and no cookie is set; and the
// process continues, with 50 panics at once. An open transaction is rolled back (TestPanicInATransaction).
func TestHandlerPanic_H8(t *testing.T) {
	const value = "internal: at the disco" // the value of the panic, which no answer may contain
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		token := e.Grant(b, e.A).WantToken(t)
		state := func() int {
			return e.CountGrants() + e.Count(`SELECT (SELECT COUNT(*) FROM client_secrets) + (SELECT COUNT(*) FROM audit_events) + (SELECT COUNT(*) FROM sessions)`)
		}
		before := state()
		e.Faults.Before(func() error { panic(value) }, "AccessByID", "UserByEmail", "AddSecret", "ClientByID")
		for name, c := range map[string]struct {
			ask  func() harness.Answer
			page bool
		}{
			"an API":        {func() harness.Answer { return e.Me(token) }, false},
			"a token":       {func() harness.Answer { return e.Token(e.A, "grant_type", "client_credentials") }, false},
			"a revocation":  {func() harness.Answer { return e.Post("/oauth/revoke", e.A.As("token", token)) }, false},
			"an inspection": {func() harness.Answer { return e.Introspect(e.A, token) }, false},
			"a log-in": {func() harness.Answer {
				return b.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}})
			}, true},
			"a new secret": {func() harness.Answer {
				return b.Post("/developer/apps/"+e.A.ID+"/secrets", url.Values{"keep": {"now"}})
			}, true},
		} {
			t.Run(name, func(t *testing.T) {
				a := c.ask()
				id := a.Header.Get("X-Request-Id")
				if c.page {
					a.WantPage(t, http.StatusInternalServerError)
					if !strings.Contains(a.Body, id) {
						t.Errorf("the page does not give the request's id: %s", a.Body)
					}
				} else {
					a.WantRefused(t, http.StatusInternalServerError, "server_error")
				}
				if strings.Contains(a.Body, "disco") || strings.Contains(a.Body, "goroutine") || strings.Contains(a.Body, ".go") || a.Header.Get("Set-Cookie") != "" {
					t.Errorf("the answer says too much: %v %s", a.Header, a.Body)
				}
				var lines []string
				for line := range strings.Lines(e.Log.String()) {
					if strings.Contains(line, "level=ERROR") && strings.Contains(line, "request="+id) {
						lines = append(lines, line)
					}
				}
				if len(lines) != 1 || !strings.Contains(lines[0], value) || !strings.Contains(lines[0], "panic.go:") {
					t.Errorf("the log has of request %s: %q", id, lines)
				}
			})
		}
		for _, a := range harness.Race(t, 50, func(int) harness.Answer { return e.Token(e.A, "grant_type", "client_credentials") }) {
			if a.Status != http.StatusInternalServerError {
				t.Errorf("at once: %d", a.Status)
			}
		}
		e.Faults.Heal()
		if n := state(); n != before {
			t.Errorf("%d rows came of requests that panicked", n-before)
		}
		e.WantLive(token, true)
		b.Get("/account").WantPage(t, http.StatusOK)
		e.LoggedIn(e.U)
	})
}
