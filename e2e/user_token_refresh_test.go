package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
	"xenoauth/store"
)

// published are the kids of the key set, as a verifier sees them.
func published(t *testing.T, e *harness.Env) []string {
	t.Helper()
	a := harness.Fetch(t, http.MethodGet, e.URL+"/.well-known/jwks.json", nil)
	if a.Status != http.StatusOK {
		t.Fatalf("key set: %d: %s", a.Status, a.Body)
	}
	var kids []string
	for _, k := range a.JSON(t)["keys"].([]any) {
		kids = append(kids, k.(map[string]any)["kid"].(string))
	}
	return kids
}

// TestUserTokenKeyRotation_J4: two replicas while the key changes. The next key is made once, however many ask, and is published by
// both a day before it signs; a token of either key works at both replicas, however long ago within that day they looked at
// the keys; and once the old key's time is over, what it signed is 401 and the key is out of the key set, while the new
// key's tokens live on. At no moment is there a false 401.
func TestUserTokenKeyRotation_J4(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		eager := func(o *server.Options) { o.UserTokens.KeyRefresh = 1 } // looks each time
		one := harness.New(t, dbtest.Open(t, url), eager)
		two := one.Replica(url)
		lazy := one.Sibling() // looks every half minute
		replicas := []*harness.Env{one, two, lazy}
		live := func(tokens ...harness.UserPair) {
			t.Helper()
			for _, p := range tokens {
				for _, e := range replicas {
					e.WantLive(p.Token, true)
				}
			}
		}
		old := one.UserTokens(one.U)
		live(old)
		oldKid := published(t, one)[0]

		// 29 days and a minute later it is time to make the next key.
		month := 30 * 24 * time.Hour
		one.Exec(`UPDATE signing_keys SET active_from = active_from - $1, created_at = created_at - $1`, (month - 24*time.Hour + time.Minute).Microseconds())
		for _, a := range harness.Race(t, 20, func(i int) harness.Answer {
			return patiently(func() harness.Answer { return replicas[i%2].LogInProgram(one.U.Email, harness.Password) })
		}) {
			live(a.WantUserPair(one))
		}
		kids := published(t, one)
		if len(kids) != 2 || kids[1] != oldKid || fmt.Sprint(published(t, two)) != fmt.Sprint(kids) {
			t.Fatalf("key sets %v and %v, want the next key and %s", kids, published(t, two), oldKid)
		}
		if between := two.UserTokens(two.U); kidOf(t, between.Token) != oldKid {
			t.Error("the next key signs before its time")
		}

		// Another day later it signs. The lazy replica has looked at the keys in between, as it does in half a minute.
		lazy = one.Sibling()
		replicas[2] = lazy
		one.Exec(`UPDATE signing_keys SET active_from = active_from - $1, retire_at = retire_at - $1`, (24 * time.Hour).Microseconds())
		fresh := one.UserTokens(one.U)
		if kidOf(t, fresh.Token) != kids[0] {
			t.Error("the next key does not sign although its time has come")
		}
		live(old, fresh, two.UserTokens(two.U))
		fromLazy := lazy.UserTokens(lazy.U)
		live(fromLazy, lazy.RefreshByGet(old.Token, old.Refresh).WantUserPair(lazy))

		// And a day and an hour after that the old key is of no use to anybody who may have found it.
		one.Exec(`UPDATE signing_keys SET retire_at = retire_at - $1 WHERE retire_at IS NOT NULL`, (26 * time.Hour).Microseconds())
		one.WantLive(old.Token, false)
		two.WantLive(old.Token, false)
		live(fresh)
		if kids := published(t, two); len(kids) != 1 || kids[0] == oldKid {
			t.Errorf("key set %v still has %s", kids, oldKid)
		}
		one.Me(harness.Forge(t, old.Token, nil, nil).With(make([]byte, 64))).WantError(t, http.StatusUnauthorized, "invalid_token")
	})
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	_, after, _ := strings.Cut(harness.Forge(t, token, nil, nil).Header, `"kid":"`)
	kid, _, _ := strings.Cut(after, `"`)
	return kid
}

