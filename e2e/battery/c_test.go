package battery

import (
	"context"
	"flag"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/rig"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

var rounds = flag.Int("rounds", 20, "rounds of every race of the battery; BATTERY.md asks for 200")

// codeApps are the three sorts of app that redeem codes: tokens that never expire, tokens that do, and no secret.
func codeApps(r *rig.Rig) map[string]rig.App {
	return map[string]rig.App{"confidential": r.A, "confidential, expiring": r.AddExpiring("Echo"), "public": r.P}
}

// TestBattery_C1: A code is redeemed twice, one after the other, by its own authenticated app (confidential, with expiring
// tokens, and public). The second answer is invalid_grant without a redirect, and everything that the first one had
// produced is dead: the access token, the refresh token, and the tokens of a refresh in between. A third try changes
// nothing more, and the audit trail tells of the replay once.
func TestBattery_C1(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		for name, app := range codeApps(r) {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				code := b.Code(app)
				first := r.Exchange(app, code)
				tokens := []string{first.WantToken(t)}
				refresh := first.String(t, "refresh_token")
				if refresh != "" {
					rotated := r.Token(app, "grant_type", "refresh_token", "refresh_token", refresh)
					tokens = append(tokens, rotated.WantToken(t))
					refresh = rotated.String(t, "refresh_token")
				}
				for _, token := range tokens {
					r.WantLive(token, true)
				}

				r.Exchange(app, code).WantGrantRefused(t)
				for _, token := range tokens {
					r.WantLive(token, false)
					if app.Secret != "" {
						r.WantActive(app, token, false)
					}
				}
				if refresh != "" {
					r.Token(app, "grant_type", "refresh_token", "refresh_token", refresh).WantGrantRefused(t)
				}
				r.Exchange(app, code).WantGrantRefused(t)
				if n := r.LiveGrants(r.U, app); n != 0 {
					t.Errorf("%d grants live after the replay, want 0", n)
				}
				r.WantEvents(app, store.EventCodeReplayed, 1)
			})
		}
	})
}

// TestBattery_C2: 50 requests redeem one code at the same moment, each with everything right: on one server over each
// database, and spread over two servers on one Postgres. Exactly one is answered 200, the 49 others invalid_grant; and
// since they are replays by a proven caller, nothing that the code produced lives afterwards, neither token nor family.
// Rounds go in turn to a confidential app, one with expiring tokens, and a public one. The battery asks for 200 rounds;
// the everyday run does 20 of each (go test ./e2e/battery -run C2 -rounds 200 does them all).
func TestBattery_C2(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) { raceCodes(t, r, r) })
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()
		first, second := rig.Pair(t)
		raceCodes(t, first, second)
	})
}

