package e2e

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

var (
	// What our templates write: every value in double quotes. Anything else that begins with < is not ours.
	element   = regexp.MustCompile(`^<(/?[a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>`)
	attribute = regexp.MustCompile(`\s([a-z-]+)(?:="([^"]*)")?`)
)

// wantInert asserts of a page that holds other people's words: no element, handler, address or template of theirs has come
// to life. Every element and attribute is one that our templates use, and every address leads to a path of ours.
func wantInert(t *testing.T, page harness.Answer) {
	t.Helper()
	// Our own script is no markup of a stranger's.
	for rest := strings.TrimPrefix(script.ReplaceAllString(page.Body, ""), "<!doctype html>"); ; {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			break
		}
		rest = rest[i:]
		m := element.FindStringSubmatch(rest)
		if m == nil {
			t.Errorf("the page holds markup that is not ours: %.100s", rest)
			break
		}
		rest = rest[len(m[0]):]
		if own.MatchString(m[0]) {
			continue
		}
		switch strings.TrimPrefix(m[1], "/") {
		case "svg", "script", "iframe", "object", "embed", "base", "math", "style", "video", "audio", "template", "marquee", "details":
			t.Errorf("the page holds the element %s", m[0])
		}
		for _, a := range attribute.FindAllStringSubmatch(m[2], -1) {
			value := html.UnescapeString(a[2])
			switch {
			case strings.HasPrefix(a[1], "on"), a[1] == "style", a[1] == "http-equiv", a[1] == "srcdoc":
				t.Errorf("the page holds the attribute %s", a[0])
			case a[1] == "href" || a[1] == "src" || a[1] == "action" || a[1] == "formaction":
				if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "#") || strings.HasPrefix(value, "//") || strings.ContainsAny(value, "\\\t\n") {
					t.Errorf("the page leads to %s", value)
				}
			}
		}
	}
	if strings.Contains(page.Body, "7*7=49") {
		t.Error("a template was executed")
	}
	page.WantPageHeaders(t)
}

// own is markup of the pages themselves that could also be an attack: without attributes, or with a path of ours.
var own = regexp.MustCompile(`^(</?details>|<script src="/static/[0-9a-f]+/[a-z]+\.js" defer>|</script>)$`)

// words that want to come to life.
var words = []string{
	`"><svg onload=alert(1)>`, `'><img src=x onerror=alert(1)>`, `</title><script>alert(1)</script>`, `7*7={{7*7}}`, `{{.}}{{template "main" .}}`,
	`<a href="javascript:alert(1)">x</a>`, `<meta http-equiv=refresh content=0>`, `--><base href=//evil.test>`, `javascript:alert(1)`, "&lt;svg onload=alert(1)&gt;",
	`</textarea><script>x</script>`, `x" onmouseover="x`, `<!-- x`, `%3Csvg%3E`,
}

// TestUserTextEscaped_W11: an app whose name, description, homepage and addresses, and people and accounts whose names, hold markup,
// handlers, templates, script addresses and meta elements: they are plain text on the consent, installed-apps, removal,
// portal, form, security and log-in pages, with and without faults, in error pages, and in a
// faulty form that is shown again; the text itself can still be read. Homepages and logos are https and on no page a link: every
// address on a page is a path of ours. Redirect URIs that are scripts are refused. In JSON errors the same parameter names
// are printable ASCII without quotes.
func TestUserTextEscaped_W11(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for _, word := range words {
			t.Run(word, func(t *testing.T) { inert(t, e.With(t), word) })
		}
		b := e.LoggedIn(e.U)
		for _, address := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", " javascript:x", "http://app.test/", "//app.test/",
			`https://app.test/"><svg onload=x>`, "https://app.test\\@evil.test", "https://u:p@app.test/", "blob:https://app.test/x", "https://", "x", "https://app.test/\nx"} {
			for _, field := range []string{"homepage", "logo_url", "redirect_uris"} {
				form := url.Values{"name": {"Evil"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}}
				form.Set(field, address)
				t.Run(field+" "+address, func(t *testing.T) {
					a := b.With(t).Post("/developer/apps", form)
					a.WantPage(t, http.StatusUnprocessableEntity)
					wantInert(t, a)
				})
			}
		}
	})
}

