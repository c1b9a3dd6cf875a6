package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

// challengeOf is the S256 challenge of any text, whether or not it may be a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// withChallenge are the parameters of an authorization request with PKCE.
func withChallenge(challenge string) []string {
	return []string{"code_challenge", challenge, "code_challenge_method", "S256"}
}

// TestPKCE covers challenges at the authorization endpoint and verifiers at the token endpoint (RFC 7636).
//
// P1: a public app without code_challenge, with an empty one, or with a method alone: invalid_request by redirect.
//
// P2: a challenge whose method is absent, empty, plain, s256 or S512, and a method without a challenge, from a public and from
// a confidential app: invalid_request by redirect; plain is never assumed.
//
// P4: a challenge of 42, 44, 128 or 129 characters, padded, or of the other base64 alphabet: invalid_request by redirect. An
// S256 challenge has 43 characters of base64url.
//
// P5: a code requested with a challenge, redeemed without verifier or with an empty one: invalid_grant, and the code stays
// valid for its verifier.
//
// P6: a code requested without a challenge, redeemed with a verifier: invalid_grant, because the challenge may have been
// removed on the way; without a verifier it stays valid.
//
// P7: an attacker removes the challenge from the link of an app that uses PKCE: invalid_request by redirect if the app
// requires PKCE, even if it has done so only since the log-in or since the consent page was shown; otherwise the app, which
// sends its verifier, cannot redeem the code.
//
// P8: a verifier of 1, 42 or 129 characters, or with a character that is not allowed, each with its matching challenge:
// invalid_grant, no token; the description names the length or the alphabet.
//
// P9: four wrong verifiers, then the right one: a token. Five, then the right one: invalid_grant, and the code is dead. Only
// attempts by the right app with the right code count; others cannot use up a code.
func TestPKCE(t *testing.T) {
	c, v := harness.Challenge, harness.Verifier
	challenges := func(pairs func(app harness.App) [][]string) func(*testing.T, *harness.Env) {
		return func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for _, app := range []harness.App{e.P, e.N, e.A} {
				for _, change := range pairs(app) {
					e.WantRedirectError(in.Get(address(request(app, change...))), app.URI, "invalid_request", "xyz")
				}
			}
			e.WantNoRequests()
		}
	}
	harness.EachRow(t, harness.Rows{
		"P1 public app": challenges(func(app harness.App) (all [][]string) {
			for _, challenge := range []string{"-", ""} {
				for _, method := range []string{"-", "", "S256", "plain"} {
					if app.Secret == "" {
						all = append(all, []string{"code_challenge", challenge, "code_challenge_method", method})
					}
				}
			}
			return all
		}),
		"P2 method": challenges(func(harness.App) (all [][]string) {
			for _, method := range []string{"-", "", "plain", "PLAIN", "s256", "S512", "S256 ", "S256 plain", "none"} {
				all = append(all, []string{"code_challenge", c, "code_challenge_method", method}, []string{"code_challenge", v, "code_challenge_method", method})
			}
			return append(all, []string{"code_challenge", "-", "code_challenge_method", "S256"}, []string{"code_challenge", "-", "code_challenge_method", "plain"})
		}),
		"P4 challenge": challenges(func(harness.App) (all [][]string) {
			for _, bad := range []string{
				c[:42], c + "x", strings.Repeat("x", 128), strings.Repeat("x", 129), c + "=", c[:42] + "=", c[:42] + "+", c[:42] + "/", c[:42] + "~", c[:42] + ".",
				c[:42] + " ", " " + c, c[:42] + "\n", c[:41] + "é", "x", strings.Repeat("x", 10<<10),
			} {
				all = append(all, withChallenge(bad))
			}
			return all
		}),
		"P5 no verifier": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for _, app := range []harness.App{e.A, e.P} {
				code := in.Code(app, withChallenge(c)...)
				before := e.CountGrants()
				e.Token(app, "code", code, "redirect_uri", app.URI).WantGrantRefused(t)
				e.Token(app, "code", code, "redirect_uri", app.URI, "code_verifier", "").WantGrantRefused(t)
				e.WantUnspent(code, 2)
				e.WantGrants(before)
				e.WantLive(e.Exchange(app, code, "code_verifier", v).WantToken(t), true)
			}
		},
		"P6 no challenge": func(t *testing.T, e *harness.Env) {
			code := e.LoggedIn(e.U).Code(e.A)
			before := e.CountGrants()
			for _, verifier := range []string{v, "x", strings.Repeat("v", 128)} {
				e.Exchange(e.A, code, "code_verifier", verifier).WantGrantRefused(t)
			}
			e.WantUnspent(code, 3)
			e.WantGrants(before)
			e.WantLive(e.Exchange(e.A, code, "code_verifier", "").WantToken(t), true)
		},
		"P7 downgrade": wantNoDowngrade,
		"P8 verifier": func(t *testing.T, e *harness.Env) {
			in := e.LoggedIn(e.U)
			for _, bad := range []string{
				v[:42], strings.Repeat("v", 129), v[:42] + "+", v[:42] + "/", v[:42] + "=", v[:42] + " ", v[:42] + "%", v[:41] + "é", v[:42] + "\n",
				v[:42] + "!", "x", strings.Repeat("v", 10<<10),
			} {
				code := in.Code(e.P, withChallenge(challengeOf(bad))...)
				a := e.Exchange(e.P, code, "code_verifier", bad)
				a.WantGrantRefused(t)
				want := "43 to 128 are allowed"
				if strings.Trim(bad, "v"+v) != "" {
					want = "contains an invalid character"
				}
				if got := a.String(t, "error_description"); bad != "x" && !strings.Contains(got, want) || strings.Contains(got, "match") {
					t.Errorf("error_description = %q for %.50q, want %q in it", got, bad, want)
				}
				e.WantUnspent(code, 1)
			}
			if n := e.LiveGrants(e.U, e.P); n != 0 {
				t.Errorf("%d live grants, want none", n)
			}
			for _, good := range []string{strings.Repeat("v", 43), strings.Repeat("v", 128), "-._~" + v} {
				e.WantLive(e.Exchange(e.P, in.Code(e.P, withChallenge(challengeOf(good))...), "code_verifier", good).WantToken(t), true)
			}
		},
		"P9 attempts": wantLimitedAttempts,
	})
}

