package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server"
)

// behindProxy is a rig that believes the test about client addresses, and limits as a server does without settings.
func behindProxy(o *server.Options) {
	harness.DefaultLimits(o)
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// strange is a client address that was not used before.
func strange(i int) string { return fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250) }

// TestLogInLimits_L2: 1,000 wrong passwords for one account from as many addresses: 100 are looked at in a day, the rest is
// 429 with Retry-After, and so is the right one from a strange browser; in any spelling that opens the account. Of 50 at the
// same moment from one address exactly ten are looked at. 1,000 accounts from one address (one IPv4 address, or one /64 of
// IPv6): 100 are looked at; other addresses go on. A browser that has logged in before is let in all the while, and is itself
// limited; its cookie is worth nothing for another account or when forged. Right log-ins are never limited, 50 of one account
// and 120 from one address at the same moment neither. When the window is over, all is as before. Sign-ups that fail, and
// current passwords, are limited alike. Nothing of it is in the database in the clear. That strangers do not lock out the
// owner is U3.
func TestLogInLimits_L2(t *testing.T) {
	t.Run("one account, many addresses", func(t *testing.T) { harness.Each(t, guessOneAccount, behindProxy) })
	t.Run("one address, many accounts", func(t *testing.T) { harness.Each(t, guessManyAccounts, behindProxy) })
	t.Run("50 at once", func(t *testing.T) { harness.Each(t, guessAtOnce, behindProxy) })
	t.Run("spellings", func(t *testing.T) { harness.Each(t, guessSpellings, behindProxy) })
	t.Run("known browsers", func(t *testing.T) { harness.Each(t, knownBrowsers, behindProxy) })
	t.Run("successes", func(t *testing.T) { harness.Each(t, manySuccesses, behindProxy) })
	t.Run("sign-up", func(t *testing.T) { harness.Each(t, guessAddresses, behindProxy) })
	t.Run("current password", func(t *testing.T) { harness.Each(t, guessCurrentPassword, behindProxy) })
}

// tries counts the answers to n log-ins by status.
func tries(t *testing.T, e *harness.Env, n int, email, ip func(i int) string) map[int]int {
	t.Helper()
	b, got := e.Browser(), map[int]int{}
	for i := range n {
		a := logIn(b, email(i), "wrong horse battery", ip(i))
		got[a.Status]++
		if a.Status != http.StatusUnprocessableEntity {
			wantLogInStatus(t, a, http.StatusTooManyRequests)
		}
	}
	return got
}

func wantLookedAt(t *testing.T, got map[int]int, want, of int) {
	t.Helper()
	if got[http.StatusUnprocessableEntity] != want || got[http.StatusTooManyRequests] != of-want {
		t.Errorf("answers %v, want %d times 422 and %d times 429", got, want, of-want)
	}
}

func always(s string) func(int) string { return func(int) string { return s } }

func guessOneAccount(t *testing.T, e *harness.Env) {
	wantLookedAt(t, tries(t, e, 1000, always(e.U.Email), strange), accountFailures, 1000)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, strange(2000)), http.StatusTooManyRequests)
	if n := e.Count(`SELECT COUNT(*) FROM sessions`); n != 0 {
		t.Errorf("%d sessions", n)
	}
	e.LoggedIn(e.AddUser("olga@users.test")) // other accounts are as before
	for _, key := range e.Strings(`SELECT key FROM failures`) {
		if strings.Contains(key, "@") || strings.Contains(key, "198.51") || strings.Contains(key, "ursula") {
			t.Errorf("the database has %q", key)
		}
	}
	e.Exec(`UPDATE failures SET until = $1`, e.Store.Now().UnixMicro())
	here := always(strange(2000))
	wantLookedAt(t, tries(t, e, pairFailures-1, always(e.U.Email), here), pairFailures-1, pairFailures-1)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, here(0)), http.StatusSeeOther)
	wantLookedAt(t, tries(t, e, pairFailures+1, always(e.U.Email), here), pairFailures, pairFailures+1) // the success made the others good
}