func inert(t *testing.T, e *harness.Env, word string) {
	u := e.AddUser(secret.NewUserID() + "@users.test")
	if err := e.Rules.Rename(context.Background(), harness.Operator, u.ID, word); err != nil {
		t.Fatal(err)
	}
	e.Exec(`UPDATE accounts SET name = $1 WHERE id = $2`, word, u.Account.ID)
	theirs := *e
	theirs.U = u
	app := theirs.AddApp(word, true, harness.CB+"?q="+url.QueryEscape(word), func(f *directory.AppForm) {
		f.Description = word + "\n" + word
		f.Homepage = "https://app.test/?" + url.QueryEscape(word)
	})
	b, out := e.LoggedIn(u).With(t), e.Browser()
	shown := b.Get(address(request(app)))
	parked := wantLogIn(t, out.Get(address(request(app))))
	see := func(a harness.Answer, holds bool) {
		t.Helper()
		wantInert(t, a)
		if holds && !strings.Contains(html.UnescapeString(a.Body), word) {
			t.Errorf("the page does not show the words: %.1500s", a.Body)
		}
	}
	wantConsentOf(t, shown)
	see(shown, true)
	see(out.Get("/login?next="+parked), true)
	see(out.Get("/login?next="+url.QueryEscape(word)), false)
	see(out.Get("/signup?next="+url.QueryEscape(word)), false)
	see(out.Post("/login", url.Values{"email": {word}, "password": {"x"}, "next": {word}}), false)
	see(out.Post("/signup", url.Values{"email": {word}, "name": {word}, "password": {"x"}, "next": {word}}), true)
	if a := b.Decide(shown, "allow"); a.Status != http.StatusSeeOther {
		t.Fatalf("allow: %d", a.Status)
	}
	for _, path := range mounted(t, http.MethodGet) {
		if path != "/oauth/authorize" && path != "/oauth/consent" && path != "/logout" && path != "/login" && path != "/signup" {
			see(b.Get(place(t, &theirs, app, path)), strings.Contains(path, "{installation}") || strings.HasSuffix(path, "{id}") || strings.HasSuffix(path, "/apps"))
		}
	}
	see(b.Get(address(request(app, "scope", "contacts faqs"))), true)
	path := "/developer/apps/" + app.ID
	see(b.Post(path+"/delete", url.Values{"confirm": {word + "x"}}), true)
	see(b.Post(path+"/edit", url.Values{"name": {strings.Repeat(word, 30)}, "description": {word}, "redirect_uris": {word}, "homepage": {word}, "scopes": {word}, "version": {"1"}}), true)
	see(b.Make("/developer/apps", url.Values{"name": {word}, "redirect_uris": {word, word}, "logo_url": {word}, "scopes": {word}, "type": {word}, "account": {u.Account.ID}}), true)
	see(b.Post("/account", url.Values{"name": {strings.Repeat(word, 30)}}), true)
	see(b.Follow(b.Post("/account", url.Values{"name": {word + "!"}})), true)
	name := url.QueryEscape(word)
	for _, bad := range []string{"%zz", "%00"} {
		see(b.Get("/oauth/authorize?"+name+"="+bad), false)
		see(out.Get("/login?"+name+"="+bad), false)
	}
	twice := url.Values{word: {"1", "2"}}
	see(b.Post("/account", twice), false)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		a := e.Post(path, twice)
		a.WantError(t, http.StatusBadRequest, "invalid_request")
		if ct := a.Header.Get("X-Content-Type-Options"); ct != "nosniff" {
			t.Errorf("X-Content-Type-Options = %q", ct)
		}
	}
	removed := b.Post(place(t, &theirs, app, "/account/apps/{installation}/remove"), url.Values{})
	see(b.Follow(removed), true)
	see(b.Follow(b.Post(path+"/delete", url.Values{"confirm": {word}})), true)
}

func wantConsentOf(t *testing.T, a harness.Answer) {
	t.Helper()
	a.WantPageHeaders(t)
	if a.Status != http.StatusOK || a.Header.Get("Location") != "" || a.Hidden("request_id") == "" {
		t.Fatalf("not a consent page: %.500s", a.Body)
	}
}

