package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/server"
)

// TestRequestRowsPerAddress_U2: Authorization requests of a browser that has not logged in, sound ones and faulty ones:
// no more than --ip-requests rows of one address (a /64 of IPv6) are there at any time, 50 at once or
// one after the other; the newest go on to the log-in and the consent page, the oldest get the page of an expired request.
// The requests of other addresses are untouched, however many one address sends. Of the consent pages of one session 100 are
// kept. The table holds no address in the clear. How long a kept value may be is A7's and A24's.
func TestRequestRowsPerAddress_U2(t *testing.T) {
	t.Run("parked", func(t *testing.T) {
		harness.Each(t, floodOfRequests, behindProxy, func(o *server.Options) { o.ParkedRequests = 20 })
	})
	t.Run("shown", func(t *testing.T) { harness.Each(t, floodOfConsents) })
}

func floodOfRequests(t *testing.T, e *harness.Env) {
	const most = 20
	state := strings.Repeat("s", 500)
	authorize := func(ip string, more ...string) harness.Answer {
		path := "/oauth/authorize?" + harness.Pairs(append([]string{"client_id", e.A.ID, "redirect_uri", e.A.URI, "state", state}, more...)...).Encode()
		return e.Browser().Send(http.MethodGet, path, nil, "X-Forwarded-For", ip)
	}
	next := func(a harness.Answer) string {
		to := a.Location(t)
		if to == nil || to.Path != "/login" {
			t.Fatalf("authorize: %d %s: %.300s", a.Status, a.Header.Get("Location"), a.Body)
		}
		return to.Query().Get("next")
	}
	other := next(authorize("192.0.2.200"))
	first := next(authorize("2001:db8:1:2::1"))
	harness.Race(t, 50, func(i int) harness.Answer {
		return authorize(fmt.Sprintf("2001:db8:1:2::%x", 100+i), "scope", "nonsense")
	})
	for i := range 2 * most {
		authorize(fmt.Sprintf("2001:db8:1:2::%x", 500+i))
	}
	last := next(authorize("2001:db8:1:2::2"))
	if n := e.Count(`SELECT COUNT(*) FROM requests`); n != most+1 {
		t.Errorf("%d requests are kept, want %d of the attacker and one of another address", n, most)
	}
	for _, holder := range e.Strings(`SELECT holder FROM requests`) {
		if !strings.HasPrefix(holder, "ip:") || strings.Contains(holder, "2001") || strings.Contains(holder, "192.0") {
			t.Errorf("the table has the holder %q", holder)
		}
	}
	b := e.LoggedIn(e.U)
	for name, id := range map[string]string{"another address": other, "the newest": last} {
		if a := b.Get("/oauth/consent?" + url.Values{"request_id": {id}}.Encode()); a.Status != http.StatusOK || a.Hidden("request_id") == "" {
			t.Errorf("%s: %d: %.300s", name, a.Status, a.Body)
		}
	}
	b.Get("/oauth/consent?"+url.Values{"request_id": {first}}.Encode()).WantPage(t, http.StatusBadRequest)
}

func floodOfConsents(t *testing.T, e *harness.Env) {
	const most = 100
	b, elsewhere := e.LoggedIn(e.U), e.LoggedIn(e.U)
	ask := func(b *harness.Browser) harness.Answer {
		return b.Authorize("client_id", e.A.ID, "redirect_uri", e.A.URI, "state", "xyz")
	}
	theirs, first := ask(elsewhere), ask(b)
	var last harness.Answer
	for range most {
		last = ask(b)
	}
	if n := e.Count(`SELECT COUNT(*) FROM requests`); n != most+1 {
		t.Errorf("%d consent pages are kept, want %d of one session and one of another", n, most)
	}
	b.Decide(first, "allow").WantPage(t, http.StatusBadRequest)
	e.WantCode(b.Decide(last, "allow"), e.A.URI, "xyz")
	e.WantCode(elsewhere.Decide(theirs, "allow"), e.A.URI, "xyz")
}

// TestUserLimits_U4: What one user, or one address, can make is bounded. 4,000 half-sent requests (headers and bodies of 60 kB
// without their end): the server holds 32 MB of them at most, closes the rest, those of the address that has most first, and
// serves others all the while. Apps: an account has 100 at most, made one after the other or at once; one more is a fault of
// the form, and the operator is not bound. Sessions: of 60 log-ins 50 are live, the one that was not used for longest ends,
// with its audit event. Changes on pages: 600 in an hour, then every form that makes something, a log-in and an approval
// are refused (429 with Retry-After) and leave no audit event, while what ends something (log-out, removal, revocation) works;
// other users are not concerned. Codes without a page: 600 in an hour, then temporarily_unavailable by redirect; they do not use
// up the user's own changes. Log-ins of a bot's program: 6,000 in an hour, then 429 with Retry-After and no audit event. Lists in pages are the
// portal's and the installed apps' own rows.
func TestUserLimits_U4(t *testing.T) {
	t.Run("half-sent requests", halfSentRequests) // before the others: it needs the process's files
	t.Run("apps", func(t *testing.T) { harness.Each(t, manyApps, func(o *server.Options) { o.MaxApps = 7 }) })
	t.Run("sessions", func(t *testing.T) { harness.Each(t, manySessions) })
	t.Run("changes", func(t *testing.T) { harness.Each(t, manyChanges, func(o *server.Options) { o.Limits.Changes = 20 }) })
	t.Run("log-ins of programs", func(t *testing.T) { harness.Each(t, manyPrograms, func(o *server.Options) { o.Limits.Changes = 2 }) })
}

