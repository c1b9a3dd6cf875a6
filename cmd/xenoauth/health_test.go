package main

import (
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// TestHealth: the exit code is 0 for a ready server, 1 without a server, and 2 without an address.
func TestHealth(t *testing.T) {
	t.Parallel()
	l := on(dbtest.SQLite(t))
	s := startServing(t, l, "--ops-listen", "127.0.0.1:0")
	address := strings.TrimPrefix(s.ops, "http://")
	if r := l.run(t, "health", "--ops-listen", address); r.code != exitDone || r.stdout != "ready\n" {
		t.Errorf("health of a ready server: %+v", r)
	}
	s.stop()
	l.fails(t, exitRefused, "no server answers at http://"+address+"/readyz", "health", "--ops-listen", address)
	l.fails(t, exitUsage, "invalid setting: ops-listen (from --ops-listen): is off", "health", "--ops-listen", "off")
}
