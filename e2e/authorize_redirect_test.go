package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
)

// wantUnregistered asserts that each address is none of the app's: PAGE that blames redirect_uri, nothing kept. Each is sent
// percent-encoded, as a library does, and, where an HTTP request can hold it, as it stands, as an attacker's link does.
func wantUnregistered(t *testing.T, e *harness.Env, v visitors, app harness.App, shapes []string) {
	t.Helper()
	for _, shape := range shapes {
		t.Run(shape, func(t *testing.T) {
			v.wantDeadEnd(t, address(request(app, "redirect_uri", shape)), "redirect_uri")
			decoded, _ := url.QueryUnescape(shape)
			if decoded != app.URI && !strings.ContainsAny(shape, " \x00\t\r\n&") {
				v.wantDeadEnd(t, address(request(app, "redirect_uri", "-"))+"&redirect_uri="+shape, "redirect_uri")
			}
		})
	}
	e.With(t).WantNoRequests()
}

// TestAuthorizeRedirectHost_A4: a host that only looks like the app's (other beginning, other end, subdomain, closing dot, homograph in
// letters and in punycode): an error page each.
func TestAuthorizeRedirectHost_A4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		wantUnregistered(t, e, newVisitors(e), e.A, []string{
			"https://evilapp.test/cb", "https://app.test.evil.test/cb", "https://sub.app.test/cb", "https://app.test./cb",
			"https://appxtest/cb", "https://\u0430pp.test/cb", "https://xn--pp-6kc.test/cb", "https://app.te\u017ft/cb", "https://app\u3002test/cb",
			"https://app.test.:443/cb", "https://app%2etest/cb", "https://test/cb", "https://app/cb",
		})
	})
}

// TestAuthorizeRedirectPath_A5: a path that begins like the registered one or that some program on the way may resolve to another: an
// error page each.
func TestAuthorizeRedirectPath_A5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		const host = "https://app.test"
		wantUnregistered(t, e, newVisitors(e), e.A, []string{
			host + "/cb/", host + "/cb/x", host + "/cb/../x", host + "/cb/..%2Fx", host + "/cb/%2e%2e%2fx", host + "/cb/..%252Fx",
			host + "/cb/;/../x", host + "/cb%3B%2F..%2Fx", host + "/cb%0A%0D/../x", host + "/CB", host + "/cb%00", host + "/cb\x00",
			host + "/cb/..;/x", host + "/cb%2F", host + "/cb%5C..%5Cx", host + "/./cb", host + "//cb", host + "/x/../cb", host + "/c%2562",
			host + "/cb\r\nX: y", host, host + "/", host + "/c",
		})
	})
}

// TestAuthorizeRedirectUserInfo_A6: user name or password before the host, among them one that looks like host and port and one behind a
// backslash: an error page each.
func TestAuthorizeRedirectUserInfo_A6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		wantUnregistered(t, e, newVisitors(e), e.A, []string{
			"https://app.test@evil.test/cb", "https://app.test:443@evil.test/cb", "https://u@app.test/cb", "https://u:p@app.test/cb",
			`https://app.test\@evil.test/cb`, "https://app.test%5C@evil.test/cb", "https://@app.test/cb", "https://:@app.test/cb",
			"https://app.test%40evil.test/cb", "https://evil.test#@app.test/cb", "https://evil.test?@app.test/cb", `https://evil.test\@app.test/cb`,
		})
	})
}

// TestAuthorizeRedirectFragment_A7: the registered address with a fragment, even an empty one: an error page.
func TestAuthorizeRedirectFragment_A7(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		wantUnregistered(t, e, newVisitors(e), e.A, []string{harness.CB + "#x", harness.CB + "#", harness.CB + "%23x"})
	})
}

// TestAuthorizeRedirectSpelling_A8: the registered address written in another way (query added, emptied or reordered; port, scheme, case,
// slashes, white space): an error page each.
func TestAuthorizeRedirectSpelling_A8(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		wantUnregistered(t, e, v, e.A, []string{
			harness.CB + "?x=1", harness.CB + "?", harness.CB + "%3Fx=1", "https://app.test:443/cb", "https://app.test:8443/cb", "https://app.test:/cb",
			"HTTPS://app.test/cb", "Https://app.test/cb", "http://app.test/cb", "https://APP.TEST/cb", "//app.test/cb", "https:app.test/cb",
			"https:/app.test/cb", `https:\\app.test\cb`, "app.test/cb", "/cb", " " + harness.CB, harness.CB + " ", "\t" + harness.CB, harness.CB + "\n", harness.CB + "," + harness.CB,
		})
		query := e.AddApp("Query", true, "https://app.test/cb?a=1&b=2")
		wantUnregistered(t, e, v, query, []string{
			"https://app.test/cb?b=2&a=1", harness.CB, "https://app.test/cb?a=1", "https://app.test/cb?a=1&b=2&", "https://app.test/cb?a=1&b=2&c=3",
			"https://app.test/cb?a=1;b=2", "https://app.test/cb?a=%31&b=2", "https://app.test/cb?a=1&amp;b=2",
		})
	})
}

