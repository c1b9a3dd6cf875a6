package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Durable are the settings of a cluster that does not lose acknowledged writes.
var Durable = []string{"fsync=on", "synchronous_commit=on", "full_page_writes=on"}

// Halt ends all processes of the cluster and returns when they have ended. INT cuts connections and shuts down cleanly; QUIT leaves
// acknowledged writes to the recovery of the next start. Restart starts the cluster again.
func (c *Cluster) Halt(signal string) error { return c.command(signal) }

// Restart starts a cluster after Halt, and waits until it accepts connections.
func (c *Cluster) Restart(ctx context.Context) error {
	if err := c.command("start"); err != nil {
		return err
	}
	return c.wait(ctx)
}

func (c *Cluster) command(line string) error {
	if _, err := io.WriteString(c.lifeline, line+"\n"); err != nil {
		return fmt.Errorf("tell Postgres to %s: %w", line, err)
	}
	if _, err := c.answers.ReadString('\n'); err != nil {
		return fmt.Errorf("tell Postgres to %s: %w", line, err)
	}
	return nil
}

// Pause stops all processes of the cluster (SIGSTOP): connections stay open without an answer.
func (c *Cluster) Pause() error { return c.signal(syscall.SIGSTOP) }

// Resume continues a paused cluster.
func (c *Cluster) Resume() error { return c.signal(syscall.SIGCONT) }

// signal signals the postmaster first, so that a paused one starts no further process.
func (c *Cluster) signal(s syscall.Signal) error {
	postmaster, err := c.postmaster()
	if err != nil {
		return err
	}
	errs := []error{syscall.Kill(postmaster, s)}
	for _, child := range children(postmaster) {
		if err := syscall.Kill(child, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// postmaster returns the parent of all other processes of the cluster.
func (c *Cluster) postmaster() (int, error) {
	// The data may be on a disk that is not visible here; the socket always is.
	locks, _ := filepath.Glob(filepath.Join(c.dir, ".s.PGSQL.*.lock")) // the pattern is well-formed
	if len(locks) != 1 {
		return 0, fmt.Errorf("find Postgres: %d locks of sockets", len(locks))
	}
	content, err := os.ReadFile(locks[0])
	if err != nil {
		return 0, fmt.Errorf("find Postgres: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("find Postgres: %w", err)
	}
	return pid, nil
}

// children are the processes that a process started.
func children(parent int) (list []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name may contain any character. The state and the parent follow it.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// Revive waits until a cluster accepts connections again after a fault, and starts it if it has stopped.
func (c *Cluster) Revive(ctx context.Context) error {
	pid, err := c.postmaster()
	if err == nil {
		err = syscall.Kill(pid, 0)
	}
	if err != nil {
		return c.Restart(ctx)
	}
	return c.wait(ctx)
}
