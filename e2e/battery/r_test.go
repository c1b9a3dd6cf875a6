package battery

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/rig"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// refresh presents a refresh token as an app, with further parameters given as name, value, …
func refresh(r *rig.Rig, app rig.App, token string, parameters ...string) rig.Answer {
	return r.Token(app, append([]string{"grant_type", "refresh_token", "refresh_token", token}, parameters...)...)
}

// refreshers are the two sorts of app that hold refresh tokens.
func refreshers(r *rig.Rig) map[string]rig.App {
	return map[string]rig.App{"confidential": r.AddExpiring("Echo"), "public": r.P}
}

// family is one approval of an app with refresh tokens: what it was given.
type family struct {
	app             rig.App
	access, refresh string
}

func newFamily(t *testing.T, r *rig.Rig, b *rig.Browser, app rig.App, parameters ...string) family {
	t.Helper()
	a := r.Grant(b, app, parameters...)
	f := family{app: app, access: a.WantToken(t), refresh: a.String(t, "refresh_token")}
	if f.refresh == "" {
		t.Fatalf("no refresh token: %s", a.Body)
	}
	return f
}

// rotations is how many refresh tokens of an app were made, and how many of them are current.
func rotations(r *rig.Rig, app rig.App) (made, current int) {
	const all = `SELECT COUNT(*) FROM refresh_tokens t JOIN families f ON f.id = t.family_id WHERE f.app_id = $1`
	return r.Count(all, app.ID), r.Count(all+` AND t.rotated_at IS NULL`, app.ID)
}

// wantIntact asserts that a refresh token was not rotated, that its family lives, and that its access token works.
func wantIntact(t *testing.T, r *rig.Rig, f family, made int) {
	t.Helper()
	r = r.With(t)
	r.WantLive(f.access, true)
	if f.app.Secret != "" {
		r.WantActive(f.app, f.refresh, true)
	}
	if n, current := rotations(r, f.app); n != made || current != 1 {
		t.Errorf("the app has %d refresh tokens, %d of them current; want %d and 1", n, current, made)
	}
	r.WantEvents(f.app, store.EventFamilyEnded, 0)
}

// TestBattery_R1: a refresh token is presented by another confidential app, by another public app, under its own app's
// name with another secret, a made-up one, a dead one or none, and by nobody: invalid_grant from whoever is a client, 401
// invalid_client from whoever is not. The token, its family and its access token are untouched, even if it is a rotated one
// whose use by its owner would end the family; and the owner's refresh works.
func TestBattery_R1(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		b := r.LoggedIn(r.U)
		other := r.AddApp("Other public", false, rig.CB)
		for name, app := range refreshers(r) {
			t.Run(name, func(t *testing.T) {
				r := r.With(t)
				f := newFamily(t, r, b.With(t), app)
				old := f.refresh
				rotated := refresh(r, app, old)
				f.access, f.refresh = rotated.WantToken(t), rotated.String(t, "refresh_token")
				for _, token := range []string{f.refresh, old} {
					refresh(r, r.B, token).WantGrantRefused(t)
					refresh(r, r.B, token, "scope", "contacts").WantGrantRefused(t)
					refresh(r, other, token).WantGrantRefused(t)
					refresh(r, r.N, token).WantGrantRefused(t)
					for _, forged := range []string{r.B.Secret, secret.Format{}.New(secret.Client).Reveal(), "wrong", f.access, token} {
						wantInvalidClient(t, refresh(r, rig.App{ID: app.ID, Secret: forged}, token))
					}
					wantInvalidClient(t, refresh(r, rig.App{ID: "app_" + strings.Repeat("0", 22)}, token))
					wantInvalidClient(t, r.Post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}))
					if app.Secret != "" {
						wantInvalidClient(t, refresh(r, rig.App{ID: app.ID}, token))
						wantInvalidClient(t, refresh(r, rig.App{ID: strings.ToUpper(app.ID), Secret: app.Secret}, token))
					}
				}
				wantIntact(t, r, f, 2)
				r.WantLive(refresh(r, app, f.refresh).WantToken(t), true)
			})
		}
	})
}

