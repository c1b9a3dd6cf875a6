package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"xenoauth/store/sqlstore"
)

// throughPooler adds the pooler's mode to a database address.
func (s *settings) throughPooler(address string) string {
	if s.oneOf("pooler", "none", "transaction") != "transaction" {
		return address
	}
	if strings.HasPrefix(address, "sqlite:") {
		s.fault("pooler", "it is for Postgres; SQLite has none")
		return address
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "pooler=transaction"
}

// giveTimeouts is the statement that sets the timeouts that a role lacks.
func giveTimeouts(missing []string) string {
	values := map[string]string{"statement_timeout": "2s", "lock_timeout": "1500ms", "idle_in_transaction_session_timeout": "5s"}
	statements := make([]string, len(missing))
	for i, name := range missing {
		statements[i] = fmt.Sprintf("ALTER ROLE … SET %s = '%s'", name, values[name])
	}
	return strings.Join(statements, "; ")
}

// noteTimeouts logs that statements may continue after the requests that sent them have ended.
func noteTimeouts(ctx context.Context, st *sqlstore.Store, log *slog.Logger) error {
	missing, err := st.MissingTimeouts(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look at the connection's timeouts: %w", err)
	case len(missing) == 0:
	case st.Pooler():
		log.WarnContext(ctx, "the role lacks timeouts, which a pooler does not pass on: a statement may outlive the request that sent it", "run", giveTimeouts(missing))
	default:
		log.WarnContext(ctx, "timeouts that were asked for do not hold: is there a pooler before Postgres? Set --pooler transaction then", "missing", strings.Join(missing, ", "))
	}
	return nil
}

// checkPooler finds a pooler that the settings do not name, and a role without timeouts behind a pooler.
func (r *report) checkPooler(ctx context.Context) error {
	if r.store.Pooler() {
		r.Database.Pooler = "transaction"
	}
	missing, err := r.store.MissingTimeouts(ctx)
	switch {
	case err != nil:
		return err
	case len(missing) == 0:
	case r.store.Pooler():
		r.attend("The role has no %s, which a pooler does not pass on: run %s.", strings.Join(missing, ", "), giveTimeouts(missing))
	default:
		r.attend("The database ignores the %s that xenoauth asks for: if a pooler such as PgBouncer stands before it, set --pooler transaction.", strings.Join(missing, ", "))
	}
	return nil
}
