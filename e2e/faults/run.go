package faults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"xenoauth/e2e/port"
	"xenoauth/internal/dbtest"
)

// Fault is something dreadful.
type Fault struct {
	Name  string // such as F1
	Title string
	// Pool is how many connections the server has; 0 means the default.
	Pool int
	// Linked puts a link between server and Postgres that can be cut and slowed down.
	Linked bool
	// Loadless faults get no load; they start programs of their own.
	Loadless bool
	// Inject does it, in the midst of the load, and returns when it is over.
	Inject func(ctx context.Context, s *Scene) error
}

// Campaign is one server over one database, with one ledger, for any number of faults one after the other: what was
// acknowledged before the first must be there after the last.
type Campaign struct {
	options  Options
	dir      string
	kind     string          // of database
	cluster  *dbtest.Cluster // nil on SQLite
	database string          // its URL, without link
	link     *link           // nil on SQLite
	server   *server
	world    *world
	ledger   *Ledger
	before   state
	orderly  []Span
	known    []Violation // of faults before
	checked  int         // tokens there were after the last fault
}

// serveArgs are settings of the server. Its load comes from one address, gets thousands of tokens of few people, and
// must find its codes good after every fault.
var serveArgs = []string{"--code-lifetime", "10m", "--client-failures", "1000000", "--ip-failures", "1000000"}

