// Package dbtest provides databases for tests: SQLite files, and databases of a temporary Postgres cluster that it starts. Nothing
// that it creates outlives the process, however the process ends.
package dbtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"xenoauth/store/sqlstore"
)

// ErrNoPostgres reports that this machine has no Postgres server programs.
var ErrNoPostgres = errors.New("no Postgres found: install the package postgresql (initdb and postgres in PATH or /usr/lib/postgresql/*/bin)")

// Cluster is a running Postgres of this process.
type Cluster struct {
	dir      string // data and socket
	lifeline io.WriteCloser
	answers  *bufio.Reader
	done     chan struct{}
	ballast  *os.File // the file that fills a disk of its own; nil without one
	count    atomic.Int64
}

// supervise creates and runs a Postgres cluster, and executes the commands on standard input, each of which it answers with a line.
// Standard input ends when the process that started it ends, in any way; then supervise removes all files.
const supervise = `
bin=$1 dir=$2
shift 2
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >>"$dir/log" 2>&1 || exit
start() {
	"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
		-c shared_buffers=32MB -c max_connections=300 -c max_wal_size=256MB -c autovacuum=off -c log_min_messages=warning \
		"$@" >>"$dir/log" 2>&1 &
	child=$!
}
start "$@"
while read -r line; do
	case $line in
	start) start "$@" ;;
	*) kill -s "$line" $child; wait $child ;;
	esac
	echo done
done
kill -s CONT $child
kill -s QUIT $child
wait $child
rm -rf "$dir"
`

// Start creates and starts a cluster. Durability is off unless the settings, in the form name=value, turn it on (see Durable). The error
// is ErrNoPostgres if Postgres is not installed.
func Start(ctx context.Context, settings ...string) (*Cluster, error) {
	return start(ctx, func(attr *syscall.SysProcAttr, dir string) (*exec.Cmd, error) {
		cmd := exec.Command("/bin/sh", "-c", supervise, "sh")
		cmd.SysProcAttr = attr
		return cmd, nil
	}, settings)
}

// start runs the command that supervises a cluster, with the settings appended to its arguments.
func start(ctx context.Context, supervisor func(attr *syscall.SysProcAttr, dir string) (*exec.Cmd, error), settings []string) (_ *Cluster, err error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	attr, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(attr)
	if err != nil {
		return nil, fmt.Errorf("make directory for Postgres: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	server, err := supervisor(attr, dir)
	if err != nil {
		return nil, err
	}
	server.Dir = dir
	server.Args = append(server.Args, bin, dir)
	for _, s := range settings {
		server.Args = append(server.Args, "-c", s)
	}
	lifeline, err := server.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	answers, err := server.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	c := &Cluster{dir: dir, lifeline: lifeline, answers: bufio.NewReader(answers), done: make(chan struct{})}
	go func() {
		_ = server.Wait()
		close(c.done)
	}()
	if err := c.prepare(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Stop ends Postgres and removes its files.
func (c *Cluster) Stop() {
	if c.ballast != nil {
		_ = c.ballast.Close()
	}
	_ = c.lifeline.Close()
	<-c.done
}

// NewDatabase returns the URL of a new, migrated, empty database.
func (c *Cluster) NewDatabase(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test_%d", c.count.Add(1))
	if err := c.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return "", err
	}
	return c.URL(name), nil
}

// DropDatabase removes a database and ends its connections.
func (c *Cluster) DropDatabase(ctx context.Context, databaseURL string) error {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	return c.Exec(ctx, "DROP DATABASE "+pgx.Identifier{u.Path[1:]}.Sanitize()+" WITH (FORCE)")
}

// URL is the address of a database of the cluster.
func (c *Cluster) URL(name string) string {
	q := url.Values{"host": {c.dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	return "postgres:///" + name + "?" + q.Encode()
}

const template = "xenoauth_template"

// prepare waits for the server and migrates the template of all databases.
func (c *Cluster) prepare(ctx context.Context) error {
	if err := c.wait(ctx); err != nil {
		return err
	}
	if err := c.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	st, err := sqlstore.Open(ctx, c.URL(template), sqlstore.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	_, err = st.Migrate(ctx)
	return errors.Join(err, st.Close())
}

func (c *Cluster) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		err := c.Exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-c.done:
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("Postgres ended as soon as it was started: %s", bytes.TrimSpace(log))
		case <-ctx.Done():
			return fmt.Errorf("wait for Postgres: %w", err)
		}
	}
}

// Exec runs a statement as the superuser, in a database that no test uses.
func (c *Cluster) Exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// findPostgres returns the directory of the newest server programs.
func findPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	newest := -1
	dir := ""
	for _, path := range found {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		if err == nil && version > newest {
			newest, dir = version, filepath.Dir(path)
		}
	}
	if dir == "" {
		path, err := exec.LookPath("initdb")
		if err != nil {
			return "", ErrNoPostgres
		}
		dir = filepath.Dir(path)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres")); err != nil {
		return "", ErrNoPostgres
	}
	return dir, nil
}

// unprivileged sets the user and the process group of Postgres. Postgres refuses to run as root, so root runs it as the user postgres.
// It has its own process group, so that a Ctrl-C at the terminal does not reach it.
func unprivileged() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: running as root, and there is no user postgres", ErrNoPostgres)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}

// makeDir creates the cluster's directory, which its user can write to. A socket's path is limited to about 100 bytes.
func makeDir(attr *syscall.SysProcAttr) (string, error) {
	parent := os.TempDir()
	if len(parent) > 60 || attr.Credential != nil {
		parent = "/tmp" // which another user can access
	}
	dir, err := os.MkdirTemp(parent, "xenoauth-pg-")
	if err != nil {
		return "", err
	}
	if attr.Credential != nil {
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return "", err
		}
	}
	return dir, nil
}