// halfSentRequests is not parallel: it needs as many open files as a process commonly may have. Its server gives requests
// two minutes instead of seconds, so that what it closes it closes for their bytes, on a slow machine too.
func halfSentRequests(t *testing.T) {
	const requests, size, budget = 4000, 20 << 10, 32 << 20
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
	e = slowToGiveUp(t, e)
	conns := make([]*harness.Conn, requests)
	filler := strings.Repeat("x", size)
	for i := range conns {
		conns[i] = e.Dial()
		if i%2 == 0 {
			conns[i].Send("GET /login HTTP/1.1\r\nHost: x\r\nX-Filler: " + filler) // and no more
		} else {
			conns[i].Send("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\na=" + filler)
		}
		if i%500 == 499 {
			e.WantLive(token, true)
			page, err := http.NewRequest(http.MethodGet, e.URL+"/login", nil)
			if err != nil {
				t.Fatal(err)
			}
			page.Host = strings.TrimPrefix(e.Options.Issuer, "http://")
			e.Do(page).WantPage(t, http.StatusOK)
		}
	}
	most, held := budget/size, requests
	for deadline := time.Now().Add(40 * time.Second); held > most && time.Now().Before(deadline); {
		held = countOpen(conns)
	}
	if held > most || held == 0 {
		t.Errorf("%d of %d half-sent requests of %d bytes are held, want at most %d and some", held, requests, size, most)
	}
}

// slowToGiveUp is the rig at another address, where the server waits two minutes for the rest of a request.
func slowToGiveUp(t *testing.T, e *harness.Env) *harness.Env {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := e.Server.HTTP()
	h.ReadHeaderTimeout, h.ReadTimeout = 2*time.Minute, 2*time.Minute
	go h.Serve(server.CountReads(listener))
	t.Cleanup(func() { h.Close() })
	slow := e.With(t)
	slow.URL = "http://" + listener.Addr().String()
	return slow
}

// countOpen is how many connections the server has not closed.
func countOpen(conns []*harness.Conn) int {
	var open atomic.Int64
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			if !c.Closed(200 * time.Millisecond) {
				open.Add(1)
			}
		})
	}
	all.Wait()
	return int(open.Load())
}

func appForm(name string) url.Values {
	return url.Values{"name": {name}, "redirect_uris": {"https://app.test/cb"}, "scopes": {"contacts"}, "type": {"confidential"}}
}

func manyApps(t *testing.T, e *harness.Env) {
	const most = 7
	u := e.AddUser("maker@users.test")
	b := e.LoggedIn(u)
	got := map[int]int{}
	for _, a := range harness.Race(t, 20, func(i int) harness.Answer {
		return patiently(func() harness.Answer { return b.Post("/developer/apps", appForm(fmt.Sprint("App ", i))) })
	}) {
		got[a.Status]++
	}
	if n := e.Count(`SELECT COUNT(*) FROM apps WHERE account_id = $1`, u.Account.ID); n != most || got[http.StatusUnprocessableEntity] == 0 {
		t.Errorf("%d apps, want %d; answers %v", n, most, got)
	}
	a := b.Post("/developer/apps", appForm("One more"))
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "The account has 7 apps") || !strings.Contains(a.Body, "One more") {
		t.Errorf("one more app: %d: %.600s", a.Status, a.Body)
	}
	e.U = u
	made := e.AddApp("The operator's", true, harness.CB)
	if a := b.Post("/developer/apps/"+made.ID+"/delete", url.Values{"name": {"The operator's"}, "confirm": {"The operator's"}}); a.Status != http.StatusSeeOther {
		t.Errorf("delete: %d: %.300s", a.Status, a.Body)
	}
}

