package sqlstore_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
	"xenoauth/store/storetest"
)

// TestHealth checks the figures of the doctor on a database that has rows.
func TestHealth(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		app, _ := storetest.NewApp(t, st, a.ID, nil)
		ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
		for range 3 {
			storetest.Redeem(t, st, ins, storetest.TokenGrant(st, ins))
		}
		ended := st.Now().Add(-3 * time.Hour)
		c := storetest.Code(st, ins)
		c.ExpiresAt = ended
		if err := st.CreateCode(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wantFigures(t, st, 100, store.Count{N: 1}, store.Count{N: 1}, store.Count{N: 3})
		other, _ := storetest.NewApp(t, st, a.ID, nil)
		removed := storetest.Install(t, st, u, a.ID, other.ID, storetest.Scopes(t, "widgets"))
		storetest.Redeem(t, st, removed, storetest.TokenGrant(st, removed))
		if err := st.RemoveInstallation(t.Context(), store.OperatorPrincipal("test"), removed.ID); err != nil {
			t.Fatal(err)
		}
		wantFigures(t, st, 100, store.Count{N: 2}, store.Count{N: 1}, store.Count{N: 3})
		d, err := st.ClockDifference(t.Context())
		if err != nil || d.Abs() > time.Second {
			t.Errorf("clock difference %v, %v", d, err)
		}
		list, err := st.TableSizes(t.Context(), retention)
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]store.TableSize{}
		for _, s := range list {
			sizes[s.Table] = s
		}
		tokens, codes := sizes["tokens"], sizes["codes"]
		if tokens.Day != 4 || tokens.Week != 4 || tokens.Bytes == 0 || !tokens.OldestExpired.IsZero() {
			t.Errorf("tokens: %+v", tokens)
		}
		if !codes.OldestExpired.Equal(ended) || codes.Day != 5 || codes.Rows != 5 || sizes["users"].Day != -1 {
			t.Errorf("codes: %+v, want the oldest to have ended %v", codes, ended)
		}
		if !slices.IsSortedFunc(list, func(a, b store.TableSize) int { return strings.Compare(a.Table, b.Table) }) || sizes["users"].Bytes == 0 {
			t.Errorf("tables: %+v", list)
		}
	})
}

// wantFigures counts live rows among the first max rows.
func wantFigures(t *testing.T, st store.Store, max int, apps, installed, tokens store.Count) {
	t.Helper()
	f, err := st.CountFigures(t.Context(), max)
	if err != nil || f.Apps == nil || *f.Apps != apps || f.Installed == nil || *f.Installed != installed || f.Tokens == nil || *f.Tokens != tokens {
		t.Errorf("figures of the first %d: %+v, %+v, %+v, %v; want %+v, %+v, %+v", max, f.Apps, f.Installed, f.Tokens, err, apps, installed, tokens)
	}
}

// TestFigures_Limit: no more rows are read than requested, ended ones included, and the answer reports that there are more.
// An installation counts once for an account, and only with a live token.
func TestFigures_Limit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		u, a := storetest.NewUser(t, st)
		var newest []store.Token
		for range 5 {
			app, _ := storetest.NewApp(t, st, a.ID, nil)
			ins := storetest.Install(t, st, u, a.ID, app.ID, storetest.Scopes(t, "widgets"))
			newest = nil
			for range 2 {
				grant := storetest.TokenGrant(st, ins)
				storetest.Redeem(t, st, ins, grant)
				newest = append(newest, grant.Token)
			}
		}
		all, more := store.Count{N: 5}, store.Count{N: 3, More: true}
		wantFigures(t, st, 10, all, all, store.Count{N: 10})
		wantFigures(t, st, 3, more, more, more)
		for _, token := range newest {
			if err := st.RevokeToken(t.Context(), store.OperatorPrincipal("test"), store.NonExpiring, token.ID); err != nil {
				t.Fatal(err)
			}
		}
		wantFigures(t, st, 10, all, store.Count{N: 4}, store.Count{N: 8})
		// The two newest tokens are revoked, and no older ones are counted in their place.
		wantFigures(t, st, 3, more, more, store.Count{N: 2, More: true})
	})
}

// TestUnsafeSettings: every durability setting of the test cluster is off; the settings for SQLite are safe.
func TestUnsafeSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		url  string
		want []string
	}{
		"postgres": {dbtest.Postgres(t), []string{"fsync = off", "full_page_writes = off", "synchronous_commit = off"}},
		"one less": {dbtest.Postgres(t) + "&synchronous_commit=local", []string{"fsync = off", "full_page_writes = off"}},
		"sqlite":   {dbtest.SQLite(t), nil},
	} {
		got, err := dbtest.Open(t, test.url).UnsafeSettings(t.Context())
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, test.want)
		}
	}
}

// TestHealth_BeforeMigration: the health of a database that was never migrated can be read.
func TestHealth_BeforeMigration(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "empty.db"))
	list, err := st.TableSizes(t.Context(), retention)
	if err != nil || len(list) != 0 {
		t.Errorf("tables %v, %v", list, err)
	}
	if version, err := st.DatabaseVersion(t.Context()); err != nil || !strings.HasPrefix(version, "SQLite 3.") {
		t.Errorf("version %q, %v", version, err)
	}
}
