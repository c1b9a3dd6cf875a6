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
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		wrong := strings.Repeat("w", 43)
		for name, app := range map[string]harness.App{"confidential": r.A, "public": r.P} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				code := b.Code(app, "code_challenge", harness.Challenge, "code_challenge_method", "S256")
				for range store.MaxCodeTries + 1 { // foreign attempts are not the owner's budget
					r.Exchange(r.B, code, "code_verifier", harness.Verifier).WantGrantRefused(t)
				}
				r.WantUnspent(code, 0)
				r.Exchange(app, code, "code_verifier", harness.Verifier, "redirect_uri", harness.CB+"/").WantGrantRefused(t)
				r.Exchange(app, code, "code_verifier", wrong).WantGrantRefused(t)
				r.Post("/oauth/token", app.As("code", code, "redirect_uri", app.URI)).WantGrantRefused(t)
				r.WantUnspent(code, 3)
				if n := r.LiveGrants(r.U, app); n != 0 {
					t.Errorf("a refused redemption left %d grants", n)
				}
				token := r.Exchange(app, code, "code_verifier", harness.Verifier).WantToken(t)
				r.WantLive(token, true)
			})
		}
	})
}

// TestCodeOtherClient_C6: A's code is sent by B with B's secret, and by the public app P under its own name: invalid_grant. P (or
// anybody) naming A without A's secret is not A: invalid_client, before the code is looked at. The code is intact, and
// no attempt is counted against it; the same holds for P's code in the hands of A and of another public app.
func TestCodeOtherClient_C6(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		pkce := []string{"code_challenge", harness.Challenge, "code_challenge_method", "S256"}
		codeOfA, codeOfP := b.Code(r.A, pkce...), b.Code(r.P, pkce...)
		proof := []string{"redirect_uri", harness.CB, "code_verifier", harness.Verifier}
		for range store.MaxCodeTries + 1 {
			r.Exchange(r.B, codeOfA, proof...).WantGrantRefused(t)
			r.Exchange(r.P, codeOfA, proof...).WantGrantRefused(t)
			r.Exchange(harness.App{ID: r.A.ID, URI: harness.CB}, codeOfA, proof...).WantRefused(t, http.StatusUnauthorized, "invalid_client")
			r.Exchange(r.A, codeOfP, proof...).WantGrantRefused(t)
			r.Exchange(r.N, codeOfP, proof...).WantGrantRefused(t)
		}
		r.WantUnspent(codeOfA, 0)
		r.WantUnspent(codeOfP, 0)
		if n := r.Count(`SELECT COUNT(*) FROM tokens`) + r.Count(`SELECT COUNT(*) FROM families`); n != 0 {
			t.Errorf("%d grants were made for apps whose code it was not", n)
		}
		r.WantLive(r.Exchange(r.A, codeOfA, proof...).WantToken(t), true)
		r.WantLive(r.Exchange(r.P, codeOfP, proof...).WantToken(t), true)
	})
}

// TestCodeRedirectURI_C7: The authorization request named CB. The token request names CB: 200. It names another address, CB with
// a slash or a query, another registered one, or none: invalid_grant each, and the code is still good for the right one.
func TestCodeRedirectURI_C7(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		const second = "https://app.test/second"
		app := r.AddApp("Two", true, harness.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, second) })
		for name, uri := range map[string]string{
			"another": "https://evil.test/cb", "missing": "", "with a slash": harness.CB + "/", "with a query": harness.CB + "?",
			"registered, but another": second, "upper case": strings.ToUpper(harness.CB),
		} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				code := b.Code(app)
				form := app.As("code", code)
				if uri != "" {
					form.Set("redirect_uri", uri)
				}
				r.Post("/oauth/token", form).WantGrantRefused(t)
				r.WantUnspent(code, 1)
				r.WantLive(r.Exchange(app, code).WantToken(t), true)
			})
		}
	})
}

// TestCodeWithoutRedirectURI_C8: The authorization request named no redirect_uri, because the app has one only. The token request names
// none: 200. It names the registered one: 200. It names another: invalid_grant, and the code is still good.
func TestCodeWithoutRedirectURI_C8(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		b := r.LoggedIn(r.U)
		for name, app := range map[string]harness.App{"confidential": r.A, "public": r.P} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				proof := []string{}
				if app.Secret == "" {
					proof = []string{"code_verifier", harness.Verifier}
				}
				without := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"))...)
				r.WantLive(r.Post("/oauth/token", without).WantToken(t), true)

				with := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"), "redirect_uri", harness.CB)...)
				r.WantLive(r.Post("/oauth/token", with).WantToken(t), true)

				code := b.Code(app, "redirect_uri", "-")
				other := app.As(append(proof, "code", code, "redirect_uri", harness.CB+"/other")...)
				r.Post("/oauth/token", other).WantGrantRefused(t)
				r.WantUnspent(code, 1)
				other.Del("redirect_uri")
				r.WantLive(r.Post("/oauth/token", other).WantToken(t), true)
			})
		}
	})
}
