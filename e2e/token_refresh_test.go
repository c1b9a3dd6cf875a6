package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// refresh presents a refresh token as an app, with further parameters given as name, value, …
func refresh(e *harness.Env, app harness.App, token string, parameters ...string) harness.Answer {
	return e.Token(app, append([]string{"grant_type", "refresh_token", "refresh_token", token}, parameters...)...)
}

// refreshers are the two sorts of app that hold refresh tokens.
func refreshers(e *harness.Env) map[string]harness.App {
	return map[string]harness.App{"confidential": e.AddExpiring("Echo"), "public": e.P}
}

// family is one approval of an app with refresh tokens: what it was given.
type family struct {
	app             harness.App
	access, refresh string
}

func newFamily(t *testing.T, e *harness.Env, b *harness.Browser, app harness.App, parameters ...string) family {
	t.Helper()
	a := e.Grant(b, app, parameters...)
	f := family{app: app, access: a.WantToken(t), refresh: a.String(t, "refresh_token")}
	if f.refresh == "" {
		t.Fatalf("no refresh token: %s", a.Body)
	}
	return f
}

// rotations is how many refresh tokens of an app were made, and how many of them are current.
func rotations(e *harness.Env, app harness.App) (made, current int) {
	const all = `SELECT COUNT(*) FROM refresh_tokens t JOIN families f ON f.id = t.family_id WHERE f.app_id = $1`
	return e.Count(all, app.ID), e.Count(all+` AND t.rotated_at IS NULL`, app.ID)
}

// wantIntact asserts that a refresh token was not rotated, that its family lives, and that its access token works.
func wantIntact(t *testing.T, e *harness.Env, f family, made int) {
	t.Helper()
	e = e.With(t)
	e.WantLive(f.access, true)
	if f.app.Secret != "" {
		e.WantActive(f.app, f.refresh, true)
	}
	if n, current := rotations(e, f.app); n != made || current != 1 {
		t.Errorf("the app has %d refresh tokens, %d of them current; want %d and 1", n, current, made)
	}
	e.WantEvents(f.app, store.EventFamilyEnded, 0)
}

// TestRefreshOtherClient_R1: a refresh token is presented by another confidential app, by another public app, under its own app's
// name with another secret, an invented, revoked or missing one, and without a client: invalid_grant for an authenticated client, and
// 401 invalid_client otherwise. The token, its family and its access token are untouched, even if it is a rotated one
// whose use by its owner would end the family; and the owner's refresh works.
func TestRefreshOtherClient_R1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		other := e.AddApp("Other public", false, harness.CB)
		for name, app := range refreshers(e) {
			t.Run(name, func(t *testing.T) {
				e := e.With(t)
				f := newFamily(t, e, b.With(t), app)
				old := f.refresh
				rotated := refresh(e, app, old)
				f.access, f.refresh = rotated.WantToken(t), rotated.String(t, "refresh_token")
				for _, token := range []string{f.refresh, old} {
					refresh(e, e.B, token).WantGrantRefused(t)
					refresh(e, e.B, token, "scope", "contacts").WantGrantRefused(t)
					refresh(e, other, token).WantGrantRefused(t)
					refresh(e, e.N, token).WantGrantRefused(t)
					for _, forged := range []string{e.B.Secret, secret.Format{}.New(secret.Client).Reveal(), "wrong", f.access, token} {
						wantInvalidClient(t, refresh(e, harness.App{ID: app.ID, Secret: forged}, token))
					}
					wantInvalidClient(t, refresh(e, harness.App{ID: "app_" + strings.Repeat("0", 22)}, token))
					wantInvalidClient(t, e.Post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}))
					if app.Secret != "" {
						wantInvalidClient(t, refresh(e, harness.App{ID: app.ID}, token))
						wantInvalidClient(t, refresh(e, harness.App{ID: strings.ToUpper(app.ID), Secret: app.Secret}, token))
					}
				}
				wantIntact(t, e, f, 2)
				e.WantLive(refresh(e, app, f.refresh).WantToken(t), true)
			})
		}
	})
}

