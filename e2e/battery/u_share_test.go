package battery

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"xenoauth/e2e/rig"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestBattery_U1: 100 sign-ups, or 200 right log-ins, or 100 right log-ins of one account by programs, at once from one
// address, while one password is hashed at a time: log-ins from other addresses (by page, by program, and at the form for a
// new password) pass them, and all three are answered before four fifths of these are, which are let in or get 503 or
// 429 with Retry-After. A proxy that is trusted names the addresses; an X-Forwarded-For from elsewhere changes nothing.
// How long others wait is measured outside the fast suite (go test ./bench -run none -bench LogInBesideFlood).
func TestBattery_U1(t *testing.T) {
	rig.Each(t, othersPassTheFlood, behindProxy, func(o *server.Options) {
		o.Passwords = secret.NewPasswords(1, secret.WithParams(secret.Params{Memory: 4 << 10, Time: 1, Threads: 1}))
	})
}

func othersPassTheFlood(t *testing.T, r *rig.Rig) {
	const flood = "192.0.2.1"
	emails := r.AddCrowd(200)
	in := r.LoggedIn(r.AddUser("in@users.test"))
	for _, c := range []struct {
		name string
		n    int
		ask  func(i int) rig.Answer
	}{
		{"sign-ups", 100, func(i int) rig.Answer {
			form := url.Values{"email": {fmt.Sprintf("new%d@users.test", i)}, "password": {rig.Password}}
			return r.Browser().Send(http.MethodPost, "/signup", form, "X-Forwarded-For", flood)
		}},
		{"log-ins", 200, func(i int) rig.Answer { return logIn(r.Browser(), emails[i], rig.Password, flood) }},
		{"programs", 100, func(int) rig.Answer { return logInProgramFrom(t, r, emails[0], rig.Password, flood) }},
	} {
		var answered atomic.Int64
		begun, once := make(chan struct{}), sync.Once{}
		var all sync.WaitGroup
		for i := range c.n {
			all.Go(func() {
				a := c.ask(i)
				busy := a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests
				if a.Status != http.StatusSeeOther && a.Status != http.StatusOK && (!busy || a.Header.Get("Retry-After") == "") {
					t.Errorf("%s: one of the attacker's requests is answered %d: %.300s", c.name, a.Status, a.Body)
				}
				if answered.Add(1) == 3 {
					once.Do(func() { close(begun) })
				}
			})
		}
		<-begun
		if a := logIn(r.Browser(), emails[1], rig.Password, "198.51.100.1"); a.Status != http.StatusSeeOther {
			t.Errorf("%s: another address logs in: %d", c.name, a.Status)
		}
		logInProgramFrom(t, r, emails[2], rig.Password, "198.51.100.2").WantUserPair(r)
		if a := changePasswordFrom(in, rig.Password, "198.51.100.3"); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: another address at the form for a new password: %d", c.name, a.Status)
		}
		if n := answered.Load(); n > int64(c.n*4/5) { // each waits for one hash at most; the rest is a slow machine's
			t.Errorf("%s: three log-ins from other addresses were answered after %d of %d", c.name, n, c.n)
		}
		all.Wait()
	}
}