func guessManyAccounts(t *testing.T, e *harness.Env) {
	account := func(i int) string { return fmt.Sprintf("user%d@users.test", i) }
	wantLookedAt(t, tries(t, e, 1000, account, always("192.0.2.1")), ipFailures, 1000)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "192.0.2.1"), http.StatusTooManyRequests)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "192.0.2.2"), http.StatusSeeOther)
	// Addresses that are none make work, too.
	wantLookedAt(t, tries(t, e, ipFailures+20, always("nonsense"), always("192.0.2.3")), ipFailures, ipFailures+20)

	host := func(i int) string { return fmt.Sprintf("2001:db8:1:2:%x::%x", i%7, i) }
	wantLookedAt(t, tries(t, e, 200, func(i int) string { return account(2000 + i) }, host), ipFailures, 200)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "2001:db8:1:2:ffff::1"), http.StatusTooManyRequests)
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "2001:db8:1:3::1"), http.StatusSeeOther)
	// An IPv4 address written as IPv6 is the same client.
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "::ffff:192.0.2.1"), http.StatusTooManyRequests)
}

// patiently asks again while a slow machine says that it is nobody's turn yet.
func patiently(ask func() harness.Answer) (a harness.Answer) {
	for range 50 {
		if a = ask(); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			break
		}
	}
	return a
}

func guessAtOnce(t *testing.T, e *harness.Env) {
	b := e.Browser()
	count := func(answers []harness.Answer) map[int]int {
		got := map[int]int{}
		for _, a := range answers {
			got[a.Status]++
		}
		return got
	}
	got := harness.Race(t, 50, func(int) harness.Answer {
		return patiently(func() harness.Answer { return logIn(b, e.U.Email, "wrong horse battery", "192.0.2.9") })
	})
	wantLookedAt(t, count(got), pairFailures, 50)
	got = harness.Race(t, 150, func(i int) harness.Answer {
		return patiently(func() harness.Answer { return logIn(b, fmt.Sprintf("u%d@users.test", i), "wrong", "192.0.2.1") })
	})
	wantLookedAt(t, count(got), ipFailures, 150)
}

// guessSpellings: each way to write the address either opens the account, and counts for it, or opens nothing.
func guessSpellings(t *testing.T, e *harness.Env) {
	same := []string{"URSULA@USERS.TEST", "Ursula@users.test", " ursula@users.test", "ursula@users.test\t", "ursula@Users.Test",
		"ur\u017fula@users.test", "\uff55rsula@users.test", "ursula@u\u017fers.test", "ursula@\uff55sers.test", "ursula@users\u3002test"}
	wantLookedAt(t, tries(t, e, accountFailures+20, func(i int) string { return same[i%len(same)] }, strange), accountFailures, accountFailures+20)
	for _, spelling := range same {
		wantLogInStatus(t, logIn(e.Browser(), spelling, harness.Password, strange(3000)), http.StatusTooManyRequests)
	}
	e.Exec(`DELETE FROM failures`)
	for i, other := range []string{
		"u.rsula@users.test", "ursula.@users.test", "ursula+x@users.test", "ursulа@users.test", "u\u200brsula@users.test",
		"ursula@users.test.", "ursula@us\u00aders.test", `"ursula"@users.test`, "ursula@users.test\u00a0x",
		"ursula@users.test,x@evil.test", "ursula@@users.test", "ursula%40users.test",
	} {
		if a := logIn(e.Browser(), other, harness.Password, strange(4000+i)); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%q: status %d, want 422", other, a.Status)
		}
	}
}

