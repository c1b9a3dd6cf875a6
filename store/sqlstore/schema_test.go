package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"

	"xenoauth/internal/dbtest"
	"xenoauth/migrations"
	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// eachEmpty runs test on a database of either kind without a single table.
func eachEmpty(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, emptyPostgres(t))
	})
}

// lastFormer is the last migration of the releases that recorded migrations in goose's default table.
const lastFormer = 6

// formerRelease is how a release before migration 12 saw its database.
func formerRelease(t *testing.T, st *sqlstore.Store, db *sql.DB) *goose.Provider {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names[:lastFormer] {
		content, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	dialect := goose.DialectPostgres
	if version, err := st.DatabaseVersion(t.Context()); err != nil {
		t.Fatal(err)
	} else if strings.HasPrefix(version, "SQLite") {
		dialect = goose.DialectSQLite3
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// relations are the names of all tables and indexes.
func relations(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())`)
	if err != nil {
		rows, err = db.QueryContext(t.Context(), `SELECT name FROM sqlite_master`)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestMigrateMovesVersions: a database of a former release records its migrations in goose's default table. Replicas that
// start together move that record over once and apply the rest; the former release still starts on the result.
func TestMigrateMovesVersions(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, databaseURL string) {
		st := dbtest.Open(t, databaseURL)
		db := dbtest.DB(t, st)
		if _, err := formerRelease(t, st, db).Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, db, `INSERT INTO server_keys (name, value, created_at) VALUES ('kept', 'x', 1)`)
		before, err := st.MigrationStatus(t.Context())
		if err != nil || before[0].AppliedAt.IsZero() || before[lastFormer-1].AppliedAt.IsZero() || !before[lastFormer].AppliedAt.IsZero() {
			t.Fatalf("before: %+v, %v", before, err)
		}
		replicas := []*sqlstore.Store{st, dbtest.Open(t, databaseURL), dbtest.Open(t, databaseURL)}
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
		if sum != len(before)-lastFormer {
			t.Errorf("the replicas applied %v, want %d in all", applied, len(before)-lastFormer)
		}
		after, err := st.MigrationStatus(t.Context())
		if err != nil || after[0].AppliedAt != before[0].AppliedAt {
			t.Errorf("after: %+v, %v; want the times of %+v", after, err, before)
		}
		var rows, versions int
		if err := db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM server_keys WHERE name = 'kept'), (SELECT COUNT(*) FROM xenoauth_migrations)`).Scan(&rows, &versions); err != nil {
			t.Fatal(err)
		}
		if rows != 1 || versions != len(after)+1 { // and version 0
			t.Errorf("%d rows kept, %d versions recorded; want 1 and %d", rows, versions, len(after)+1)
		}
		if pending, err := formerRelease(t, st, db).HasPending(t.Context()); err != nil || pending {
			t.Errorf("the former release finds migrations pending: %t, %v", pending, err)
		}
	})
}

