// Package gateway stands real gateways, configured as docs/gateways.md tells their owners, before a small API, and whole
// servers on both databases behind them.
package gateway

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/e2e/port"
	"xenoauth/internal/dbtest"
)

// examples are the gateways' own files, word for word what readers of the documents copy.
const examples = "../../docs/examples/gateways"

// proxies are the files for a proxy in front of the server itself.
const proxies = "../../docs/examples/proxy"

// product is a gateway or proxy that can be started.
type product struct {
	name    string
	dir     string   // where its files are
	files   []string // word for word what readers of the documents copy
	command func(program, dir string) []string
	adapt   func(config, dir string) string // what a file needs beside its addresses to run for nobody and anywhere
}

var products = []product{
	{"nginx", examples, []string{"nginx.conf", "xenoauth_protected.conf"}, func(program, dir string) []string {
		return []string{program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr", "-g", "daemon off; pid " + dir + "/pid;"}
	}, func(config, dir string) string {
		scratch := "http {\n access_log off;\n"
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			scratch += " " + kind + "_temp_path " + dir + "/" + kind + ";\n"
		}
		return strings.Replace(config, "http {\n", scratch, 1)
	}},
	{"caddy", examples, []string{"Caddyfile"}, func(program, dir string) []string {
		return []string{program, "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile")}
	}, func(config, _ string) string { return config }},
}

// need returns a program. Without it on this machine the test is skipped, or fails where CI or XENOAUTH_REQUIRE_ALL is
// set.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		path, err = exec.LookPath("/usr/sbin/" + name) // which is not in everybody's PATH
	}
	if err != nil && !dbtest.RequireAll() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the gateway between a free port, Xenoauth and the API (of a proxy: the other replica) until the test ends, and
// returns its address.
func (p product) start(t *testing.T, xenoauth, api string) string {
	t.Helper()
	program, dir, attributes := need(t, p.name), t.TempDir(), unprivileged(t)
	free, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + free
	for _, name := range p.files {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		config := strings.NewReplacer("127.0.0.1:8080", xenoauth, "127.0.0.1:8081", api, "127.0.0.2:8080", api, "127.0.0.1:8000", address, ":8000 {", ":"+free+" {").Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p.adapt(config, dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c := attributes.Credential; c != nil {
		// Only root can get into the directories above it that are the test's.
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, int(c.Uid), int(c.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	args := p.command(program, dir)
	told := &harness.Log{}
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.Stderr, c.SysProcAttr = dir, told, attributes
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said: %.3000s", p.name, told)
		}
	})
	await(t, address, harness.StartProcess(t, c), told)
	return "http://" + address
}

// await returns when somebody listens.
func await(t *testing.T, address string, ended <-chan struct{}, told *harness.Log) {
	t.Helper()
	tick, timeout := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("the gateway has ended: %s", told)
		case <-timeout:
			t.Fatalf("the gateway does not listen: %s", told)
		}
	}
}

// unprivileged makes a process one of nobody's where the test is root.
func unprivileged(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	attributes := &syscall.SysProcAttr{}
	if os.Getuid() != 0 {
		return attributes
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes
}
