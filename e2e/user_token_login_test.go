package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

// TestUserTokensOfBots: a bot gets its first pair with its e-mail address and its API secret, and its tokens follow the
// rules of other users' tokens; they end with the bot, with the secret that opened it, and while it is disabled.
func TestUserTokensOfBots(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		bot := e.AddBot(e.U.Account.ID, "Robbie")
		p := wantUserAnswer(t, e, e.LogInProgram(bot.Email, bot.Secret), bot.ID, "bot")
		p = wantUserAnswer(t, e, e.RefreshByGet(p.Token, p.Refresh), bot.ID, "bot")
		p = wantUserAnswer(t, e, e.RefreshByPost(p.Refresh, bot.Email), bot.ID, "bot")
		me := e.Me(p.Token).JSON(t)
		if seen, _ := me["bot"].(map[string]any); me["sub"] != bot.ID || seen["id"] != bot.ID || seen["name"] != "Robbie" || me["client_id"] != nil {
			t.Errorf("/api/me = %v", me)
		}
		seen := e.Introspect(e.AddResource("API"), p.Token).JSON(t)
		if seen["bot"] != bot.ID || seen["scope"] != "bot" || seen["sub"] != bot.ID {
			t.Errorf("introspection = %v", seen)
		}

		other := e.AddBot(e.U.Account.ID, "Marvin")
		for name, c := range map[string]struct{ email, password string }{
			"another bot's secret": {bot.Email, other.Secret}, "a person's address": {e.U.Email, bot.Secret}, "nobody's": {"nobody@users.test", bot.Secret},
			"unknown secret": {bot.Email, secret.Format{}.New(secret.Bot).Reveal()}, "the API key": {bot.APIKey, bot.Secret},
			"a person's password": {bot.Email, harness.Password}, "an app's secret": {bot.Email, e.A.Secret}, "no address": {"x", bot.Secret},
		} {
			t.Run(name, func(t *testing.T) {
				e.With(t).LogInProgram(c.email, c.password).WantError(t, http.StatusUnauthorized, "invalid_grant")
			})
		}

		dead := func(p harness.UserPair) {
			t.Helper()
			e.WantLive(p.Token, false)
			e.RefreshByPost(p.Refresh, bot.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
		}
		rotated, err := e.Rules.RotateBot(t.Context(), harness.Operator, bot.Bot, e.Store.Now())
		if err != nil {
			t.Fatal(err)
		}
		dead(p)
		e.LogInProgram(bot.Email, bot.Secret).WantError(t, http.StatusUnauthorized, "invalid_grant")
		p = e.LogInProgram(bot.Email, rotated.Reveal()).WantUserPair(e)
		e.WantLive(p.Token, true)
		if err := e.Rules.RemoveBot(t.Context(), harness.Operator, bot.ID); err != nil {
			t.Fatal(err)
		}
		dead(p)
		e.LogInProgram(bot.Email, rotated.Reveal()).WantError(t, http.StatusUnauthorized, "invalid_grant")
	})
}

// TestUserTokenUnknownAddress is docs/battery.md, L1 for /v2/auth/token: nothing in the answer tells whether an address exists,
// whatever is wrong, before the limit and over it. The same work is done for each (directory.LogIn).
func TestUserTokenUnknownAddress(t *testing.T) {
	const most = 4
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		known, disabled := e.AddUser("known@users.test"), e.AddUser("disab@users.test")
		if err := e.Store.SetUserDisabled(t.Context(), harness.Operator, disabled.ID, true); err != nil {
			t.Fatal(err)
		}
		bot := e.AddBot(e.U.Account.ID, "Robbie")
		wait := regexp.MustCompile(`Wait \d+ \w+`)
		for i := range most + 2 {
			want := ""
			for _, c := range []struct{ email, password string }{
				{"nobod@users.test", "wrong horse battery"}, {known.Email, "wrong horse battery"}, {disabled.Email, harness.Password}, {bot.Email, "wrong horse battery"},
			} {
				a := e.LogInProgram(c.email, c.password)
				if limited := i >= most; limited != (a.Status == http.StatusTooManyRequests) {
					t.Fatalf("try %d: %d: %s", i+1, a.Status, a.Body)
				}
				for _, name := range []string{"X-Request-Id", "Date", "Retry-After"} {
					a.Header.Del(name)
				}
				got := fmt.Sprint(a.Status, a.Header, wait.ReplaceAllString(a.Body, "Wait"))
				if want != "" && got != want {
					t.Errorf("%s is told apart:\n%s\n%s", c.email, got, want)
				}
				want = got
			}
		}
	}, func(o *server.Options) { o.Limits = ratelimit.Limits{LogIn: most, IP: 1000, Client: 1000} })
}

