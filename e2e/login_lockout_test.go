package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/server"
)

// TestLogInLockout_U3: Ten wrong passwords by a stranger, at the log-in page, at /v2/auth/token or in a stolen session's form for
// a new password: the stranger's address has to wait, and the owner logs in from elsewhere, with and without the cookie
// of a known browser, by page and by program. 100 wrong passwords in a day, from many addresses: the account is locked; page
// and JSON name the lock and the way out, for an unknown address as well; a known browser is let in all the same, and can change
// the password; the operator's unlock opens the account at once, for addresses that had to wait as well, and is in the
// audit trail. A log-in of the owner does not give the guessers more tries. After a day the lock is over. Other accounts
// are never concerned.
func TestLogInLockout_U3(t *testing.T) {
	t.Run("a stranger elsewhere", func(t *testing.T) { harness.Each(t, strangerElsewhere, behindProxy) })
	t.Run("the account is locked", func(t *testing.T) { harness.Each(t, accountLocked, behindProxy) })
}

// logInProgramFrom asks for user tokens from a client address.
func logInProgramFrom(t *testing.T, e *harness.Env, email, password, ip string) harness.Answer {
	t.Helper()
	body := `{"email":"` + email + `","password":"` + password + `"}`
	request, err := http.NewRequest(http.MethodPost, e.URL+"/v2/auth/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", ip)
	return e.Do(request)
}

// changePasswordFrom posts the form for a new password.
func changePasswordFrom(b *harness.Browser, current, ip string) harness.Answer {
	form := url.Values{"current_password": {current}, "password": {"short"}} // so that a right one changes nothing
	return b.Send(http.MethodPost, "/account/security", form, "X-Forwarded-For", ip, "Sec-Fetch-Site", "same-origin")
}

func strangerElsewhere(t *testing.T, e *harness.Env) {
	const stranger, home, office = "198.51.100.1", "192.0.2.1", "192.0.2.2"
	known := e.Browser()
	wantLogInStatus(t, logIn(known, e.U.Email, harness.Password, home), http.StatusSeeOther)
	// A thief of the session cookie has not the other cookie.
	thief := e.Browser()
	session := "xenoauth=" + known.Cookie("xenoauth")
	steal := func(current string) harness.Answer {
		form := url.Values{"current_password": {current}, "password": {"short"}}
		return thief.Send(http.MethodPost, "/account/security", form, "X-Forwarded-For", stranger, "Sec-Fetch-Site", "same-origin", "Cookie", session)
	}
	for range pairFailures / 2 { // pages and programs count together
		wantLogInStatus(t, logIn(e.Browser(), e.U.Email, "wrong horse battery", stranger), http.StatusUnprocessableEntity)
		logInProgramFrom(t, e, e.U.Email, "wrong horse battery", stranger).WantError(t, http.StatusUnauthorized, "invalid_grant")
	}
	for range pairFailures {
		if a := steal("wrong horse battery"); a.Status != http.StatusUnprocessableEntity {
			t.Fatalf("a thief's guess: %d", a.Status)
		}
	}
	for range 2 {
		wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, stranger), http.StatusTooManyRequests)
		logInProgramFrom(t, e, e.U.Email, harness.Password, stranger).WantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
		if a := steal(harness.Password); a.Status != http.StatusTooManyRequests {
			t.Errorf("the thief's next guess: %d, want 429", a.Status)
		}
	}
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, office), http.StatusSeeOther) // without any cookie
	logInProgramFrom(t, e, e.U.Email, harness.Password, office).WantUserPair(e)
	wantLogInStatus(t, logIn(known, e.U.Email, harness.Password, stranger), http.StatusSeeOther) // from behind the same address, even
	if a := changePasswordFrom(known, harness.Password, stranger); a.Status != http.StatusUnprocessableEntity || strings.Contains(a.Body, "current password is incorrect") {
		t.Errorf("the owner at the form: %d", a.Status)
	}
}

func accountLocked(t *testing.T, e *harness.Env) {
	const nobody = "nobody@users.test"
	known := e.Browser()
	wantLogInStatus(t, logIn(known, e.U.Email, harness.Password, "192.0.2.1"), http.StatusSeeOther)
	for _, email := range []string{e.U.Email, nobody} {
		wantLookedAt(t, tries(t, e, accountFailures/2, always(email), strange), accountFailures/2, accountFailures/2)
	}
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, strange(900)), http.StatusSeeOther) // which resets nothing
	for _, email := range []string{e.U.Email, nobody} {
		second := func(i int) string { return strange(100 + i) }
		wantLookedAt(t, tries(t, e, accountFailures/2+5, always(email), second), accountFailures/2, accountFailures/2+5)
		page := logIn(e.Browser(), email, harness.Password, strange(901))
		wantLogInStatus(t, page, http.StatusTooManyRequests)
		program := logInProgramFrom(t, e, email, harness.Password, strange(902))
		program.WantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
		for _, text := range []string{page.Body, program.String(t, "error_description")} {
			if !strings.Contains(text, "This account is locked") || !strings.Contains(text, "ask the operator") || !strings.Contains(text, "24 hours") {
				t.Errorf("%s gets no advice: %.1200s", email, text)
			}
		}
	}
	e.LoggedIn(e.AddUser("olga@users.test"))
	wantLogInStatus(t, logIn(known, e.U.Email, harness.Password, strange(903)), http.StatusSeeOther)
	if a := changePasswordFrom(known, harness.Password, strange(903)); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a known browser at the form for a new password: %d", a.Status)
	}

	locks, err := server.Locks(t.Context(), e.Store, 0)
	if err != nil {
		t.Fatal(err)
	}
	if wait, err := locks.Locked(t.Context(), e.U.User); err != nil || wait <= 0 {
		t.Errorf("the operator's command shows: locked for %s, %v", wait, err)
	}
	tries(t, e, 1, always(nobody), strange) // counts nowhere
	e.Exec(`UPDATE failures SET n = $1 WHERE key LIKE 'pair:%'`, pairFailures)
	if err := locks.Unlock(t.Context(), harness.Operator, e.U.User); err != nil {
		t.Fatal(err)
	}
	if wait, err := locks.Locked(t.Context(), e.U.User); err != nil || wait != 0 {
		t.Errorf("after unlock: locked for %s, %v", wait, err)
	}
	wantLogInStatus(t, logIn(e.Browser(), e.U.Email, harness.Password, strange(0)), http.StatusSeeOther)
	if n := e.Count(`SELECT COUNT(*) FROM audit_events WHERE kind = 'user.unlocked' AND actor_kind = 'operator' AND subject = $1`, e.U.ID); n != 1 {
		t.Errorf("%d audit events of the unlock", n)
	}
	wantLogInStatus(t, logIn(e.Browser(), nobody, harness.Password, strange(904)), http.StatusTooManyRequests)
	e.Exec(`UPDATE failures SET until = until - $1`, int64(24*60*60*1_000_000))
	wantLogInStatus(t, logIn(e.Browser(), nobody, harness.Password, strange(904)), http.StatusUnprocessableEntity)
}