func manySessions(t *testing.T, e *harness.Env) {
	const most = 50
	used := e.LoggedIn(e.U)
	var all []*harness.Browser
	for range most - 1 {
		all = append(all, e.LoggedIn(e.U))
	}
	e.Exec(`UPDATE sessions SET seen_at = seen_at - 600000000`) // ten minutes ago, so that the next use is noted
	used.Get("/account").WantPage(t, http.StatusOK)
	for range 10 {
		e.LoggedIn(e.U)
	}
	if n := e.Count(`SELECT COUNT(*) FROM sessions WHERE user_id = $1`, e.U.ID); n != most {
		t.Errorf("%d sessions, want %d", n, most)
	}
	if n := e.Count(`SELECT COUNT(*) FROM audit_events WHERE kind = 'session.ended' AND subject = $1`, e.U.ID); n != 10 {
		t.Errorf("%d audit events of ended sessions, want 10", n)
	}
	used.Get("/account").WantPage(t, http.StatusOK)
	live := 0
	for _, b := range all {
		if b.Get("/account").Status == http.StatusOK {
			live++
		}
	}
	if live != most-1-10 {
		t.Errorf("%d of the %d that were not used are live, want %d", live, most-1, most-1-10)
	}
}

func manyChanges(t *testing.T, e *harness.Env) {
	const most = 20
	maker := e.AddUser("maker@users.test")
	b := e.LoggedIn(maker) // one
	shown := b.Authorize("client_id", e.A.ID, "redirect_uri", e.A.URI, "state", "xyz")
	b.Code(e.B) // two: installed, so that a code comes without a page
	codes := 0
	silent := func() url.Values {
		a := b.Authorize("client_id", e.B.ID, "redirect_uri", e.B.URI, "state", "xyz", "scope", "contacts")
		to := a.Location(t)
		if to == nil {
			t.Fatalf("a code without a page: %d: %.300s", a.Status, a.Body)
		}
		return to.Query()
	}
	for ; codes < most; codes++ {
		if q := silent(); q.Get("code") == "" {
			t.Fatalf("code %d without a page: %v", codes, q)
		}
	}
	if q := silent(); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("one more code without a page: %v", q)
	}
	made := 2
	for ; made < most; made++ {
		if a := b.Post("/account", url.Values{"name": {fmt.Sprint("Name ", made)}}); a.Status != http.StatusSeeOther {
			t.Fatalf("change %d: %d", made, a.Status)
		}
	}
	events := func() int { return e.Count(`SELECT COUNT(*) FROM audit_events WHERE actor_id = $1`, maker.ID) }
	before := events()
	for path, form := range map[string]url.Values{
		"/account": {"name": {"Another"}}, "/account/security": {"current_password": {harness.Password}, "password": {"another horse battery"}},
		"/developer/apps": appForm("App"), "/account/keys": {"name": {"Key"}, "kind": {"account"}}, "/account/bots": {"name": {"Bot"}},
		"/oauth/consent": {"request_id": {shown.Hidden("request_id")}, "decision": {"allow"}},
	} {
		a := b.Post(path, form)
		a.WantPage(t, http.StatusTooManyRequests)
		if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "too many changes") {
			t.Errorf("%s: Retry-After %q: %.600s", path, a.Header.Get("Retry-After"), a.Body)
		}
	}
	wantLogInStatus(t, logIn(e.Browser(), maker.Email, harness.Password, ""), http.StatusTooManyRequests)
	if n := events(); n != before {
		t.Errorf("refused changes left %d audit events", n-before)
	}
	for _, installation := range e.Strings(`SELECT id FROM installations WHERE user_id = $1`, maker.ID) {
		if a := b.Post("/account/apps/"+installation+"/remove", url.Values{}); a.Status != http.StatusSeeOther {
			t.Errorf("removal: %d", a.Status)
		}
	}
	if a := b.Post("/account/security/sessions", url.Values{}); a.Status != http.StatusSeeOther {
		t.Errorf("log out everywhere else: %d", a.Status)
	}
	if a := b.Post("/logout", url.Values{}); a.Status != http.StatusSeeOther {
		t.Errorf("log-out: %d", a.Status)
	}
	e.LoggedIn(e.U)
}

func manyPrograms(t *testing.T, e *harness.Env) {
	const most = 10 * 2
	bot, other := e.AddBot(e.U.Account.ID, "Busy"), e.AddBot(e.U.Account.ID, "Other")
	for range most {
		logInProgramFrom(t, e, bot.Email, bot.Secret, "").WantUserPair(e)
	}
	a := logInProgramFrom(t, e, bot.Email, bot.Secret, "")
	a.WantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
	if text := a.String(t, "error_description"); a.Header.Get("Retry-After") == "" || !strings.Contains(text, "renew it with its refresh token") {
		t.Errorf("one more log-in: Retry-After %q: %s", a.Header.Get("Retry-After"), text)
	}
	if n := e.Count(`SELECT COUNT(*) FROM audit_events WHERE kind = 'user_token.issued'`); n != most {
		t.Errorf("%d audit events of %d log-ins", n, most)
	}
	logInProgramFrom(t, e, other.Email, other.Secret, "").WantUserPair(e)
	e.LoggedIn(e.U)
}
