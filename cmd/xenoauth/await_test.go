package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
)

// TestServeAwaitsDatabase: serve starts before its Postgres is reachable and becomes ready afterwards. A database that refuses the
// connection is reported at once, and one that stays unreachable after the wait.
func TestServeAwaitsDatabase(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	query := database.Query()
	const socket = ".s.PGSQL.5432"
	real := filepath.Join(query.Get("host"), socket)
	directory := t.TempDir() // of the socket
	query.Set("host", directory)
	late := *database
	late.RawQuery = query.Encode()
	l := on(late.String())
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--database-wait"}
	l.fails(t, exitRefused, "storage unavailable", append(serve, "0s")...)

	none := *database
	none.Path = "/none"
	began := time.Now()
	on(none.String()).fails(t, exitRefused, "3D000", append(serve, "1h")...)
	if waited := time.Since(began); waited > time.Minute {
		t.Errorf("a database that does not exist was waited for: %s", waited)
	}

	time.AfterFunc(2*retryInterval, func() { _ = os.Symlink(real, filepath.Join(directory, socket)) })
	s := startServing(t, l, "--ops-listen", "127.0.0.1:0", "--database-wait", "1m")
	if got := status(t, s.ops+"/readyz"); got != http.StatusOK {
		t.Errorf("readiness: %d", got)
	}
}