func raceCodes(t *testing.T, replicas ...*rig.Rig) {
	r := replicas[0]
	apps := []rig.App{r.A, r.AddExpiring("Echo"), r.P}
	b := r.LoggedIn(r.U)
	for round := range *rounds {
		app := apps[round%len(apps)]
		code := b.Code(app)
		answers := rig.Race(t, 50, func(i int) rig.Answer { return replicas[i%len(replicas)].Exchange(app, code) })
		var token, refresh string
		for _, a := range answers {
			if a.Status != http.StatusOK {
				a.WantGrantRefused(t)
				continue
			}
			if token != "" {
				t.Fatalf("round %d: two requests redeemed one code", round)
			}
			token, refresh = a.WantToken(t), a.String(t, "refresh_token")
		}
		if token == "" {
			t.Fatalf("round %d: nobody could redeem the code", round)
		}
		for _, replica := range replicas {
			replica.WantLive(token, false)
		}
		if refresh != "" {
			r.Token(app, "grant_type", "refresh_token", "refresh_token", refresh).WantGrantRefused(t)
		}
		if n := r.LiveGrants(r.U, app); n != 0 {
			t.Fatalf("round %d: %d grants live after the replays, want 0", round, n)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	created := r.Count(`SELECT COUNT(*) FROM tokens`) + r.Count(`SELECT COUNT(*) FROM families`)
	if created != *rounds {
		t.Errorf("%d rounds created %d grants, want one a round", *rounds, created)
	}
}

// TestBattery_C3: A redeemed code is presented again by somebody who has not proven everything: with a wrong secret or
// none (401 invalid_client), by another app, without the verifier, with a wrong one, or with a wrong redirect_uri (400
// invalid_grant). The owner's token stays live after each: a stolen code is no weapon. The proven owner's own replay
// afterwards still ends it, however many tries there were.
func TestBattery_C3(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		thief := r.A
		thief.Secret = secret.Format{}.New(secret.Client).Reveal()
		nobody := r.A
		nobody.Secret = ""
		other := strings.Repeat("w", 43)
		for name, app := range map[string]rig.App{"confidential": r.A, "public": r.P} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				code := b.Code(app, "code_challenge", rig.Challenge, "code_challenge_method", "S256")
				token := r.Exchange(app, code, "code_verifier", rig.Verifier).WantToken(t)
				if app.Secret != "" {
					r.Exchange(thief, code, "code_verifier", rig.Verifier).WantRefused(t, http.StatusUnauthorized, "invalid_client")
					r.Exchange(nobody, code, "code_verifier", rig.Verifier).WantRefused(t, http.StatusUnauthorized, "invalid_client")
				}
				r.WantLive(token, true)
				for what, form := range map[string]url.Values{
					"by another app":        r.B.As("code", code, "redirect_uri", app.URI, "code_verifier", rig.Verifier),
					"by another public app": r.N.As("code", code, "redirect_uri", app.URI, "code_verifier", rig.Verifier),
					"without verifier":      app.As("code", code, "redirect_uri", app.URI),
					"wrong verifier":        app.As("code", code, "redirect_uri", app.URI, "code_verifier", other),
					"wrong redirect_uri":    app.As("code", code, "redirect_uri", rig.CB+"/x", "code_verifier", rig.Verifier),
					"no redirect_uri":       app.As("code", code, "code_verifier", rig.Verifier),
				} {
					for range 2 { // more than MaxCodeTries in all
						r.Post("/oauth/token", form).WantGrantRefused(t)
					}
					r.WantLive(token, true)
					if t.Failed() {
						t.Fatalf("after a replay %s", what)
					}
				}
				r.WantEvents(app, store.EventCodeReplayed, 0)

				r.Exchange(app, code, "code_verifier", rig.Verifier).WantGrantRefused(t)
				r.WantLive(token, false)
			})
		}
	})
}

// TestBattery_C4: Before the rightful redemption the code is tried with a wrong client (which costs it nothing), a wrong
// redirect_uri and a wrong verifier (which count). Each is refused without consuming the code, and the right request then
// succeeds, as long as the wrong ones by the app itself stay below five.
func TestBattery_C4(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		wrong := strings.Repeat("w", 43)
		for name, app := range map[string]rig.App{"confidential": r.A, "public": r.P} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				code := b.Code(app, "code_challenge", rig.Challenge, "code_challenge_method", "S256")
				for range store.MaxCodeTries + 1 { // foreign attempts are not the owner's budget
					r.Exchange(r.B, code, "code_verifier", rig.Verifier).WantGrantRefused(t)
				}
				r.WantUnspent(code, 0)
				r.Exchange(app, code, "code_verifier", rig.Verifier, "redirect_uri", rig.CB+"/").WantGrantRefused(t)
				r.Exchange(app, code, "code_verifier", wrong).WantGrantRefused(t)
				r.Post("/oauth/token", app.As("code", code, "redirect_uri", app.URI)).WantGrantRefused(t)
				r.WantUnspent(code, 3)
				if n := r.LiveGrants(r.U, app); n != 0 {
					t.Errorf("a refused redemption left %d grants", n)
				}
				token := r.Exchange(app, code, "code_verifier", rig.Verifier).WantToken(t)
				r.WantLive(token, true)
			})
		}
	})
}

