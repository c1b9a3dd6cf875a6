package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
)

// waitLimit is how long a test waits for an event that normally takes milliseconds.
const waitLimit = 20 * time.Second

// serving is a server that runs in this process.
type serving struct {
	ready  string // the line with the server's addresses
	issuer string
	ops    string // "" if there is none
	stderr *lockedBuffer
	stop   func() int
}

var (
	issuerPattern = regexp.MustCompile(`ready at (http://\S+) –`)
	opsPattern    = regexp.MustCompile(`metrics on (http://[^)]+)\)`)
)

// startServing starts serve and waits until it is ready.
func startServing(t *testing.T, l line, args ...string) serving {
	t.Helper()
	read, write := io.Pipe()
	var stderr lockedBuffer
	p := &program{
		stdin: strings.NewReader(""), stdout: write, stderr: &stderr,
		lookupEnv: func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }, environ: l.environ,
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		// The test's Postgres is configured for speed, not durability.
		code := p.run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--allow-unsafe-database"}, args...))
		_ = write.Close()
		ended <- code
	}()
	first, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("serve ended with %d before it was ready:\n%s", <-ended, stderr.String())
	}
	s := serving{ready: first, stderr: &stderr}
	if found := issuerPattern.FindStringSubmatch(first); found != nil {
		s.issuer = found[1]
	}
	if found := opsPattern.FindStringSubmatch(first); found != nil {
		s.ops = found[1]
	}
	s.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { s.stop() })
	return s
}

// lockedBuffer can be written by a server and read by a test at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// status requests an address and returns the status code.
func status(t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("GET %s: %v", address, err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestServe(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		s := startServing(t, l, "--ops-listen", "127.0.0.1:0")
		if !strings.Contains(s.ready, "xenoauth is ready at http://localhost:") || !strings.Contains(s.ready, "sign up at "+s.issuer+"/signup") {
			t.Errorf("the first line is %q", s.ready)
		}
		for address, want := range map[string]int{
			s.issuer + "/login": http.StatusOK,
			s.issuer + "/.well-known/oauth-authorization-server": http.StatusOK,
			s.ops + "/healthz":    http.StatusOK,
			s.ops + "/readyz":     http.StatusOK,
			s.issuer + "/metrics": http.StatusNotFound,
		} {
			if got := status(t, address); got != want {
				t.Errorf("GET %s: %d, want %d", address, got, want)
			}
		}
		// Commands work beside the running server, which sees their changes.
		addUser(t, l, "ada@example.org")
		var list []object
		l.ok(t, &list, "user", "list")
		if len(list) != 1 {
			t.Errorf("beside the server: %v", list)
		}
		if code := s.stop(); code != exitDone {
			t.Errorf("stopped with %d", code)
		}
	})
}

// TestServeBothLoopbacks: the server also listens on ::1, which browsers try for localhost.
func TestServeBothLoopbacks(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Logf("this machine has no ::1: %v", err)
	} else {
		defer l.Close()
		s := startServing(t, on(dbtest.SQLite(t)), "--ops-listen", "off")
		_, port, _ := strings.Cut(strings.TrimPrefix(s.issuer, "http://"), ":")
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), waitLimit)
			if err != nil {
				t.Errorf("connect to %s: %v", host, err)
				continue
			}
			_ = c.Close()
		}
	}
}

func TestServeRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	database := dbtest.SQLite(t)
	on(database).fails(t, exitRefused, "--listen", "serve", "--listen", taken.Addr().String(), "--ops-listen", "off")
	on(database).fails(t, exitRefused, "--ops-listen", "serve", "--listen", "127.0.0.1:0", "--ops-listen", taken.Addr().String())
	on(database).fails(t, exitUsage, "issuer (from the default): required", "serve", "--listen", "0.0.0.0:0")
	s := startServing(t, on(database), "--ops-listen", "off", "--signup", "closed")
	if !strings.Contains(s.ready, "xenoauth user add") || s.ops != "" {
		t.Errorf("the first line is %q", s.ready)
	}
	on(database).fails(t, exitRefused, "another xenoauth", "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off")
}

