package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/store"
)

// TestCodeFailedAttempts_C4: Before the rightful redemption the code is tried with a wrong client (which costs it nothing), a wrong
// redirect_uri and a wrong verifier (which count). Each is refused without consuming the code, and the right request then
// succeeds, as long as the wrong ones by the app itself stay below five.
func TestCodeFailedAttempts_C4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		wrong := strings.Repeat("w", 43)
		for name, app := range map[string]harness.App{"confidential": e.A, "public": e.P} {
			t.Run(name, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				code := b.Code(app, "code_challenge", harness.Challenge, "code_challenge_method", "S256")
				for range store.MaxCodeAttempts + 1 { // foreign attempts are not the owner's budget
					e.Exchange(e.B, code, "code_verifier", harness.Verifier).WantGrantRefused(t)
				}
				e.WantUnspent(code, 0)
				e.Exchange(app, code, "code_verifier", harness.Verifier, "redirect_uri", harness.CB+"/").WantGrantRefused(t)
				e.Exchange(app, code, "code_verifier", wrong).WantGrantRefused(t)
				e.Post("/oauth/token", app.As("code", code, "redirect_uri", app.URI)).WantGrantRefused(t)
				e.WantUnspent(code, 3)
				if n := e.LiveGrants(e.U, app); n != 0 {
					t.Errorf("a refused redemption left %d grants", n)
				}
				token := e.Exchange(app, code, "code_verifier", harness.Verifier).WantToken(t)
				e.WantLive(token, true)
			})
		}
	})
}

// TestCodeOtherClient_C6: A's code is sent by B with B's secret, and by the public app P under its own name: invalid_grant. A
// client that names A without A's secret: invalid_client, before the code is looked up. The code stays valid, and no attempt is counted
// against it. The same holds for P's code presented by A and by another public app.
func TestCodeOtherClient_C6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		pkce := []string{"code_challenge", harness.Challenge, "code_challenge_method", "S256"}
		codeOfA, codeOfP := b.Code(e.A, pkce...), b.Code(e.P, pkce...)
		proof := []string{"redirect_uri", harness.CB, "code_verifier", harness.Verifier}
		for range store.MaxCodeAttempts + 1 {
			e.Exchange(e.B, codeOfA, proof...).WantGrantRefused(t)
			e.Exchange(e.P, codeOfA, proof...).WantGrantRefused(t)
			e.Exchange(harness.App{ID: e.A.ID, URI: harness.CB}, codeOfA, proof...).WantRefused(t, http.StatusUnauthorized, "invalid_client")
			e.Exchange(e.A, codeOfP, proof...).WantGrantRefused(t)
			e.Exchange(e.N, codeOfP, proof...).WantGrantRefused(t)
		}
		e.WantUnspent(codeOfA, 0)
		e.WantUnspent(codeOfP, 0)
		if n := e.Count(`SELECT COUNT(*) FROM tokens`) + e.Count(`SELECT COUNT(*) FROM families`); n != 0 {
			t.Errorf("%d grants were made for apps whose code it was not", n)
		}
		e.WantLive(e.Exchange(e.A, codeOfA, proof...).WantToken(t), true)
		e.WantLive(e.Exchange(e.P, codeOfP, proof...).WantToken(t), true)
	})
}

// TestCodeRedirectURI_C7: The authorization request named CB. The token request names CB: 200. It names another address, CB with
// a slash or a query, another registered one, or none: invalid_grant each, and the code is still good for the right one.
func TestCodeRedirectURI_C7(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		const second = "https://app.test/second"
		app := e.AddApp("Two", true, harness.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, second) })
		for name, uri := range map[string]string{
			"another": "https://evil.test/cb", "missing": "", "with a slash": harness.CB + "/", "with a query": harness.CB + "?",
			"registered, but another": second, "upper case": strings.ToUpper(harness.CB),
		} {
			t.Run(name, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				code := b.Code(app)
				form := app.As("code", code)
				if uri != "" {
					form.Set("redirect_uri", uri)
				}
				e.Post("/oauth/token", form).WantGrantRefused(t)
				e.WantUnspent(code, 1)
				e.WantLive(e.Exchange(app, code).WantToken(t), true)
			})
		}
	})
}

// TestCodeWithoutRedirectURI_C8: The authorization request named no redirect_uri, because the app has one only. The token request names
// none: 200. It names the registered one: 200. It names another: invalid_grant, and the code is still good.
func TestCodeWithoutRedirectURI_C8(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for name, app := range map[string]harness.App{"confidential": e.A, "public": e.P} {
			t.Run(name, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				proof := []string{}
				if app.Secret == "" {
					proof = []string{"code_verifier", harness.Verifier}
				}
				without := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"))...)
				e.WantLive(e.Post("/oauth/token", without).WantToken(t), true)

				with := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"), "redirect_uri", harness.CB)...)
				e.WantLive(e.Post("/oauth/token", with).WantToken(t), true)

				code := b.Code(app, "redirect_uri", "-")
				other := app.As(append(proof, "code", code, "redirect_uri", harness.CB+"/other")...)
				e.Post("/oauth/token", other).WantGrantRefused(t)
				e.WantUnspent(code, 1)
				other.Del("redirect_uri")
				e.WantLive(e.Post("/oauth/token", other).WantToken(t), true)
			})
		}
	})
}