// TestMigrateBesideAnotherProgram: another program migrates the same database with goose. Its record of migrations is
// neither read nor changed.
func TestMigrateBesideAnotherProgram(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, databaseURL string) {
		st := dbtest.Open(t, databaseURL)
		db := dbtest.DB(t, st)
		run(t, db, `CREATE TABLE goose_db_version (id INTEGER, version_id BIGINT, is_applied BOOLEAN, tstamp TIMESTAMP)`,
			`INSERT INTO goose_db_version VALUES (1, 0, TRUE, CURRENT_TIMESTAMP), (2, 1, TRUE, CURRENT_TIMESTAMP), (3, 42, TRUE, CURRENT_TIMESTAMP)`,
			`CREATE TABLE products (id INTEGER)`)
		if applied, err := st.Migrate(t.Context()); err != nil || applied == 0 {
			t.Fatalf("Migrate = %d, %v", applied, err)
		}
		if pending, err := st.Pending(t.Context()); err != nil || pending {
			t.Errorf("Pending = %t, %v", pending, err)
		}
		var theirs int
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM goose_db_version`).Scan(&theirs); err != nil || theirs != 3 {
			t.Errorf("their table of versions has %d rows, %v; want 3", theirs, err)
		}
	})
}

// TestMigrateRefusesForeignTables: tables of another program stand where this one's would. They are named, with the way
// out, before anything is created; a schema of its own is that way on Postgres.
func TestMigrateRefusesForeignTables(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string][]string{
		"tables":            {`CREATE TABLE users (id INTEGER)`, `CREATE TABLE products (id INTEGER)`, `CREATE TABLE sessions (id INTEGER)`},
		"tables with goose": {`CREATE TABLE users (id INTEGER)`, `CREATE TABLE sessions (id INTEGER)`, `CREATE TABLE goose_db_version (id INTEGER, version_id BIGINT, is_applied BOOLEAN, tstamp TIMESTAMP)`, `INSERT INTO goose_db_version VALUES (1, 1, TRUE, CURRENT_TIMESTAMP)`},
		"views":             {`CREATE VIEW users AS SELECT 1 AS id`, `CREATE VIEW sessions AS SELECT 1 AS id`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEmpty(t, func(t *testing.T, databaseURL string) {
				st := dbtest.Open(t, databaseURL)
				db := dbtest.DB(t, st)
				run(t, db, theirs...)
				before := relations(t, db)
				for what, err := range map[string]error{
					"CheckMigrate": st.CheckMigrate(t.Context()),
					"Migrate":      func() error { _, err := st.Migrate(t.Context()); return err }(),
				} {
					for _, part := range []string{"another program", ": sessions, users. Nothing was changed", "of its own"} {
						if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "products") {
							t.Errorf("%s = %v, want it to contain %q", what, err, part)
						}
					}
				}
				if after := relations(t, db); !slices.Equal(after, before) {
					t.Errorf("the database has %q, want %q", after, before)
				}
				if !strings.HasPrefix(databaseURL, "postgres") {
					return
				}
				run(t, db, `CREATE SCHEMA xenoauth`)
				own := dbtest.Open(t, databaseURL+"&search_path=xenoauth")
				if _, err := own.Migrate(t.Context()); err != nil {
					t.Errorf("in a schema of its own: %v", err)
				}
				if _, err := own.UserByEmail(t.Context(), "x@example.org"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("in a schema of its own: %v", err)
				}
				if after := relations(t, db); !slices.Equal(after, before) {
					t.Errorf("the other schema has %q, want %q", after, before)
				}
			})
		})
	}
}

// TestMigrateWithoutRights: a role that may not create tables, or has no schema, gets the statement that helps, and with
// that run, it works.
func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path  string // search_path
		grant string // proposed by the error, for the role %s
	}{
		"no CREATE":  {"public", "GRANT CREATE, USAGE ON SCHEMA public TO %s"},
		"no schema":  {"elsewhere", "CREATE SCHEMA IF NOT EXISTS elsewhere AUTHORIZATION %s"},
		"odd schema": {`"Else where"`, `CREATE SCHEMA IF NOT EXISTS "Else where" AUTHORIZATION %s`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := emptyPostgres(t)
			db := dbtest.DB(t, dbtest.Open(t, databaseURL))
			u, err := url.Parse(databaseURL)
			if err != nil {
				t.Fatal(err)
			}
			role := "maker_" + strings.TrimPrefix(u.Path, "/")
			run(t, db, `CREATE ROLE `+role+` LOGIN`, `GRANT USAGE ON SCHEMA public TO `+role)
			t.Cleanup(func() {
				_, _ = db.Exec(`DROP OWNED BY ` + role)
				if _, err := db.Exec(`DROP ROLE ` + role); err != nil {
					t.Error(err)
				}
			})
			q := u.Query()
			q.Set("user", role)
			q.Set("search_path", test.path)
			u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
			st := dbtest.Open(t, u.String())
			statement := fmt.Sprintf(test.grant, role)
			if _, err := st.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), statement) {
				t.Fatalf("Migrate = %v, want it to contain %q", err, statement)
			}
			run(t, db, statement)
			if _, err := st.Migrate(t.Context()); err != nil {
				t.Errorf("after %s: %v", statement, err)
			}
		})
	}
}

// TestNewerSchema: migrations of a newer release are listed, and are no reason to migrate or to refuse.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		st := dbtest.Open(t, databaseURL)
		run(t, dbtest.DB(t, st), `INSERT INTO xenoauth_migrations (version_id, is_applied, tstamp) VALUES (9999, TRUE, CURRENT_TIMESTAMP)`)
		if pending, err := st.Pending(t.Context()); err != nil || pending {
			t.Errorf("Pending = %t, %v", pending, err)
		}
		if applied, err := st.Migrate(t.Context()); err != nil || applied != 0 {
			t.Errorf("Migrate = %d, %v", applied, err)
		}
		list, err := st.MigrationStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if last := list[len(list)-1]; last.Version != 9999 || last.Name != "" || last.AppliedAt.IsZero() {
			t.Errorf("the last migration is %+v, want version 9999 without a name", last)
		}
		// A newer release contracts the schema, and leaves word of it.
		run(t, dbtest.DB(t, st), `INSERT INTO database_facts (name, value) VALUES ('oldest_version', 9999)`)
		_, pending := st.Pending(t.Context())
		_, migrate := st.Migrate(t.Context())
		for what, err := range map[string]error{"Pending": pending, "Migrate": migrate} {
			if err == nil || !strings.Contains(err.Error(), "it needs one that knows migration 9999") {
				t.Errorf("%s of a contracted schema: %v", what, err)
			}
		}
	})
}
