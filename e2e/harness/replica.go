package harness

import (
	"sync"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/server"
)

// Replica starts another server over the same database, whose URL is given, with a pool of its own, under the same issuer
// and with the same fixtures.
func (e *Env) Replica(url string) *Env {
	e.t.Helper()
	var address string
	other := Bare(e.t, dbtest.Open(e.t, url), func(o *server.Options) {
		address, o.Issuer, o.UserTokens = o.Issuer, e.URL, e.Options.UserTokens
	})
	other.URL = address
	other.A, other.B, other.P, other.N, other.U = e.A, e.B, e.P, e.N, e.U
	return other
}

// Pair starts two servers over one Postgres database.
func Pair(t testing.TB) (*Env, *Env) {
	t.Helper()
	url := dbtest.Postgres(t)
	first := New(t, dbtest.Open(t, url))
	return first, first.Replica(url)
}

// Race sends n requests at the same time and returns their answers.
func Race(t testing.TB, n int, ask func(i int) Answer) []Answer {
	t.Helper()
	answers := make([]Answer, n)
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			<-start
			answers[i] = ask(i)
		})
	}
	close(start)
	callers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return answers
}
