// Package sqlstore keeps Xenoauth's state in Postgres or SQLite. It implements store.Store once, in SQL that both
// databases accept; dialect.go holds what differs, postgres.go and sqlite.go the connections. It owns all SQL of the
// program and decides nothing about people: what a statement refuses is in the contract of package store.
//
// Every state change is one statement whose WHERE repeats all conditions, or one transaction that starts with such a
// statement. On Postgres transactions are READ COMMITTED and lock rows in one order: request, app, account, user, member,
// installation, then credentials.
package sqlstore
