package e2e

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
)

// TestAuthorizeErrorPage covers authorization requests whose client or redirect URI is not valid. Each gets an error page that
// is the same for a browser that is logged in, never a redirect, and nothing is stored.
//
// A1: a client_id that is unknown, missing, empty, 10 kB long, an app's in another case, or holds a NUL: an error page,
// no redirect, nothing stored.
//
// A3: a redirect URI on another site, alone and with further errors in the request: an error page.
//
// A4: a host that resembles the registered one (other prefix or suffix, subdomain, trailing dot, homograph in letters and in
// punycode): an error page.
//
// A5: a path that begins like the registered one, or that a proxy or server on the way may normalize to another: an error page.
//
// A6: user information before the host, including one that looks like host and port, and one behind a backslash: an error page.
//
// A7: the registered redirect URI with a fragment, even an empty one: an error page.
//
// A8: another spelling of the registered redirect URI (query added, emptied or reordered; port, scheme, case, slashes, white
// space): an error page.
//
// A11: a loopback redirect URI that differs in more than its port (another name or spelling of the loopback address, user
// information, an invalid port, path, query): an error page. With https the port must match.
//
// A12: a redirect URI whose scheme runs a script, shows data, reads a file or is unknown: an error page for web and native
// apps, and it cannot be registered.
func TestAuthorizeErrorPage(t *testing.T) {
	const host = "https://app.test"
	badSchemes := []string{
		"javascript://app.test/%0aalert(1)", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,<script>alert(1)</script>",
		"vbscript:msgbox(1)", "blob:https://app.test/cb", "file:///cb", "about:blank", "view-source:https://app.test/cb",
		"intent://app.test/cb", "ws://app.test/cb", "ftp://app.test/cb", "mailto:x@app.test",
	}
	withoutDot := []string{"myapp://cb", "myapp:/cb"} // which public apps may register
	harness.EachRow(t, harness.Rows{
		"A1 client_id": wantUnknownClients,
		"A3 other site": func(t *testing.T, e *harness.Env) {
			v := newVisitors(e)
			for _, more := range [][]string{
				nil, {"scope", "bogus"}, {"response_type", "token"}, {"prompt", "none"}, {"prompt", "x"}, {"code_challenge", "x"}, {"resource", "x"}, {"response_type", "-"},
			} {
				v.wantErrorPage(t, address(request(e.A, append(more, "redirect_uri", "https://evil.test/cb")...)), "redirect_uri")
			}
			e.WantNoRequests()
		},
		"A4 look-alike host": unregistered(
			"https://evilapp.test/cb", "https://app.test.evil.test/cb", "https://sub.app.test/cb", "https://app.test./cb",
			"https://appxtest/cb", "https://\u0430pp.test/cb", "https://xn--pp-6kc.test/cb", "https://app.te\u017ft/cb", "https://app\u3002test/cb",
			"https://app.test.:443/cb", "https://app%2etest/cb", "https://test/cb", "https://app/cb"),
		"A5 path": unregistered(
			host+"/cb/", host+"/cb/x", host+"/cb/../x", host+"/cb/..%2Fx", host+"/cb/%2e%2e%2fx", host+"/cb/..%252Fx",
			host+"/cb/;/../x", host+"/cb%3B%2F..%2Fx", host+"/cb%0A%0D/../x", host+"/CB", host+"/cb%00", host+"/cb\x00",
			host+"/cb/..;/x", host+"/cb%2F", host+"/cb%5C..%5Cx", host+"/./cb", host+"//cb", host+"/x/../cb", host+"/c%2562",
			host+"/cb\r\nX: y", host, host+"/", host+"/c"),
		"A6 user information": unregistered(
			"https://app.test@evil.test/cb", "https://app.test:443@evil.test/cb", "https://u@app.test/cb", "https://u:p@app.test/cb",
			`https://app.test\@evil.test/cb`, "https://app.test%5C@evil.test/cb", "https://@app.test/cb", "https://:@app.test/cb",
			"https://app.test%40evil.test/cb", "https://evil.test#@app.test/cb", "https://evil.test?@app.test/cb", `https://evil.test\@app.test/cb`),
		"A7 fragment": unregistered(harness.CB+"#x", harness.CB+"#", harness.CB+"%23x"),
		"A8 spelling": func(t *testing.T, e *harness.Env) {
			wantUnregistered(t, e, e.A,
				harness.CB+"?x=1", harness.CB+"?", harness.CB+"%3Fx=1", "https://app.test:443/cb", "https://app.test:8443/cb", "https://app.test:/cb",
				"HTTPS://app.test/cb", "Https://app.test/cb", "http://app.test/cb", "https://APP.TEST/cb", "//app.test/cb", "https:app.test/cb",
				"https:/app.test/cb", `https:\\app.test\cb`, "app.test/cb", "/cb", " "+harness.CB, harness.CB+" ", "\t"+harness.CB, harness.CB+"\n", harness.CB+","+harness.CB)
			wantUnregistered(t, e, e.AddApp("Query", true, "https://app.test/cb?a=1&b=2"),
				"https://app.test/cb?b=2&a=1", harness.CB, "https://app.test/cb?a=1", "https://app.test/cb?a=1&b=2&", "https://app.test/cb?a=1&b=2&c=3",
				"https://app.test/cb?a=1;b=2", "https://app.test/cb?a=%31&b=2", "https://app.test/cb?a=1&amp;b=2")
		},
		"A11 loopback": func(t *testing.T, e *harness.Env) {
			wantUnregistered(t, e, e.N,
				"http://localhost:9/cb", "http://localhost/cb", "http://127.1/cb", "http://127.1:9/cb", "http://2130706433/cb", "http://0x7f000001/cb",
				"http://0177.0.0.1/cb", "http://[::ffff:127.0.0.1]/cb", "http://[::1]:9/cb", "http://127.000.000.001/cb", "http://127.0.0.2/cb",
				"http://u@127.0.0.1:9/cb", "http://127.0.0.1:9@evil.test/cb", "http://127.0.0.1@evil.test/cb", "http://127.0.0.1.evil.test/cb",
				"http://127.0.0.1:0x50/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb",
				"http://127.0.0.1:/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:9:9/cb", "http://127.0.0.1:9/cb/../cb", "http://127.0.0.1/cb/../cb",
				"http://127.0.0.1:9/cb?q=1", "http://127.0.0.1/cb?q=1", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/CB", "http://127.0.0.1:9/", "http://127.0.0.1:9",
				"http://127.0.0.1:9/cb#x", "https://127.0.0.1/cb", "https://127.0.0.1:9/cb", "HTTP://127.0.0.1:9/cb", "http://127.0.0.1:9 /cb", "http://127.0.0.1:\u0669/cb")
			wantUnregistered(t, e, e.AddApp("Secure", false, "https://127.0.0.1/cb"), "https://127.0.0.1:9/cb", "https://127.0.0.1:443/cb", "http://127.0.0.1/cb")
		},
		"A12 scheme": func(t *testing.T, e *harness.Env) {
			wantUnregistered(t, e, e.A, append(withoutDot, badSchemes...)...)
			wantUnregistered(t, e, e.N, append(withoutDot, badSchemes...)...)
			in := e.LoggedIn(e.U)
			form := func(uri, kind string) url.Values {
				return url.Values{"name": {"Scheme"}, "redirect_uris": {uri}, "scopes": {"contacts"}, "type": {kind}}
			}
			for _, uri := range withoutDot {
				in.Post("/developer/apps", form(uri, "confidential")).WantPage(t, http.StatusUnprocessableEntity)
			}
			for _, uri := range badSchemes {
				wantNotRegistrable(t, e, uri)
				in.Post("/developer/apps", form(uri, "public")).WantPage(t, http.StatusUnprocessableEntity)
			}
			own := e.AddApp("Own", false, "com.example.app:/cb")
			wantUnregistered(t, e, own, "com.example.app:/cb/", "com.example.app://cb", "com.example.app:cb", "COM.example.app:/cb", "com.example.appx:/cb")
			e.Exchange(own, in.Code(own)).WantToken(t)
		},
	})
}

