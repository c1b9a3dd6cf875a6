// Command run is the long form of the fault tests: every nemesis on both databases. It prints the table of nemeses ×
// invariants, and exits with 1 if an invariant was violated or a fault met too few requests to count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"xenoauth/e2e/faults"
	"xenoauth/internal/dbtest"
)

func main() {
	only := flag.String("only", ".", "run faults whose `NAME`, such as F7, matches")
	databases := flag.String("databases", "Postgres|SQLite", "run on databases whose `NAME` matches")
	slack := flag.Float64("slack", 1, "multiply the bounds on time, on a machine that does other things meanwhile")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	reports, err := run(ctx, regexp.MustCompile(*only), regexp.MustCompile(*databases), faults.Options{Log: os.Stderr, Slack: *slack})
	stop()
	fmt.Print(faults.Table(reports))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, r := range reports {
		if !r.Passed() {
			os.Exit(1)
		}
	}
}

// run runs the chosen nemeses on the chosen databases.
func run(ctx context.Context, only, databases *regexp.Regexp, o faults.Options) (reports []faults.Report, err error) {
	dir, err := os.MkdirTemp("", "xenoauth-faults-build-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(dir)
	binary, err := faults.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	if databases.MatchString("Postgres") {
		cluster, err := dbtest.Start(ctx, dbtest.Durable...)
		if err != nil {
			return nil, err
		}
		defer cluster.Stop()
		c, err := faults.NewPostgres(ctx, binary, cluster, o)
		if err != nil {
			return nil, err
		}
		if reports, err = strike(ctx, c, faults.Long("Postgres"), only, reports); err != nil {
			return reports, err
		}
	}
	if databases.MatchString("SQLite") {
		c, err := faults.NewSQLite(ctx, binary, o)
		if err != nil {
			return reports, err
		}
		return strike(ctx, c, faults.Long("SQLite"), only, reports)
	}
	return reports, nil
}

// inject runs the nemeses of one run.
func strike(ctx context.Context, c *faults.Run, list []faults.Nemesis, only *regexp.Regexp, reports []faults.Report) (_ []faults.Report, err error) {
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, f := range list {
		if !only.MatchString(f.Name) {
			continue
		}
		r, err := c.Inject(ctx, f)
		reports = append(reports, r)
		if err != nil {
			return reports, err
		}
	}
	return reports, nil
}
