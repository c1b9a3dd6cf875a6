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
func EachURL(t *testing.T, test func(t *testing.T, e *Env, databaseURL string)) {
	t.Helper()
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, databaseURL string) {
		test(t, New(t, dbtest.Open(t, databaseURL)), databaseURL)
	})
}

// EachPair runs test on two servers over one database of each kind.
func EachPair(t *testing.T, test func(t *testing.T, first, second *Env)) {
	t.Helper()
	EachURL(t, func(t *testing.T, e *Env, databaseURL string) { test(t, e, e.Replica(databaseURL)) })
}

// Strings runs a query of one column of text on the rig's database.
func (e *Env) Strings(sql string, args ...any) []string {
	e.t.Helper()
	var list []string
	for _, row := range e.Rows(sql, args...) {
		list = append(list, fmt.Sprint(row[0]))
	}
	return list
}

// Rows runs a query on the rig's database and returns what the driver makes of each column.
func (e *Env) Rows(sql string, args ...any) [][]any {
	e.t.Helper()
	db := dbtest.DB(e.t, e.Store)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), sql, args...)
	if err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	var all [][]any
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			e.t.Fatalf("%s: %v", sql, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// Postgres says which of the two databases is behind the rig.
func (e *Env) Postgres() bool {
	e.t.Helper()
	db := dbtest.DB(e.t, e.Store)
	defer db.Close()
	var n int
	return db.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM sqlite_master`).Scan(&n) != nil
}

// Tables lists the tables of the rig's database.
func (e *Env) Tables() []string {
	e.t.Helper()
	if e.Postgres() {
		return e.Strings(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`)
	}
	return e.Strings(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
}

// Dump is every row of every table as text, one line a row; bytes stand there as they are, in hexadecimal and in base64. Of
// SQLite the bytes of its files follow, with what pages that are no longer in use still hold.
func (e *Env) Dump() string {
	e.t.Helper()
	var b strings.Builder
	for _, table := range e.Tables() {
		for _, row := range e.Rows(`SELECT * FROM "` + table + `"`) {
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
	if e.Postgres() {
		return b.String()
	}
	for _, path := range e.Strings(`SELECT file FROM pragma_database_list WHERE name = 'main'`) {
		for _, end := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + end)
			if err != nil && !os.IsNotExist(err) {
				e.t.Fatal(err)
			}
			b.Write(content)
		}
	}
	return b.String()
}
