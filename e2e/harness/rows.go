package harness

import (
	"fmt"
	"sync/atomic"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/server"
	"xenoauth/store"
)

// Rows are tests that share a server, by name. A name that begins with the id of a row of docs/battery.md, such as "A4 host",
// is the test of that row.
type Rows map[string]func(t *testing.T, e *Env)

// EachRow starts one server over each database and runs the rows on it as parallel subtests. Each row has a user and apps of
// its own, and must not depend on what other rows do to the server: rows that set Faults, read the whole log or count
// rows of the database other than by CountGrants need Each.
func EachRow(t *testing.T, rows Rows, options ...func(*server.Options)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		shared := Bare(t, st, options...)
		for name, test := range rows {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, shared.Isolated(t))
			})
		}
	})
}

// isolated numbers the users of Isolated.
var isolated atomic.Int64

// Isolated is an environment on the same server with a user and apps of its own.
func (e *Env) Isolated(t testing.TB) *Env {
	t.Helper()
	own := e.With(t)
	own.U = User{}
	own.addFixtures(fmt.Sprintf("ursula%d@users.test", isolated.Add(1)))
	return own
}

// Run runs test as a subtest for each case, one after the other, with an environment that reports to it.
func Run[C any](t *testing.T, e *Env, cases map[string]C, test func(t *testing.T, e *Env, c C)) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { test(t, e.With(t), c) })
	}
}

// CountGrants is how many rows of the database give access to something by an app of U's account: installations, codes,
// tokens and families.
func (e *Env) CountGrants() int {
	e.t.Helper()
	const own = `app_id IN (SELECT id FROM apps WHERE account_id = $1)`
	return e.Count(`SELECT (SELECT COUNT(*) FROM codes WHERE `+own+`) + (SELECT COUNT(*) FROM installations WHERE `+own+`)
		+ (SELECT COUNT(*) FROM tokens WHERE `+own+`) + (SELECT COUNT(*) FROM expiring_tokens WHERE `+own+`)
		+ (SELECT COUNT(*) FROM families WHERE `+own+`)
		+ (SELECT COUNT(*) FROM refresh_tokens WHERE family_id IN (SELECT id FROM families WHERE `+own+`))`, e.U.Account.ID)
}

// WantGrants asserts that CountGrants is n.
func (e *Env) WantGrants(n int) {
	e.t.Helper()
	if got := e.CountGrants(); got != n {
		e.t.Errorf("%d rows of grants, want %d", got, n)
	}
}

// WantNoGrants asserts that nothing has been granted to an app of U's account.
func (e *Env) WantNoGrants() {
	e.t.Helper()
	if n := e.CountGrants(); n != 0 {
		e.t.Errorf("%d rows give access to something, want none", n)
	}
}

// WantNoRequests asserts that no authorization request of an app of U's account is stored, and that nothing has been granted.
func (e *Env) WantNoRequests() {
	e.t.Helper()
	e.WantNoGrants()
	if n := e.Count(`SELECT COUNT(*) FROM requests WHERE app_id IN (SELECT id FROM apps WHERE account_id = $1)`, e.U.Account.ID); n != 0 {
		e.t.Errorf("%d authorization requests are stored, want none", n)
	}
}
