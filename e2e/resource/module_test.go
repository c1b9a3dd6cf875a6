package resource

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// TestModule: the commands of docs/resource-servers.md make an API in an empty folder, without a network, and it verifies
// tokens of a real server.
func TestModule(t *testing.T) {
	text, err := os.ReadFile("../../docs/resource-servers.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?s)```sh\n(go mod init .*?)```").FindSubmatch(text)
	if commands == nil {
		t.Fatal("docs/resource-servers.md does not show how to make a module")
	}
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	if err := os.Symlink(checkout, filepath.Join(parent, "xenoauth")); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(parent, "api")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(script string) string {
		t.Helper()
		c := exec.Command("sh", "-ec", script)
		c.Dir, c.Env = folder, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return string(out)
	}
	run(string(commands[1]))
	modules := strings.Split(strings.TrimSpace(run("go list -m all")), "\n")
	if len(modules) != 2 || !strings.HasPrefix(modules[1], "xenoauth/bearer ") {
		t.Errorf("the API depends on %q, want xenoauth/bearer alone", modules)
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWorld(t, e)
		api, token := w.start(t, []string{filepath.Join(folder, "api")}), w.token(t, "contacts")
		if a := api.get("/contacts", "Bearer "+token); a.Status != http.StatusOK {
			t.Errorf("a live token: %d: %s", a.Status, a.Body)
		}
		w.revoke(t, token)
		if a := api.get("/contacts", "Bearer "+token); a.Status != http.StatusUnauthorized {
			t.Errorf("a revoked token: %d: %s", a.Status, a.Body)
		}
	}, withCatalogue(t))
}

// TestExampleIsTheModule: docs/examples/go is the module that the commands make, but for the way to the checkout.
func TestExampleIsTheModule(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/examples/go/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"module example.com/api\n", "require xenoauth/bearer v0.0.0\n", "replace xenoauth/bearer => ../../../bearer\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/examples/go/go.mod lacks %q", want)
		}
	}
}