// TestBattery_R2: a refresh token is rotated; the same request within 10 seconds gets the same answer, to the byte; the
// successor is used; then the old one is presented again: invalid_grant, and every access and refresh token of the family is
// dead, for good. The same when a server that was started after the last step answers each. A repetition that is not the
// same request (another scope), one after 10 seconds, and one of a token two rotations old end the family, too, also while
// the user is disabled, when the same request within them is refused and ends nothing. The audit trail tells of each end
// once.
func TestBattery_R2(t *testing.T) {
	rig.EachURL(t, func(t *testing.T, r *rig.Rig, databaseURL string) {
		b := r.LoggedIn(r.U)
		restart := func(t *testing.T) *rig.Rig { return r.With(t).Replica(databaseURL) }
		same := func(t *testing.T) *rig.Rig { return r.With(t) }
		for name, app := range refreshers(r) {
			for how, server := range map[string]func(*testing.T) *rig.Rig{"one server": same, "restarted each time": restart} {
				t.Run(name+", "+how, func(t *testing.T) { reuse(t, r.With(t), b.With(t), app, server) })
			}
			t.Run(name+", other ends", func(t *testing.T) { otherEnds(t, r.With(t), b.With(t), app) })
		}
	})
}

func reuse(t *testing.T, r *rig.Rig, b *rig.Browser, app rig.App, server func(*testing.T) *rig.Rig) {
	before := len(r.Strings(`SELECT kind FROM audit_events WHERE app_id = $1 AND kind = $2`, app.ID, store.EventFamilyEnded))
	f := newFamily(t, r, b, app)
	first := refresh(server(t), app, f.refresh)
	next := family{app: app, access: first.WantToken(t), refresh: first.String(t, "refresh_token")}
	if next.refresh == f.refresh || next.access == f.access {
		t.Fatal("the tokens were not rotated")
	}
	id := r.Parse(f.refresh).ID
	if grace := r.Count(`SELECT (sealed_until - rotated_at) / 1000000 FROM refresh_tokens WHERE id = $1`, id[:]); grace < 9 || grace > 10 {
		t.Errorf("the answer is given again for %d s, want 10", grace)
	}
	// A busy machine may need longer than that to start a server.
	r.Exec(`UPDATE refresh_tokens SET sealed_until = sealed_until + $1 WHERE id = $2`, time.Minute.Microseconds(), id[:])
	for range 3 {
		if again := refresh(server(t), app, f.refresh); again.Status != http.StatusOK || again.Body != first.Body {
			t.Fatalf("the same request got %d and another answer", again.Status)
		}
	}
	r.WantLive(f.access, true)
	r.WantLive(next.access, true)

	second := refresh(server(t), app, next.refresh)
	last := family{app: app, access: second.WantToken(t), refresh: second.String(t, "refresh_token")}
	r.WantLive(last.access, true)
	for range 2 {
		refresh(server(t), app, f.refresh).WantGrantRefused(t)
		replica := server(t)
		for _, dead := range []family{f, next, last} {
			replica.WantLive(dead.access, false)
			refresh(replica, app, dead.refresh).WantGrantRefused(t)
			if app.Secret != "" {
				replica.WantActive(app, dead.refresh, false)
				replica.WantActive(app, dead.access, false)
			}
		}
	}
	if n := r.LiveGrants(r.U, app); n != 0 {
		t.Errorf("%d grants live, want none", n)
	}
	r.WantEvents(app, store.EventFamilyEnded, before+1)
}

// otherEnds are repetitions that are no repetitions.
func otherEnds(t *testing.T, r *rig.Rig, b *rig.Browser, app rig.App) {
	late := func(token string) {
		id, by := r.Parse(token).ID, (10*time.Second + time.Millisecond).Microseconds()
		r.Exec(`UPDATE refresh_tokens SET rotated_at = rotated_at - $1, sealed_until = sealed_until - $2 WHERE id = $3`, by, by, id[:])
	}
	ended := len(r.Strings(`SELECT kind FROM audit_events WHERE app_id = $1 AND kind = $2`, app.ID, store.EventFamilyEnded))
	for name, second := range map[string]func(f family) rig.Answer{
		"another scope":     func(f family) rig.Answer { return refresh(r, app, f.refresh, "scope", "faqs") },
		"the scope spelled": func(f family) rig.Answer { return refresh(r, app, f.refresh, "scope", "contacts faqs") },
		"after 10 seconds": func(f family) rig.Answer {
			late(f.refresh)
			return refresh(r, app, f.refresh)
		},
		"10 seconds, while the user is disabled": func(f family) rig.Answer {
			disable := func(disabled bool) {
				if err := r.Store.SetUserDisabled(t.Context(), rig.Operator, r.U.ID, disabled); err != nil {
					t.Fatal(err)
				}
			}
			disable(true)
			defer disable(false)
			refresh(r, app, f.refresh).WantGrantRefused(t)
			r.WantEvents(app, store.EventFamilyEnded, ended)
			late(f.refresh)
			return refresh(r, app, f.refresh)
		},
	} {
		f := newFamily(t, r, b, app, "scope", "faqs contacts")
		next := refresh(r, app, f.refresh)
		token := next.WantToken(t)
		second(f).WantGrantRefused(t)
		r.WantLive(token, false)
		r.WantLive(f.access, false)
		refresh(r, app, next.String(t, "refresh_token")).WantGrantRefused(t)
		if ended++; t.Failed() {
			t.Fatalf("after %s", name)
		}
	}
}

