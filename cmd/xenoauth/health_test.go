package main

import (
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

// TestHealth: 0 while the server is ready, 1 while none answers, 2 where there is no address to ask.
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
