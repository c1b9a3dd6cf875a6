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

// Nemesis injects a fault while the workload runs.
type Nemesis struct {
	Name  string // such as F1
	Title string
	// Pool is the size of the server's connection pool; 0 means the default.
	Pool int
	// Linked puts a link between server and Postgres that can be cut and slowed down.
	Linked bool
	// NoWorkload is for a nemesis that starts programs of its own.
	NoWorkload bool
	// Inject injects the fault and returns when it has ended.
	Inject func(ctx context.Context, s *Injection) error
}

// Run is one server over one database with one history, for any number of nemeses in turn: what was acknowledged before the
// first must be valid after the last.
type Run struct {
	options  Options
	dir      string
	kind     string          // Postgres or SQLite
	cluster  *dbtest.Cluster // nil on SQLite
	database string          // its URL, without link
	link     *link           // nil on SQLite
	server   *server
	workload *workload
	history  *History
	before   resources
	graceful []Span
	known    []Violation // found by earlier checks
	checked  int         // how many tokens the last check has verified
}

// serveArgs are settings of the server: the workload comes from one address, gets thousands of tokens for a few users, and
// redeems codes after every fault.
var serveArgs = []string{"--code-lifetime", "10m", "--client-failures", "1000000", "--ip-failures", "1000000"}

// NewPostgres starts a run on a database of the cluster, which it may kill. Settings of the server may follow.
func NewPostgres(ctx context.Context, binary string, cluster *dbtest.Cluster, o Options, args ...string) (*Run, error) {
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
	r := &Run{kind: "Postgres", cluster: cluster, database: databaseURL, link: l}
	return r, r.start(ctx, binary, o, args)
}

// NewSQLite starts a run on a file of its own.
func NewSQLite(ctx context.Context, binary string, o Options) (*Run, error) {
	r := &Run{kind: "SQLite"}
	return r, r.start(ctx, binary, o, nil)
}

func (r *Run) start(ctx context.Context, binary string, o Options, args []string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	r.options = o.withDefaults()
	if r.dir, err = os.MkdirTemp("", "xenoauth-faults-"); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	if r.cluster == nil {
		r.database = "sqlite:" + filepath.Join(r.dir, "xenoauth.db")
	}
	free, err := port.Free()
	if err != nil {
		return err
	}
	r.server = &server{
		binary: binary, database: r.database, args: slices.Concat(serveArgs, args), port: free, logPath: filepath.Join(r.dir, "server.log"),
	}
	if err := r.server.start(ctx); err != nil {
		return err
	}
	r.workload = &workload{server: r.server, client: newClient(), base: r.server.base()}
	if err := r.workload.populate(ctx); err != nil {
		return err
	}
	if err := r.newHistory(); err != nil {
		return err
	}
	if planted {
		if _, err := r.placeProxy(cacheVerifications); err != nil {
			return err
		}
	}
	return r.warmUp(ctx)
}

