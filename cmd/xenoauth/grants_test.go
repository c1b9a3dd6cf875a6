package main

import (
	"bytes"
	"net/url"
	"os"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// documented returns the SQL of a section of docs/operations.md, unchanged.
func documented(t *testing.T, section string) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(content, []byte("\n## "+section+"\n"))
	if !found {
		t.Fatalf("docs/operations.md has no section %q", section)
	}
	rest, _, _ = bytes.Cut(rest, []byte("\n## "))
	_, rest, _ = bytes.Cut(rest, []byte("```sql\n"))
	block, _, closed := bytes.Cut(rest, []byte("```\n"))
	if !closed || len(block) == 0 {
		t.Fatalf("section %q has no SQL", section)
	}
	return string(block)
}

// TestDocumentedRights runs the statements of docs/operations.md, including those for a pooler. Then the owner migrates, and the other
// role serves and cannot create tables.
func TestDocumentedRights(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	as := func(role, database string) string {
		v := *u
		q := v.Query()
		q.Set("user", role)
		v.Path, v.RawQuery = "/"+database, q.Encode()
		return v.String()
	}
	admin := as("postgres", "postgres")
	superuser := dbtest.DB(t, dbtest.Open(t, admin))
	t.Cleanup(func() {
		for _, statement := range []string{`DROP DATABASE xenoauth WITH (FORCE)`, `DROP ROLE xenoauth_owner`, `DROP ROLE xenoauth`} {
			if _, err := superuser.Exec(statement); err != nil {
				t.Error(err)
			}
		}
	})
	postgresTool(t, []byte(documented(t, "Run with a restricted database role")), "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", admin)
	postgresTool(t, []byte(documented(t, "Run behind PgBouncer")), "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", admin)

	server := on(as("xenoauth", "xenoauth"))
	server.fails(t, exitRefused, "GRANT CREATE, USAGE ON SCHEMA public TO xenoauth", "serve", "--allow-unsafe-database", "--ops-listen", "off")
	on(as("xenoauth_owner", "xenoauth")).ok(t, nil, "migrate", "up")
	served(t, server, "x@example.org", "--migrate", "off")
	served(t, on(dbtest.PgBouncer(t, as("xenoauth", "xenoauth"), "xenoauth")).set("XENOAUTH_POOLER", "transaction"), "y@example.org", "--migrate", "off")
	if r := server.run(t, "doctor"); strings.Contains(r.stderr, "SQLSTATE") || strings.Contains(r.stdout, "timeout") {
		t.Errorf("doctor as that role:\n%s%s", r.stdout, r.stderr)
	}
	db := dbtest.DB(t, dbtest.Open(t, as("xenoauth", "xenoauth")))
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE public.more (id INTEGER)`); err == nil {
		t.Error("the role that serves may create tables")
	}
	// For a role without rights on the tables, the error names the GRANT.
	if _, err := dbtest.DB(t, dbtest.Open(t, as("xenoauth_owner", "xenoauth"))).ExecContext(t.Context(), `REVOKE ALL ON users FROM xenoauth`); err != nil {
		t.Fatal(err)
	}
	server.fails(t, exitRefused, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA", "user", "list")
}

// set returns the command line with a variable in its environment.
func (l line) set(name, value string) line {
	env := map[string]string{name: value}
	for n, v := range l.env {
		env[n] = v
	}
	return line{env: env, stdin: l.stdin}
}