// TestUserTokenLimits: wrong passwords are counted together with those of the log-in page, by account and by address; a
// cookie does not make a program known; a success resets the count and sets no cookie; unknown refresh tokens are
// limited by address.
func TestUserTokenLimits(t *testing.T) {
	const most = 4
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		u := e.AddUser("limit@users.test")
		b := e.LoggedIn(u)
		for range most - 1 {
			e.LogInProgram(u.Email, "wrong horse battery").WantError(t, http.StatusUnauthorized, "invalid_grant")
		}
		p := e.UserTokens(u) // which makes the others good
		for range most {
			e.LogInProgram(u.Email, "wrong horse battery").WantError(t, http.StatusUnauthorized, "invalid_grant")
		}
		limited := e.LogInProgram(u.Email, harness.Password)
		limited.WantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
		if limited.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		page := e.Browser().Post("/login", harness.Pairs("email", u.Email, "password", harness.Password))
		if page.Status != http.StatusTooManyRequests {
			t.Errorf("the log-in page of a stranger answers %d", page.Status)
		}
		body := `{"email":"` + u.Email + `","password":"` + harness.Password + `"}`
		request, err := http.NewRequest(http.MethodPost, e.URL+"/v2/auth/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		for _, c := range b.Client().Jar.Cookies(request.URL) {
			request.AddCookie(c)
		}
		if a := e.Do(request); a.Status != http.StatusTooManyRequests {
			t.Errorf("with the cookies of a known browser: %d", a.Status)
		}
		// What was proven before goes on.
		p = e.RefreshByGet(p.Token, p.Refresh).WantUserPair(e)
		for range 10 {
			e.RefreshByPost(u.ID+"."+strings.Repeat("ab", 40), u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
		}
		e.RefreshByPost(u.ID+"."+strings.Repeat("ab", 40), u.Email).WantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
		e.RefreshByGet(p.Token, p.Refresh).WantUserPair(e)
	}, func(o *server.Options) { o.Limits = ratelimit.Limits{LogIn: most, IP: 1000, Client: 10} })
}

// TestUserTokenPasswordChange: a password that is changed while a log-in is under way leaves no token behind.
func TestUserTokenPasswordChange(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		u := e.AddUser("change@users.test")
		p := e.UserTokens(u)
		b := e.LoggedIn(u)
		const next = "another horse battery"
		a := b.Post("/account/security", harness.Pairs("current_password", harness.Password, "password", next))
		if a.Status != http.StatusSeeOther {
			t.Fatalf("change of password: %d", a.Status)
		}
		e.WantLive(p.Token, false)
		e.RefreshByPost(p.Refresh, u.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
		made := []harness.UserPair{e.LogInProgram(u.Email, next).WantUserPair(e)} // one at least
		e.WantLive(made[0].Token, true)
		for _, a := range harness.Race(t, 12, func(i int) harness.Answer {
			if i == 6 {
				if _, err := e.Rules.SetPassword(t.Context(), harness.Operator, u.ID, harness.Password, store.PasswordReset{}); err != nil {
					t.Error(err)
				}
			}
			return e.LogInProgram(u.Email, next)
		}) {
			if a.Status == http.StatusOK {
				made = append(made, a.WantUserPair(e))
			}
		}
		for _, p := range made {
			e.WantLive(p.Token, false)
		}
	}, func(o *server.Options) { o.Limits.LogIn = 1000 })
}

