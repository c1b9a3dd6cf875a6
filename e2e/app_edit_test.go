package e2e

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/store"
)

// edit saves a change of an app in the developer portal, as fields given by name.
func edit(t *testing.T, b *harness.Browser, app harness.App, change url.Values) harness.Answer {
	t.Helper()
	path := "/developer/apps/" + app.ID + "/edit"
	form := b.Get(path).Form(path)
	for name, values := range change {
		form[name] = values
	}
	a := b.Post(path, form)
	if a.Status != http.StatusSeeOther {
		t.Fatalf("edit: %d: %.1500s", a.Status, a.Body)
	}
	return b.Follow(a)
}

const evilHost = "https://evil.example/steal"

// TestAppEditEndsVerification_N1: the developer of a verified app changes its name, homepage, logo or a redirect host, or adds one. The form
// warns that this ends the verification; the badge is gone on every page until an operator verifies the app again; the
// app's page and the audit trail name the change and its time. A description, another path, fewer redirect URIs
// and other settings leave it, and so does an operator's change. After a change by anyone, a browser is sent to a host that
// its person has not approved with the app only from a page that names the host: installed or not, with prompt=none, and for
// installations of before; hosts that were approved ask nothing. An operator who verifies an app while it is edited vouches
// for the app that was shown or for nothing. An Allow on a page that shows the app as it was is asked for again.
func TestAppEditEndsVerification_N1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		owner := e.LoggedIn(e.U)
		for name, c := range map[string]struct {
			change url.Values
			reason string // "" if the badge stays
		}{
			"name":                   {url.Values{"name": {"Evil"}}, "the name"},
			"homepage":               {url.Values{"homepage": {"https://evil.example/"}}, "the homepage"},
			"logo":                   {url.Values{"logo_url": {"https://evil.example/logo.png"}}, "the logo"},
			"another host":           {url.Values{"redirect_uris": {evilHost}}, "the host of a redirect URI"},
			"a host more":            {url.Values{"redirect_uris": {harness.CB, "https://two.test/cb", evilHost}}, "the host of a redirect URI"},
			"another port":           {url.Values{"redirect_uris": {"https://app.test:8443/cb"}}, "the host of a redirect URI"},
			"a native app's scheme":  {url.Values{"redirect_uris": {harness.CB, "com.evil.app:/cb"}}, "the host of a redirect URI"},
			"a program on this host": {url.Values{"redirect_uris": {harness.CB, "http://localhost/cb"}}, "the host of a redirect URI"},
			"everything":             {url.Values{"name": {"Evil"}, "homepage": {"https://evil.example/"}, "redirect_uris": {evilHost}}, "the name, the homepage and the host of a redirect URI"},
			"description":            {url.Values{"description": {"Steals."}}, ""},
			"another path":           {url.Values{"redirect_uris": {"https://app.test/other", "https://two.test/cb"}}, ""},
			"a host less":            {url.Values{"redirect_uris": {harness.CB}}, ""},
			"scopes":                 {url.Values{"scopes": {"contacts"}}, ""},
			"nothing":                {nil, ""},
		} {
			t.Run(name, func(t *testing.T) {
				e, owner := e.With(t), owner.With(t)
				app := e.AddApp("Honest "+name, true, harness.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, "https://two.test/cb") })
				if form := owner.Get("/developer/apps/" + app.ID + "/edit").Body; !strings.Contains(form, "This app is verified.") {
					t.Error("the form does not name the consequence of a change")
				}
				page := edit(t, owner, app, c.change).Body
				ended := c.reason != ""
				for words, want := range map[string]bool{
					`class="badge good"`: !ended, "Changes saved. The app is no longer verified.": ended, "This app lost its verification on": ended, "because of a change to " + c.reason + ".": ended,
				} {
					if strings.Contains(page, words) != want {
						t.Errorf("the app's page holds %q: %t, want %t", words, !want, want)
					}
				}
				list := owner.Get("/developer/apps").Body
				line := list[strings.Index(list, app.ID):]
				if got := strings.Contains(line[:strings.Index(line, "</li>")], `class="badge good"`); got == ended {
					t.Errorf("the list shows the badge: %t", got)
				}
				to := harness.CB
				if uris := c.change["redirect_uris"]; uris != nil {
					to = uris[0]
				}
				asked := e.LoggedIn(e.AddUser(strings.ReplaceAll("n1-"+name, " ", "-") + "@users.test")).Get(address(request(app, "redirect_uri", to))).Body
				if strings.Contains(asked, `class="badge good"`) == ended || strings.Contains(asked, "This app is not verified.") != ended {
					t.Errorf("the consent page: %.2500s", asked)
				}
				events, err := e.Store.Events(t.Context(), store.EventFilter{AppID: app.ID, Kind: store.EventAppUnverified})
				if err != nil || len(events) != map[bool]int{true: 1}[ended] || ended && (events[0].Detail != c.reason || events[0].By.ID != e.U.ID) {
					t.Errorf("audit trail: %+v, %v", events, err)
				}
				if !ended {
					return
				}
				now, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
				if err != nil {
					t.Fatal(err)
				}
				if err := e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, now.Version-1); !errors.Is(err, directory.ErrAppChanged) {
					t.Errorf("verified as it was before the change: %v", err)
				}
				if err := e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, now.Version); err != nil {
					t.Fatal(err)
				}
				if page := owner.Get("/developer/apps/" + app.ID).Body; !strings.Contains(page, `class="badge good"`) || strings.Contains(page, "lost its verification") {
					t.Error("the app's page after it was verified again")
				}
			})
		}
		t.Run("a new host asks", func(t *testing.T) { newHostAsks(t, e.With(t)) })
		t.Run("verified while it is edited", func(t *testing.T) { verifiedWhileEdited(t, e.With(t)) })
		t.Run("changed while the page is open", func(t *testing.T) { changedWhileOpen(t, e.With(t)) })
	})
}