// userRotations is how many refresh tokens of a user were made, and how many of them are current.
func userRotations(e *harness.Env, u harness.User) (made, current int) {
	const all = `SELECT COUNT(*) FROM user_refresh_tokens t JOIN user_families f ON f.id = t.family_id WHERE f.user_id = $1`
	return e.Count(all, u.ID), e.Count(all+` AND t.rotated_at IS NULL`, u.ID)
}

// TestUserTokenRefresh_J5: /v2/auth/token. A form of another site, multipart or text/plain: 415, whatever is in it. GET without
// refreshToken 400, without Bearer 401, with an expired or another user's Bearer 403, HEAD 405; nothing is consumed by any
// of them. A rotated refresh token: the same pair again within 10 s by either method and on another replica; after that a
// fresh pair, for as long as its successor is unused, and that successor is 401 from then on and ends nothing, though its
// access token works until it expires. Once its successor was used: 401, also on another replica, after a restart and while
// the user is disabled, and the whole family is dead, access tokens included. 50 at once, GET and POST on two replicas, of a
// current token and of one whose successor is unused: one successor, the same for all (a database too busy to say who lost
// may answer 503). The end of the user, of the account, of the membership or of the password ends the family. (A second factor does not exist yet: directory.needsSecondFactor keeps its place.)
func TestUserTokenRefresh_J5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		replica := e.Sibling()
		t.Run("another site's form", func(t *testing.T) {
			e := e.With(t)
			body := `{"email":"` + e.U.Email + `","password":"` + harness.Password + `"}`
			for _, contentType := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; charset=utf-8", ""} {
				a := e.PostText("/v2/auth/token", contentType, body, "Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site")
				a.WantError(t, http.StatusUnsupportedMediaType, "invalid_request")
				if got := a.Header.Get("Access-Control-Allow-Origin"); got != "" {
					t.Errorf("Access-Control-Allow-Origin = %q", got)
				}
			}
		})
		t.Run("GET", func(t *testing.T) { testGetConsumesNothing(t, e.With(t)) })
		t.Run("the same again", func(t *testing.T) { testUserGrace(t, e.With(t), replica.With(t)) })
		t.Run("lost answers", func(t *testing.T) { testUserLostAnswers(t, e.With(t), replica.With(t)) })
		t.Run("reuse", func(t *testing.T) { testUserReuse(t, e.With(t), replica.With(t)) })
		t.Run("50 at once", func(t *testing.T) { testUserRace(t, e.With(t), replica.With(t)) })
		t.Run("ended", func(t *testing.T) { testUserFamilyEnds(t, e.With(t)) })
	})
}

