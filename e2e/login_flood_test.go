package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

// TestLogInFlood_U1: 100 sign-ups, or 200 right log-ins, or 100 right log-ins of one account by programs, at once from one
// address, while one password is hashed at a time: log-ins from other addresses (by page, by program, and at the form for a
// new password) that come after them are the next three to be hashed. The flood is let in or gets 503 or 429 with
// Retry-After. A proxy that is trusted names the addresses; an X-Forwarded-For from elsewhere changes nothing.
// How long others wait is measured outside the fast suite (go test ./bench -run none -bench LogInUnderLoad).
func TestLogInFlood_U1(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		slot := newHashingSlot()
		othersPassTheFlood(t, slot, harness.New(t, st, behindProxy, func(o *server.Options) { o.Passwords = slot.passwords }))
	})
}

// hashingSlot hashes one password at a time, as a server with one core to spare does, and can stop to do so. What is in
// the queue then does not depend on the speed of the machine.
type hashingSlot struct {
	passwords *secret.Passwords
	mu        sync.Mutex
	open      chan struct{} // closed: computations go on
	release   func()        // closes it
	order     []string      // the addresses whose computations began since the slot was held
}

func newHashingSlot() *hashingSlot {
	s := &hashingSlot{}
	s.hold()
	s.release()
	s.passwords = secret.NewPasswords(secret.PasswordOptions{Concurrency: 1, Params: secret.Params{Memory: 64, Time: 1, Threads: 1}, Observe: s.begin})
	return s
}

// begin notes a computation, and has it wait while the slot is held.
func (s *hashingSlot) begin(address string) {
	s.mu.Lock()
	s.order = append(s.order, address)
	open := s.open
	s.mu.Unlock()
	<-open
}

// hold stops the computation that begins next, until release.
func (s *hashingSlot) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make(chan struct{})
	s.open, s.order = open, nil
	s.release = sync.OnceFunc(func() { close(open) })
}

// begun are the addresses of the computations that began since the slot was held, in order.
func (s *hashingSlot) begun() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// queued waits until n computations of an address wait for the slot.
func (s *hashingSlot) queued(t *testing.T, address string, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); s.passwords.Waiting(address) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d computations of %s wait, want %d", s.passwords.Waiting(address), address, n)
		}
	}
}

func othersPassTheFlood(t *testing.T, slot *hashingSlot, e *harness.Env) {
	const flood = "192.0.2.1"
	emails := e.AddUsers(200)
	in := e.LoggedIn(e.AddUser("in@users.test"))
	for _, c := range []struct {
		name   string
		n      int
		queued int // that wait for the slot at least: of one account fewer are looked at together
		ask    func(i int) harness.Answer
	}{
		{"sign-ups", 100, 10, func(i int) harness.Answer {
			form := url.Values{"email": {fmt.Sprintf("new%d@users.test", i)}, "password": {harness.Password}}
			return e.Browser().Send(http.MethodPost, "/signup", form, "X-Forwarded-For", flood)
		}},
		{"log-ins", 200, 10, func(i int) harness.Answer { return logIn(e.Browser(), emails[i], harness.Password, flood) }},
		{"programs", 100, 3, func(int) harness.Answer { return logInProgramFrom(t, e, emails[0], harness.Password, flood) }},
	} {
		slot.hold()
		defer slot.release() // a test that fails does not stop the server from ending
		var all sync.WaitGroup
		for i := range c.n {
			all.Go(func() {
				a := c.ask(i)
				busy := a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests
				if a.Status != http.StatusSeeOther && a.Status != http.StatusOK && (!busy || a.Header.Get("Retry-After") == "") {
					t.Errorf("%s: one of the attacker's requests is answered %d: %.300s", c.name, a.Status, a.Body)
				}
			})
		}
		slot.queued(t, flood, c.queued)
		others := []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"}
		all.Go(func() {
			if a := logIn(e.Browser(), emails[1], harness.Password, others[0]); a.Status != http.StatusSeeOther {
				t.Errorf("%s: another address logs in: %d", c.name, a.Status)
			}
		})
		all.Go(func() { logInProgramFrom(t, e, emails[2], harness.Password, others[1]).WantUserPair(e) })
		all.Go(func() {
			if a := changePasswordFrom(in, harness.Password, others[2]); a.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: another address at the form for a new password: %d", c.name, a.Status)
			}
		})
		for _, address := range others {
			slot.queued(t, address, 1)
		}
		slot.release()
		all.Wait()
		order := slot.begun()
		next := slices.Clone(order[1:min(4, len(order))]) // the first was held
		slices.Sort(next)
		if order[0] != flood || !slices.Equal(next, others) {
			t.Errorf("%s: after %s, the next to be hashed are %v; want %v", c.name, order[0], next, others)
		}
	}
}
