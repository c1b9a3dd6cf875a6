// Package resource protects APIs with Xenoauth as docs/resource-servers.md tells their owners to: the Go package bearer
// and the examples in Go, JavaScript and Python, each as a program of its own, against whole servers on both databases.
package resource

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// examples are the programs of docs/examples, each with the interpreter that it needs and its arguments.
var examples = map[string]func(t *testing.T) []string{
	"go": func(t *testing.T) []string { return []string{build(t)} },
	"javascript": func(t *testing.T) []string {
		return []string{need(t, "node"), "../../docs/examples/javascript/api.mjs"}
	},
	"python": func(t *testing.T) []string {
		return []string{need(t, "python3"), "-B", "../../docs/examples/python/api.py"}
	},
}

// need returns an interpreter. Without it on this machine the test is skipped, or fails where CI or XENOAUTH_REQUIRE_ALL
// is set.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && !dbtest.RequireAll() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var scratch string // a directory for as long as the tests run

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "xenoauth-resource-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

var compiled = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "api")
	out, err := exec.Command("go", "build", "-C", "../../docs/examples/go", "-o", path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build docs/examples/go: %w: %s", err, out)
	}
	return path, nil
})

func build(t *testing.T) string {
	t.Helper()
	path, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program is a running example.
type program struct {
	env  *harness.Env
	url  string
	told *harness.Log // what it wrote to its standard error
}

// start runs an example until the test ends.
func (w *world) start(t *testing.T, command []string, environment ...string) program {
	t.Helper()
	p := program{env: w.env.With(t), told: &harness.Log{}}
	c := exec.Command(command[0], command[1:]...)
	// Nothing of the machine's settings but what interpreters need to start: no proxy stands between here and there.
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0", "XENOAUTH_ISSUER=" + w.env.URL,
		"ENDPOINT=" + w.front.URL + "/oauth/introspect", "CLIENT_ID=" + w.id, "CLIENT_SECRET=" + w.secret,
	}
	c.Env = append(c.Env, environment...)
	c.Stderr = p.told
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	harness.StartProcess(t, c)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s said %q, %v: %s", command[0], line, err, p.told)
	}
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("%s said %q", command[0], line)
	}
	p.url = address
	return p
}

// get asks the API with Authorization headers as given.
func (p program) get(path string, authorization ...string) harness.Answer {
	request := httptest.NewRequest(http.MethodGet, p.url+path, nil)
	request.RequestURI = "" // it is a client's request
	request.Header["Authorization"] = authorization
	return p.env.Do(request)
}
