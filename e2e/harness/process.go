package harness

import (
	"io"
	"os/exec"
	"syscall"
	"testing"
)

// processScript runs a program and sends it SIGTERM when its own standard input ends, which happens when the parent process
// has ended. Its exit code is the program's.
const processScript = `exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ read -r _ <&3; kill -s TERM "$child"; } >/dev/null 2>&1 &
wait "$child"`

// StartProcess starts a program that does not outlive the tests, even if they are killed: then it gets SIGTERM (a killed
// nginx master would leave its worker behind). When the test ends, it is killed with all its children; the channel is
// closed when it has ended. It runs in a process group of its own, with an empty standard input; SysProcAttr of c may set
// the user.
func StartProcess(t testing.TB, c *exec.Cmd) (ended <-chan struct{}) {
	t.Helper()
	lifeline, done := startProcess(t, c)
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // it may have ended already
		<-done
		_ = lifeline.Close()
	})
	return done
}

func startProcess(t testing.TB, c *exec.Cmd) (io.Closer, <-chan struct{}) {
	t.Helper()
	c.Args = append([]string{"sh", "-c", processScript, "sh"}, append([]string{c.Path}, c.Args[1:]...)...)
	program := c.Path
	c.Path = "/bin/sh"
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setpgid = true
	lifeline, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	done := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(done)
	}()
	return lifeline, done
}
