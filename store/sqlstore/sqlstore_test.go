package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
	"xenoauth/store/storetest"
)

func TestContractOnSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return dbtest.Open(t, dbtest.SQLite(t)) })
}

func TestContractOnPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return dbtest.Open(t, dbtest.Postgres(t)) })
}

func TestClassify(t *testing.T) {
	t.Parallel()
	state := func(code string) error {
		return fmt.Errorf("q: %w", &pgconn.PgError{Code: code, Message: "value hunter2"})
	}
	for name, test := range map[string]struct{ err, want error }{
		"no rows":             {sql.ErrNoRows, store.ErrNotFound},
		"unique":              {state("23505"), store.ErrConflict},
		"foreign key":         {state("23503"), store.ErrEnded},
		"encoding":            {state("22021"), store.ErrInvalid},
		"text representation": {state("22P02"), store.ErrInvalid},
		"too long":            {state("22001"), store.ErrInvalid},
		"too long for index":  {state("54000"), store.ErrInvalid},
		"connection":          {state("08006"), store.ErrUnavailable},
		"serialization":       {state("40001"), store.ErrUnavailable},
		"deadlock":            {state("40P01"), store.ErrUnavailable},
		"disk full":           {state("53100"), store.ErrUnavailable},
		"too many clients":    {state("53300"), store.ErrUnavailable},
		"lock timeout":        {state("55P03"), store.ErrUnavailable},
		"statement timeout":   {state("57014"), store.ErrUnavailable},
		"shutdown":            {state("57P01"), store.ErrUnavailable},
		"starting up":         {state("57P03"), store.ErrUnavailable},
		"I/O":                 {state("58030"), store.ErrUnavailable},
		"a standby":           {state("25006"), store.ErrUnavailable},
		"idle in transaction": {state("25P03"), store.ErrUnavailable},
		"cancelled":           {context.Canceled, store.ErrUnavailable},
		"deadline":            {context.DeadlineExceeded, store.ErrUnavailable},
		"connection lost":     {io.ErrUnexpectedEOF, store.ErrUnavailable},
		"already classified":  {fmt.Errorf("x: %w", store.ErrLimit), store.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := sqlstore.Classify(test.err)
			if !errors.Is(got, test.want) || strings.Contains(got.Error(), "hunter2") {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
	for _, err := range []error{state("42601"), state("42P01"), errors.New("x")} {
		if got := sqlstore.Classify(err); errors.Is(got, store.ErrUnavailable) || errors.Is(got, store.ErrInvalid) {
			t.Errorf("a fault of the program became %v", got)
		}
	}
}

// TestAbortedTransaction: after a deadlock the work runs again, as nothing of it happened; any other error is the end.
func TestAbortedTransaction(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	for code, want := range map[string]int{"40P01": 3, "40001": 3, "57014": 1, "08006": 1} {
		runs := 0
		err := st.Transact(t.Context(), func() error {
			runs++
			return &pgconn.PgError{Code: code}
		})
		if runs != want || err == nil {
			t.Errorf("%s: ran %d times, want %d; %v", code, runs, want, err)
		}
	}
}

// TestClockIsNeverBehind: a time that was read from the database before a call of Now is not after its result.
func TestClockIsNeverBehind(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	db := dbtest.DB(t, st)
	for range 50 {
		var micros int64
		err := db.QueryRowContext(t.Context(), `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&micros)
		if err != nil {
			t.Fatal(err)
		}
		told := time.UnixMicro(micros)
		// The two clocks may tick differently by a few parts in a million.
		if now := st.Now(); told.Sub(now) > time.Millisecond {
			t.Fatalf("Now is %v behind the database", told.Sub(now))
		}
	}
}

// TestSuspendedProcess: a process that goes on after a pause believes in the time before it; Postgres knows better.
func TestSuspendedProcess(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	u, a := storetest.NewUser(t, st)
	app, _ := storetest.NewApp(t, st, a.ID, nil)
	ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
	family := storetest.FamilyGrant(st, ins)
	family.Refresh.ExpiresAt = st.Now().Add(-time.Minute)
	storetest.Redeem(t, st, ins, family)
	c := storetest.Code(st, ins)
	c.ExpiresAt = st.Now().Add(-time.Minute)
	if err := st.CreateCode(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	owner, pair := storetest.UserPair(st, u, a.ID)
	pair.ExpiresAt = st.Now().Add(-time.Minute)
	if err := st.CreateUserFamily(t.Context(), store.SystemPrincipal(), owner, pair); err != nil {
		t.Fatal(err)
	}
	st.SetBack(time.Hour)
	if err := st.RotateUserRefresh(t.Context(), storetest.UserRotation(st, pair.ID)); !errors.Is(err, store.ErrEnded) {
		t.Errorf("rotate a user's refresh token: got %v, want %v", err, store.ErrEnded)
	}
	if err := st.Redeem(t.Context(), c.ID, storetest.TokenGrant(st, ins), 25); !errors.Is(err, store.ErrEnded) {
		t.Errorf("redeem: got %v, want %v", err, store.ErrEnded)
	}
	if err := st.Rotate(t.Context(), storetest.Rotation(st, family, family.Refresh.ID)); !errors.Is(err, store.ErrEnded) {
		t.Errorf("rotate: got %v, want %v", err, store.ErrEnded)
	}
}

// TestDisabledAccount: every credential of a disabled account is refused.
func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		g, open := storetest.TokenGrant(st, ins), storetest.NewCode(t, st, ins)
		storetest.Redeem(t, st, ins, g)
		approval := storetest.NewApproval(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		_, pair := storetest.NewUserPair(t, st, u, a.ID)
		family, first := storetest.UserPair(st, u, a.ID)
		dbtest.Exec(t, st, `UPDATE accounts SET disabled_at = 1 WHERE id = $1`, a.ID)
		if access, err := st.UserRefreshByID(t.Context(), pair.ID); err != nil || access.Live {
			t.Errorf("the user token lives: %v", err)
		}
		if err := st.RotateUserRefresh(t.Context(), storetest.UserRotation(st, pair.ID)); !errors.Is(err, store.ErrEnded) {
			t.Errorf("rotate a user's refresh token: got %v, want %v", err, store.ErrEnded)
		}
		if err := st.CreateUserFamily(t.Context(), store.SystemPrincipal(), family, first); !errors.Is(err, store.ErrEnded) {
			t.Errorf("create a user token: got %v, want %v", err, store.ErrEnded)
		}
		if storetest.Live(t, st, store.NonExpiring, g.Token.ID) {
			t.Error("the token lives")
		}
		if err := st.Redeem(t.Context(), open.ID, storetest.TokenGrant(st, ins), 25); !errors.Is(err, store.ErrEnded) {
			t.Errorf("redeem: got %v, want %v", err, store.ErrEnded)
		}
		if _, err := st.Install(t.Context(), store.SystemPrincipal(), approval); !errors.Is(err, store.ErrEnded) {
			t.Errorf("install: got %v, want %v", err, store.ErrEnded)
		}
		app.ID, app.Confidential = "app_new", false
		if err := st.CreateApp(t.Context(), store.SystemPrincipal(), app, nil); !errors.Is(err, store.ErrEnded) {
			t.Errorf("create app: got %v, want %v", err, store.ErrEnded)
		}
		dbtest.Exec(t, st, `UPDATE accounts SET disabled_at = NULL WHERE id = $1`, a.ID)
		if !storetest.Live(t, st, store.NonExpiring, g.Token.ID) {
			t.Error("the token did not return with the account")
		}
		if err := st.RotateUserRefresh(t.Context(), storetest.UserRotation(st, pair.ID)); err != nil {
			t.Errorf("the user token did not return with the account: %v", err)
		}
	})
}

// scansOfOwnRows are scans of rows that the statement itself has found by an index before, and bounded where the reason states that.
var scansOfOwnRows = map[string][]string{
	"countInstalled":      {"SCAN CONSTANT ROW", "SCAN looked", "SCAN i"},
	"selectInstalledApps": {"SCAN part", "SCAN shown", "SCAN (subquery-"},
	"countInstalledApps":  {"SCAN apps", "SCAN (subquery-"},
}

// TestEveryConditionHasAnIndex asks SQLite, whose plans do not depend on how full the tables are.
func TestEveryConditionHasAnIndex(t *testing.T) {
	t.Parallel()
	db := dbtest.DB(t, dbtest.Open(t, dbtest.SQLite(t)))
	statements := sqlstore.StatementsOfOperations()
	maps.Copy(statements, sqlstore.Statements)
	for name, statement := range statements {
		rows, err := db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+statement, make([]any, strings.Count(statement, "$"))...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(scansOfOwnRows[name], func(scan string) bool { return strings.HasPrefix(detail, scan) }) {
				continue
			}
			if strings.HasPrefix(detail, "SCAN CONSTANT ROW") || strings.HasSuffix(detail, "VALUES CLAUSE") { // no table
				continue
			}
			if strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "USING INDEX audit_events_at") {
				t.Errorf("%s: %s", name, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows.Close()
	}
}

// TestPanicInATransaction: the transaction is rolled back, and the database stays usable (docs/battery.md, H8).
func TestPanicInATransaction(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := dbtest.Open(t, url(t))
			for range 20 { // more than there are connections
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic was swallowed")
						}
					}()
					_ = st.PanicAfter(t.Context(), `INSERT INTO server_keys (name, value, created_at) VALUES ('x', 'x', 1)`)
				}()
			}
			key, err := st.EnsureKey(t.Context(), "x", []byte("new"))
			if err != nil || string(key) != "new" {
				t.Errorf("after the panics: %q, %v", key, err)
			}
		})
	}
}

// TestLostKey: a missing key of the server is created again only while no row depends on it, and the refusal leaves no
// trace, so that the old one can be put back.
func TestLostKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		for name, row := range map[string]string{
			"cookie":  `INSERT INTO sessions (id, user_id, created_at, seen_at, expires_at, user_agent, ip) VALUES ($1, 'u', 1, 1, 1, '', '')`,
			"signing": `INSERT INTO signing_keys (kid, follows, alg, public_key, private_key, created_at, active_from) VALUES ('k', '', 'ES256', $1, $1, 1, 1)`,
		} {
			first, err := st.EnsureKey(ctx, name, []byte("first"))
			if err != nil {
				t.Fatal(err)
			}
			dbtest.Exec(t, st, `DELETE FROM server_keys`)
			if again, err := st.EnsureKey(ctx, name, []byte("again")); err != nil || string(again) != "again" {
				t.Errorf("%s, nothing hangs on it: %q, %v", name, again, err)
			}
			dbtest.Exec(t, st, row, []byte("x"))
			dbtest.Exec(t, st, `DELETE FROM server_keys`)
			for range 2 {
				if key, err := st.EnsureKey(ctx, name, []byte("third")); !errors.Is(err, store.ErrKeyLost) {
					t.Errorf("%s, lost: %q, %v", name, key, err)
				}
			}
			dbtest.Exec(t, st, `INSERT INTO server_keys (name, value, created_at) VALUES ($1, $2, 1)`, name, first)
			if key, err := st.EnsureKey(ctx, name, []byte("third")); err != nil || string(key) != "first" {
				t.Errorf("%s, put back: %q, %v", name, key, err)
			}
		}
	})
}