func wantUnknownClients(t *testing.T, e *harness.Env) {
	v := newVisitors(e)
	rest := "&response_type=code&scope=contacts&state=xyz&redirect_uri=" + url.QueryEscape("https://evil.test")
	for _, id := range []string{
		"client_id=nope", "prompt=consent", "client_id=", "client_id", "client_id=%00", "client_id=" + e.A.ID + "%00", "client_id=%ff",
		"client_id=" + strings.Repeat("a", 10<<10), "client_id=app_" + strings.Repeat("0", 22), "client_id=" + strings.ToUpper(e.A.ID),
		"client_id=+" + e.A.ID + "+", "client_id=rs_" + strings.TrimPrefix(e.A.ID, "app_"),
	} {
		t.Run(id[:min(len(id), 40)], func(t *testing.T) { v.wantErrorPage(t, "/oauth/authorize?"+id+rest, "client_id") })
	}
	// A registered redirect URI proves nothing without its client_id.
	v.wantErrorPage(t, "/oauth/authorize?client_id=nope&redirect_uri="+url.QueryEscape(harness.CB), "client_id")
	e.WantNoRequests()
}

// unregistered is a row in which no URI is registered for Alpha.
func unregistered(uris ...string) func(*testing.T, *harness.Env) {
	return func(t *testing.T, e *harness.Env) { wantUnregistered(t, e, e.A, uris...) }
}

