package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// What a server bears without settings.
const (
	pairFailures    = 10  // for one account from one address, or from a browser that it knows
	accountFailures = 100 // for one account in a day
	ipFailures      = 100
)

// logIn tries a password from a client address ("" for the connection's own).
func logIn(b *harness.Browser, email, password, ip string) harness.Answer {
	form := url.Values{"email": {email}, "password": {password}}
	if ip == "" {
		return b.Send(http.MethodPost, "/login", form)
	}
	return b.Send(http.MethodPost, "/login", form, "X-Forwarded-For", ip)
}

// wantLogInStatus asserts how a log-in was answered: 303 with a session, or a page without one.
func wantLogInStatus(t *testing.T, a harness.Answer, status int) {
	t.Helper()
	if a.Status != status {
		t.Errorf("log-in: status = %d, want %d: %.600s", a.Status, status, a.Body)
	}
	if (a.Header.Get("Set-Cookie") != "") != (status == http.StatusSeeOther) {
		t.Errorf("log-in %d sets the cookies %v", a.Status, a.Header.Values("Set-Cookie"))
	}
	if status != http.StatusTooManyRequests {
		return
	}
	a.WantPage(t, status)
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 || n > 24*60*60 {
		t.Errorf("Retry-After = %q, want seconds up to a day", a.Header.Get("Retry-After"))
	}
	if !regexp.MustCompile(`[Ww]ait \d+ (hour|minute|second)s? and try again`).MatchString(a.Body) {
		t.Errorf("the page does not say how long to wait: %.1500s", a.Body)
	}
}

// TestLogInFailuresLookAlike_L1: A log-in with the address of a user and a wrong password, of a disabled user with the right one, of a
// deleted one, and with an unknown address: the same status, headers and body except for the address itself, at the first
// attempt, at the last one before the limit, and above it. The same holds at /v2/auth/token (TestUserTokenUnknownAddress). Timing is
// measured outside the suite (go test ./bench -run none -bench LogInTiming). A sign-up must reveal that an address is taken;
// L2 limits how often.
func TestLogInFailuresLookAlike_L1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		known, disabled, deleted := e.AddUser("known@users.test"), e.AddUser("disab@users.test"), e.AddUser("delet@users.test")
		ctx := t.Context()
		if err := e.Store.SetUserDisabled(ctx, harness.Operator, disabled.ID, true); err != nil {
			t.Fatal(err)
		}
		if err := e.Store.DeleteUser(ctx, harness.Operator, deleted.ID); err != nil {
			t.Fatal(err)
		}
		wait := regexp.MustCompile(`Wait \d+ \w+`)
		plain := func(a harness.Answer, email string) string {
			a.Header.Del("X-Request-Id")
			a.Header.Del("Date")
			a.Header.Del("Retry-After") // the time is another
			return fmt.Sprint(a.Status, a.Header, wait.ReplaceAllString(strings.ReplaceAll(a.Body, email, "EMAIL"), "Wait"))
		}
		for i := range pairFailures + 2 {
			status := http.StatusUnprocessableEntity
			if i >= pairFailures {
				status = http.StatusTooManyRequests
			}
			want := ""
			for _, c := range []struct{ email, password string }{
				{"nobod@users.test", "wrong horse battery"}, {known.Email, "wrong horse battery"}, {disabled.Email, harness.Password}, {deleted.Email, harness.Password},
			} {
				a := logIn(e.Browser(), c.email, c.password, "")
				wantLogInStatus(t, a, status)
				if !strings.Contains(a.Body, `value="`+c.email+`"`) {
					t.Errorf("what was typed is lost: %.600s", a.Body)
				}
				got := plain(a, c.email)
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("try %d: %s is answered\n%s\nan unknown address\n%s", i+1, c.email, got, want)
				}
			}
		}
	}, harness.DefaultLimits)
}