// TestRefreshReuse_R2: a refresh token is rotated; the same request within 10 seconds gets the same answer, to the byte; the
// successor is used; then the old one is presented again: invalid_grant, and every access and refresh token of the family is
// dead, for good, which the audit trail records once. The same when a server that was started after the last step answers
// each, when several servers take turns, and while the user is disabled. Until the successor is used, the old token stays good: presented after 10 seconds,
// or for another scope, any number of times, it gets a fresh pair, and the unused successor ends: presented later, at
// whatever time, it is invalid_grant and ends nothing, so that two processes that share one store do not log each other
// out; the access tokens that came with it live on. The app's introspection agrees with all of it.
func TestRefreshReuse_R2(t *testing.T) {
	harness.EachURL(t, func(t *testing.T, e *harness.Env, databaseURL string) {
		b := e.LoggedIn(e.U)
		restart := func(t *testing.T) *harness.Env { return e.With(t).Replica(databaseURL) }
		same := func(t *testing.T) *harness.Env { return e.With(t) }
		for name, app := range refreshers(e) {
			for how, server := range map[string]func(*testing.T) *harness.Env{"one server": same, "restarted each time": restart} {
				t.Run(name+", "+how, func(t *testing.T) { reuse(t, e.With(t), b.With(t), app, server) })
			}
			t.Run(name+", lost answers", func(t *testing.T) {
				calls, servers := 0, []*harness.Env{same(t), restart(t), restart(t)}
				lostAnswers(t, e.With(t), b.With(t), app, func(*testing.T) *harness.Env { calls++; return servers[calls%len(servers)] })
			})
			t.Run(name+", while the user is disabled", func(t *testing.T) { reuseWhileDisabled(t, e.With(t), b.With(t), app) })
		}
	})
}

func reuse(t *testing.T, e *harness.Env, b *harness.Browser, app harness.App, server func(*testing.T) *harness.Env) {
	before := len(e.Strings(`SELECT kind FROM audit_events WHERE app_id = $1 AND kind = $2`, app.ID, store.EventFamilyEnded))
	f := newFamily(t, e, b, app)
	first := refresh(server(t), app, f.refresh)
	next := family{app: app, access: first.WantToken(t), refresh: first.String(t, "refresh_token")}
	if next.refresh == f.refresh || next.access == f.access {
		t.Fatal("the tokens were not rotated")
	}
	id := e.Parse(f.refresh).ID
	if grace := e.Count(`SELECT (sealed_until - rotated_at) / 1000000 FROM refresh_tokens WHERE id = $1`, id[:]); grace < 9 || grace > 10 {
		t.Errorf("the answer is given again for %d s, want 10", grace)
	}
	// A busy machine may need longer than that to start a server.
	e.Exec(`UPDATE refresh_tokens SET sealed_until = sealed_until + $1 WHERE id = $2`, time.Minute.Microseconds(), id[:])
	for range 3 {
		if again := refresh(server(t), app, f.refresh); again.Status != http.StatusOK || again.Body != first.Body {
			t.Fatalf("the same request got %d and another answer", again.Status)
		}
	}
	e.WantLive(f.access, true)
	e.WantLive(next.access, true)

	second := refresh(server(t), app, next.refresh)
	last := family{app: app, access: second.WantToken(t), refresh: second.String(t, "refresh_token")}
	e.WantLive(last.access, true)
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
	if n := e.LiveGrants(e.U, app); n != 0 {
		t.Errorf("%d grants live, want none", n)
	}
	e.WantEvents(app, store.EventFamilyEnded, before+1)
}

// late lets the 10 seconds pass in which a rotation is answered as before.
func (f family) late(e *harness.Env) {
	id, by := e.Parse(f.refresh).ID, (10*time.Second + time.Millisecond).Microseconds()
	e.Exec(`UPDATE refresh_tokens SET rotated_at = rotated_at - $1, sealed_until = sealed_until - $2 WHERE id = $3`, by, by, id[:])
}

// familyEnds counts the audit events for ended families of the app.
func familyEnds(e *harness.Env, app harness.App) int {
	return len(e.Strings(`SELECT kind FROM audit_events WHERE app_id = $1 AND kind = $2`, app.ID, store.EventFamilyEnded))
}

