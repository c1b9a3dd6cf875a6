package sqlstore_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
	"xenoauth/store/storetest"
)

var retention = store.Retention{Grace: time.Hour}

// sweep sweeps once, with a batch that takes everything.
func sweep(t *testing.T, st store.Store) map[string]int64 {
	t.Helper()
	swept, err := st.Sweep(t.Context(), retention, 1000)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(swept, func(_ string, n int64) bool { return n == 0 })
	return swept
}

// wantSwept sweeps and wants exactly these rows to go.
func wantSwept(t *testing.T, st store.Store, when string, want map[string]int64) {
	t.Helper()
	if got := sweep(t, st); !maps.Equal(got, want) {
		t.Fatalf("%s: swept %v, want %v", when, got, want)
	}
}

// TestSweepRevoked: a revoked row is kept for 30 days, with the record of its last use, and is then deleted.
func TestSweepRevoked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, first := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		dead, live := storetest.TokenGrant(st, ins), storetest.TokenGrant(st, ins)
		storetest.Redeem(t, st, ins, dead)
		storetest.Redeem(t, st, ins, live)
		second := storetest.NewSecret(st, app.ID)
		now := st.Now()
		for _, err := range []error{
			st.AddSecret(t.Context(), store.OperatorPrincipal("test"), second, now.Add(time.Hour)),
			st.RecordUse(t.Context(), map[store.LookupID]time.Time{dead.Token.ID: now, live.Token.ID: now, first.ID: now, second.ID: now}),
			st.RevokeToken(t.Context(), store.SystemPrincipal(), store.NonExpiring, dead.Token.ID),
			st.RevokeSecret(t.Context(), store.OperatorPrincipal("test"), app.ID, second.ID),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		shift := func(by time.Duration) {
			dbtest.Exec(t, st, `UPDATE tokens SET revoked_at = revoked_at - $1 WHERE revoked_at IS NOT NULL`, by.Microseconds())
			dbtest.Exec(t, st, `UPDATE client_secrets SET revoked_at = revoked_at - $1, expires_at = expires_at - $1`, by.Microseconds())
		}
		shift(store.KeepRevoked - time.Hour)
		wantSwept(t, st, "before 30 days", map[string]int64{})
		shift(2*time.Hour + time.Minute)
		wantSwept(t, st, "after 30 days", map[string]int64{"tokens": 1, "client_secrets": 2, "last_used": 3})
		if !storetest.Live(t, st, store.NonExpiring, live.Token.ID) {
			t.Error("the live token is dead")
		}
	})
}

// TestSweepFailures: counts of failures go when their window is long over.
func TestSweepFailures(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		for _, key := range []string{"a", "b"} {
			if _, err := st.(*sqlstore.Store).Attempt(t.Context(), store.Limit{Key: key, Max: 3, Window: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		wantSwept(t, st, "within the window", map[string]int64{})
		dbtest.Exec(t, st, `UPDATE failures SET until = until - $1 WHERE key = 'a'`, (2 * time.Hour).Microseconds())
		wantSwept(t, st, "after the window", map[string]int64{"failures": 1})
	})
}

// TestSweepEndedFamily: an ended family goes whole, current and rotated tokens included, as soon as its grace is over.
// Its access tokens go by their own time and are dead until then.
func TestSweepEndedFamily(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		g := storetest.FamilyGrant(st, ins)
		storetest.Redeem(t, st, ins, g)
		old := g.Refresh.ID
		for range 5 {
			r := storetest.Rotation(st, g, old)
			if err := st.Rotate(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			old = r.Next.ID
		}
		if err := st.EndFamily(t.Context(), store.SystemPrincipal(), g.Family.ID, "test"); err != nil {
			t.Fatal(err)
		}
		wantSwept(t, st, "within the grace", map[string]int64{})
		dbtest.Exec(t, st, `UPDATE families SET ended_at = ended_at - $1`, (time.Hour + time.Minute).Microseconds())
		for _, want := range []map[string]int64{{"refresh_tokens": 4}, {"families": 1, "refresh_tokens": 2}, {}} {
			swept, err := st.Sweep(t.Context(), retention, 4)
			maps.DeleteFunc(swept, func(_ string, n int64) bool { return n == 0 })
			if err != nil || !maps.Equal(swept, want) {
				t.Fatalf("swept %v, %v; want %v", swept, err, want)
			}
			if storetest.Live(t, st, store.Expiring, g.Token.ID) {
				t.Fatal("the access token of an ended family lives")
			}
		}
	})
}

// TestSweepPassesOverLockedRows: a sweep skips a row that another transaction has locked, and deletes it the next time.
func TestSweepPassesOverLockedRows(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.Postgres(t))
	u, a := storetest.NewUser(t, st)
	app, _ := storetest.NewApp(t, st, a.ID, nil)
	ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
	var codes []store.Code
	for range 3 {
		c := storetest.Code(st, ins)
		c.ExpiresAt = st.Now().Add(-2 * time.Hour)
		if err := st.CreateCode(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		codes = append(codes, c)
	}
	tx, err := dbtest.DB(t, st).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), `SELECT 1 FROM codes WHERE id = $1 FOR UPDATE`, codes[0].ID[:]); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, st, "beside a lock", map[string]int64{"codes": 2}) // waiting for it would end in an error
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantSwept(t, st, "after the lock", map[string]int64{"codes": 1})
}

// TestSweepLooksAlongIndexes: a sweep that finds nothing reads nothing, however full the tables are.
func TestSweepLooksAlongIndexes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		db := dbtest.DB(t, st)
		db.SetMaxOpenConns(1)
		statements, explain, scan := sqlstore.SweepStatements(), `EXPLAIN QUERY PLAN `, "SCAN"
		if version, err := st.DatabaseVersion(t.Context()); err != nil {
			t.Fatal(err)
		} else if strings.HasPrefix(version, "PostgreSQL") {
			// The tables are empty, and the planner knows it.
			if _, err := db.ExecContext(t.Context(), `SET enable_seqscan = off`); err != nil {
				t.Fatal(err)
			}
			statements, explain, scan = sqlstore.PostgresSweepStatements(), `EXPLAIN `, "Seq Scan on"
		}
		for name, statement := range statements {
			statement = strings.NewReplacer("$1", "1", "$2", "1").Replace(statement)
			rows, err := db.QueryContext(t.Context(), explain+statement)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			columns, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				line := make([]any, len(columns))
				for i := range line {
					line[i] = new(any)
				}
				if err := rows.Scan(line...); err != nil {
					t.Fatal(err)
				}
				if text, _ := (*line[len(line)-1].(*any)).(string); strings.Contains(text, scan) {
					t.Errorf("%s: %s", name, text)
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