// TestBattery_C5: A code is redeemed one second before its lifetime ends (200) and one second after (invalid_grant, and
// the code stays unconsumed), by the database's clock; the code's row is shifted instead of waiting. So with the default
// of 60 seconds and with the longest lifetime, 10 minutes; a longer one is refused when the server starts.
func TestBattery_C5(t *testing.T) {
	for name, lifetime := range map[string]time.Duration{"default": 0, "longest": server.MaxCodeLifetime} {
		t.Run(name, func(t *testing.T) {
			rig.Each(t, func(t *testing.T, r *rig.Rig) {
				expireCodes(t, r, max(lifetime, time.Minute))
			}, func(o *server.Options) { o.CodeLifetime = lifetime })
		})
	}
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		st := dbtest.Open(t, dbtest.SQLite(t))
		if s, err := server.New(context.Background(), st, server.Options{Issuer: "http://localhost:1", CodeLifetime: server.MaxCodeLifetime + time.Second}); err == nil {
			_ = s.Close(context.Background())
			t.Error("a code lifetime of more than 10 minutes is accepted")
		}
	})
}

func expireCodes(t *testing.T, r *rig.Rig, lifetime time.Duration) {
	b := r.LoggedIn(r.U)
	// shifted is a code whose issue lies so much longer ago.
	shifted := func(by time.Duration) string {
		code := b.Code(r.A)
		id, us := r.Parse(code).ID, by.Microseconds()
		r.Exec(`UPDATE codes SET created_at = created_at - $1, expires_at = expires_at - $2 WHERE id = $3`, us, us, id[:])
		return code
	}
	row := r.CodeRow(b.Code(r.A))
	if got := row.ExpiresAt.Sub(row.CreatedAt); got != lifetime {
		t.Errorf("the code lives %s, want %s", got, lifetime)
	}

	late := shifted(lifetime + time.Second)
	r.Exchange(r.A, late).WantGrantRefused(t)
	r.WantUnspent(late, 0)
	if n := r.LiveGrants(r.U, r.A); n != 0 {
		t.Errorf("an expired code left %d grants", n)
	}

	// One second is left, and a busy machine may need it before the request arrives: then the code was late again, and
	// another one is tried.
	for range 20 {
		start := time.Now()
		early := shifted(lifetime - time.Second)
		a := r.Exchange(r.A, early)
		if a.Status == http.StatusOK || time.Since(start) < time.Second {
			r.WantLive(a.WantToken(t), true)
			return
		}
	}
	t.Error("no request arrived within a second")
}