// TestAuthorizeLoopbackPort_A10: a loopback address of a native app (127.0.0.1, localhost, [::1]) with any port: accepted, the code comes
// back to that port, and is redeemed with it.
func TestAuthorizeLoopbackPort_A10(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in := e.LoggedIn(e.U)
		apps := map[string]harness.App{
			"127.0.0.1": e.N,
			"localhost": e.AddApp("Lima", false, "http://localhost/cb"),
			"[::1]":     e.AddApp("Sierra", false, "http://[::1]/cb"),
		}
		for host, app := range apps {
			for _, port := range []string{":1", ":51004", ":65535", ""} {
				t.Run(host+port, func(t *testing.T) {
					e := e.With(t)
					uri := "http://" + host + port + "/cb"
					code := in.With(t).Code(app, "redirect_uri", uri)
					token := e.Exchange(app, code, "redirect_uri", uri).WantToken(t)
					e.WantLive(token, true)
				})
			}
		}
		registered := e.AddApp("Romeo", false, "http://127.0.0.1:3000/cb")
		code := in.Code(registered, "redirect_uri", "http://127.0.0.1:51004/cb")
		e.Exchange(registered, code, "redirect_uri", "http://127.0.0.1:3000/cb").WantGrantRefused(t)
		e.WantUnspent(code, 1)
		e.Exchange(registered, code, "redirect_uri", "http://127.0.0.1:51004/cb").WantToken(t)
	})
}

// TestAuthorizeLoopbackMismatch_A11: a loopback address that differs from the registered one in more than the port (another name or spelling
// of this machine, user name, a port that is none, path, query): an error page each. Over https the port counts, too.
func TestAuthorizeLoopbackMismatch_A11(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		wantUnregistered(t, e, v, e.N, []string{
			"http://localhost:9/cb", "http://localhost/cb", "http://127.1/cb", "http://127.1:9/cb", "http://2130706433/cb", "http://0x7f000001/cb",
			"http://0177.0.0.1/cb", "http://[::ffff:127.0.0.1]/cb", "http://[::1]:9/cb", "http://127.000.000.001/cb", "http://127.0.0.2/cb",
			"http://u@127.0.0.1:9/cb", "http://127.0.0.1:9@evil.test/cb", "http://127.0.0.1@evil.test/cb", "http://127.0.0.1.evil.test/cb",
			"http://127.0.0.1:0x50/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb",
			"http://127.0.0.1:/cb", "http://127.0.0.1:-1/cb", "http://127.0.0.1:9:9/cb", "http://127.0.0.1:9/cb/../cb", "http://127.0.0.1/cb/../cb",
			"http://127.0.0.1:9/cb?q=1", "http://127.0.0.1/cb?q=1", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/CB", "http://127.0.0.1:9/", "http://127.0.0.1:9",
			"http://127.0.0.1:9/cb#x", "https://127.0.0.1/cb", "https://127.0.0.1:9/cb", "HTTP://127.0.0.1:9/cb", "http://127.0.0.1:9 /cb", "http://127.0.0.1:\u0669/cb",
		})
		secure := e.AddApp("Secure", false, "https://127.0.0.1/cb")
		wantUnregistered(t, e, v, secure, []string{"https://127.0.0.1:9/cb", "https://127.0.0.1:443/cb", "http://127.0.0.1/cb"})
	})
}

// TestAuthorizeRedirectScheme_A12: an address whose scheme runs a script, shows data, reads a file or belongs to nobody: an error page for
// a web app and for a native one, and none of them can be registered.
func TestAuthorizeRedirectScheme_A12(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		v := newVisitors(e)
		shapes := []string{
			"javascript://app.test/%0aalert(1)", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,<script>alert(1)</script>",
			"vbscript:msgbox(1)", "blob:https://app.test/cb", "file:///cb", "about:blank", "view-source:https://app.test/cb",
			"intent://app.test/cb", "ws://app.test/cb", "ftp://app.test/cb", "mailto:x@app.test",
		}
		wantUnregistered(t, e, v, e.A, shapes)
		wantUnregistered(t, e, v, e.N, shapes)
		noDot := []string{"myapp://cb", "myapp:/cb"}
		wantUnregistered(t, e, v, e.A, noDot)
		wantUnregistered(t, e, v, e.N, noDot)
		for _, shape := range noDot { // which public apps alone may have
			page := v.in.Post("/developer/apps", url.Values{"name": {"Scheme"}, "redirect_uris": {shape}, "scopes": {"contacts"}, "type": {"confidential"}})
			page.WantPage(t, http.StatusUnprocessableEntity)
		}
		for _, shape := range shapes {
			form := directory.AppForm{Name: "Scheme", RedirectURIs: []string{shape}, Scopes: []string{"contacts"}}
			_, _, err := e.Rules.CreateApp(t.Context(), harness.Operator, e.U.Account.ID, form)
			if faults, ok := err.(directory.FieldErrors); !ok || faults["redirect_uris"] == "" {
				t.Errorf("%s can be registered: %v", shape, err)
			}
			page := v.in.Post("/developer/apps", url.Values{"name": {"Scheme"}, "redirect_uris": {shape}, "scopes": {"contacts"}})
			page.WantPage(t, http.StatusUnprocessableEntity)
		}
		own := e.AddApp("Own", false, "com.example.app:/cb")
		wantUnregistered(t, e, v, own, []string{"com.example.app:/cb/", "com.example.app://cb", "com.example.app:cb", "COM.example.app:/cb", "com.example.appx:/cb"})
		e.Exchange(own, v.in.Code(own)).WantToken(t)
	})
}
