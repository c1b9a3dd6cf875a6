package dbtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
)

// childVariable makes this test binary start a cluster, print its directory, and wait to be killed.
const childVariable = "XENOAUTH_DBTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	c, err := dbtest.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.URL("postgres"))
	select {}
}

// TestClusterEndsWithItsProcess kills a process that has a cluster with a signal that it cannot handle.
func TestClusterEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	dbtest.Postgres(t) // skips or fails without Postgres
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil || u.Query().Get("host") == "" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	dir := u.Query().Get("host")
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	deadline := time.After(20 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-poll.C:
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return
			}
		case <-deadline:
			t.Fatalf("%s is still there", dir)
		}
	}
}