// wantUnregistered asserts that no URI is one of the app's: an error page that names redirect_uri, and nothing stored. Each is
// sent percent-encoded, as a library does, and, where an HTTP request can hold it, unencoded, as an attacker's link does.
func wantUnregistered(t *testing.T, e *harness.Env, app harness.App, uris ...string) {
	t.Helper()
	v := newVisitors(e)
	for _, uri := range uris {
		t.Run(uri, func(t *testing.T) {
			v.wantErrorPage(t, address(request(app, "redirect_uri", uri)), "redirect_uri")
			decoded, _ := url.QueryUnescape(uri)
			if decoded != app.URI && !strings.ContainsAny(uri, " \x00\t\r\n&") {
				v.wantErrorPage(t, address(request(app, "redirect_uri", "-"))+"&redirect_uri="+uri, "redirect_uri")
			}
		})
	}
	e.WantNoRequests()
}

// wantNotRegistrable asserts that an app cannot be registered with a redirect URI, not even by the operator.
func wantNotRegistrable(t *testing.T, e *harness.Env, uri string) {
	t.Helper()
	_, _, err := e.Rules.CreateApp(t.Context(), harness.Operator, e.U.Account.ID, directory.AppForm{Name: "Wrong", RedirectURIs: []string{uri}, Scopes: []string{"contacts"}})
	if faults := (directory.FieldErrors{}); !errors.As(err, &faults) || faults["redirect_uris"] == "" {
		t.Errorf("%s can be registered: %v", uri, err)
	}
}

// TestAuthorizeRedirectURI covers redirect URIs that are accepted without being equal to a registered one, or sent along.
//
// A10: the loopback redirect URI of a native app (127.0.0.1, localhost, [::1]) with any port: the code arrives at that port
// and is redeemed with it.
//
// A13: a request without redirect_uri goes to the app's only redirect URI, and its code is redeemed without one; if the app has
// several: an error page.
//
// A20: a redirect URI registered with a query keeps it, to the byte, and code or error, state and iss follow it, each once. A
// query that would collide with these cannot be registered or added.
func TestAuthorizeRedirectURI(t *testing.T) {
	harness.EachRow(t, harness.Rows{
		"A10 loopback port": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for host, app := range map[string]harness.App{
				"127.0.0.1": e.N, "localhost": e.AddApp("Lima", false, "http://localhost/cb"), "[::1]": e.AddApp("Sierra", false, "http://[::1]/cb"),
			} {
				for _, port := range []string{":1", ":51004", ":65535", ""} {
					uri := "http://" + host + port + "/cb"
					e.WantLive(e.Exchange(app, in.Code(app, "redirect_uri", uri), "redirect_uri", uri).WantToken(t), true)
				}
			}
			registered := e.AddApp("Romeo", false, "http://127.0.0.1:3000/cb")
			code := in.Code(registered, "redirect_uri", "http://127.0.0.1:51004/cb")
			e.Exchange(registered, code, "redirect_uri", "http://127.0.0.1:3000/cb").WantGrantRefused(t)
			e.WantUnspent(code, 1)
			e.Exchange(registered, code, "redirect_uri", "http://127.0.0.1:51004/cb").WantToken(t)
		},
		"A13 none": func(t *testing.T, e *harness.Env) {
			several := e.AddApp("Several", true, harness.CB, redirectURIs("https://app.test/other"))
			v := newVisitors(e)
			v.wantErrorPage(t, address(request(several, "redirect_uri", "-")), "redirect_uri")
			v.wantErrorPage(t, address(request(several, "redirect_uri", "")), "redirect_uri")
			e.WantNoRequests()
			e.WantLive(e.Post("/oauth/token", e.A.As("code", v.in.Code(e.A, "redirect_uri", "-"))).WantToken(t), true)
			e.WantCode(v.in.Get(address(request(e.A, "redirect_uri", ""))), harness.CB, "xyz")
		},
		"A20 query": func(t *testing.T, e *harness.Env) {
			app, in := e.AddApp("Tango", true, harness.CB+"?t=1&u=%2f"), e.LoggedIn(e.U)
			e.Exchange(app, in.Code(app)).WantToken(t)
			denied := in.Decide(in.Get(address(request(app, "prompt", "consent"))), "deny")
			faulty := in.Get(address(request(app, "scope", "bogus")))
			for code, a := range map[string]harness.Answer{"access_denied": denied, "invalid_scope": faulty} {
				e.WantRedirectError(a, app.URI, code, "xyz")
				if q := a.Location(t).Query(); q.Get("t") != "1" || q.Get("u") != "/" {
					t.Errorf("Location = %q, want the registered query in it", a.Header.Get("Location"))
				}
			}
			for _, name := range []string{"code", "state", "error", "iss", "error_description", "response"} {
				wantNotRegistrable(t, e, harness.CB+"?"+name+"=x")
				in.Get(address(request(app, "redirect_uri", app.URI+"&"+name+"=x"))).WantPage(t, http.StatusBadRequest)
			}
		},
	})
}