// lostAnswers presents a token again and again while its successor is unused.
func lostAnswers(t *testing.T, e *harness.Env, b *harness.Browser, app harness.App, server func(*testing.T) *harness.Env) {
	before := familyEnds(e, app)
	f := newFamily(t, e, b, app, "scope", "faqs contacts")
	active := func(token string, want bool) {
		t.Helper()
		if app.Secret != "" {
			e.WantActive(app, token, want)
		}
	}
	var replaced []family
	held := f
	for _, step := range []struct {
		late  bool
		scope string
	}{{false, "faqs"}, {true, "faqs"}, {false, "faqs contacts"}, {true, "contacts"}, {true, ""}} {
		if step.late {
			f.late(e)
		}
		a := refresh(server(t), app, f.refresh, "scope", step.scope)
		next := family{app: app, access: a.WantToken(t), refresh: a.String(t, "refresh_token")}
		if again := refresh(server(t), app, f.refresh, "scope", step.scope); again.Body != a.Body {
			t.Fatalf("the same request at once got %d and another answer", again.Status)
		}
		if held.refresh != f.refresh {
			replaced = append(replaced, held)
		}
		held = next
		for _, old := range replaced {
			refresh(server(t), app, old.refresh).WantGrantRefused(t)
			active(old.refresh, false)
			e.WantLive(old.access, true)
		}
		active(f.refresh, true)
		active(held.refresh, true)
	}
	if made := e.Count(`SELECT COUNT(*) FROM refresh_tokens WHERE rotated_at IS NULL AND family_id = (SELECT family_id FROM refresh_tokens WHERE id = $1)`, lookupID(e, f.refresh)); made != 1 {
		t.Errorf("%d current refresh tokens, want 1", made)
	}

	// The newest one is used: the replaced ones still end nothing, and the first one ends everything.
	a := refresh(server(t), app, held.refresh)
	last := family{app: app, access: a.WantToken(t), refresh: a.String(t, "refresh_token")}
	active(f.refresh, false)
	for _, old := range replaced {
		refresh(server(t), app, old.refresh).WantGrantRefused(t)
	}
	e.WantLive(last.access, true)
	e.WantEvents(app, store.EventFamilyEnded, before)
	refresh(server(t), app, f.refresh).WantGrantRefused(t)
	for _, dead := range append(replaced, f, held, last) {
		refresh(server(t), app, dead.refresh).WantGrantRefused(t)
		e.WantLive(dead.access, false)
	}
	e.WantEvents(app, store.EventFamilyEnded, before+1)
}

func lookupID(e *harness.Env, token string) []byte {
	id := e.Parse(token).ID
	return id[:]
}

// reuseWhileDisabled: while the user is disabled nothing is answered; a token whose successor is unused ends nothing then, and
// one whose successor was used ends the family, which stays dead when the user is enabled.
func reuseWhileDisabled(t *testing.T, e *harness.Env, b *harness.Browser, app harness.App) {
	before := familyEnds(e, app)
	f := newFamily(t, e, b, app)
	whileDisabled := func() {
		t.Helper()
		for _, disabled := range []bool{true, false} {
			if err := e.Store.SetUserDisabled(t.Context(), harness.Operator, e.U.ID, disabled); err != nil {
				t.Fatal(err)
			}
			if disabled {
				refresh(e, app, f.refresh).WantGrantRefused(t)
			}
		}
	}
	first := refresh(e, app, f.refresh)
	whileDisabled()
	if again := refresh(e, app, f.refresh); again.Body != first.Body {
		t.Errorf("within the grace, once the user is enabled: %d: %s", again.Status, again.Body)
	}
	f.late(e)
	whileDisabled()
	next := refresh(e, app, f.refresh)
	e.WantLive(next.WantToken(t), true)
	e.WantEvents(app, store.EventFamilyEnded, before)
	last := refresh(e, app, next.String(t, "refresh_token"))
	whileDisabled()
	e.WantLive(last.WantToken(t), false)
	refresh(e, app, last.String(t, "refresh_token")).WantGrantRefused(t)
	e.WantEvents(app, store.EventFamilyEnded, before+1)
}

// TestRefreshRace_R3: 50 refreshes of one token at the same moment, on one server over each database and spread over two
// servers: all that succeed got the same successor, the family never forks (one current refresh token, one access token
// beside the first), and the successor works. So it is for 50 that present the token again after 10 seconds while its
// successor is unused, and that successor has ended. 50 different requests (half want fewer scopes): each is answered as
// requested, and one of the answers holds the one current refresh token. 50 reuses once the successor was used: the family is dead
// afterwards, which the audit trail records once. (A database too busy to say who lost may answer 503 with Retry-After.)
func TestRefreshRace_R3(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		harness.Each(t, func(t *testing.T, e *harness.Env) { raceRefreshes(t, e) })
	})
	t.Run("two servers", func(t *testing.T) {
		harness.EachPair(t, func(t *testing.T, first, second *harness.Env) { raceRefreshes(t, first, second) })
	})
}

