package e2e

import (
	"context"
	"flag"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

var rounds = flag.Int("rounds", 12, "rounds of the race for a code, row C2; the battery asks for 200")

// codeApps are the three sorts of app that redeem codes: tokens that never expire, tokens that do, and no secret.
func codeApps(e *harness.Env) map[string]harness.App {
	return map[string]harness.App{"confidential": e.A, "confidential, expiring": e.AddExpiring("Echo"), "public": e.P}
}

// TestCodeReplay_C1: A code is redeemed twice, one after the other, by its own authenticated app (confidential, with expiring
// tokens, and public). The second answer is invalid_grant without a redirect, and everything that the first one had
// produced is dead: the access token, the refresh token, and the tokens of a refresh in between. A third try changes
// nothing more, and the audit trail tells of the replay once.
func TestCodeReplay_C1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for name, app := range codeApps(e) {
			t.Run(name, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				code := b.Code(app)
				first := e.Exchange(app, code)
				tokens := []string{first.WantToken(t)}
				refresh := first.String(t, "refresh_token")
				if refresh != "" {
					rotated := e.Token(app, "grant_type", "refresh_token", "refresh_token", refresh)
					tokens = append(tokens, rotated.WantToken(t))
					refresh = rotated.String(t, "refresh_token")
				}
				for _, token := range tokens {
					e.WantLive(token, true)
				}

				e.Exchange(app, code).WantGrantRefused(t)
				for _, token := range tokens {
					e.WantLive(token, false)
					if app.Secret != "" {
						e.WantActive(app, token, false)
					}
				}
				if refresh != "" {
					e.Token(app, "grant_type", "refresh_token", "refresh_token", refresh).WantGrantRefused(t)
				}
				e.Exchange(app, code).WantGrantRefused(t)
				if n := e.LiveGrants(e.U, app); n != 0 {
					t.Errorf("%d grants live after the replay, want 0", n)
				}
				e.WantEvents(app, store.EventCodeReplayed, 1)
			})
		}
	})
}

// TestCodeRace_C2: 50 requests redeem one code at the same moment, each with everything right: on one server over each
// database, and spread over two servers on one Postgres. Exactly one is answered 200, the 49 others invalid_grant; and
// since they are replays by a proven caller, nothing that the code produced lives afterwards, neither token nor family.
// (A database that is too busy to say who lost may answer 503 with Retry-After, but never 200.) Rounds go in turn to a
// confidential app, one with expiring tokens, and a public one. The battery asks for 200 rounds; the everyday run does
// 12 of each (go test ./e2e -run C2 -rounds 200 does them all).
func TestCodeRace_C2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) { raceCodes(t, e, e) })
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()
		first, second := harness.Pair(t)
		raceCodes(t, first, second)
	})
}

