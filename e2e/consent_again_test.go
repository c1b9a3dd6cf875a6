package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
)

// TestConsentRepeated_W14: somebody who has approved an app is sent by it again. Only a confidential app with a registered https
// address, on the person's one account, for no more scopes than were approved, gets its code without a page; also at
// another of its registered addresses, and with prompt=none. A page asks: for a scope more, for all scopes when some were
// approved, with prompt=consent, for a public app, a native one on a loopback port, an http loopback or private-scheme
// address of a confidential app, another person, a person with two accounts, and after the app was removed; prompt=none
// answers consent_required there. (Dynamically registered apps come with registration.)
func TestConsentRepeated_W14(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		const second = "https://app.test/second"
		two := e.AddApp("Two", true, harness.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, second) })
		loopback := e.AddApp("Loopback", true, "http://localhost/cb")
		private := e.AddApp("Private", true, "com.example.app:/cb")
		native := e.AddApp("Native", false, "com.example.app:/cb")
		for name, c := range map[string]struct {
			app     harness.App
			change  []string
			skipped bool
		}{
			"the same":                {two, nil, true},
			"fewer scopes":            {two, []string{"scope", "faqs"}, true},
			"another order":           {two, []string{"scope", "contacts faqs"}, true},
			"another of its URIs":     {two, []string{"redirect_uri", second}, true},
			"with PKCE":               {two, []string{"code_challenge", harness.Challenge, "code_challenge_method", "S256"}, true},
			"one scope more":          {two, []string{"scope", "faqs contacts widgets"}, false},
			"another scope":           {two, []string{"scope", "widgets"}, false},
			"all scopes":              {two, []string{"scope", "-"}, false},
			"prompt=consent":          {two, []string{"prompt", "consent"}, false},
			"prompt=select_account":   {two, []string{"prompt", "select_account"}, false},
			"public":                  {e.P, nil, false},
			"native":                  {e.N, nil, false},
			"native on a port":        {e.N, []string{"redirect_uri", "http://127.0.0.1:51004/cb"}, false},
			"loopback":                {loopback, nil, false},
			"loopback on a port":      {loopback, []string{"redirect_uri", "http://localhost:9/cb"}, false},
			"private scheme":          {private, nil, false},
			"private scheme, public":  {native, nil, false},
			"never approved":          {e.B, nil, false},
			"another case of the URI": {two, []string{"redirect_uri", "https://APP.test/cb"}, false},
		} {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				u := e.AddUser(strings.NewReplacer(" ", "-", "=", "-", ",", "").Replace(name) + "@users.test")
				b := e.LoggedIn(u)
				if name != "never approved" {
					e.Grant(b, c.app, "scope", "faqs contacts")
				}
				again := request(c.app, append([]string{"scope", "faqs contacts"}, c.change...)...)
				to := again.Get("redirect_uri")
				a := b.Get(address(again))
				if strings.HasPrefix(to, "https://APP") {
					a.WantPage(t, http.StatusBadRequest)
					return
				}
				if c.skipped {
					code := e.WantCode(a, to, "xyz")
					proof := []string{"redirect_uri", to}
					if again.Has("code_challenge") {
						proof = append(proof, "code_verifier", harness.Verifier)
					}
					token := e.Exchange(c.app, code, proof...)
					wantScopes(t, e, c.app, token, again.Get("scope")) // not more than was asked for this time
				} else {
					wantConsentOf(t, a)
				}
				if strings.HasPrefix(name, "prompt=") {
					return
				}
				again.Set("prompt", "none")
				a = b.Get(address(again))
				if c.skipped {
					e.WantCode(a, to, "xyz")
				} else {
					e.WantRedirectError(a, to, "consent_required", "xyz")
				}
				// Somebody else who is logged in has approved nothing.
				wantConsentOf(t, e.LoggedIn(e.AddUser("x-"+u.Email)).Get(address(request(c.app))))
			})
		}
		t.Run("removed", func(t *testing.T) {
			s := situation{t: t, r: e.With(t), u: e.AddUser("removed@users.test"), app: two}
			s.b = e.LoggedIn(s.u).With(t)
			e.Grant(s.b, two)
			e.With(t).WantCode(s.b.Get(address(request(two))), harness.CB, "xyz")
			s.uninstall()
			wantConsentOf(t, s.b.Get(address(request(two))))
		})
		t.Run("two accounts", func(t *testing.T) {
			e := e.With(t)
			u := e.AddUser("two@users.test")
			b := e.LoggedIn(u)
			e.Grant(b, two)
			if err := e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, u.ID, scope.RoleAgent); err != nil {
				t.Fatal(err)
			}
			wantConsentOf(t, b.Get(address(request(two))))
		})
		t.Run("withdrawn address", func(t *testing.T) {
			e := e.With(t)
			app := e.AddApp("Withdrawn", true, harness.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, second) })
			b := e.LoggedIn(e.U)
			e.Grant(b, app)
			e.Exec(`DELETE FROM app_redirect_uris WHERE app_id = $1 AND uri = $2`, app.ID, second)
			b.Get(address(request(app, "redirect_uri", second))).WantPage(t, http.StatusBadRequest)
		})
	})
}
