// Package sqlstore stores Xenoauth's state in Postgres or SQLite. It implements store.Store once, in SQL that both
// databases accept: dialect.go holds the differences in SQL, postgres.go and sqlite.go the connections. It owns all SQL of
// the program. It makes no rules about users: package store documents which writes are refused.
//
// Every state change is one statement whose WHERE repeats all conditions, or one transaction that starts with such a
// statement. On Postgres, transactions are READ COMMITTED. They lock rows in a fixed order, which prevents deadlock:
// request, app, account, user, member, installation, then credentials.
//
// Where to look: values.go binds and scans columns; statement.go has named arguments; batch.go sends several statements in
// one round trip; operation.go makes a guarded change with the statements that follow it.
package sqlstore
