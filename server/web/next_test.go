package web

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func TestNextURL_OpenRedirect(t *testing.T) {
	t.Parallel()
	for _, next := range []string{
		"", "/", "//evil.test", `/\evil.test`, "/%09/evil.test", "https:evil.test", "https://evil.test", "/%2f%2fevil.test", "@evil.test",
		"/account/security", "javascript:alert(1)", "app_", "app_../../x", "app_" + strings.Repeat("z", 22), "apps\n", "APPS", "q_x",
	} {
		if got := NextURL(next); got != home {
			t.Errorf("NextURL(%q) = %q, want %q", next, got, home)
		}
	}
}

func TestNextURL(t *testing.T) {
	t.Parallel()
	app := secret.NewPublicID("app_")
	request := secret.Format{}.New(secret.Request).Reveal()
	acme, err := secret.NewFormat("acme")
	if err != nil {
		t.Fatal(err)
	}
	own := acme.New(secret.Request).Reveal()
	for next, want := range map[string]string{
		"apps": "/account/apps", "security": "/account/security", "developer": "/developer/apps", "developer-new": "/developer/apps/new",
		app:     "/developer/apps/" + app,
		request: "/oauth/consent?request_id=" + request,
		own:     "/oauth/consent?request_id=" + own,
		secret.Format{}.New(secret.Code).Reveal(): home, // a credential of another kind
		request[:len(request)-1] + "!":            home,
	} {
		if got := NextURL(next); got != want {
			t.Errorf("NextURL(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestLoginURL(t *testing.T) {
	t.Parallel()
	app := "/developer/apps/" + secret.NewPublicID("app_")
	for path, back := range map[string]string{
		"/account": "/account", "/account/apps": "/account/apps", "/account/apps/ins_x/remove": "/account/apps", "/account/security": "/account/security",
		"/developer/apps": "/developer/apps", "/developer/apps/new": "/developer/apps/new", app: app, app + "/edit": app,
		"/developer/apps/x": "/developer/apps", "/elsewhere": home,
	} {
		u, err := url.Parse(loginURL(path))
		if err != nil || u.Path != "/login" {
			t.Fatalf("loginURL(%q) = %q", path, loginURL(path))
		}
		if got := NextURL(u.Query().Get("next")); got != back {
			t.Errorf("log-in from %s leads to %s, want %s", path, got, back)
		}
	}
}

func TestRedirect_OtherHost(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/account/apps": "/account/apps", "/a?b=c": "/a?b=c",
		"//evil.test": "/", `/\evil.test`: "/", "https://evil.test": "/", "": "/", "/a\r\nSet-Cookie: x": "/", "/\t/evil.test": "/",
	} {
		w := httptest.NewRecorder()
		Redirect(w, nil, path)
		if got := w.Header().Get("Location"); w.Code != 303 || got != want {
			t.Errorf("Redirect(%q) = %d %q, want 303 %q", path, w.Code, got, want)
		}
	}
}

func TestRedirectTo(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://app.test/cb?t=1":   "https://app.test/cb?t=1&code=c&state=%26code%3Dx",
		"com.example.app:/cb":       "com.example.app:/cb?code=c&state=%26code%3Dx",
		"http://127.0.0.1:51004/cb": "http://127.0.0.1:51004/cb?code=c&state=%26code%3Dx",
	} {
		w := httptest.NewRecorder()
		RedirectTo(w, nil, redirect(t, uri), url.Values{"code": {"c"}, "state": {"&code=x"}})
		if got := w.Header().Get("Location"); w.Code != 303 || got != want {
			t.Errorf("RedirectTo(%q) = %d %q, want 303 %q", uri, w.Code, got, want)
		}
		if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", w.Header())
		}
	}
}

func redirect(t *testing.T, uri string) directory.ValidatedRedirect {
	t.Helper()
	v, err := directory.MatchRedirect(store.App{RedirectURIs: []string{uri}}, uri)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAllowFormAction(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"https://app.test:8443/cb": "form-action 'self' https:",
		"http://[::1]:9/cb":        "form-action 'self' http:",
		"com.example.app:/cb":      "form-action 'self' com.example.app:",
		"https:;script-src *":      "form-action 'self' https:",
		"a b:/cb":                  "form-action 'self'",
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Security-Policy", policyBase)
		AllowFormAction(w, redirect(t, uri))
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(got, want) {
			t.Errorf("AllowFormAction(%q): %q, want it to end %q", uri, got, want)
		}
	}
}
