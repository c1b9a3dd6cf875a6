package harness

import (
	"io"
	"os/exec"
	"syscall"
	"testing"
)

// leash runs a program, and tells it to end when its own standard input ends, which happens when the process at the other
// end has ended, in whatever way. Its exit code is the program's.
const processScript = `exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ read -r _ <&3; kill -s TERM "$child"; } >/dev/null 2>&1 &
wait "$child"`

// Leash starts a program that does not outlive the tests, not even if they are killed: then it gets SIGTERM (nginx's master
// leaves its worker behind when it is killed itself). It is ended, with all that it started, when the test ends; the
// channel is closed when it has ended, for whatever reason. SysProcAttr of c may say as whom it runs; it gets a process group
// of its own. Its standard input is empty.
func StartProcess(t testing.TB, c *exec.Cmd) (ended <-chan struct{}) {
	t.Helper()
	lifeline, done := startProcess(t, c)
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // gone already is as good
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