func testGetConsumesNothing(t *testing.T, e *harness.Env) {
	u, other := e.AddUser("getter@users.test"), e.AddUser("foreign@users.test")
	expired := e.ExpiredUserTokens(u)
	e.RefreshByGet(expired.Token, expired.Refresh).WantExpired(t)
	p, theirs := e.UserTokens(u), e.UserTokens(other)
	e.RefreshByGet(p.Token, "").WantError(t, http.StatusBadRequest, "invalid_request")
	bare := e.RefreshByGet("", p.Refresh)
	bare.WantError(t, http.StatusUnauthorized, "invalid_token")
	if got := bare.Header.Get("WWW-Authenticate"); got != `Bearer realm="xenoauth"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	e.RefreshByGet(theirs.Token, p.Refresh).WantError(t, http.StatusForbidden, "invalid_token")
	e.RefreshByGet(p.Token, theirs.Refresh).WantError(t, http.StatusForbidden, "invalid_token")
	request, err := http.NewRequest(http.MethodHead, e.URL+"/v2/auth/token?refreshToken="+p.Refresh, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.Token)
	if a := e.Do(request); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", a.Status)
	}
	if made, current := userRotations(e, u); made != 2 || current != 2 {
		t.Errorf("%d refresh tokens, %d current; want both untouched", made, current)
	}
	e.RefreshByGet(p.Token, p.Refresh).WantUserPair(e)
	e.RefreshByPost(expired.Refresh, u.Email).WantUserPair(e)
}

func testUserGrace(t *testing.T, e, replica *harness.Env) {
	u := e.AddUser("again@users.test")
	first := e.UserTokens(u)
	second := e.RefreshByGet(first.Token, first.Refresh).WantUserPair(e)
	for name, again := range map[string]harness.Answer{
		"GET": e.RefreshByGet(first.Token, first.Refresh), "GET elsewhere": replica.RefreshByGet(second.Token, first.Refresh),
		"POST": e.RefreshByPost(first.Refresh, u.Email), "POST elsewhere": replica.RefreshByPost(first.Refresh, u.Email),
	} {
		if got := again.WantUserPair(e); got != second {
			t.Errorf("%s: another pair", name)
		}
	}
	// Who is not the user learns nothing and ends nothing.
	e.RefreshByPost(first.Refresh, e.U.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
	if made, current := userRotations(e, u); made != 2 || current != 1 {
		t.Errorf("%d refresh tokens, %d current; want 2 and 1", made, current)
	}
	e.WantLive(second.Token, true)
}

// userLater lets the 10 seconds pass in which a rotation is answered as before.
func userLater(e *harness.Env) {
	e.Exec(`UPDATE user_refresh_tokens SET sealed_until = sealed_until - 10000001 WHERE sealed_until IS NOT NULL`)
}

func testUserLostAnswers(t *testing.T, e, replica *harness.Env) {
	u := e.AddUser("lost@users.test")
	first := e.UserTokens(u)
	held := e.RefreshByGet(first.Token, first.Refresh).WantUserPair(e)
	var replaced []harness.UserPair
	for i := range 4 {
		server := []*harness.Env{e, replica}[i%2]
		userLater(e)
		next := server.RefreshByPost(first.Refresh, u.Email).WantUserPair(e)
		if again := e.RefreshByGet(held.Token, first.Refresh).WantUserPair(e); again != next || next == held {
			t.Fatal("not one fresh pair")
		}
		replaced, held = append(replaced, held), next
		for _, p := range replaced {
			server.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
			server.WantLive(p.Token, true)
		}
	}
	if _, current := userRotations(e, u); current != 1 {
		t.Errorf("%d current refresh tokens, want 1", current)
	}
	last := e.RefreshByGet(held.Token, held.Refresh).WantUserPair(e)
	for _, p := range replaced {
		e.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
	}
	e.RefreshByPost(last.Refresh, u.Email).WantUserPair(e)
}

// testUserReuse: once the successor was used, presenting a rotated refresh token ends the family.
func testUserReuse(t *testing.T, e, replica *harness.Env) {
	for name, reuse := range map[string]func(u harness.User, first, second harness.UserPair) harness.Answer{
		"at once": func(u harness.User, first, _ harness.UserPair) harness.Answer {
			return e.RefreshByPost(first.Refresh, u.Email)
		},
		"after 10 s": func(_ harness.User, first, second harness.UserPair) harness.Answer {
			userLater(e)
			return e.RefreshByGet(second.Token, first.Refresh)
		},
		"on another replica": func(u harness.User, first, _ harness.UserPair) harness.Answer {
			return replica.RefreshByPost(first.Refresh, u.Email)
		},
		"while disabled": func(u harness.User, first, _ harness.UserPair) harness.Answer {
			if err := e.Store.SetUserDisabled(t.Context(), harness.Operator, u.ID, true); err != nil {
				t.Fatal(err)
			}
			return e.RefreshByPost(first.Refresh, u.Email)
		},
		"after a restart": func(u harness.User, first, _ harness.UserPair) harness.Answer {
			return e.Sibling().RefreshByPost(first.Refresh, u.Email)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := e.AddUser(strings.NewReplacer(" ", "", ",", "").Replace(name) + "@users.test")
			bystander, first := e.UserTokens(u), e.UserTokens(u)
			second := e.RefreshByGet(first.Token, first.Refresh).WantUserPair(e)
			last := e.RefreshByGet(second.Token, second.Refresh).WantUserPair(e)
			a := reuse(u, first, second)
			a.WantError(t, http.StatusUnauthorized, "invalid_grant")
			if err := e.Store.SetUserDisabled(t.Context(), harness.Operator, u.ID, false); err != nil {
				t.Fatal(err)
			}
			for _, p := range []harness.UserPair{first, second, last} {
				e.With(t).WantLive(p.Token, false)
				replica.With(t).WantLive(p.Token, false)
				e.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
			}
			e.With(t).WantLive(bystander.Token, true)
			events, err := e.Store.Events(t.Context(), store.EventFilter{AccountID: u.Account.ID, Kind: store.EventUserTokenEnded})
			if err != nil || len(events) != 1 || events[0].By.ID != u.ID {
				t.Errorf("the audit trail tells of it %d times: %v %v", len(events), events, err)
			}
		})
	}
}

func testUserRace(t *testing.T, e, replica *harness.Env) {
	u := e.AddUser("race@users.test")
	first := e.UserTokens(u)
	race := func() (won harness.UserPair) {
		t.Helper()
		for i, a := range harness.Race(t, 50, func(i int) harness.Answer {
			server := []*harness.Env{e, replica}[i%2]
			if i%4 < 2 {
				return server.RefreshByGet(first.Token, first.Refresh)
			}
			return server.RefreshByPost(first.Refresh, u.Email)
		}) {
			if a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" {
				continue
			}
			if got := a.WantUserPair(e); won == (harness.UserPair{}) {
				won = got
			} else if got != won {
				t.Errorf("request %d got another pair", i)
			}
		}
		if won == (harness.UserPair{}) {
			t.Fatal("no request got a pair")
		}
		return won
	}
	for made := 2; made <= 3; made++ {
		second := race()
		if n, current := userRotations(e, u); n != made || current != 1 {
			t.Errorf("%d refresh tokens, %d current; want %d and 1", n, current, made)
		}
		userLater(e)
		if made == 3 {
			e.RefreshByGet(second.Token, second.Refresh).WantUserPair(e)
		}
	}
}

// testUserFamilyEnds: what ends a user's tokens ends them at once, and what is reversible gives them back.
func testUserFamilyEnds(t *testing.T, e *harness.Env) {
	disable := func(u harness.User, disabled bool) error {
		return e.Store.SetUserDisabled(t.Context(), harness.Operator, u.ID, disabled)
	}
	for name, c := range map[string]struct{ end, back func(u harness.User) error }{
		"disabled": {func(u harness.User) error { return disable(u, true) }, func(u harness.User) error { return disable(u, false) }},
		"account": {
			func(u harness.User) error {
				return e.Store.SetAccountDisabled(t.Context(), harness.Operator, u.Account.ID, true)
			},
			func(u harness.User) error {
				return e.Store.SetAccountDisabled(t.Context(), harness.Operator, u.Account.ID, false)
			},
		},
		"deleted": {func(u harness.User) error { return e.Store.DeleteUser(t.Context(), harness.Operator, u.ID) }, nil},
		"left": {func(u harness.User) error {
			return e.Store.RemoveMember(t.Context(), harness.Operator, u.Account.ID, u.ID)
		}, nil},
		"password": {func(u harness.User) error {
			return setPassword(e, u.ID)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := e.With(t)
			u := e.AddUser("ended-" + name + "@users.test")
			p := e.UserTokens(u)
			if err := c.end(u); err != nil {
				t.Fatal(err)
			}
			e.WantLive(p.Token, false)
			e.RefreshByGet(p.Token, p.Refresh).WantError(t, http.StatusUnauthorized, "invalid_token")
			e.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
			if c.back == nil {
				return
			}
			e.LogInProgram(u.Email, harness.Password).WantError(t, http.StatusUnauthorized, "invalid_grant")
			if err := c.back(u); err != nil {
				t.Fatal(err)
			}
			e.WantLive(p.Token, true)
			e.RefreshByGet(p.Token, p.Refresh).WantUserPair(e)
		})
	}
}
