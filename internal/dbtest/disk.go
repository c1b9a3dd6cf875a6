package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// ErrNoDisk reports that this process cannot mount a disk.
var ErrNoDisk = errors.New("no disk for Postgres alone: that takes root, and the right to mount")

// onDisk mounts a disk for the data in a mount namespace of its own, runs the rest of its arguments as the user of Postgres, and removes
// all files.
const onDisk = `
size=$1 uid=$2 gid=$3 script=$4 bin=$5 dir=$6
shift 6
mkdir "$dir/data" && mount -t tmpfs -o "size=$size,mode=700,uid=$uid,gid=$gid" xenoauth-test "$dir/data" || exit
setpriv --reuid="$uid" --regid="$gid" --clear-groups sh -c "$script" sh "$bin" "$dir" "$@"
umount -l "$dir/data"
rm -rf "$dir"
`

// StartOnDisk is Start with the data on a separate disk of a size in mount's syntax, such as 96m, for Fill and Free. The disk is a tmpfs
// that only the cluster sees, so it ends with the cluster. The error is ErrNoDisk if it cannot be mounted.
func StartOnDisk(ctx context.Context, size string, settings ...string) (*Cluster, error) {
	c, err := start(ctx, func(attr *syscall.SysProcAttr, _ string) (*exec.Cmd, error) {
		if attr.Credential == nil || !mayMount() {
			return nil, ErrNoDisk
		}
		uid, gid := strconv.Itoa(int(attr.Credential.Uid)), strconv.Itoa(int(attr.Credential.Gid))
		cmd := exec.Command("/bin/sh", "-c", onDisk, "sh", size, uid, gid, supervise)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}
		return cmd, nil
	}, settings)
	if err != nil {
		return nil, err
	}
	postmaster, err := c.postmaster()
	if err == nil {
		c.ballast, err = os.OpenFile(filepath.Join("/proc", strconv.Itoa(postmaster), "cwd", "ballast"), os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		c.Stop()
		return nil, fmt.Errorf("reach the disk of Postgres: %w", err)
	}
	return c, nil
}

// mayMount tries to mount a disk.
func mayMount() bool {
	if _, err := exec.LookPath("setpriv"); err != nil {
		return false
	}
	try := exec.Command("/bin/sh", "-c", "mount -t tmpfs -o size=4k xenoauth-test /tmp")
	try.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return try.Run() == nil
}

// Fill fills the cluster's disk completely.
func (c *Cluster) Fill() error {
	chunk := make([]byte, 64<<10)
	for {
		_, err := c.ballast.Write(chunk)
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill the disk of Postgres: %w", err)
		}
	}
}

// Free undoes Fill.
func (c *Cluster) Free() error {
	err := c.ballast.Truncate(0)
	if err == nil {
		_, err = c.ballast.Seek(0, 0)
	}
	if err != nil {
		return fmt.Errorf("make room on the disk of Postgres: %w", err)
	}
	return nil
}
