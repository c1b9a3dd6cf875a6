package main

import (
	"context"
	"errors"
	"time"

	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// retryInterval is the time between two attempts of serve to reach the database at start-up.
const retryInterval = 500 * time.Millisecond

// awaitStore is openStore for a server whose database may start at the same time, as in a compose file. While Postgres does not
// answer or reports that it is starting, awaitStore tries again for up to c.databaseWait. Any other error ends the wait.
func awaitStore(ctx context.Context, c serveConfig) (*sqlstore.Store, error) {
	wait := c.databaseWait
	if _, isFile := sqlitePath(c.database); isFile {
		wait = 0
	}
	deadline := time.Now().Add(wait)
	retry := time.NewTicker(retryInterval)
	defer retry.Stop()
	for attempt := 1; ; attempt++ {
		st, err := openStore(ctx, c.database, sqlstore.Options{Log: c.log, Lock: true})
		if err == nil || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, sqlstore.ErrRefused) || time.Now().Add(retryInterval).After(deadline) {
			return st, err
		}
		if attempt == 1 {
			c.log.Warn("the database does not answer yet; trying again", "for", wait, "error", err)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}
