package dbtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/port"
)

// superviseBouncer runs PgBouncer until standard input ends, which happens when the test process ends.
const superviseBouncer = `
"$1" -q "$2/pgbouncer.ini" &
child=$!
cat >/dev/null
kill -s KILL $child
wait $child
`

// PgBouncer starts a PgBouncer in transaction mode before the cluster of a Postgres URL, until the test ends, and returns
// the URL of the same database through it. Settings are lines of pgbouncer.ini. If this machine has no PgBouncer, the test is skipped,
// or fails if CI or XENOAUTH_REQUIRE_ALL is set.
func PgBouncer(t testing.TB, databaseURL, role string, settings ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
		if _, err := os.Stat(program); err != nil && !RequireAll() {
			t.Skip("no PgBouncer found: install the package pgbouncer")
		}
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	attr, err := unprivileged()
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	dir, err := makeDir(attr)
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listen, err := port.Free()
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	users := filepath.Join(dir, "users.txt")
	lines := append([]string{"[databases]", "* = host=" + u.Query().Get("host"), "[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + listen,
		"unix_socket_dir =", "auth_type = trust", "auth_file = " + users, "pool_mode = transaction", "default_pool_size = 4"}, settings...)
	for path, content := range map[string]string{users: fmt.Sprintf("%q \"\"\n", role), filepath.Join(dir, "pgbouncer.ini"): strings.Join(lines, "\n") + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatalf("start PgBouncer: %v", err)
		}
	}
	bouncer := exec.Command("/bin/sh", "-c", superviseBouncer, "sh", program, dir)
	bouncer.SysProcAttr = attr
	var output strings.Builder
	bouncer.Stderr = &output
	lifeline, err := bouncer.StdinPipe()
	if err == nil {
		err = bouncer.Start()
	}
	if err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = bouncer.Wait()
	})
	if err := answers("127.0.0.1:" + listen); err != nil {
		_ = lifeline.Close()
		_ = bouncer.Wait()
		t.Fatalf("start PgBouncer: %v: %s", err, output.String())
	}
	return "postgres://" + role + "@127.0.0.1:" + listen + u.Path + "?sslmode=disable"
}

// answers waits until something takes connections at the address.
func answers(address string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("it does not take connections"), err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
