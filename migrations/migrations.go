// Package migrations holds the schema: one folder for both databases, in SQL that Postgres and SQLite both accept. It
// owns the shape of the tables and nothing that runs; store/sqlstore applies it.
//
// Migrations only expand, or contract what no running version reads any more, and are never edited once landed.
package migrations

import "embed"

// FS holds the migrations, in goose's format.
//
//go:embed *.sql
var FS embed.FS