func raceCodes(t *testing.T, replicas ...*harness.Env) {
	e := replicas[0]
	apps := []harness.App{e.A, e.AddExpiring("Echo"), e.P}
	b := e.LoggedIn(e.U)
	for round := range *rounds {
		app := apps[round%len(apps)]
		code := b.Code(app)
		answers := harness.Race(t, 50, func(i int) harness.Answer { return replicas[i%len(replicas)].Exchange(app, code) })
		token, refresh := wantOneWinner(t, answers)
		for _, replica := range replicas {
			replica.WantLive(token, false)
		}
		if refresh != "" {
			e.Token(app, "grant_type", "refresh_token", "refresh_token", refresh).WantGrantRefused(t)
		}
		if n := e.LiveGrants(e.U, app); n != 0 {
			t.Fatalf("round %d: %d grants live after the replays, want 0", round, n)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	created := e.Count(`SELECT COUNT(*) FROM tokens`) + e.Count(`SELECT COUNT(*) FROM families`)
	if created != *rounds {
		t.Errorf("%d rounds created %d grants, want one a round", *rounds, created)
	}
}

// wantOneWinner returns what the winner was given.
func wantOneWinner(t *testing.T, answers []harness.Answer) (token, refresh string) {
	t.Helper()
	refused, busy := 0, 0
	for _, a := range answers {
		switch a.Status {
		case http.StatusOK:
			if token != "" {
				t.Fatal("two requests redeemed one code")
			}
			token, refresh = a.WantToken(t), a.String(t, "refresh_token")
		case http.StatusServiceUnavailable:
			busy++
			a.WantRefused(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			if a.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		default:
			refused++
			a.WantGrantRefused(t)
		}
	}
	if token == "" || refused == 0 {
		t.Fatalf("%d of %d requests refused, %d told to come back, and one winner: %t", refused, len(answers), busy, token != "")
	}
	return token, refresh
}

// TestCodeReplayUnproven_C3: a redeemed code is presented again with a wrong secret or none (401 invalid_client), by another app, without the
// verifier or with a wrong one, or with a wrong redirect_uri (400 invalid_grant). The owner's token stays valid each time, so
// that a stolen code cannot end it. A replay by the owner still ends it, after any number of attempts.
func TestCodeReplayUnproven_C3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		thief := e.A
		thief.Secret = secret.Format{}.New(secret.Client).Reveal()
		nobody := e.A
		nobody.Secret = ""
		other := strings.Repeat("w", 43)
		for name, app := range map[string]harness.App{"confidential": e.A, "public": e.P} {
			t.Run(name, func(t *testing.T) {
				e, b := e.With(t), b.With(t)
				code := b.Code(app, "code_challenge", harness.Challenge, "code_challenge_method", "S256")
				token := e.Exchange(app, code, "code_verifier", harness.Verifier).WantToken(t)
				if app.Secret != "" {
					e.Exchange(thief, code, "code_verifier", harness.Verifier).WantRefused(t, http.StatusUnauthorized, "invalid_client")
					e.Exchange(nobody, code, "code_verifier", harness.Verifier).WantRefused(t, http.StatusUnauthorized, "invalid_client")
				}
				e.WantLive(token, true)
				for what, form := range map[string]url.Values{
					"by another app":        e.B.As("code", code, "redirect_uri", app.URI, "code_verifier", harness.Verifier),
					"by another public app": e.N.As("code", code, "redirect_uri", app.URI, "code_verifier", harness.Verifier),
					"without verifier":      app.As("code", code, "redirect_uri", app.URI),
					"wrong verifier":        app.As("code", code, "redirect_uri", app.URI, "code_verifier", other),
					"wrong redirect_uri":    app.As("code", code, "redirect_uri", harness.CB+"/x", "code_verifier", harness.Verifier),
					"no redirect_uri":       app.As("code", code, "code_verifier", harness.Verifier),
				} {
					for range 2 { // more than MaxCodeAttempts in all
						e.Post("/oauth/token", form).WantGrantRefused(t)
					}
					e.WantLive(token, true)
					if t.Failed() {
						t.Fatalf("after a replay %s", what)
					}
				}
				e.WantEvents(app, store.EventCodeReplayed, 0)

				e.Exchange(app, code, "code_verifier", harness.Verifier).WantGrantRefused(t)
				e.WantLive(token, false)
			})
		}
	})
}

// TestCodeLifetime_C5: A code is redeemed one second before its lifetime ends (200) and one second after (invalid_grant, and
// the code stays unconsumed), by the database's clock; the code's row is shifted instead of waiting. So with the default
// of 60 seconds and with the longest lifetime, 10 minutes; a longer one is refused when the server starts.
func TestCodeLifetime_C5(t *testing.T) {
	for name, lifetime := range map[string]time.Duration{"default": 0, "longest": server.MaxCodeLifetime} {
		t.Run(name, func(t *testing.T) {
			harness.Each(t, func(t *testing.T, e *harness.Env) {
				expireCodes(t, e, max(lifetime, time.Minute))
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

func expireCodes(t *testing.T, e *harness.Env, lifetime time.Duration) {
	b := e.LoggedIn(e.U)
	// shifted is a code whose issue lies so much longer ago.
	shifted := func(by time.Duration) string {
		code := b.Code(e.A)
		id, us := e.Parse(code).ID, by.Microseconds()
		e.Exec(`UPDATE codes SET created_at = created_at - $1, expires_at = expires_at - $2 WHERE id = $3`, us, us, id[:])
		return code
	}
	row := e.CodeRow(b.Code(e.A))
	if got := row.ExpiresAt.Sub(row.CreatedAt); got != lifetime {
		t.Errorf("the code lives %s, want %s", got, lifetime)
	}

	late := shifted(lifetime + time.Second)
	e.Exchange(e.A, late).WantGrantRefused(t)
	e.WantUnspent(late, 0)
	if n := e.LiveGrants(e.U, e.A); n != 0 {
		t.Errorf("an expired code left %d grants", n)
	}

	// One second is left, and a busy machine may need it before the request arrives: then the code was late again, and
	// another one is tried.
	for range 20 {
		start := time.Now()
		early := shifted(lifetime - time.Second)
		a := e.Exchange(e.A, early)
		if a.Status == http.StatusOK || time.Since(start) < time.Second {
			e.WantLive(a.WantToken(t), true)
			return
		}
	}
	t.Error("no request arrived within a second")
}