func knownBrowsers(t *testing.T, e *harness.Env) {
	victim, olga := e.Browser(), e.AddUser("olga@users.test")
	wantLogInStatus(t, logIn(victim, e.U.Email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
	wantLogInStatus(t, logIn(victim, olga.Email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
	victim.Post("/logout", url.Values{})
	attacker := e.Browser()
	mallory := e.AddUser("mallory@users.test")
	wantLogInStatus(t, logIn(attacker, mallory.Email, harness.Password, strange(1)), http.StatusSeeOther)
	for range pairFailures + 1 { // a browser that is known for another account is a stranger
		logIn(attacker, e.U.Email, "wrong horse battery", strange(1))
		tries(t, e, 1, always(olga.Email), always("192.0.2.1"))
	}
	wantLogInStatus(t, logIn(attacker, e.U.Email, harness.Password, strange(1)), http.StatusTooManyRequests)
	tries(t, e, ipFailures, func(i int) string { return fmt.Sprintf("u%d@users.test", i) }, always("192.0.2.1")) // the victim's address, too

	forged := e.Browser()
	for _, value := range []string{"x", "", strings.Repeat("A", 5000), device(victim) + "x"} {
		a := forged.Send(http.MethodPost, "/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}}, "X-Forwarded-For", strange(1), "Cookie", "xenoauth-device="+value)
		wantLogInStatus(t, a, http.StatusTooManyRequests)
	}
	twice := "xenoauth-device=" + device(victim) + "; xenoauth-device=" + device(attacker)
	a := forged.Send(http.MethodPost, "/login", url.Values{"email": {e.U.Email}, "password": {harness.Password}}, "X-Forwarded-For", strange(1), "Cookie", twice)
	wantLogInStatus(t, a, http.StatusTooManyRequests)

	for _, email := range []string{e.U.Email, olga.Email} { // one browser may be two people's
		wantLogInStatus(t, logIn(victim, email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
		victim.Post("/logout", url.Values{})
	}
	for range pairFailures {
		wantLogInStatus(t, logIn(victim, e.U.Email, "wrong horse battery", strange(3)), http.StatusUnprocessableEntity)
	}
	wantLogInStatus(t, logIn(victim, e.U.Email, harness.Password, strange(4)), http.StatusTooManyRequests)
	wantLogInStatus(t, logIn(victim, olga.Email, harness.Password, strange(4)), http.StatusSeeOther)
}

// device is the cookie by which a browser is known again.
func device(b *harness.Browser) string { return b.Cookie("xenoauth-device") }

func manySuccesses(t *testing.T, e *harness.Env) {
	for range pairFailures + 3 {
		wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
	}
	for i := range ipFailures + 3 {
		email := fmt.Sprintf("new%d@users.test", i)
		a := e.Browser().Send(http.MethodPost, "/signup", url.Values{"email": {email}, "password": {harness.Password}}, "X-Forwarded-For", "192.0.2.1")
		if a.Status != http.StatusSeeOther {
			t.Fatalf("sign-up %d: %d", i, a.Status)
		}
	}
	b := e.Browser()
	for i := range ipFailures + 3 {
		wantLogInStatus(t, logIn(b, fmt.Sprintf("new%d@users.test", i), harness.Password, "192.0.2.1"), http.StatusSeeOther)
	}
	crowd := func(name string, n int, ask func(i int) harness.Answer) {
		statuses := map[int]int{}
		for _, a := range harness.Race(t, n, func(i int) harness.Answer {
			return patiently(func() harness.Answer { return ask(i) })
		}) {
			statuses[a.Status]++
		}
		if statuses[http.StatusSeeOther]+statuses[http.StatusOK] != n {
			t.Errorf("%d right log-ins at once, %s: %v", n, name, statuses)
		}
	}
	crowd("one account", 50, func(i int) harness.Answer { return logIn(e.Browser(), e.U.Email, harness.Password, strange(i)) })
	crowd("one address", 120, func(i int) harness.Answer {
		return logIn(e.Browser(), fmt.Sprintf("new%d@users.test", i%ipFailures), harness.Password, "192.0.2.1")
	})
	crowd("programs", 20, func(int) harness.Answer { return e.LogInProgram(e.U.Email, harness.Password) })
}

func guessAddresses(t *testing.T, e *harness.Env) {
	b := e.Browser()
	ask := func(ip string) harness.Answer {
		return b.Send(http.MethodPost, "/signup", url.Values{"name": {"Eve"}, "email": {e.U.Email}, "password": {harness.Password}}, "X-Forwarded-For", ip)
	}
	got := map[int]int{}
	var last harness.Answer
	for range ipFailures + 20 {
		last = ask("192.0.2.1")
		got[last.Status]++
	}
	wantLookedAt(t, got, ipFailures, ipFailures+20)
	wantLogInStatus(t, last, http.StatusTooManyRequests) // the same kind of page
	if !strings.Contains(last.Body, `value="`+e.U.Email+`"`) || !strings.Contains(last.Body, `value="Eve"`) {
		t.Errorf("what was typed is lost: %.900s", last.Body)
	}
	if a := ask("192.0.2.2"); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("another address: %d", a.Status)
	}
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
}

func guessCurrentPassword(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	change := func(current, next string) harness.Answer {
		return b.Post("/account/security", url.Values{"current_password": {current}, "password": {next}})
	}
	got := map[int]int{}
	for range pairFailures {
		got[change("wrong horse battery", "another horse battery").Status]++
	}
	wantLookedAt(t, got, pairFailures, pairFailures)
	wantLogInStatus(t, change(harness.Password, "another horse battery"), http.StatusTooManyRequests)
	e.LoggedIn(e.U) // a thief of a session locks nobody out
	e.Exec(`UPDATE failures SET until = $1`, e.Store.Now().UnixMicro())
	for range pairFailures + 1 { // the current one is right
		if a := change(harness.Password, "short"); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("the right password, and a bad new one: %d", a.Status)
		}
	}
	if a := change(harness.Password, "another horse battery"); a.Status != http.StatusSeeOther {
		t.Errorf("the right password later: %d", a.Status)
	}
}
