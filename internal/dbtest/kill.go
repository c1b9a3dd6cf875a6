package dbtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Kill ends all processes of the cluster with SIGKILL, as a power failure would, and returns when they have ended. Only data that the
// kernel has is left for the recovery of the next Restart.
func (c *Cluster) Kill() error {
	// Stopped processes start no others, so that no process is missed.
	if err := c.Pause(); err != nil {
		return err
	}
	postmaster, err := c.postmaster()
	if err != nil {
		return err
	}
	all := append(children(postmaster), postmaster)
	var errs []error
	for _, pid := range all {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("kill Postgres: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// The parent of Postgres waits for it, and continues.
	if err := c.command("KILL"); err != nil {
		return err
	}
	return gone(all)
}

// gone waits until all of the processes have ended.
func gone(pids []int) error {
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for _, pid := range pids {
		for {
			if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err != nil {
				break
			}
			select {
			case <-poll.C:
			case <-deadline:
				return fmt.Errorf("kill Postgres: process %d is still there", pid)
			}
		}
	}
	return nil
}
