package program

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"xenoauth/e2e/faults"
	"xenoauth/e2e/harness"
	"xenoauth/e2e/port"
)

// TestReadmeScript: the README's first app, run as a script, ends with a server that knows the user and the app.
func TestReadmeScript(t *testing.T) {
	t.Parallel()
	const compile = "go build -o xenoauth ./cmd/xenoauth\n"
	found := regexp.MustCompile("(?s)```sh\n(" + regexp.QuoteMeta(compile) + ".*?)```").FindStringSubmatch(read(t, "README.md"))
	if found == nil {
		t.Fatal("the README has no script that builds the program")
	}
	dir := t.TempDir()
	if _, err := faults.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	free, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + free
	printed := &harness.Log{}
	script := exec.Command("sh", "-e", "-c", strings.TrimPrefix(found[1], compile))
	script.Dir, script.Stdout, script.Stderr = dir, printed, printed
	script.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XENOAUTH_LISTEN=" + address, "XENOAUTH_OPS_LISTEN=off"}
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-script.Process.Pid, syscall.SIGKILL)
		_ = script.Wait()
	})
	await(t, "http://"+address+"/login", printed)
	shown := printed.String()
	for _, want := range []string{`password +\S{20,}`, `client id +app_\w+`, `client secret +xnos_\w+`} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("the script does not print %s:\n%s", want, shown)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "xenoauth.db")); err != nil {
		t.Error(err)
	}
	password := regexp.MustCompile(`password +(\S+)`).FindStringSubmatch(shown)
	if password == nil {
		return
	}
	logIn, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v2/auth/token",
		strings.NewReader(`{"email":"you@example.com","password":"`+password[1]+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	logIn.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultTransport.RoundTrip(logIn)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the printed password: %d", response.StatusCode)
	}
}