// TestBattery_R3: 50 refreshes of one token at the same moment, on one server over each database and spread over two
// servers: all that succeed got the same successor, the family never forks (one current refresh token, one access token
// beside the first), and the successor works. 50 different requests (half want fewer scopes) and 50 reuses after the grace:
// at most one successor was made, and the family is dead afterwards, which the audit trail tells once. (A database too busy
// to say who lost may answer 503 with Retry-After.)
func TestBattery_R3(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		rig.Each(t, func(t *testing.T, r *rig.Rig) { raceRefreshes(t, r) })
	})
	t.Run("two servers", func(t *testing.T) {
		rig.EachPair(t, func(t *testing.T, first, second *rig.Rig) { raceRefreshes(t, first, second) })
	})
}

func raceRefreshes(t *testing.T, replicas ...*rig.Rig) {
	r := replicas[0]
	b := r.LoggedIn(r.U)
	race := func(f family, parameters func(i int) []string) []rig.Answer {
		return rig.Race(t, 50, func(i int) rig.Answer {
			return refresh(replicas[i%len(replicas)], f.app, f.refresh, parameters(i)...)
		})
	}
	plain := func(int) []string { return nil }
	for name, app := range refreshers(r) {
		f := newFamily(t, r, b, app, "scope", "faqs contacts")
		successor := wantOneSuccessor(t, race(f, plain), false)
		if made, current := rotations(r, app); made != 2 || current != 1 {
			t.Fatalf("%s: %d refresh tokens, %d of them current; want 2 and 1", name, made, current)
		}
		if n := r.Count(`SELECT COUNT(*) FROM expiring_tokens WHERE app_id = $1`, app.ID); n != 2 {
			t.Errorf("%s: %d access tokens, want 2", name, n)
		}
		next := refresh(r, app, successor.String(t, "refresh_token"))
		next.WantToken(t)

		// The first token is now two rotations old.
		for _, a := range race(f, plain) {
			wantRefusedOrBusy(t, a)
		}
		refresh(r, app, f.refresh).WantGrantRefused(t)
		r.WantLive(next.String(t, "access_token"), false)
		r.WantEvents(app, store.EventFamilyEnded, 1)

		f = newFamily(t, r, b, app, "scope", "faqs contacts")
		won := wantOneSuccessor(t, race(f, func(i int) []string { return []string{"scope", []string{"faqs", "contacts"}[i/len(replicas)%2]} }), true)
		if made, current := rotations(r, app); made != 5 || current != 2 {
			t.Fatalf("%s: %d refresh tokens, %d of them current; want 5 and one of each family", name, made, current)
		}
		refresh(r, app, f.refresh).WantGrantRefused(t)
		r.WantLive(won.String(t, "access_token"), false)
		refresh(r, app, won.String(t, "refresh_token")).WantGrantRefused(t)
		if n := r.LiveGrants(r.U, app); n != 0 {
			t.Errorf("%s: %d grants live, want none", name, n)
		}
		r.WantEvents(app, store.EventFamilyEnded, 2)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// wantOneSuccessor returns the one answer that all successes have in common; refusals are for requests that differ.
func wantOneSuccessor(t *testing.T, answers []rig.Answer, differ bool) rig.Answer {
	t.Helper()
	var won rig.Answer
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK && won.Body == "":
			a.WantToken(t)
			won = a
		case a.Status == http.StatusOK:
			if a.Body != won.Body {
				t.Fatal("the family has forked: two successors of one refresh token")
			}
		case a.Status == http.StatusBadRequest && !differ:
			t.Errorf("a repetition was refused: %s", a.Body)
		default:
			wantRefusedOrBusy(t, a)
		}
	}
	if won.Body == "" {
		t.Fatal("nobody won")
	}
	return won
}

func wantRefusedOrBusy(t *testing.T, a rig.Answer) {
	t.Helper()
	if a.Status == http.StatusServiceUnavailable {
		wantUnavailable(t, a)
		return
	}
	a.WantGrantRefused(t)
}

// wantUnavailable asserts what a program is told when the database cannot be asked.
func wantUnavailable(t *testing.T, a rig.Answer) {
	t.Helper()
	a.WantRefused(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}
