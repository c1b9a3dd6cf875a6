package harness

import (
	"bufio"
	"os/exec"
	"testing"
	"time"
)

// TestStartProcess: when the process that started a program has ended, the program ends.
func TestStartProcess(t *testing.T) {
	t.Parallel()
	c := exec.Command("sh", "-c", "echo up; exec sleep 600")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	lifeline, ended := startProcess(t, c)
	t.Cleanup(func() { _ = c.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("the program printed %q, %v", line, err)
	}
	select {
	case <-ended:
		t.Fatal("the program ended by itself")
	default:
	}
	if err := lifeline.Close(); err != nil { // as the kernel does when this process is killed
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the program did not end")
	}
}