// newHistory starts an empty history and forgets every credential so far.
func (r *Run) newHistory() error {
	if r.history != nil {
		if err := r.history.Close(); err != nil {
			return fmt.Errorf("close history: %w", err)
		}
	}
	file, err := os.CreateTemp(r.dir, "ledger-*.jsonl")
	if err != nil {
		return fmt.Errorf("create history: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("create history: %w", err)
	}
	if r.history, err = NewHistory(file.Name()); err != nil {
		return err
	}
	r.workload.reset(r.history)
	r.known, r.graceful, r.checked = nil, nil, 0
	return nil
}

// warmUp runs every operation, many at the same time, and measures the server's resources at rest afterwards.
func (r *Run) warmUp(ctx context.Context) error {
	s := &Injection{Run: r, generator: startGenerator(ctx, r.workload, r.options.Workers)}
	err := s.progress(ctx, r.options.Workers)
	s.generator.end()
	if err != nil {
		return err
	}
	r.workload.tour(ctx)
	r.before, err = r.workload.atRest(ctx)
	return err
}

// allMethods are the methods of all operations that may succeed.
var allMethods = []string{"authorize", "code", "client", "refresh", "me", "introspect", "revoke", "uninstall"}

// Close stops the server and removes its files.
func (r *Run) Close() error {
	var errs []error
	if r.server != nil {
		if r.server.cmd != nil {
			errs = append(errs, r.server.kill())
		}
	}
	if r.history != nil {
		errs = append(errs, r.history.Close())
	}
	if r.link != nil {
		errs = append(errs, r.link.close())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// prepare restarts the server with the settings of the nemesis.
func (r *Run) prepare(ctx context.Context, f Nemesis) error {
	if r.kind != "Postgres" {
		return nil
	}
	want := r.database
	if f.Linked {
		u, err := url.Parse(r.database)
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		want = "postgres://postgres@" + r.link.address() + u.Path + "?sslmode=disable"
	}
	if f.Pool > 0 {
		want += fmt.Sprintf("&pool_max_conns=%d", f.Pool)
	}
	if want == r.server.database {
		return nil
	}
	from := r.workload.client.now()
	if err := r.server.stop(); err != nil {
		return err
	}
	r.server.database = want
	err := r.server.start(ctx)
	r.workload.down(from)
	return err
}

// Inject runs a nemesis and checks the history. An error means that the fault could not be injected.
func (r *Run) Inject(ctx context.Context, f Nemesis) (Report, error) {
	fmt.Fprintf(r.options.Log, "%s %s on %s\n", f.Name, f.Title, r.kind)
	s := &Injection{Run: r, started: time.Now(), report: Report{Nemesis: f.Name, Title: f.Title, Database: r.kind, NoWorkload: f.NoWorkload}}
	if f.NoWorkload {
		err := f.Inject(ctx, s)
		s.report.Found = s.found
		return s.report, err
	}
	if err := r.prepare(ctx, f); err != nil {
		return s.report, fmt.Errorf("%s: %w", f.Name, err)
	}
	r.workload.resetCounts()
	s.generator = startGenerator(ctx, r.workload, r.options.Workers)
	err := f.Inject(ctx, s)
	if err == nil {
		err = s.recover(ctx)
	}
	s.generator.end()
	if err != nil {
		return s.report, fmt.Errorf("%s: %w: %s", f.Name, err, tail(r.server.logPath))
	}
	if err := s.check(ctx); err != nil {
		return s.report, err
	}
	if len(s.report.Found) > 0 {
		fmt.Fprintf(r.options.Log, "errors in the server's log:\n%s\n", loggedErrors(r.server.logPath))
	}
	return s.report, nil
}

// loggedErrors returns the last errors in a log, for a run with violations.
func loggedErrors(path string) string {
	const max = 10
	text, _ := os.ReadFile(path)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "ERROR") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[len(lines)-min(len(lines), max):], "")
}

// tail is the end of a log, for an error message.
func tail(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return text[max(0, len(text)-1500):]
}

func (w *workload) resetCounts() {
	w.watch()
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.counts)
	w.unknown, w.unavailable, w.slowest, w.slowestOther = 0, 0, 0, 0
}

// logs are the log files of the server and of Postgres.
func (r *Run) logs() []string {
	paths := []string{r.server.logPath}
	if r.cluster != nil {
		if u, err := url.Parse(r.database); err == nil {
			paths = append(paths, filepath.Join(u.Query().Get("host"), "log"))
		}
	}
	return paths
}

// violations are all violations since the run began.
func (r *Run) violations(ctx context.Context) ([]Violation, error) {
	ops, err := r.history.Ops()
	if err != nil {
		return nil, err
	}
	found := Check(ops, Limits{Unavailable: r.options.within(maxUnavailable), Graceful: r.graceful})
	rows, err := checkRows(ctx, r.database)
	if err != nil {
		return nil, err
	}
	leaks, err := checkLogs(r.logs(), r.workload.secrets)
	if err != nil {
		return nil, err
	}
	return slices.Concat(found, rows, leaks), nil
}

// summarize keeps a few violations of each invariant.
func summarize(found []Violation) []Violation {
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
