package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/store"
)

// TestActionHappensOnce_N12: the action of a page happens once, and only when its user means it. The same answer of a consent page again,
// one after the other and 50 at once, is the same redirect with the same code, one installation and one code in the
// database; a code that was redeemed is not sent again, and another second answer decides nothing. An app, a secret, a
// key, a bot and a user are made once by a form that is sent twice or 20 times at once, and all its answers lead to the
// same page, which shows the secret once, to that session alone; the answer to the form never does. Sent with other
// values it is another form. A second request to remove, revoke or delete the same thing is not "not found". Enter
// has no button to press on the consent page, and the page brings the guard that takes no Allow within 500 ms of getting
// the focus (TestConsentGuard runs it in Chromium).
func TestActionHappensOnce_N12(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		t.Run("answers", func(t *testing.T) { answeredTwice(t, e.With(t)) })
		t.Run("forms", func(t *testing.T) { madeOnce(t, e.With(t)) })
		t.Run("sign-up", func(t *testing.T) { signedUpOnce(t, e.With(t)) })
		t.Run("endings", func(t *testing.T) { endedTwice(t, e.With(t)) })
		t.Run("no default button", func(t *testing.T) {
			page := e.LoggedIn(e.U).With(t).Get(address(request(e.B, "prompt", "consent")))
			_, form, _ := strings.Cut(page.Body, `action="/oauth/consent">`)
			first, _, _ := strings.Cut(form[strings.Index(form, "<button"):], ">")
			if !strings.Contains(first, `formmethod="dialog"`) || strings.Contains(first, "name=") {
				t.Errorf("the first button of the form is %s>, want one that does nothing", first)
			}
			if scriptOf(e, page) == "" {
				t.Error("the page does not load its guard")
			}
		})
	})
}

func answeredTwice(t *testing.T, e *harness.Env) {
	in := e.LoggedIn(e.U)
	codes := func() int { return e.Count(`SELECT COUNT(*) FROM codes WHERE user_id = $1`, e.U.ID) }

	page := in.Get(address(request(e.A)))
	first := in.Decide(page, "allow")
	code := e.WantCode(first, harness.CB, "xyz")
	if again := in.Decide(page, "allow"); again.Header.Get("Location") != first.Header.Get("Location") {
		t.Errorf("the second Allow leads to %s, want %s", again.Header.Get("Location"), first.Header.Get("Location"))
	}
	in.Decide(page, "deny").WantPage(t, http.StatusBadRequest)
	token := e.Exchange(e.A, code).WantToken(t)
	over := in.Decide(page, "allow")
	over.WantPage(t, http.StatusBadRequest)
	if !strings.Contains(over.Body, "You already answered this request") || !strings.Contains(over.Body, "“Alpha” (app.test)") {
		t.Errorf("the page does not name the app: %.600s", over.Body)
	}
	e.WantLive(token, true)

	// Later than a minute afterwards, it is over; and so is a code that has expired.
	page = in.Get(address(request(e.A, "prompt", "consent")))
	e.WantCode(in.Decide(page, "allow"), harness.CB, "xyz")
	id := e.Parse(page.Hidden("request_id")).ID
	e.Exec(`UPDATE requests SET decided_at = decided_at - $1 WHERE id = $2`, time.Minute.Microseconds(), id[:])
	in.Decide(page, "allow").WantPage(t, http.StatusBadRequest)

	page = in.Get(address(request(e.A, "prompt", "consent")))
	denied := in.Decide(page, "deny")
	e.WantRedirectError(denied, harness.CB, "access_denied", "xyz")
	e.WantRedirectError(in.Decide(page, "deny"), harness.CB, "access_denied", "xyz")
	in.Decide(page, "allow").WantPage(t, http.StatusBadRequest)

	// The first answer had installed the app when the database failed: the second goes on from there.
	page = in.Get(address(request(e.B, "state", "half")))
	e.WantCode(in.Decide(page, "allow"), harness.CB, "half")
	id = e.Parse(page.Hidden("request_id")).ID
	e.Exec(`UPDATE requests SET answer = NULL WHERE id = $1`, id[:])
	e.Exec(`DELETE FROM codes WHERE app_id = $1`, e.B.ID)
	e.Exchange(e.B, e.WantCode(in.Decide(page, "allow"), harness.CB, "half")).WantToken(t)

	page = in.Get(address(request(e.P, "state", "all")))
	before := codes()
	to := atOnce(50, func() string {
		return patiently(func() harness.Answer { return in.Decide(page, "allow") }).Header.Get("Location")
	})
	if len(to) != 1 || to[""] != 0 {
		t.Fatalf("50 answers at once lead to %d places: %v", len(to), to)
	}
	if n := codes() - before; n != 1 {
		t.Errorf("50 answers at once made %d codes", n)
	}
	if n := e.Count(`SELECT COUNT(*) FROM installations WHERE app_id = $1`, e.P.ID); n != 1 {
		t.Errorf("50 answers at once made %d installations", n)
	}
	for l := range to {
		u, err := url.Parse(l)
		if err != nil {
			t.Fatal(err)
		}
		e.Exchange(e.P, u.Query().Get("code"), "code_verifier", harness.Verifier).WantToken(t)
	}
	e.WantEvents(e.P, store.EventInstallationCreated, 1)
}

// atOnce calls f n times at the same moment and counts the results.
func atOnce(n int, f func() string) map[string]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	results := map[string]int{}
	for range n {
		all.Go(func() {
			got := f()
			mu.Lock()
			defer mu.Unlock()
			results[got]++
		})
	}
	all.Wait()
	return results
}
