package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the program as it is delivered, into dir.
func Build(ctx context.Context, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "xenoauth")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "xenoauth/cmd/xenoauth")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build xenoauth: %w: %s", err, out)
	}
	return binary, nil
}

// server is the program, which keeps its address when it is restarted.
type server struct {
	binary   string
	database string
	args     []string
	port     string
	logPath  string

	mu  sync.Mutex
	cmd *exec.Cmd
	ops string // address of the operator's listener, while the program runs
	end chan error
}

// timeout is for steps that take milliseconds on an idle machine.
const timeout = 3 * time.Minute

var opsPattern = regexp.MustCompile(`metrics on (http://[^)]+)\)`)

func (s *server) issuer() string { return "http://localhost:" + s.port }

// base is the server's address for programs, which needs no name resolution.
func (s *server) base() string { return "http://127.0.0.1:" + s.port }

// environment is this process's environment without settings of xenoauth.
func environment(database string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "XENOAUTH_") {
			env = append(env, e)
		}
	}
	return append(env, "XENOAUTH_DATABASE_URL="+database)
}

// start runs the program and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	defer log.Close()
	args := append([]string{"serve", "--listen", "127.0.0.1:" + s.port, "--ops-listen", "127.0.0.1:0", "--log-level", "debug"}, s.args...)
	cmd := exec.Command(s.binary, args...)
	cmd.Env, cmd.Stderr = environment(s.database), log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	lines := bufio.NewReader(stdout)
	ready, err := lines.ReadString('\n')
	end := make(chan error, 1)
	go func() {
		_, _ = io.Copy(log, lines)
		end <- cmd.Wait()
	}()
	found := opsPattern.FindStringSubmatch(ready)
	if err != nil || found == nil {
		_ = cmd.Process.Kill()
		tail, _ := os.ReadFile(s.logPath)
		return fmt.Errorf("start server: it printed %q and exited with %w: %s", ready, <-end, tail[max(0, len(tail)-2000):])
	}
	s.mu.Lock()
	s.cmd, s.end, s.ops = cmd, end, found[1]
	s.mu.Unlock()
	return s.waitReady(ctx)
}

// waitReady polls until the server is ready.
func (s *server) waitReady(ctx context.Context) error {
	return until(ctx, timeout, "the server is ready", func() bool {
		status, _ := s.operations("/readyz")
		return status == http.StatusOK
	})
}

// operations requests a path of the operator's listener; status 0 means no answer.
func (s *server) operations(path string) (int, []byte) {
	s.mu.Lock()
	ops := s.ops
	s.mu.Unlock()
	request, err := http.NewRequest(http.MethodGet, ops+path, nil)
	if err != nil {
		return 0, nil
	}
	request.Close = true
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, body
}

func (s *server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("the server is not running")
	}
	return s.cmd.Process.Signal(sig)
}

// wait returns the exit code of a server that is ending; -1 if a signal ended it.
func (s *server) wait(limit time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.end:
	case <-time.After(limit):
		return 0, fmt.Errorf("the server did not end within %s", limit)
	}
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code, nil
}

// kill kills the server and returns when it has ended.
func (s *server) kill() error {
	if err := s.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_, err := s.wait(timeout)
	return err
}

// stop stops the server gracefully, if it runs.
func (s *server) stop() error {
	if s.signal(syscall.SIGTERM) != nil {
		return nil
	}
	code, err := s.wait(timeout)
	if err == nil && code != 0 {
		err = fmt.Errorf("the server exited with %d", code)
	}
	return err
}

// command runs another command of the program and returns its output.
func (s *server) command(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	return command(ctx, s.binary, s.database, stdin, args...)
}

func command(ctx context.Context, binary, database, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env, cmd.Stdin = environment(database), strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("xenoauth %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return out, nil
}

// until polls until yes returns true.
func until(ctx context.Context, limit time.Duration, what string, yes func() bool) error {
	deadline := time.After(limit)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !yes() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not within %s: %s", limit, what)
		}
	}
	return nil
}