func newHostAsks(t *testing.T, e *harness.Env) {
	app := e.AddApp("Hosts", true, harness.CB)
	b := e.LoggedIn(e.AddUser("installed@users.test"))
	e.Grant(b, app)
	edit(t, e.LoggedIn(e.U), app, url.Values{"redirect_uris": {harness.CB, evilHost}})
	evil := request(app, "redirect_uri", evilHost)
	e.WantCode(b.Get(address(request(app))), harness.CB, "xyz") // the approved host asks nothing
	e.WantRedirectError(b.Get(address(request(app, "redirect_uri", evilHost, "prompt", "none"))), evilHost, "consent_required", "xyz")
	page := b.Get(address(evil))
	wantConsentOf(t, page)
	if !strings.Contains(page.Body, "it now sends you to <strong>evil.example</strong>") {
		t.Errorf("the page does not name the new host: %.2500s", page.Body)
	}
	e.WantCode(b.Decide(page, "allow"), evilHost, "xyz")
	e.WantCode(b.Get(address(evil)), evilHost, "xyz")
	e.WantCode(b.Get(address(request(app))), harness.CB, "xyz")
	wantConsentOf(t, e.LoggedIn(e.AddUser("stranger@users.test")).Get(address(evil)))

	// An operator adds a host: the badge stays, and its users are asked all the same.
	stored, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, stored.Version); err != nil {
		t.Fatal(err)
	}
	if stored, err = e.Rules.App(t.Context(), harness.Operator, app.ID); err != nil {
		t.Fatal(err)
	}
	form := directory.AppForm{Name: "Hosts, moved", RedirectURIs: append(stored.RedirectURIs, "https://third.test/cb"), Scopes: stored.Scopes.Slice()}
	changed, err := e.Rules.UpdateApp(t.Context(), harness.Operator, stored, stored.Version, form)
	if err != nil || changed.VerifiedAt.IsZero() {
		t.Errorf("after an operator's change: %+v, %v", changed, err)
	}
	wantConsentOf(t, b.Get(address(request(app, "redirect_uri", "https://third.test/cb"))))

	// An approval from before hosts were recorded is asked for once more.
	e.Exec(`UPDATE installations SET redirects = '' WHERE app_id = $1`, app.ID)
	page = b.Get(address(request(app)))
	wantConsentOf(t, page)
	e.WantCode(b.Decide(page, "allow"), harness.CB, "xyz")
	e.WantCode(b.Get(address(request(app))), harness.CB, "xyz")
}

