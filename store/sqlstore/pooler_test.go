package sqlstore_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
	"xenoauth/store/storetest"
)

const transaction = "&pooler=transaction"

// TestPgBouncer: the whole contract of the store, through a real PgBouncer in transaction mode.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return dbtest.Open(t, dbtest.PgBouncer(t, dbtest.Postgres(t), "postgres")+transaction)
	})
}

// TestMigrateThroughPgBouncer: replicas migrate an empty database at the same time, some through PgBouncer and some not,
// and with a role whose statement timeout no migration would meet.
func TestMigrateThroughPgBouncer(t *testing.T) {
	t.Parallel()
	databaseURL := emptyPostgres(t)
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	run(t, dbtest.DB(t, dbtest.Open(t, databaseURL)), `ALTER DATABASE `+strings.TrimPrefix(u.Path, "/")+` SET statement_timeout = '20ms'`)
	through := dbtest.PgBouncer(t, databaseURL, "postgres") + transaction
	sum, applied := 0, make([]int, 4)
	var all sync.WaitGroup
	for i, address := range []string{databaseURL, through, through, databaseURL} {
		st := dbtest.Open(t, address)
		all.Go(func() {
			var err error
			if applied[i], err = st.Migrate(t.Context()); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, n := range applied {
		sum += n
	}
	status, err := dbtest.Open(t, databaseURL).MigrationStatus(t.Context())
	if err != nil || sum != len(status) || status[len(status)-1].AppliedAt.IsZero() {
		t.Errorf("the replicas applied %v of %d: %+v, %v", applied, len(status), status, err)
	}
}

// TestPoolerIsNamed: without the setting, the error names the one that helps: for a PgBouncer that refuses the timeouts, and for
// one that is configured to ignore them, where prepared statements meet those of other clients.
func TestPoolerIsNamed(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Postgres(t)
	const names = "set --pooler transaction (XENOAUTH_POOLER=transaction)"
	_, err := sqlstore.Open(t.Context(), dbtest.PgBouncer(t, databaseURL, "postgres"), sqlstore.Options{})
	if !errors.Is(err, sqlstore.ErrPooler) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), "unsupported startup parameter") {
		t.Errorf("a PgBouncer that refuses the timeouts: %v", err)
	}
	ignoring := dbtest.PgBouncer(t, databaseURL, "postgres", "default_pool_size = 1",
		"ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout")
	var seen error
	for range 3 { // processes, which name their statements alike
		st, err := sqlstore.Open(t.Context(), ignoring, sqlstore.Options{MaxConns: 2})
		if err != nil {
			seen = err
			break
		}
		t.Cleanup(func() { st.Close() })
		if missing, err := st.MissingTimeouts(t.Context()); err == nil && !slices.Equal(missing, []string{"idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"}) {
			t.Errorf("the timeouts that do not hold: %q", missing)
		}
		if _, err := st.UserByEmail(t.Context(), "x@example.org"); !errors.Is(err, store.ErrNotFound) {
			seen = err
		}
	}
	if !errors.Is(seen, sqlstore.ErrPooler) || !strings.Contains(fmt.Sprint(seen), names) {
		t.Errorf("a PgBouncer that ignores the timeouts: %v", seen)
	}
}

// TestPoolerSettings: a pooler passes no other parameters on, so that they are refused in the URL; and timeouts are the
// role's.
func TestPoolerSettings(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Postgres(t)
	for parameter, want := range map[string]string{
		"pooler=session":                         "must be none or transaction",
		"pooler=transaction&search_path=other":   "ALTER ROLE",
		"pooler=transaction&statement_timeout=9": "ALTER ROLE",
	} {
		if _, err := sqlstore.Open(t.Context(), databaseURL+"&"+parameter, sqlstore.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", parameter, err, want)
		}
	}
	direct := dbtest.Open(t, databaseURL)
	if missing, err := direct.MissingTimeouts(t.Context()); err != nil || len(missing) != 0 || direct.Pooler() {
		t.Errorf("without a pooler: missing %q, %v", missing, err)
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	admin := dbtest.DB(t, direct)
	set := `ALTER ROLE postgres IN DATABASE ` + strings.TrimPrefix(u.Path, "/") + ` SET `
	run(t, admin, set+`statement_timeout = '2s'`, set+`lock_timeout = '1500ms'`)
	st := dbtest.Open(t, dbtest.PgBouncer(t, databaseURL, "postgres")+transaction)
	if missing, err := st.MissingTimeouts(t.Context()); err != nil || !slices.Equal(missing, []string{"idle_in_transaction_session_timeout"}) || !st.Pooler() {
		t.Errorf("through a pooler: missing %q, %v; want the one that the role lacks", missing, err)
	}
}