func wantNoDowngrade(t *testing.T, e *harness.Env) {
	in := e.LoggedIn(e.U)
	marked := e.AddApp("Marked", true, harness.CB, func(f *directory.AppForm) { f.PKCERequired = true })
	e.WantRedirectError(in.Get(address(request(marked))), harness.CB, "invalid_request", "xyz")
	e.WantNoRequests()
	code := in.Code(marked, withChallenge(harness.Challenge)...)
	e.WantLive(e.Exchange(marked, code, "code_verifier", harness.Verifier).WantToken(t), true)
	// An earlier approval does not excuse a request without challenge.
	e.WantRedirectError(in.Get(address(request(marked))), harness.CB, "invalid_request", "xyz")
	e.WantRedirectError(in.Get(address(request(marked, "prompt", "none"))), harness.CB, "invalid_request", "xyz")

	stripped := in.Code(e.A)
	e.Exchange(e.A, stripped, "code_verifier", harness.Verifier).WantGrantRefused(t)
	e.WantUnspent(stripped, 1)

	late := e.AddApp("Late", true, harness.CB)
	shown, parked := in.Get(address(request(late))), wantLogIn(t, e.Browser().Get(address(request(late))))
	e.Exec(`UPDATE apps SET pkce_required = 1 WHERE id = $1`, late.ID)
	e.WantRedirectError(in.Decide(shown, "allow"), harness.CB, "invalid_request", "xyz")
	e.WantRedirectError(in.Get("/oauth/consent?request_id="+parked), harness.CB, "invalid_request", "xyz")
	e.WantEvents(late, "installation.created", 0)
}

func wantLimitedAttempts(t *testing.T, e *harness.Env) {
	in, wrong := e.LoggedIn(e.U), strings.Repeat("w", 43)
	for _, app := range []harness.App{e.P, e.A} {
		for attempts, live := range map[int]bool{4: true, 5: false} {
			code := in.Code(app, withChallenge(harness.Challenge)...)
			for range attempts {
				e.Exchange(app, code, "code_verifier", wrong).WantGrantRefused(t)
			}
			e.WantUnspent(code, attempts)
			before := e.LiveGrants(e.U, app)
			last := e.Exchange(app, code, "code_verifier", harness.Verifier)
			if live {
				e.WantLive(last.WantToken(t), true)
				continue
			}
			last.WantGrantRefused(t)
			if row := e.CodeRow(code); !row.ConsumedAt.IsZero() || e.LiveGrants(e.U, app) != before {
				t.Errorf("a dead code was consumed, or a token ended: %+v", row)
			}
		}
	}
	code := in.Code(e.A, withChallenge(harness.Challenge)...)
	forged := secret.Format{}.New(secret.Code).Reveal()
	for range 10 {
		e.Exchange(e.B, code, "code_verifier", wrong).WantGrantRefused(t)
		e.Exchange(e.P, code, "code_verifier", wrong).WantGrantRefused(t)
		e.Exchange(harness.App{ID: e.A.ID, Secret: e.B.Secret, URI: e.A.URI}, code, "code_verifier", wrong).WantRefused(t, http.StatusUnauthorized, "invalid_client")
		e.Exchange(e.A, forged, "code_verifier", wrong).WantGrantRefused(t)
	}
	// A code with the right lookup id and another secret part is not the right code.
	row := e.CodeRow(code)
	e.Exec(`UPDATE codes SET hash = $1 WHERE id = $2`, make([]byte, len(row.Hash)), row.ID[:])
	e.Exchange(e.A, code, "code_verifier", wrong).WantGrantRefused(t)
	e.Exec(`UPDATE codes SET hash = $1 WHERE id = $2`, row.Hash, row.ID[:])
	e.WantUnspent(code, 0)
	e.WantLive(e.Exchange(e.A, code, "code_verifier", harness.Verifier).WantToken(t), true)
}
