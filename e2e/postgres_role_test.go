package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/store/sqlstore"
)

// rights are what a server needs that does not migrate.
const rights = `SELECT, INSERT, UPDATE, DELETE`

// TestDatabaseRole_G5: Postgres. The database was migrated by its owner; the server runs as a role that is no superuser, owns
// nothing, may create nothing, and has SELECT, INSERT, UPDATE and DELETE on the tables, of which the migrations' own only
// SELECT. The whole story of sign-up, registration, consent, tokens, refresh and revocation works, and the server sees that
// no migration is pending. On the server's own connections statement_timeout, lock_timeout and
// idle_in_transaction_session_timeout are set, and the role is that one. Every statement that carries a value comes by the
// extended protocol with the value as a parameter; what comes by the simple protocol is constant. A URL that asks for the
// simple protocol is refused. The role itself can neither create, alter, truncate nor drop anything.
func TestDatabaseRole_G5(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Postgres(t)
	name := harness.Database(t, databaseURL)
	role := "app_" + name
	harness.Superuser(t, databaseURL,
		"CREATE ROLE "+role+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"REVOKE ALL ON DATABASE "+name+" FROM PUBLIC",
		"GRANT CONNECT ON DATABASE "+name+" TO "+role,
		"GRANT USAGE ON SCHEMA public TO "+role,
		"GRANT "+rights+" ON ALL TABLES IN SCHEMA public TO "+role,
		"REVOKE INSERT, UPDATE, DELETE ON xenoauth_migrations FROM "+role,
		// What the server's connections say of themselves while they write.
		`CREATE TABLE witness (setting TEXT, value TEXT)`,
		`CREATE FUNCTION bear_witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
			INSERT INTO witness SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name')
				UNION ALL SELECT 'user', session_user::text UNION ALL SELECT 'pid', pg_backend_pid()::text;
			RETURN NEW; END $$`,
		`CREATE TRIGGER witness AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION bear_witness()`)
	t.Cleanup(func() { harness.Superuser(t, databaseURL, "DROP OWNED BY "+role, "DROP ROLE "+role) })
	statements := harness.LogStatements(t, databaseURL)

	limited := asRole(t, databaseURL, role)
	st, err := sqlstore.Open(t.Context(), limited, sqlstore.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	pending, err := st.Pending(t.Context())
	if err != nil || pending {
		t.Errorf("pending migrations: %t, %v", pending, err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	e := harness.New(t, dbtest.Open(t, limited, dbtest.AsServed))
	s := told(t, e)
	e.LoggedIn(e.U).Post("/account", url.Values{"name": {"Robert'); DROP TABLE users;--"}})
	s.want(404, e.Browser().Get("/developer/'; SELECT pg_sleep(9)--"))

	wantWitness(t, databaseURL, role)
	wantExtended(t, databaseURL, statements(), s)
	wantNoRights(t, limited)
	for _, mode := range []string{"default_query_exec_mode=simple_protocol"} {
		if st, err := sqlstore.Open(t.Context(), databaseURL+"&"+mode, sqlstore.Options{}); err == nil {
			_ = st.Close()
			t.Errorf("%s is accepted", mode)
		}
	}
}

func asRole(t *testing.T, databaseURL, role string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", role)
	u.RawQuery = q.Encode()
	return u.String()
}

// column reads a column of text as the superuser.
func column(t *testing.T, databaseURL, query string) []string {
	t.Helper()
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func wantWitness(t *testing.T, databaseURL, role string) {
	t.Helper()
	said := column(t, databaseURL, `SELECT DISTINCT setting || '=' || value FROM witness WHERE setting <> 'pid' ORDER BY 1`)
	want := []string{"application_name=xenoauth", "idle_in_transaction_session_timeout=5000", "lock_timeout=1500", "statement_timeout=2000", "user=" + role}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("the server's connections say %v, want %v", said, want)
	}
}

var (
	logged = regexp.MustCompile(`(?m)^\S+ \S+ \S+ \[(\d+)\] LOG:  (statement|execute \S+|execute <unnamed>): (.*)$`)
	// constant is what the server may send by the simple protocol.
	constant = regexp.MustCompile(`^(begin isolation level read committed|commit|rollback|-- ping)$`)
)

// wantExtended reads Postgres's log of the server's connections.
func wantExtended(t *testing.T, databaseURL, log string, s *story) {
	t.Helper()
	ours := map[string]bool{}
	for _, pid := range column(t, databaseURL, `SELECT DISTINCT value FROM witness WHERE setting = 'pid'`) {
		ours[pid] = true
	}
	simple, extended := map[string]int{}, 0
	for _, m := range logged.FindAllStringSubmatch(log, -1) {
		if !ours[m[1]] {
			continue
		}
		if m[2] != "statement" {
			extended++
			if strings.Contains(m[3], "Robert") || strings.Contains(m[3], "users.test") {
				t.Errorf("a value is part of a statement: %s", m[3])
			}
			continue
		}
		simple[m[3]]++
	}
	for text, n := range simple {
		if !constant.MatchString(text) {
			t.Errorf("%d times by the simple protocol: %s", n, text)
		}
	}
	if len(ours) == 0 || extended < 200 || !strings.Contains(log, `'Robert''); DROP TABLE users;--'`) {
		t.Errorf("the log was not read: %d connections, %d statements", len(ours), extended)
	}
	if found := s.secrets.Find(log); found != nil {
		t.Errorf("the log holds %q", found)
	}
}

// wantNoRights asserts that the role can only do what a running server does.
func wantNoRights(t *testing.T, limited string) {
	t.Helper()
	db, err := sql.Open("pgx", limited)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	id := secret.NewID()
	for _, statement := range []string{
		`CREATE TABLE evil (x INT)`, `CREATE SCHEMA evil`, `CREATE FUNCTION evil() RETURNS INT LANGUAGE sql AS 'SELECT 1'`, `CREATE EXTENSION dblink`, `CREATE ROLE evil SUPERUSER`, `CREATE TEMP TABLE evil (x INT)`,
		`ALTER TABLE users ADD COLUMN evil INT`, `ALTER TABLE users DISABLE TRIGGER ALL`, `DROP TABLE users`, `DROP INDEX tokens_installation`, `TRUNCATE tokens`, `ALTER ROLE CURRENT_USER SUPERUSER`, `SET ROLE postgres`,
		`SET session_replication_role = replica`, `COPY users TO PROGRAM 'id'`, `COPY users FROM '/etc/passwd'`, `SELECT pg_read_file('/etc/passwd')`, `SELECT lo_import('/etc/passwd')`, `GRANT ALL ON users TO PUBLIC`,
		`INSERT INTO xenoauth_migrations (version_id, is_applied) VALUES (99, true)`, `DELETE FROM xenoauth_migrations`, `SELECT rolpassword FROM pg_authid`, `CREATE TRIGGER evil BEFORE INSERT ON tokens FOR EACH ROW EXECUTE FUNCTION bear_witness()`,
		`VACUUM FULL users`, `ALTER SYSTEM SET fsync = off`, `CREATE DATABASE evil`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		var pg *pgconn.PgError
		switch {
		case err == nil && strings.HasPrefix(statement, "GRANT"), err == nil && strings.HasPrefix(statement, "VACUUM"):
			// A warning: nothing was granted, nothing was vacuumed.
		case !errors.As(err, &pg) || pg.Code != "42501":
			t.Errorf("%s: %v, want insufficient_privilege", statement, err)
		}
	}
	for _, query := range []string{
		`SELECT COUNT(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)`,
		`SELECT COUNT(*) FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)`,
		`SELECT COUNT(*) FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = current_user)`,
		`SELECT COUNT(*) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_schema = 'public'`,
	} {
		var n int
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", query, n, err)
		}
	}
	if _, err := db.ExecContext(t.Context(), `DELETE FROM last_used WHERE id = $1`, id[:]); err != nil {
		t.Errorf("the role cannot do what it must: %v", err)
	}
}