// TestPasswordLength_L3: Passwords of 72, 73 and 1,024 bytes open their user and no other one does that differs only in the 73rd
// byte or the last one, for browsers and for programs; they are kept as argon2id. Composed and decomposed letters are one
// password (RFC 8265), and a hash of the version before, which distinguished them, still opens. One of 1,025 bytes, one of
// 60 kB, and one with NUL inside are 400 at log-in and a fault of the form at sign-up; 1 MB is 413. The first guesses
// (12345678, spaces, one character, password1, the e-mail address) and a control character are refused at sign-up.
func TestPasswordLength_L3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		long := strings.Repeat("seven words ", 10)
		for name, c := range map[string]struct{ right, wrong string }{
			"72 bytes":    {long[:72], long[:73]},
			"73 bytes":    {long[:72] + "y", long[:72] + "z"},
			"cut at 72":   {long[:73], long[:72]},
			"1,024 bytes": {strings.Repeat("äöüß", 128), strings.Repeat("äöüß", 127) + "äöüxy"},
		} {
			t.Run(name, func(t *testing.T) {
				b := e.With(t).Browser()
				email := secret.NewUserID() + "@users.test"
				if a := b.Post("/signup", url.Values{"email": {email}, "password": {c.right}}); a.Status != http.StatusSeeOther {
					t.Fatalf("sign-up: %d: %.900s", a.Status, a.Body)
				}
				wantLogInStatus(t, logIn(e.Browser(), email, c.wrong, ""), http.StatusUnprocessableEntity)
				wantLogInStatus(t, logIn(e.Browser(), email, c.right, ""), http.StatusSeeOther)
				e.With(t).LogInProgram(email, c.wrong).WantError(t, http.StatusUnauthorized, "invalid_grant")
				e.LogInProgram(email, c.right).WantUserPair(e.With(t))
				user, err := e.Store.UserByEmail(t.Context(), email)
				if err != nil || !strings.HasPrefix(user.Password, "$argon2id$v=19$") {
					t.Errorf("kept as %.20q, %v", user.Password, err)
				}
			})
		}
		testPasswordForms(t, e)
		for _, guess := range []string{"12345678", "        ", "aaaaaaaaaa", "abcabcabc", "password1", "Qwertyuiop", "guess@users.test", "caf\u0301", "tab\tin it here"} {
			a := e.Browser().Post("/signup", url.Values{"email": {"guess@users.test"}, "password": {guess}})
			if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="password-fault"`) {
				t.Errorf("%q: sign-up answers %d, want that the password is refused", guess, a.Status)
			}
		}
		for password, status := range map[string][2]int{
			strings.Repeat("x", 1025):   {http.StatusBadRequest, http.StatusUnprocessableEntity},
			strings.Repeat("x", 60_000): {http.StatusBadRequest, http.StatusUnprocessableEntity},
			"correct\x00horse battery":  {http.StatusBadRequest, http.StatusBadRequest},
			strings.Repeat("x", 1<<20):  {http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge},
		} {
			b := e.Browser()
			wantLogInStatus(t, logIn(b, e.U.Email, password, ""), status[0])
			b.Post("/signup", url.Values{"email": {"new@users.test"}, "password": {password}}).WantPage(t, status[1])
			e.LogInProgram(e.U.Email, password).WantError(t, status[0], "invalid_request")
		}
		e.LoggedIn(e.U)
	})
}

// testPasswordForms: one password has one form, however it was typed, at sign-up, at log-in and when it is changed. A hash of
// a version that did not normalise accepts the text as it was typed then, and every form after the next log-in.
func testPasswordForms(t *testing.T, e *harness.Env) {
	const composed, decomposed = "p\u00e4ssw\u00f6rd no. 7", "pa\u0308sswo\u0308rd\u00a0no. 7"
	for name, first := range map[string]string{"composed": composed, "decomposed": decomposed} {
		email := name + "@users.test"
		if a := e.Browser().Post("/signup", url.Values{"email": {email}, "password": {first}}); a.Status != http.StatusSeeOther {
			t.Fatalf("%s: sign-up answers %d", name, a.Status)
		}
		for _, typed := range []string{composed, decomposed} {
			wantLogInStatus(t, logIn(e.Browser(), email, typed, ""), http.StatusSeeOther)
			e.LogInProgram(email, typed).WantUserPair(e)
		}
		wantLogInStatus(t, logIn(e.Browser(), email, "passw\u00f6rd no. 7", ""), http.StatusUnprocessableEntity)
	}
	salt := []byte("a salt of 16 b!!")
	key := argon2.IDKey([]byte(decomposed), salt, 1, 64, 1, 32)
	base64 := base64.RawStdEncoding
	e.Exec(`UPDATE users SET password = $1 WHERE email = $2`,
		"$argon2id$v=19$m=64,t=1,p=1$"+base64.EncodeToString(salt)+"$"+base64.EncodeToString(key), "composed@users.test")
	wantLogInStatus(t, logIn(e.Browser(), "composed@users.test", composed, ""), http.StatusUnprocessableEntity)
	for _, typed := range []string{decomposed, composed, decomposed} {
		wantLogInStatus(t, logIn(e.Browser(), "composed@users.test", typed, ""), http.StatusSeeOther)
	}
}

// TestLogInLoad_L4: 200 people log in at the same moment, each of whom costs 8 MB and a core for some milliseconds: two are
// computed at a time (TestPasswordsWaitForTheirTurn), all are let in, or, behind a slow machine, told to come back (503
// with Retry-After) and then let in; and all the while tokens are verified. How long that takes is measured outside the
// fast suite (go test ./bench -run none -bench VerifyDuringLogIns).
func TestLogInLoad_L4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
		emails := e.AddUsers(200)
		done := make(chan struct{})
		var logIns sync.WaitGroup
		logIns.Go(func() {
			defer close(done)
			for i, a := range harness.Race(t, len(emails), func(i int) harness.Answer { return logIn(e.Browser(), emails[i], harness.Password, strange(i)) }) {
				if a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" {
					a = logIn(e.Browser(), emails[i], harness.Password, strange(i))
				}
				wantLogInStatus(t, a, http.StatusSeeOther)
			}
		})
		defer logIns.Wait()
		for verified := 0; ; verified++ {
			select {
			case <-done:
				if verified < 2 { // how many there are is a matter of the machine
					t.Errorf("%d tokens were verified during 200 log-ins", verified)
				}
				return
			default:
				e.WantLive(token, true)
				e.WantActive(e.A, token, true)
			}
		}
	}, behindProxy, func(o *server.Options) {
		o.Passwords = secret.NewPasswords(secret.PasswordOptions{Concurrency: 2, Params: secret.Params{Memory: 2 << 10, Time: 1, Threads: 1}})
	})
}

// TestDisabledUser_L8: A user is disabled, on another replica: from the next request on every private page leads to the log-in,
// no password lets in, neither a browser nor a program; access tokens (never expiring and expiring), user tokens and API
// keys are 401 and introspect as inactive, refresh tokens and a code are invalid_grant, and consent cannot be given. Enabled
// again, the tokens work, but for the code.
func TestDisabledUser_L8(t *testing.T) {
	harness.EachPair(t, func(t *testing.T, e, other *harness.Env) {
		b := e.LoggedIn(e.U)
		resource := e.AddResource("API")
		forever, family := e.Grant(b, e.A).WantToken(t), e.Grant(b, e.P)
		expiring, refresh := family.WantToken(t), family.String(t, "refresh_token")
		code, shown := b.Code(e.B), b.Get(address(request(e.N, "redirect_uri", "http://127.0.0.1:1/cb")))
		pair, key := e.UserTokens(e.U), e.AddKey(e.U.Account.ID, e.U.ID, "admin")
		tokens := []string{forever, expiring, pair.Token, key.Text}
		for _, token := range tokens {
			e.WantLive(token, true)
			e.WantActive(resource, token, true)
		}

		if err := other.Store.SetUserDisabled(t.Context(), harness.Operator, e.U.ID, true); err != nil {
			t.Fatal(err)
		}
		private := 0
		for _, path := range mounted(t, http.MethodGet) {
			if !strings.HasPrefix(path, "/account") && !strings.HasPrefix(path, "/developer") || strings.Contains(path, "{") {
				continue
			}
			private++
			if a := b.Get(path); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login") {
				t.Errorf("%s: %d to %q, want the log-in", path, a.Status, a.Header.Get("Location"))
			}
		}
		if private < 5 {
			t.Errorf("%d private pages were asked", private)
		}
		for _, path := range []string{"/account", "/account/security", "/account/security/sessions", "/developer/apps", "/developer/apps/" + e.A.ID + "/secrets"} {
			if a := b.Post(path, url.Values{"name": {"X"}}); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login") {
				t.Errorf("POST %s: %d to %q, want the log-in", path, a.Status, a.Header.Get("Location"))
			}
		}
		if a := b.Post("/oauth/consent", allow(shown)); a.Status == http.StatusOK || a.Header.Get("Location") != "" && !strings.HasPrefix(a.Header.Get("Location"), "/login") {
			t.Errorf("consent: %d to %q", a.Status, a.Header.Get("Location"))
		}
		wantLogIn(t, b.Get(address(request(e.A))))
		for _, on := range []*harness.Env{e, other} {
			wantLogInStatus(t, logIn(on.Browser(), e.U.Email, harness.Password, ""), http.StatusUnprocessableEntity)
			on.LogInProgram(e.U.Email, harness.Password).WantError(t, http.StatusUnauthorized, "invalid_grant")
			for _, token := range tokens {
				on.WantLive(token, false)
				on.WantActive(resource, token, false)
			}
			on.RefreshByPost(pair.Refresh, e.U.Email).WantError(t, http.StatusUnauthorized, "invalid_grant")
			on.RefreshByGet(pair.Token, pair.Refresh).WantError(t, http.StatusUnauthorized, "invalid_token")
			on.Token(on.P, "grant_type", "refresh_token", "refresh_token", refresh).WantGrantRefused(t)
			on.Exchange(on.B, code).WantGrantRefused(t)
		}
		if err := other.Store.SetUserDisabled(t.Context(), harness.Operator, e.U.ID, false); err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			e.WantLive(token, true)
		}
		e.RefreshByPost(pair.Refresh, e.U.Email).WantUserPair(e)
		e.WantLive(e.Token(e.P, "grant_type", "refresh_token", "refresh_token", refresh).WantToken(t), true)
		e.LoggedIn(e.U)
	})
}
