package browser

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
)

const nativeScheme = "com.example.app"

// TestRedirectChain_W6: real Chromium, which applies the policy form-action of a page to every redirect that follows its form.
// Log-in and consent, Allow and Deny, lead by 303 alone (never 307 or 308) to an app on another origin, on https, on an
// IPv6 loopback address, at a native app's own scheme, and beyond, where the app itself sends the browser on to a further
// origin; so does a log-in that needs no consent any more, and one after which the request turns out to be wrong. No page
// on the way violates its policy.
func TestRedirectChain_W6(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))

	for name, at := range map[string]struct {
		listen string
		tls    bool
	}{
		"another origin": {"127.0.0.1:0", false},
		"IPv6 loopback":  {"[::1]:0", false},
		"https":          {"127.0.0.1:0", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := e.With(t)
			app := startApp(t, e.URL, at.listen, at.tls)
			app.register(credentials(e.AddApp(name, true, app.callback)))
			walk(t, e, app)
		})
	}
	t.Run("an app that sends on to another origin", func(t *testing.T) {
		t.Parallel()
		e := e.With(t)
		other := startApp(t, e.URL, "127.0.0.1:0", true)
		for _, tls := range []bool{false, true} {
			app := startApp(t, e.URL, "127.0.0.1:0", tls)
			app.register(credentials(e.AddApp("sends on", true, app.callback)))
			app.onward = other.url + "/done"
			b := openTab(t)
			b.open(app.connect())
			b.logIn(e.U.Email, "input[name=decision], "+allow)
			b.press(allow)
			b.wantHeading("Done")
			app.token()
			b.wantQuiet()
		}
	})
	t.Run("a native app’s own scheme", func(t *testing.T) {
		t.Parallel()
		walkNative(t, e.With(t))
	})
	t.Run("a log-in after which the request is wrong", func(t *testing.T) {
		t.Parallel()
		e := e.With(t)
		app := startApp(t, e.URL, "127.0.0.1:0", false)
		registered := e.AddApp("wrong", true, app.callback, func(f *directory.AppForm) { f.Scopes = []string{"faqs"} })
		app.register(registered.ID, registered.Secret, "contacts")
		b := openTab(t)
		b.open(app.connect())
		b.fill("#email", e.U.Email, "#password", "not it")
		b.press("main button[type=submit]")
		b.wantText("main", "wrong")
		b.fill("#password", harness.Password)
		b.press("main button[type=submit]")
		b.wantHeading("Not connected")
		if c := app.comeback(); c.err == nil || c.err.Error() != "invalid_scope" {
			t.Errorf("the app hears %v, want invalid_scope", c.err)
		}
		b.wantOnly303(e.URL)
		b.wantQuiet()
	})
	t.Run("control: what a policy forbids is noticed", func(t *testing.T) {
		t.Parallel()
		wantNoticed(t)
	})
}

func credentials(a harness.App) (id, secret, scope string) { return a.ID, a.Secret, "contacts" }

// walk denies, allows, and logs in anew with the consent given.
func walk(t *testing.T, e *harness.Env, app *thirdParty) {
	b := openTab(t)
	b.open(app.connect())
	b.logIn(e.U.Email, deny)
	b.press(deny)
	b.wantHeading("Not connected")
	if c := app.comeback(); c.err == nil || c.err.Error() != "access_denied" {
		t.Errorf("after Deny the app hears %v, want access_denied", c.err)
	}
	b.open(app.connect())
	b.press(allow)
	b.wantHeading("Connected")
	app.token()
	b.wantOnly303(e.URL)
	b.wantQuiet()

	again := openTab(t)
	again.open(app.connect())
	again.fill("#email", e.U.Email, "#password", harness.Password)
	again.press("main button[type=submit]")
	// An app with an https address is not asked about again; any other app is, because another program could claim its address.
	if strings.HasPrefix(app.url, "http:") {
		again.press(allow)
	}
	again.wantHeading("Connected")
	app.token()
	again.wantOnly303(e.URL)
	again.wantQuiet()
}

// walkNative is walk for an app without a server: that the browser is about to leave is all there is to see.
func walkNative(t *testing.T, e *harness.Env) {
	uri := nativeScheme + ":/cb"
	native := e.AddApp("Pocketdesk", false, uri)
	connect := e.URL + "/oauth/authorize?" + harness.Pairs("client_id", native.ID, "redirect_uri", uri, "scope", "contacts", "state", "xyz",
		"code_challenge", harness.Challenge, "code_challenge_method", "S256").Encode()
	b := openTab(t)
	b.open(connect)
	b.logIn(e.U.Email, deny)
	if q := b.leave(deny, nativeScheme).Query(); q.Get("error") != "access_denied" || q.Get("state") != "xyz" {
		t.Errorf("after Deny the app is called with %v, want access_denied", q)
	}
	b.wantQuiet()

	// A tab asks its user before it leaves, and while it asks takes no clicks: each way out begins in a tab of its own.
	b = openTab(t)
	b.open(connect)
	b.logIn(e.U.Email, allow)
	q := b.leave(allow, nativeScheme).Query()
	if a := e.Exchange(native, q.Get("code")); a.Status != http.StatusOK {
		t.Errorf("the code from the address does not work: %d %s", a.Status, a.Body)
	}
	b.wantQuiet()

	// A fault of the request is told after the log-in, whose form so leads out of the browser, too.
	wrong := openTab(t)
	wrong.open(strings.Replace(connect, "scope=contacts", "scope=nonsense", 1))
	wrong.fill("#email", e.U.Email, "#password", harness.Password)
	if q := wrong.leave("main button[type=submit]", nativeScheme).Query(); q.Get("error") != "invalid_scope" {
		t.Errorf("the app is called with %v, want invalid_scope", q)
	}
	wrong.wantOnly303(e.URL)
	wrong.wantQuiet()
}

// logIn logs in on the way to a page that has what the selector finds.
func (b *tab) logIn(email, then string) {
	b.t.Helper()
	b.fill("#email", email, "#password", harness.Password)
	b.press("main button[type=submit]")
	b.text(then)
}

// wantOnly303 asserts that the server redirected since the last look, and by 303 alone.
func (b *tab) wantOnly303(server string) {
	b.t.Helper()
	ours := slices.DeleteFunc(b.redirects(), func(h hop) bool { return !strings.HasPrefix(h.from, server) })
	if len(ours) == 0 {
		b.t.Error("the server redirected nowhere")
	}
	for _, h := range ours {
		if h.status != http.StatusSeeOther {
			b.t.Errorf("%s redirects by %d to %s, want 303", h.from, h.status, h.to)
		}
	}
}

// wantNoticed proves that these tests see a form-action that is too narrow, and that this Chromium applies it.
func wantNoticed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, nativeScheme+":/cb", http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Security-Policy", "form-action 'self'")
		show(w, "Form", `<form method="post"><button>Go</button></form>`)
	}))
	t.Cleanup(s.Close)
	b := openTab(t)
	b.open(s.URL)
	b.tick("button")
	b.awaitViolation("form-action")
	if hops := b.redirects(); len(hops) > 0 {
		t.Errorf("the browser went on to %s", hops[0].to)
	}
}