// verifiedWhileEdited: whichever of the two comes first, the new name is never the verified one.
func verifiedWhileEdited(t *testing.T, e *harness.Env) {
	for range 20 {
		app := e.AddApp("Race", true, harness.CB)
		if err := e.Store.UnverifyApp(t.Context(), harness.Operator, app.ID); err != nil {
			t.Fatal(err)
		}
		before, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
		if err != nil {
			t.Fatal(err)
		}
		var errVerify, errEdit error
		var both sync.WaitGroup
		both.Go(func() { errVerify = e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, before.Version) })
		both.Go(func() {
			form := directory.AppForm{Name: "Other", RedirectURIs: before.RedirectURIs, Scopes: before.Scopes.Slice()}
			_, errEdit = e.Rules.UpdateApp(t.Context(), store.UserPrincipal(e.U.ID, ""), before, before.Version, form)
		})
		both.Wait()
		after, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
		if err != nil || errEdit != nil || errVerify != nil && !errors.Is(errVerify, directory.ErrAppChanged) {
			t.Fatal(err, errEdit, errVerify)
		}
		if !after.VerifiedAt.IsZero() {
			t.Fatalf("%q is verified without a review", after.Name)
		}
	}
}

func changedWhileOpen(t *testing.T, e *harness.Env) {
	app := e.AddApp("Open", true, harness.CB)
	b := e.LoggedIn(e.AddUser("open@users.test"))
	for what, change := range map[string]func(){
		"edited":     func() { edit(t, e.LoggedIn(e.U), app, url.Values{"name": {"Opened"}}) },
		"unverified": func() { _ = e.Store.UnverifyApp(t.Context(), harness.Operator, app.ID) },
	} {
		stored, err := e.Rules.App(t.Context(), harness.Operator, app.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Rules.VerifyApp(t.Context(), harness.Operator, app.ID, stored.Version); err != nil {
			t.Fatal(err)
		}
		page := b.Get(address(request(app, "prompt", "consent")))
		change()
		again := b.Decide(page, "allow")
		wantConsentOf(t, again)
		if !strings.Contains(again.Body, "The app changed while this page was open.") || strings.Contains(again.Body, `class="badge good"`) {
			t.Errorf("%s: %.2500s", what, again.Body)
		}
		e.WantRedirectError(b.Decide(page, "deny"), harness.CB, "access_denied", "xyz")
		e.WantCode(b.Decide(again, "allow"), harness.CB, "xyz")
	}
}

// TestNativeRedirectURI_N2: redirect URIs of native apps. A scheme that reads as a host (www.paypal.com:, paypal.com:, paypal.co.uk:),
// that a browser or an operating system gives a meaning, or that holds this service's name is refused: in the portal, on the
// command line, and at authorize where it was registered before. The consent page of com.evil.app://www.paypal.com/cb names
// the scheme and nothing else of it. A scheme without a dot is for public apps, goes all the way with PKCE, and is no host
// either. Each request of a native app is asked about; one that was allowed before is named as that, and so is every other
// repetition.
func TestNativeRedirectURI_N2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		owner := e.LoggedIn(e.U)
		register := func(uri, kind string) harness.Answer {
			return owner.Post("/developer/apps", url.Values{"name": {"Native"}, "redirect_uris": {uri}, "scopes": {"contacts"}, "type": {kind}})
		}
		for _, uri := range []string{"www.paypal.com:/cb", "paypal.com:/cb", "paypal.co.uk:/cb", "javascript:/cb", "ms-settings:/cb", "intent://x/cb", "file:///cb", "web+x:/cb", "xenoauth:/cb", "https+x:/cb"} {
			for _, kind := range []string{"public", "confidential"} {
				if a := register(uri, kind); a.Status != http.StatusUnprocessableEntity {
					t.Errorf("%s of a %s app: %d", uri, kind, a.Status)
				}
				form := directory.AppForm{Name: "Native", RedirectURIs: []string{uri}, Scopes: []string{"contacts"}, Confidential: kind == "confidential"}
				var faults directory.FieldErrors
				if _, _, err := e.Rules.CreateApp(t.Context(), harness.Operator, e.U.Account.ID, form); !errors.As(err, &faults) || faults["redirect_uris"] == "" {
					t.Errorf("%s of a %s app, by an operator: %v", uri, kind, err)
				}
			}
		}
		// In https://www.paypaI.com the l is a capital I.
		capital := e.AddApp("Capital", true, "https://www.paypaI.com/Callback")
		page := owner.Get(address(request(capital, "prompt", "consent")))
		if wantConsentOf(t, page); strings.Contains(page.Body, "paypaI") || !strings.Contains(page.Body, "<strong>www.paypai.com</strong>") || !strings.Contains(page.Body, "https://www.paypai.com/Callback") {
			t.Errorf("a host is shown in capital letters: %.3000s", page.Body)
		}
		if a := register("cursor://cb", "confidential"); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "public apps") {
			t.Errorf("a scheme without a dot for a confidential app: %d", a.Status)
		}
		for uri, scheme := range map[string]string{
			"com.evil.app://www.paypal.com/cb": "com.evil.app", "com.evil.app:/www.paypal.com": "com.evil.app", "cursor://anysphere.cursor/www.paypal.com": "cursor",
			"vscode://www.paypal.com": "vscode", "chrome-extension://www.paypal.com/cb": "chrome-extension", "obsidian://www.paypal.com": "obsidian",
		} {
			t.Run(uri, func(t *testing.T) {
				e := e.With(t)
				app := e.AddApp("Native", false, uri)
				if err := e.Store.UnverifyApp(t.Context(), harness.Operator, app.ID); err != nil {
					t.Fatal(err)
				}
				b := e.LoggedIn(e.U).With(t)
				page := b.Get(address(request(app, "prompt", "consent")))
				wantConsent(t, page, "Native")
				if n := strings.Count(page.Body, "the app registered for <code>"+scheme+"</code>"); n != 2 || strings.Contains(page.Body, "paypal") {
					t.Errorf("the page names the scheme %d times, want in the caution and at the foot: %.3000s", n, page.Body)
				}
				e.Exchange(app, e.WantCode(b.Decide(page, "allow"), uri, "xyz"), "redirect_uri", uri).WantToken(t)
				again := b.Get(address(request(app)))
				if wantConsentOf(t, again); !strings.Contains(again.Body, "Native wants to reconnect") || !strings.Contains(again.Body, "You have already allowed this app on") {
					t.Errorf("asked again: %.2500s", again.Body)
				}
			})
		}
		old := e.AddApp("Old", true, "com.old.app:/cb")
		for _, uri := range []string{"www.paypal.com:/cb", e.URL + "/account/apps", strings.Replace(e.URL, "127.0.0.1", "localhost", 1) + "/cb"} {
			e.Exec(`UPDATE app_redirect_uris SET uri = $1 WHERE app_id = $2`, uri, old.ID)
			newVisitors(e).wantErrorPage(t, address(request(old, "redirect_uri", uri)), "redirect_uri")
			if a := register(uri, "public"); a.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s is registered: %d", uri, a.Status)
			}
		}
		b := e.LoggedIn(e.AddUser("again@users.test"))
		for _, app := range []harness.App{e.A, e.P, e.N} {
			e.Grant(b, app)
			if again := b.Get(address(request(app, "prompt", "consent"))).Body; !strings.Contains(again, "wants to reconnect") {
				t.Errorf("%s: asked again: %.2500s", app.URI, again)
			}
		}
	})
}
