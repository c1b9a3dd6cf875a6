// Package program tests the program as it is delivered: by the README's commands, in the Dockerfile's image, and behind the
// proxies of docs/examples while its replicas restart.
package program

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/e2e/port"
)

const root = "../.."

// image holds the instructions of the Dockerfile's last stage.
type image struct {
	dir     string // the root directory
	uid     int
	workdir string
	env     map[string]string
	command []string
	health  []string
}

// TestDockerfile runs the Dockerfile's image without a container engine: the files that its build stage makes, in a root
// directory of their own, by the user, in the directory and with the environment and command that it names. The image's default command starts as the image's user, answers, keeps its database in the
// volume, and its health check distinguishes ready from stopped.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	i := build(t)
	for name, want := range map[string]string{"XENOAUTH_LISTEN": "0.0.0.0:8080", "XENOAUTH_OPS_LISTEN": "0.0.0.0:9090"} {
		if i.env[name] != want {
			t.Errorf("%s is %q, want %q: nothing outside the container reaches another address", name, i.env[name], want)
		}
		// The test must not listen on the machine's other addresses.
		free, err := port.Free()
		if err != nil {
			t.Fatal(err)
		}
		i.env[name] = "127.0.0.1:" + free
	}
	if code, out := i.run(t, i.health); code != 1 {
		t.Errorf("the health check without a server: exit %d: %s", code, out)
	}
	server, printed := i.start(t, i.command)
	await(t, "http://"+i.env["XENOAUTH_LISTEN"]+"/login", printed)
	if code, out := i.run(t, i.health); code != 0 {
		t.Errorf("the health check beside a server: exit %d: %s", code, out)
	}
	if code, out := i.run(t, []string{i.command[0], "app", "list"}); code != 0 {
		t.Errorf("a command beside the server: exit %d: %s", code, out)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v: %s", err, printed)
	}
	if _, err := os.Stat(filepath.Join(i.dir, "data/xenoauth.db")); err != nil {
		t.Errorf("the database is not in the volume: %v", err)
	}
	if tmp, err := os.Stat(filepath.Join(i.dir, "tmp")); err != nil || tmp.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("/tmp, where the demo keeps its database: %v, %v", tmp, err)
	}
}

// TestBuildContext: neither history nor databases nor built programs are sent to the builder.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	ignored := strings.Fields(read(t, ".dockerignore"))
	for _, want := range []string{".git", "**/*.db", "**/*.db-wal", "/xenoauth"} {
		found := false
		for _, pattern := range ignored {
			found = found || pattern == want
		}
		if !found {
			t.Errorf(".dockerignore has no %s", want)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// instructions are the lines of a Dockerfile, continued ones joined, without comments.
func instructions(text string) []string {
	text = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, "")
	return strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n")
}

// build repeats the Dockerfile's build stage, with a directory of the test's for /image.
func build(t *testing.T) image {
	t.Helper()
	// Not t.TempDir, whose parents only its owner may enter.
	dir, err := os.MkdirTemp("", "xenoauth-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	i := image{dir: dir, env: map[string]string{}}
	var compile string
	for _, line := range instructions(read(t, "Dockerfile")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "RUN":
			compile = rest
		case "USER":
			uid, _, _ := strings.Cut(rest, ":")
			if i.uid, err = strconv.Atoi(uid); err != nil {
				t.Fatal(err)
			}
		case "WORKDIR":
			i.workdir = rest
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				name, value, _ := strings.Cut(pair, "=")
				i.env[name] = value
			}
		case "ENTRYPOINT", "CMD":
			i.command = append(i.command, list(t, rest)...)
		case "HEALTHCHECK":
			i.health = list(t, rest[strings.Index(rest, "["):])
		}
	}
	compile = strings.ReplaceAll(compile, "/image/", dir+"/")
	if os.Getuid() != 0 {
		compile = strings.ReplaceAll(compile, "65532:65532", strconv.Itoa(os.Getuid()))
	}
	c := exec.Command("sh", "-ec", compile)
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", compile, err, out)
	}
	return i
}

func list(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

// process makes a command of the image's. Only root may change the root directory and the user; elsewhere the paths are
// rewritten.
func (i image) process(ctx context.Context, command []string) *exec.Cmd {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Dir = i.workdir
	prefix := ""
	if os.Getuid() == 0 {
		id := uint32(i.uid)
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: i.dir, Credential: &syscall.Credential{Uid: id, Gid: id}}
	} else {
		prefix = i.dir
		c.Path, c.Dir = i.dir+command[0], i.dir+i.workdir
	}
	for name, value := range i.env {
		c.Env = append(c.Env, name+"="+strings.ReplaceAll(value, "sqlite:/", "sqlite:"+prefix+"/"))
	}
	return c
}

// run runs a command to its end.
func (i image) run(t *testing.T, command []string) (code int, output string) {
	t.Helper()
	out, err := i.process(t.Context(), command).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v", command, err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// start starts a command, which is killed at the end of the test.
func (i image) start(t *testing.T, command []string) (*exec.Cmd, *harness.Log) {
	t.Helper()
	printed := &harness.Log{}
	c := i.process(context.WithoutCancel(t.Context()), command)
	c.Stdout, c.Stderr = printed, printed
	if err := c.Start(); err != nil {
		t.Fatalf("%q: %v", command, err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	return c, printed
}

// await returns when the address answers 200.
func await(t *testing.T, address string, printed *harness.Log) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The transport follows no redirect from 127.0.0.1 to the issuer's name, which has another port here.
		if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
			response.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the server does not answer: %s", printed)
		}
	}
}