// TestStopBySignal: a request in flight at the time of the signal is answered, a second signal has no effect, and the exit code is 0.
func TestStopBySignal(t *testing.T) {
	t.Parallel()
	s := startProcess(t)
	address, cmd := s.address, s.cmd

	// The server reads the headers of this request and then waits for its body.
	c, err := net.Dial("tcp", "127.0.0.1:"+address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const body = "token=x&client_id=y"
	fmt.Fprintf(c, "POST /oauth/revoke HTTP/1.1\r\nHost: localhost:%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", address, len(body))
	answer := bufio.NewReader(c)
	if first, err := answer.ReadString('\n'); err != nil || !strings.Contains(first, "100 Continue") {
		t.Fatalf("the request is not under way: %q, %v", first, err)
	}
	_, _ = answer.ReadString('\n')
	s.signal(t)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, body)
	res, err := http.ReadResponse(answer, nil)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the request under way: %v, %v; want the answer 401", res, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped with %v\n%s", err, s.stderr.String())
	}
}

// process is a server in a process of its own, which can get signals.
type process struct {
	cmd          *exec.Cmd
	address, ops string
	stderr       *lockedBuffer
}

// startProcess starts serve on an empty database and waits until it is ready.
func startProcess(t *testing.T, args ...string) process {
	t.Helper()
	database := "sqlite:" + filepath.Join(t.TempDir(), "xenoauth.db")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	t.Cleanup(cancel)
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--database-url", database}, args...)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = []string{"XENOAUTH_TEST_PROGRAM=1"}
	stderr := &lockedBuffer{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("not ready: %v\n%s", err, stderr.String())
	}
	return process{
		cmd: cmd, address: strings.TrimPrefix(issuerPattern.FindStringSubmatch(ready)[1], "http://localhost:"),
		ops: opsPattern.FindStringSubmatch(ready)[1], stderr: stderr,
	}
}

// signal sends SIGTERM and waits until the server is no longer ready.
func (s process) signal(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(waitLimit); status(t, s.ops+"/readyz") != http.StatusServiceUnavailable; {
		if time.Now().After(deadline) {
			t.Fatal("readiness stayed on after the signal")
		}
	}
}

// TestDrain: after the signal, /readyz fails and new connections are served until the drain is over. A second signal ends the drain.
func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("ended by a second signal", func(t *testing.T) {
		t.Parallel()
		s := startProcess(t, "--drain", "5m")
		s.signal(t)
		for range 3 {
			c, err := net.Dial("tcp", "127.0.0.1:"+s.address)
			if err != nil {
				t.Fatalf("the listener closed before the drain was over: %v", err)
			}
			fmt.Fprintf(c, "GET /login HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n", s.address)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("a request during the drain: %v, %v", res, err)
			}
			_ = c.Close()
		}
		if got := status(t, s.ops+"/healthz"); got != http.StatusOK {
			t.Errorf("liveness during the drain: %d", got)
		}
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err != nil { // the test's context ends long before the drain
			t.Errorf("stopped with %v\n%s", err, s.stderr.String())
		}
	})
	t.Run("ended by itself", func(t *testing.T) {
		t.Parallel()
		s := startProcess(t, "--drain", "300ms")
		start := time.Now()
		s.signal(t)
		if err := s.cmd.Wait(); err != nil || time.Since(start) < 300*time.Millisecond {
			t.Errorf("stopped after %v with %v\n%s", time.Since(start), err, s.stderr.String())
		}
	})
}

// TestDrainDefault: 3 s, and 0 if only this machine can connect.
func TestDrainDefault(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]time.Duration{
		"": 0, "--issuer http://localhost:8080": 0, "--issuer https://auth.example.com": 3 * time.Second,
		"--issuer https://auth.example.com --drain 0": 0, "--drain 20s": 20 * time.Second,
	} {
		s := loaded(t, nil, strings.Fields(args)...)
		if got := s.drain(); got != want || s.err() != nil {
			t.Errorf("%q: %v, %v; want %v", args, got, s.err(), want)
		}
	}
	for _, text := range []string{"-1s", "6m", "3", "soon"} {
		line{}.fails(t, exitUsage, "drain (from --drain)", "serve", "--drain="+text)
	}
}