// TestBattery_C6: A's code is sent by B with B's secret, and by the public app P under its own name: invalid_grant. P (or
// anybody) naming A without A's secret is not A: invalid_client, before the code is looked at. The code is intact, and
// no attempt is counted against it; the same holds for P's code in the hands of A and of another public app.
func TestBattery_C6(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		pkce := []string{"code_challenge", rig.Challenge, "code_challenge_method", "S256"}
		codeOfA, codeOfP := b.Code(r.A, pkce...), b.Code(r.P, pkce...)
		proof := []string{"redirect_uri", rig.CB, "code_verifier", rig.Verifier}
		for range store.MaxCodeTries + 1 {
			r.Exchange(r.B, codeOfA, proof...).WantGrantRefused(t)
			r.Exchange(r.P, codeOfA, proof...).WantGrantRefused(t)
			r.Exchange(rig.App{ID: r.A.ID, URI: rig.CB}, codeOfA, proof...).WantRefused(t, http.StatusUnauthorized, "invalid_client")
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

// TestBattery_C7: The authorization request named CB. The token request names CB: 200. It names another address, CB with
// a slash or a query, another registered one, or none: invalid_grant each, and the code is still good for the right one.
func TestBattery_C7(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		const second = "https://app.test/second"
		app := r.AddApp("Two", true, rig.CB, func(f *directory.AppForm) { f.RedirectURIs = append(f.RedirectURIs, second) })
		for name, uri := range map[string]string{
			"another": "https://evil.test/cb", "missing": "", "with a slash": rig.CB + "/", "with a query": rig.CB + "?",
			"registered, but another": second, "upper case": strings.ToUpper(rig.CB),
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

// TestBattery_C8: The authorization request named no redirect_uri, because the app has one only. The token request names
// none: 200. It names the registered one: 200. It names another: invalid_grant, and the code is still good.
func TestBattery_C8(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		for name, app := range map[string]rig.App{"confidential": r.A, "public": r.P} {
			t.Run(name, func(t *testing.T) {
				r, b := r.With(t), b.With(t)
				proof := []string{}
				if app.Secret == "" {
					proof = []string{"code_verifier", rig.Verifier}
				}
				without := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"))...)
				r.WantLive(r.Post("/oauth/token", without).WantToken(t), true)

				with := app.As(append(proof, "code", b.Code(app, "redirect_uri", "-"), "redirect_uri", rig.CB)...)
				r.WantLive(r.Post("/oauth/token", with).WantToken(t), true)

				code := b.Code(app, "redirect_uri", "-")
				other := app.As(append(proof, "code", code, "redirect_uri", rig.CB+"/other")...)
				r.Post("/oauth/token", other).WantGrantRefused(t)
				r.WantUnspent(code, 1)
				other.Del("redirect_uri")
				r.WantLive(r.Post("/oauth/token", other).WantToken(t), true)
			})
		}
	})
}

// TestBattery_C9: Between consent and redemption the user changes the password or the operator sets it, the user is
// disabled or deleted or leaves the account, the account is disabled, or the user removes the app: invalid_grant. The app
// itself is suspended or deleted: it cannot authenticate any more, so invalid_client (as K7 wants it). No token comes of
// it in any case, and none when a suspended app is let in again after the code's user removed it.
func TestBattery_C9(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		for name, c := range endings {
			t.Run(name, func(t *testing.T) {
				r := r.With(t)
				slug := strings.ReplaceAll(name, " ", "-")
				person := situation{t: t, r: r, u: r.AddUser(slug + "@users.test"), app: r.AddApp("App "+name, true, rig.CB)}
				person.b = r.LoggedIn(person.u)
				code := person.b.Code(person.app)
				c.end(person)
				a := r.Exchange(person.app, code)
				if c.invalidClient {
					a.WantRefused(t, http.StatusUnauthorized, "invalid_client")
				} else {
					a.WantGrantRefused(t)
				}
				r.WantUnspent(code, 0)
				if n := r.Count(`SELECT COUNT(*) FROM tokens WHERE app_id = $1`, person.app.ID); n != 0 {
					t.Errorf("%d tokens were made of a dead code", n)
				}
			})
		}
	})
}

// situation is a person with a browser who has just approved an app.
type situation struct {
	t   *testing.T
	r   *rig.Rig
	u   rig.User
	app rig.App
	b   *rig.Browser
}