// TestKeySet: an API that knows nothing but the issuer finds the keys by the metadata and verifies a token with them; the
// answer may be kept for five minutes, is for scripts of every site, and has no private part.
func TestKeySet(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		metadata := harness.Fetch(t, http.MethodGet, e.URL+"/.well-known/oauth-authorization-server", nil)
		address := metadata.String(t, "jwks_uri")
		if address != e.URL+"/.well-known/jwks.json" {
			t.Fatalf("jwks_uri = %q", address)
		}
		a := harness.Fetch(t, http.MethodGet, address, nil)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*",
			"Access-Control-Allow-Credentials": "", "Set-Cookie": "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		keys := a.JSON(t)["keys"].([]any)
		if len(keys) != 1 {
			t.Fatalf("keys = %v", keys)
		}
		key := keys[0].(map[string]any)
		if len(key) != 7 || key["kty"] != "EC" || key["crv"] != "P-256" || key["use"] != "sig" || key["alg"] != "ES256" {
			t.Errorf("key = %v", key)
		}
		p := e.UserTokens(e.U)
		if key["kid"] != part(t, p.Token, 0)["kid"] {
			t.Errorf("the token names the key %v", part(t, p.Token, 0)["kid"])
		}
		wantVerified(t, p.Token, key)
		if head := harness.Fetch(t, http.MethodHead, address, nil); head.Status != http.StatusOK || head.Body != "" {
			t.Errorf("HEAD: %d %s", head.Status, head.Body)
		}
		if other := harness.Fetch(t, http.MethodPost, address, nil); other.Status != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d", other.Status)
		}
	})
}

const sharedSecret = "a secret that old verifiers share with the server"

func withHS256(o *server.Options) {
	o.UserTokens.Algorithm, o.UserTokens.Secret = "HS256", sharedSecret
}

// TestUserTokensByHS256: with the setting, a verifier that knows the shared secret verifies a token by itself; a server
// that has the secret, but signs by ES256 again, still takes it; one without the secret does not. Whoever knows the secret
// cannot make a token that this server takes, nor change one that went through its hands.
func TestUserTokensByHS256(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		p := e.UserTokens(e.U)
		header := part(t, p.Token, 0)
		if len(header) != 3 || header["alg"] != "HS256" || header["typ"] != "JWT" || header["kid"] != "hs256" {
			t.Errorf("header = %v", header)
		}
		if claims := part(t, p.Token, 1); claims["_id"] != e.U.ID || claims["scope"] != "admin" {
			t.Errorf("claims = %v", claims)
		}
		if !macMatches(p.Token, sharedSecret) {
			t.Error("a verifier with the secret refuses the token")
		}
		e.WantLive(p.Token, true)
		p = e.RefreshByGet(p.Token, p.Refresh).WantUserPair(e)
		back := e.Sibling(func(o *server.Options) { o.UserTokens.Secret = sharedSecret })
		back.WantLive(p.Token, true)
		next := back.RefreshByPost(p.Refresh, e.U.Email).WantUserPair(back)
		if part(t, next.Token, 0)["alg"] != "ES256" {
			t.Error("the setting is gone, and the algorithm is not")
		}
		e.WantLive(next.Token, true)
		without := e.Sibling()
		without.WantLive(p.Token, false)
		without.WantLive(next.Token, true)

		admin := e.AddUser("admin@users.test")
		theirs := e.UserTokens(admin)
		for name, claims := range map[string]map[string]any{
			"for longer": {"exp": time.Now().Add(1000 * time.Hour).Unix()}, "for somebody else": {"_id": admin.ID, "sub": admin.ID},
			"another scope": {"scope": "guest"}, "another jti": {"jti": part(t, theirs.Token, 1)["jti"]}, "a new jti": {"jti": secret.NewTokenID(secret.NewID())},
		} {
			t.Run(name, func(t *testing.T) {
				e.With(t).WantLive(harness.Forge(t, next.Token, map[string]any{"alg": "HS256", "kid": "hs256"}, claims).HS256([]byte(sharedSecret)), false)
			})
		}
		if keys := harness.Fetch(t, http.MethodGet, e.URL+"/.well-known/jwks.json", nil); strings.Contains(keys.Body, "oct") || strings.Contains(keys.Body, "hs256") {
			t.Errorf("the key set has the shared secret: %s", keys.Body)
		}
	}, withHS256)
}
