package sqlstore_test

import (
	"path/filepath"
	"sync"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/migrations"
	"xenoauth/store/sqlstore"
)

// emptyPostgres is a database without a single table.
func emptyPostgres(t *testing.T) string {
	databaseURL := dbtest.Postgres(t)
	db := dbtest.DB(t, dbtest.Open(t, databaseURL))
	for _, statement := range []string{`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return databaseURL
}

func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, databaseURL := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "x.db") },
		"postgres": emptyPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := databaseURL(t)
			open := func() *sqlstore.Store {
				st, err := sqlstore.Open(t.Context(), databaseURL, sqlstore.Options{MaxConns: 2})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { st.Close() })
				return st
			}
			st := open()
			if pending, err := st.Pending(t.Context()); err != nil || !pending {
				t.Fatalf("Pending before = %t, %v", pending, err)
			}
			replicas := []*sqlstore.Store{st, open(), open(), open()}
			applied := make([]int, len(replicas))
			var all sync.WaitGroup
			for i, r := range replicas {
				all.Go(func() {
					var err error
					if applied[i], err = r.Migrate(t.Context()); err != nil {
						t.Errorf("replica %d: %v", i, err)
					}
				})
			}
			all.Wait()
			sum := 0
			for _, n := range applied {
				sum += n
			}
			if sum != len(files) {
				t.Fatalf("the replicas applied %v, want %d in all", applied, len(files))
			}
			if pending, err := st.Pending(t.Context()); err != nil || pending {
				t.Fatalf("Pending after = %t, %v", pending, err)
			}
			status, err := st.MigrationStatus(t.Context())
			if err != nil || len(status) != len(files) || status[0].Version != 1 || status[0].Name != files[0].Name() || status[0].AppliedAt.IsZero() {
				t.Fatalf("MigrationStatus = %+v, %v", status, err)
			}
		})
	}
}