// elsewhere are values of next that lead away where somebody takes them for an address.
var elsewhere = []string{
	"//evil.test", `/\evil.test`, `\\evil.test`, "/%09/evil.test", "/\t/evil.test", "https:evil.test", "https://evil.test", "http:evil.test", "/%2f%2fevil.test", "%2f%2fevil.test", "@evil.test",
	"/@evil.test", "evil.test", "///evil.test", "/./evil.test", "/../evil.test", "/;@evil.test", "javascript:alert(1)", "data:text/html,x", "/account/apps", "/developer/apps", "/account?x=https://evil.test",
	"https://app.test/cb", ".evil.test", ":80@evil.test", "//evil.test/account/apps", "apps/../../evil", "apps//evil.test", "APPS", "apps ", "/", "?next=//evil.test", "#//evil.test", "/\r\nLocation: //evil.test",
	"http://127.0.0.1", "////", "\u2215\u2215evil.test", "/\u3002evil.test", "app_" + "../../evil", "xnoq_" + "//evil", strings.Repeat("/", 3000),
}

// TestOpenRedirect_W12: next with an address of another site, in all spellings that browsers forgive, or even one of our own, at the
// log-in and the sign-up, by GET when logged in and by POST, beside a log-out, and as the id of a request to come back to: the
// browser goes to /account/apps, or where a name from the list, an app's or a stored request's id says; never elsewhere,
// and no page links there. Without being logged in, the address asked for does not become next either. (MFA comes with it.)
func TestOpenRedirect_W12(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in, out := e.LoggedIn(e.U), e.Browser()
		to := func(t *testing.T, a harness.Answer, want string) {
			t.Helper()
			if a.Status != http.StatusSeeOther || a.Header.Get("Location") != want {
				t.Errorf("status %d, Location %q; want %q", a.Status, a.Header.Get("Location"), want)
			}
		}
		logIn := url.Values{"email": {e.U.Email}, "password": {harness.Password}}
		signUp := func() url.Values {
			return url.Values{"email": {secret.NewUserID() + "@users.test"}, "password": {harness.Password}}
		}
		after := func(t *testing.T, next, want string) {
			t.Helper()
			to(t, in.With(t).Get("/login?next="+url.QueryEscape(next)), want)
			to(t, in.With(t).Get("/signup?next="+url.QueryEscape(next)), want)
			for path, form := range map[string]url.Values{"/login": logIn, "/signup": signUp()} {
				form.Set("next", next)
				to(t, e.Browser().With(t).Post(path+"?next=//evil.test", form), want)
			}
		}
		for _, next := range elsewhere {
			t.Run(next[:min(40, len(next))], func(t *testing.T) {
				after(t, next, "/account/apps")
				for _, path := range []string{"/login", "/signup"} {
					page := out.With(t).Get(path + "?next=" + url.QueryEscape(next))
					page.WantPage(t, http.StatusOK)
					wantInert(t, page)
				}
				to(t, out.With(t).Get("/oauth/consent?request_id="+url.QueryEscape(next)), "/login?next="+url.QueryEscape(next))
				in.With(t).Get("/oauth/consent?request_id="+url.QueryEscape(next)).WantPage(t, http.StatusBadRequest)
				b := e.LoggedIn(e.U)
				to(t, b.With(t).Post("/logout?next="+url.QueryEscape(next), url.Values{"next": {next}, "redirect_uri": {next}, "post_logout_redirect_uri": {next}}), "/")
			})
		}
		for _, path := range []string{"/account/../../evil", "//evil.test/account", "/account//evil.test", "/account/apps?next=//evil.test", "/developer/apps/evil.test", "/developer/apps/@evil.test/edit"} {
			a := out.Visit(http.MethodGet, path)
			if l := a.Header.Get("Location"); a.Status != http.StatusNotFound && (a.Status != http.StatusSeeOther || strings.Contains(l, "evil") || !strings.HasPrefix(l, "/login?next=")) {
				t.Errorf("%s: status %d, Location %q", path, a.Status, l)
			}
		}
		parked := wantLogIn(t, out.Get(address(request(e.A))))
		for next, want := range map[string]string{
			"": "/account/apps", "apps": "/account/apps", "profile": "/account", "security": "/account/security", "developer": "/developer/apps", "developer-new": "/developer/apps/new",
			e.A.ID: "/developer/apps/" + e.A.ID, parked: "/oauth/consent?request_id=" + parked,
		} {
			after(t, next, want)
		}
	})
}
