// Package migrations holds the schema: one folder for both databases, in SQL that Postgres and SQLite both accept. It
// owns the shape of the tables and nothing that runs; store/sqlstore applies it.
//
// A migration expands the schema, or contracts a part that no running version reads any more. Once landed, its statements are
// never changed. Its comments may be: goose records the numbers of applied migrations, not their text.
package migrations

import "embed"

// FS holds the migrations, in goose's format.
//
//go:embed *.sql
var FS embed.FS