func raceRefreshes(t *testing.T, replicas ...*harness.Env) {
	e := replicas[0]
	b := e.LoggedIn(e.U)
	race := func(f family, parameters func(i int) []string) []harness.Answer {
		return harness.Race(t, 50, func(i int) harness.Answer {
			return refresh(replicas[i%len(replicas)], f.app, f.refresh, parameters(i)...)
		})
	}
	plain := func(int) []string { return nil }
	for name, app := range refreshers(e) {
		f := newFamily(t, e, b, app, "scope", "faqs contacts")
		unused := wantOneSuccessor(t, race(f, plain))
		wantRotations(t, e, app, 2, 1)
		if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens WHERE app_id = $1`, app.ID); n != 2 {
			t.Errorf("%s: %d access tokens, want 2", name, n)
		}
		f.late(e)
		successor := wantOneSuccessor(t, race(f, plain))
		wantRotations(t, e, app, 3, 1)
		if successor.Body == unused.Body {
			t.Fatalf("%s: the answer from before 10 seconds", name)
		}
		refresh(e, app, unused.String(t, "refresh_token")).WantGrantRefused(t)
		next := refresh(e, app, successor.String(t, "refresh_token"))
		e.WantLive(next.WantToken(t), true)
		e.WantEvents(app, store.EventFamilyEnded, 0)

		// The first token's successor was used.
		for _, a := range race(f, plain) {
			wantRefusedOrBusy(t, a)
		}
		refresh(e, app, f.refresh).WantGrantRefused(t)
		e.WantLive(next.String(t, "access_token"), false)
		e.WantEvents(app, store.EventFamilyEnded, 1)

		f = newFamily(t, e, b, app, "scope", "faqs contacts")
		asked := func(i int) string { return []string{"faqs", "contacts"}[i/len(replicas)%2] }
		good := wantOneCurrent(t, e, race(f, func(i int) []string { return []string{"scope", asked(i)} }), asked)
		if _, current := rotations(e, app); current != 2 { // one of each family
			t.Fatalf("%s: %d current refresh tokens, want 2", name, current)
		}
		e.WantLive(refresh(e, app, good).WantToken(t), true)
		e.WantLive(f.access, true)
		e.WantEvents(app, store.EventFamilyEnded, 1)
		if t.Failed() {
			t.FailNow()
		}
	}
}

func wantRotations(t *testing.T, e *harness.Env, app harness.App, made, current int) {
	t.Helper()
	if m, c := rotations(e, app); m != made || c != current {
		t.Fatalf("%d refresh tokens, %d of them current; want %d and %d", m, c, made, current)
	}
}

// wantOneSuccessor returns the one answer that all successes have in common.
func wantOneSuccessor(t *testing.T, answers []harness.Answer) harness.Answer {
	t.Helper()
	var won harness.Answer
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK && won.Body == "":
			a.WantToken(t)
			won = a
		case a.Status == http.StatusOK:
			if a.Body != won.Body {
				t.Fatal("the family has forked: two successors of one refresh token")
			}
		default:
			wantUnavailable(t, a)
		}
	}
	if won.Body == "" {
		t.Fatal("no request succeeded")
	}
	return won
}

// wantOneCurrent asserts that each answer has the scope that its request asked for, and that one refresh token of all the
// answers is current, which it returns.
func wantOneCurrent(t *testing.T, e *harness.Env, answers []harness.Answer, asked func(i int) string) string {
	t.Helper()
	current := map[string]bool{}
	for i, a := range answers {
		if a.Status != http.StatusOK {
			wantUnavailable(t, a)
			continue
		}
		e.WantLive(a.WantToken(t), true)
		if got := a.String(t, "scope"); got != asked(i) {
			t.Errorf("scope = %q, want %q", got, asked(i))
		}
		token := a.String(t, "refresh_token")
		if e.Count(`SELECT COUNT(*) FROM refresh_tokens WHERE id = $1 AND rotated_at IS NULL`, lookupID(e, token)) == 1 {
			current[token] = true
		}
	}
	if len(current) != 1 {
		t.Fatalf("%d of the answers have a current refresh token, want 1", len(current))
	}
	for token := range current {
		return token
	}
	return ""
}

func wantRefusedOrBusy(t *testing.T, a harness.Answer) {
	t.Helper()
	if a.Status == http.StatusServiceUnavailable {
		wantUnavailable(t, a)
		return
	}
	a.WantGrantRefused(t)
}

// wantUnavailable asserts what a program is told when the database cannot be asked.
func wantUnavailable(t *testing.T, a harness.Answer) {
	t.Helper()
	a.WantRefused(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}