// NewPostgres starts a campaign on a database of the cluster, which it may kill. Settings of the server may follow.
func NewPostgres(ctx context.Context, binary string, cluster *dbtest.Cluster, o Options, args ...string) (*Campaign, error) {
	databaseURL, err := cluster.NewDatabase(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	l, err := newLink(filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"))
	if err != nil {
		return nil, err
	}
	c := &Campaign{kind: "Postgres", cluster: cluster, database: databaseURL, link: l}
	return c, c.begin(ctx, binary, o, args)
}

// NewSQLite starts a campaign on a file of its own.
func NewSQLite(ctx context.Context, binary string, o Options) (*Campaign, error) {
	c := &Campaign{kind: "SQLite"}
	return c, c.begin(ctx, binary, o, nil)
}

func (c *Campaign) begin(ctx context.Context, binary string, o Options, args []string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	c.options = o.withDefaults()
	if c.dir, err = os.MkdirTemp("", "xenoauth-faults-"); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if c.cluster == nil {
		c.database = "sqlite:" + filepath.Join(c.dir, "xenoauth.db")
	}
	free, err := port.Free()
	if err != nil {
		return err
	}
	c.server = &server{
		binary: binary, database: c.database, args: slices.Concat(serveArgs, args), port: free, logPath: filepath.Join(c.dir, "server.log"),
	}
	if err := c.server.start(ctx); err != nil {
		return err
	}
	c.world = &world{server: c.server, client: newClient(), base: c.server.base()}
	if err := c.world.populate(ctx); err != nil {
		return err
	}
	if err := c.renew(); err != nil {
		return err
	}
	if ambushed {
		if _, err := c.put(remember); err != nil {
			return err
		}
	}
	return c.warmUp(ctx)
}

// renew starts a new ledger, which knows of nothing that was got before.
func (c *Campaign) renew() error {
	if c.ledger != nil {
		if err := c.ledger.Close(); err != nil {
			return fmt.Errorf("close ledger: %w", err)
		}
	}
	file, err := os.CreateTemp(c.dir, "ledger-*.jsonl")
	if err != nil {
		return fmt.Errorf("make ledger: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("make ledger: %w", err)
	}
	if c.ledger, err = NewLedger(file.Name()); err != nil {
		return err
	}
	c.world.begins(c.ledger)
	c.known, c.orderly, c.checked = nil, nil, 0
	return nil
}

// warmUp lets the server do everything, much of it at the same time, and measures what it needs at rest afterwards.
func (c *Campaign) warmUp(ctx context.Context) error {
	s := &Scene{Campaign: c, load: startLoad(ctx, c.world, c.options.Workers)}
	err := s.progress(ctx, c.options.Workers)
	s.load.end()
	if err != nil {
		return err
	}
	c.world.tour(ctx)
	c.before, err = c.world.atRest(ctx)
	return err
}

// everything is all that the load does and that may succeed.
var everything = []string{"authorize", "code", "client", "refresh", "me", "introspect", "revoke", "uninstall"}

// Close ends the server and removes every trace.
func (c *Campaign) Close() error {
	var errs []error
	if c.server != nil {
		if c.server.cmd != nil {
			errs = append(errs, c.server.kill())
		}
	}
	if c.ledger != nil {
		errs = append(errs, c.ledger.Close())
	}
	if c.link != nil {
		errs = append(errs, c.link.close())
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// prepare restarts the server as the fault wants it.
func (c *Campaign) prepare(ctx context.Context, f Fault) error {
	if c.kind != "Postgres" {
		return nil
	}
	want := c.database
	if f.Linked {
		u, err := url.Parse(c.database)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		want = "postgres://postgres@" + c.link.address() + u.Path + "?sslmode=disable"
	}
	if f.Pool > 0 {
		want += fmt.Sprintf("&pool_max_conns=%d", f.Pool)
	}
	if want == c.server.database {
		return nil
	}
	from := c.world.client.now()
	if err := c.server.stop(); err != nil {
		return err
	}
	c.server.database = want
	err := c.server.start(ctx)
	c.world.down(from)
	return err
}

// Run has a fault strike, and judges. An error means that it could not be tried.
func (c *Campaign) Run(ctx context.Context, f Fault) (Report, error) {
	fmt.Fprintf(c.options.Log, "%s %s on %s\n", f.Name, f.Title, c.kind)
	s := &Scene{Campaign: c, begun: time.Now(), report: Report{Fault: f.Name, Title: f.Title, Database: c.kind, Loadless: f.Loadless}}
	if f.Loadless {
		err := f.Inject(ctx, s)
		s.report.Found = s.found
		return s.report, err
	}
	if err := c.prepare(ctx, f); err != nil {
		return s.report, fmt.Errorf("%s: %w", f.Name, err)
	}
	c.world.resetCounts()
	s.load = startLoad(ctx, c.world, c.options.Workers)
	err := f.Inject(ctx, s)
	if err == nil {
		err = s.recover(ctx)
	}
	s.load.end()
	if err != nil {
		return s.report, fmt.Errorf("%s: %w: %s", f.Name, err, tail(c.server.logPath))
	}
	return s.report, s.verdict(ctx)
}

// tail is the end of a log, for whoever must find out what went wrong.
func tail(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return text[max(0, len(text)-1500):]
}

func (w *world) resetCounts() {
	w.watch()
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.counts)
	w.unknown, w.away, w.slowest, w.slowestGood = 0, 0, 0, 0
}

// logs are the files that may hold what somebody logged.
func (c *Campaign) logs() []string {
	paths := []string{c.server.logPath}
	if c.cluster != nil {
		if u, err := url.Parse(c.database); err == nil {
			paths = append(paths, filepath.Join(u.Query().Get("host"), "log"))
		}
	}
	return paths
}

// judgement is every promise that did not hold so far.
func (c *Campaign) judgement(ctx context.Context) ([]Violation, error) {
	entries, err := c.ledger.Read()
	if err != nil {
		return nil, err
	}
	found := Judge(entries, Rules{Refusal: c.options.within(mostWait), Orderly: c.orderly})
	rows, err := auditRows(ctx, c.database)
	if err != nil {
		return nil, err
	}
	leaks, err := auditLogs(c.logs(), c.world.secrets)
	if err != nil {
		return nil, err
	}
	return slices.Concat(found, rows, leaks), nil
}

// brief keeps the report readable: a few of each kind.
func brief(found []Violation) []Violation {
	const most = 5
	count := map[string]int{}
	var short []Violation
	for _, v := range found {
		count[v.Invariant]++
		if count[v.Invariant] <= most {
			short = append(short, v)
		}
	}
	for _, i := range Invariants {
		if n := count[i.Name]; n > most {
			short = append(short, Violation{i.Name, fmt.Sprintf("and %d more", n-most)})
		}
	}
	slices.SortStableFunc(short, func(a, b Violation) int { return strings.Compare(a.Invariant, b.Invariant) })
	return short
}