func (s situation) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// endings are the ways in which a code loses what it hangs on.
var endings = map[string]struct {
	end           func(s situation)
	invalidClient bool
}{
	"password changed": {end: func(s situation) {
		a := s.b.Post("/account/security", url.Values{"current_password": {rig.Password}, "password": {"another horse battery"}})
		if a.Status != http.StatusSeeOther {
			s.t.Fatalf("change password: %d: %.300s", a.Status, a.Body)
		}
	}},
	"password set": {end: func(s situation) {
		s.must(s.r.Rules.SetPassword(context.Background(), rig.Operator, s.u.ID, "another horse battery"))
	}},
	"user disabled": {end: func(s situation) {
		s.must(s.r.Store.SetUserDisabled(context.Background(), rig.Operator, s.u.ID, true))
	}},
	"user deleted": {end: func(s situation) {
		s.must(s.r.Store.DeleteUser(context.Background(), rig.Operator, s.u.ID))
	}},
	"user left": {end: func(s situation) {
		s.must(s.r.Store.RemoveMember(context.Background(), rig.Operator, s.u.Account.ID, s.u.ID))
	}},
	"account disabled": {end: func(s situation) {
		s.r.Exec(`UPDATE accounts SET disabled_at = created_at WHERE id = $1`, s.u.Account.ID)
	}},
	"app removed": {end: func(s situation) { s.uninstall() }},
	"app suspended": {invalidClient: true, end: func(s situation) {
		s.must(s.r.Store.SetAppSuspended(context.Background(), rig.Operator, s.app.ID, true))
	}},
	"app deleted": {invalidClient: true, end: func(s situation) {
		s.must(s.r.Rules.DeleteApp(context.Background(), rig.Operator, "", s.app.ID))
	}},
	"app suspended and removed and resumed": {end: func(s situation) {
		s.must(s.r.Store.SetAppSuspended(context.Background(), rig.Operator, s.app.ID, true))
		s.uninstall()
		s.must(s.r.Store.SetAppSuspended(context.Background(), rig.Operator, s.app.ID, false))
	}},
}

// uninstall presses Remove on the installed-apps page.
func (s situation) uninstall() {
	s.t.Helper()
	installed, err := s.r.Store.InstalledApps(context.Background(), s.u.ID)
	s.must(err)
	if len(installed) != 1 {
		s.t.Fatalf("%d apps are installed, want 1", len(installed))
	}
	if a := s.b.Post("/account/apps/"+installed[0].ID+"/remove", url.Values{}); a.Status != http.StatusSeeOther {
		s.t.Fatalf("remove app: %d: %.300s", a.Status, a.Body)
	}
}

// TestBattery_C10: Something else is presented as a code: a non-expiring or expiring access token, a refresh token, the
// client secret, the id of a consent request, a code with another letter or a character changed, with space around it,
// garbage of any length. Each is invalid_grant and does nothing to the real thing; and a code is good for nothing but
// redemption: as a bearer token, as a refresh token and at introspection it is unknown, and stays redeemable.
func TestBattery_C10(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		echo := r.AddExpiring("Echo")
		token := r.Grant(b, r.A).WantToken(t)
		family := r.Grant(b, echo)
		expiring, refresh := family.WantToken(t), family.String(t, "refresh_token")
		page := b.Authorize("client_id", r.B.ID, "scope", "contacts")
		request := page.Hidden("request_id")
		if request == "" {
			t.Fatalf("no consent page: %d", page.Status)
		}
		code := b.Code(r.A)
		flipped := code[:len(code)-1] + string(code[len(code)-1]^1)
		for name, text := range map[string]string{
			"non-expiring token": token, "expiring token": expiring, "refresh token": refresh, "consent request": request,
			"client secret": r.A.Secret, "another letter": "xnoa" + code[4:], "a character changed": flipped, "cut": code[:40],
			"space before": " " + code, "newline after": code + "\n", "doubled": code + code, "garbage": "x", "long": strings.Repeat("x", 10_000),
			"not ASCII": "cödé", "quotes": `'"--`, "well-formed, unknown": secret.Format{}.New(secret.Code).Reveal(),
		} {
			t.Run(name, func(t *testing.T) {
				for _, app := range []rig.App{r.A, echo} {
					r.With(t).Exchange(app, text).WantGrantRefused(t)
				}
			})
		}
		r.WantLive(token, true)
		r.WantLive(expiring, true)
		r.WantActive(echo, refresh, true)

		r.WantLive(code, false)
		r.WantActive(r.A, code, false)
		r.Token(r.A, "grant_type", "refresh_token", "refresh_token", code).WantGrantRefused(t)
		r.WantUnspent(code, 0)
		r.WantLive(r.Exchange(r.A, code).WantToken(t), true)
		r.WantCode(b.Decide(page, "allow"), rig.CB, "")
	})
}
