package harness

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// EachURL is Each with the URL of the database, for tests that start further servers over it (Replica).
func EachURL(t *testing.T, test func(t *testing.T, r *Env, databaseURL string)) {
	t.Helper()
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		test(t, New(t, dbtest.Open(t, databaseURL)), databaseURL)
	})
}

// EachPair runs test on two servers over one database of each kind.
func EachPair(t *testing.T, test func(t *testing.T, first, second *Env)) {
	t.Helper()
	EachURL(t, func(t *testing.T, r *Env, databaseURL string) { test(t, r, r.Replica(databaseURL)) })
}

// Strings runs a query of one column of text on the rig's database.
func (r *Env) Strings(sql string, args ...any) []string {
	r.t.Helper()
	var list []string
	for _, row := range r.Rows(sql, args...) {
		list = append(list, fmt.Sprint(row[0]))
	}
	return list
}

// Rows runs a query on the rig's database and returns what the driver makes of each column.
func (r *Env) Rows(sql string, args ...any) [][]any {
	r.t.Helper()
	db := dbtest.DB(r.t, r.Store)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), sql, args...)
	if err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	var all [][]any
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			r.t.Fatalf("%s: %v", sql, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// Postgres says which of the two databases is behind the rig.
func (r *Env) Postgres() bool {
	r.t.Helper()
	db := dbtest.DB(r.t, r.Store)
	defer db.Close()
	var n int
	return db.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM sqlite_master`).Scan(&n) != nil
}

// Tables lists the tables of the rig's database.
func (r *Env) Tables() []string {
	r.t.Helper()
	if r.Postgres() {
		return r.Strings(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`)
	}
	return r.Strings(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
}

// Dump is every row of every table as text, one line a row; bytes stand there as they are, in hexadecimal and in base64. Of
// SQLite the bytes of its files follow, with what pages that are no longer in use still hold.
func (r *Env) Dump() string {
	r.t.Helper()
	var b strings.Builder
	for _, table := range r.Tables() {
		for _, row := range r.Rows(`SELECT * FROM "` + table + `"`) {
			b.WriteString(table)
			for _, column := range row {
				if raw, isBytes := column.([]byte); isBytes {
					fmt.Fprintf(&b, " %s %s %s", raw, hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
					continue
				}
				fmt.Fprintf(&b, " %v", column)
			}
			b.WriteByte('\n')
		}
	}
	if r.Postgres() {
		return b.String()
	}
	for _, path := range r.Strings(`SELECT file FROM pragma_database_list WHERE name = 'main'`) {
		for _, end := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + end)
			if err != nil && !os.IsNotExist(err) {
				r.t.Fatal(err)
			}
			b.Write(content)
		}
	}
	return b.String()
}
