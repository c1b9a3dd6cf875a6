package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server"
)

// TestPageHeaders_W5: every page of the product, error pages and the answers of forms included, over http and behind an https
// issuer: framing forbidden in both ways, a content policy that starts from nothing and needs no inline script or style
// and allows one script of our own by its address where there is one,
// nosniff, referrer policy same-origin with a form and no-referrer without, opener policy same-origin (unsafe-none on the way of a request to its
// app, which may have opened a window for it), no-store, and HSTS of a year
// exactly when the issuer is https, where the session cookie has the prefix __Host-.
func TestPageHeaders_W5(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		harness.Each(t, func(t *testing.T, e *harness.Env) { walk(t, e, e.Browser(), e.Browser()) })
	})
	t.Run("https", func(t *testing.T) {
		harness.Each(t, func(t *testing.T, e *harness.Env) { walk(t, e, e.SecureBrowser(), e.SecureBrowser()) },
			func(o *server.Options) { o.Issuer = "https://auth.test" })
	})
}

// walk visits every page; in gets logged in, out stays logged out.
func walk(t *testing.T, e *harness.Env, in, out *harness.Browser) {
	logIn := in.Post("/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}})
	wantSessionCookie(t, e, logIn)
	in.Code(e.A) // an app to see and remove
	parked := wantLogIn(t, out.Get(address(request(e.P))))
	query := map[string]string{
		"/oauth/authorize": "?" + request(e.P).Encode(),
		"/oauth/consent":   "?request_id=" + parked,
		"/login":           "?next=" + parked,
		"/signup":          "?next=" + parked,
	}
	loggedOut := map[string]bool{"/login": true, "/signup": true}
	for _, path := range mounted(t, http.MethodGet) {
		if strings.Contains(path, "/created/") {
			continue // shown once, after a form: among the answers
		}
		t.Run("GET "+path, func(t *testing.T) {
			b := in
			if loggedOut[path] {
				b = out
			}
			wantPageSet(t, e, b.With(t).Get(place(t, e, e.A, path)+query[path]), http.StatusOK)
		})
	}
	for name, page := range answers(e, in, out) {
		t.Run(name, func(t *testing.T) {
			status, err := strconv.Atoi(name[:3])
			if err != nil {
				t.Fatal(err)
			}
			wantPageSet(t, e, page, status)
		})
	}
}

// answers are pages that no GET route of its own shows; each name begins with its status.
func answers(e *harness.Env, in, out *harness.Browser) map[string]harness.Answer {
	app := "/developer/apps/" + e.A.ID
	return map[string]harness.Answer{
		"200 front page, logged out":   out.Get("/"),
		"200 new secret":               in.Make(app+"/secrets", url.Values{}),
		"200 new app":                  in.Make("/developer/apps", url.Values{"name": {"Made"}, "redirect_uris": {harness.CB}, "scopes": {"contacts"}, "account": {e.U.Account.ID}}),
		"200 another row":              in.Make("/developer/apps", url.Values{"add_row": {"1"}}),
		"422 new app":                  in.Make("/developer/apps", url.Values{"name": {""}, "account": {e.U.Account.ID}}),
		"422 edited app":               in.Post(app+"/edit", url.Values{"name": {""}, "version": {"1"}}),
		"409 edited app":               in.Post(app+"/edit", url.Values{"name": {"A"}, "redirect_uris": {harness.CB}, "scopes": {"contacts"}, "version": {"7"}}),
		"409 third secret":             in.Make(app+"/secrets", url.Values{}),
		"422 deletion":                 in.Post(app+"/delete", url.Values{"confirm": {"no"}}),
		"200 new key":                  in.Make("/account/keys", url.Values{"name": {"Export"}, "kind": {"account"}}),
		"422 new key":                  in.Make("/account/keys", url.Values{"kind": {"token"}}),
		"200 rotated key":              in.Make("/account/keys/"+e.AddKey(e.U.Account.ID, "").ID+"/rotate", url.Values{"keep": {"now"}}),
		"200 new bot":                  in.Make("/account/bots", url.Values{"name": {"Bot"}}),
		"422 new bot":                  in.Make("/account/bots", url.Values{"name": {""}}),
		"200 rotated bot":              in.Make("/account/bots/"+e.AddBot(e.U.Account.ID, "Bot").ID+"/rotate", url.Values{"keep": {"now"}}),
		"404 no such key":              in.Get("/account/keys/nothing/rotate"),
		"422 profile":                  in.Post("/account", url.Values{"name": {strings.Repeat("x", 1000)}}),
		"422 security":                 in.Post("/account/security", url.Values{"current_password": {"wrong"}, "password": {"x"}}),
		"422 log-in":                   out.Post("/login", url.Values{"email": {e.U.Email}, "password": {"wrong"}}),
		"422 sign-up":                  out.Post("/signup", url.Values{"email": {"x"}}),
		"400 link of an unknown app":   out.Get("/oauth/authorize?client_id=nope"),
		"400 posted link":              out.Send(http.MethodPost, "/oauth/authorize?x=%zz", url.Values{}),
		"400 answer of nothing":        in.Post("/oauth/consent", url.Values{}),
		"403 from another site":        in.Send(http.MethodPost, "/logout", url.Values{}, "Origin", "https://evil.test"),
		"400 answer of the logged-out": out.Post("/oauth/consent", url.Values{}),
		"404 no such page":             out.Get("/nothing"),
		"404 no such app":              in.Get("/developer/apps/app_" + strings.Repeat("0", 22)),
		"404 no such installation":     in.Get("/account/apps/nothing/remove"),
		"404 path that is not plain":   in.Get("/account//apps"),
		"404 static file":              out.Get("/static/x/nothing.css"),
		"405 method":                   in.Send(http.MethodDelete, "/account", nil),
		"405 only POST":                in.Get(app + "/secrets"),
		"413 body":                     in.Post("/login", url.Values{"email": {strings.Repeat("x", 70<<10)}}),
		"415 body":                     in.Send(http.MethodPost, "/login", url.Values{}, "Origin", e.URL, "Content-Type", "text/plain"),
	}
}

// inline is what the content policy would have to be weakened for.
var inline = regexp.MustCompile(`(?i)<(script|style|iframe|object|embed|base|meta http-equiv)\b|\s(on[a-z]+|style)=|javascript:`)

// script is how a page loads one of our own.
var script = regexp.MustCompile(`<script src="(/static/[0-9a-f]{12}/[a-z]+\.js)" defer></script>`)

// scriptOf is the policy's source for the one script that the page loads, "" if it loads none.
func scriptOf(e *harness.Env, a harness.Answer) string {
	if m := script.FindStringSubmatch(a.Body); m != nil {
		return e.URL + m[1]
	}
	return ""
}

// wantPageSet asserts the header set of a page, to the letter.
func wantPageSet(t *testing.T, e *harness.Env, a harness.Answer, status int) {
	t.Helper()
	a.WantPage(t, status)
	h := a.Header
	csp := map[string]string{}
	for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), "; ") {
		name, sources, _ := strings.Cut(part, " ")
		csp[name] = sources
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "frame-ancestors": "'none'", "base-uri": "'none'", "style-src": "'self'", "img-src": "'self'", "script-src": scriptOf(e, a),
	} {
		if csp[name] != want {
			t.Errorf("policy %s = %q, want %q", name, csp[name], want)
		}
	}
	if !strings.HasPrefix(csp["form-action"], "'self'") || strings.ContainsAny(csp["form-action"], "*") {
		t.Errorf("policy form-action = %q", csp["form-action"])
	}
	if m := inline.FindString(script.ReplaceAllString(a.Body, "")); m != "" {
		t.Errorf("the page holds %q, which its policy forbids", m)
	}
	referrer := "no-referrer"
	if strings.Contains(a.Body, "<form") {
		referrer = "same-origin"
	}
	hsts := ""
	if strings.HasPrefix(e.URL, "https:") {
		hsts = "max-age=31536000"
	}
	for name, want := range map[string]string{
		"Referrer-Policy": referrer, "Strict-Transport-Security": hsts, "Content-Type": "text/html; charset=utf-8",
		"Access-Control-Allow-Origin": "", "Server": "", "X-Powered-By": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for name, values := range h {
		if len(values) != 1 {
			t.Errorf("%s is sent %d times", name, len(values))
		}
	}
}

// wantSessionCookie asserts the one cookie of a log-in: to the host alone, unreadable to scripts, not sent along by posts
// of other sites.
func wantSessionCookie(t *testing.T, e *harness.Env, a harness.Answer) {
	t.Helper()
	cookies := (&http.Response{Header: a.Header}).Cookies()
	names := []string{"xenoauth", "xenoauth-device"} // of the session, and of the browser that is no longer a stranger
	if len(cookies) != len(names) {
		t.Fatalf("%d cookies after the log-in, want %v: %v", len(cookies), names, a.Header.Values("Set-Cookie"))
	}
	secure := strings.HasPrefix(e.URL, "https:")
	for i, c := range cookies {
		name := names[i]
		if secure {
			name = "__Host-" + name
		}
		if c.Name != name || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie = %s", c)
		}
	}
}
