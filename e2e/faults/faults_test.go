package faults_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"xenoauth/e2e/faults"
	"xenoauth/internal/dbtest"
)

// binary is the program under test, built once per process as it is delivered.
var binary = sync.OnceValues(func() (string, error) {
	return faults.Build(context.Background(), buildDir)
})

var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "xenoauth-faults-build-")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := m.Run()
	if os.RemoveAll(dir) != nil && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// options are for a machine that runs other tests at the same time.
func options(t *testing.T) faults.Options {
	return faults.Options{Log: t.Output(), Slack: 4}
}

func build(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ownCluster is a Postgres that a test may kill.
func ownCluster(t *testing.T, settings ...string) *dbtest.Cluster {
	t.Helper()
	c, err := dbtest.Start(t.Context(), settings...)
	if errors.Is(err, dbtest.ErrNoPostgres) && !dbtest.RequireAll() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func end(t *testing.T, c *faults.Run) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// try runs all nemeses in turn and asserts that no invariant is violated.
func try(t *testing.T, c *faults.Run, list []faults.Nemesis) {
	t.Helper()
	var reports []faults.Report
	for _, f := range list {
		r, err := c.Inject(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
		if !r.Tried() {
			t.Errorf("%s on %s was not tried: %d requests in flight", f.Name, r.Database, r.InFlight)
		}
		for _, v := range r.Found {
			t.Errorf("%s on %s violated %s", f.Name, r.Database, v)
		}
	}
	t.Log("\n" + faults.Table(reports))
}

// TestPostgres is the short form of make faults on Postgres. Afterwards planted bugs run against the same server, and the
// checker must find each.
func TestPostgres(t *testing.T) {
	t.Parallel()
	c, err := faults.NewPostgres(t.Context(), build(t), ownCluster(t, append(dbtest.Durable, faults.LargeWALBuffers)...), options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer end(t, c)
	try(t, c, faults.Short("Postgres"))
	for _, p := range faults.Bugs {
		t.Run("planted: "+p.Name, func(t *testing.T) {
			// Which requests meet the bug in a short run is a matter of chance: there may be a single revocation without a
			// later verification, or every lost commit may be a rotation.
			const runs = 3
			for run := 1; ; run++ {
				r, err := c.InjectBug(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				if run < runs && p.Repeatable() && slices.ContainsFunc(p.Breaks, func(i string) bool { return !r.Violated(i) }) {
					continue
				}
				wantFound(t, r, p.Breaks)
				return
			}
		})
	}
}

// TestSQLite is the short form of make faults on SQLite.
func TestSQLite(t *testing.T) {
	t.Parallel()
	c, err := faults.NewSQLite(t.Context(), build(t), options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer end(t, c)
	try(t, c, faults.Short("SQLite"))
}

// wantFound asserts that the report has every invariant that the bug violates.
func wantFound(t *testing.T, r faults.Report, broken []string) {
	t.Helper()
	if !r.Tried() {
		t.Errorf("%s: not tried: %d requests in flight", r.Title, r.InFlight)
	}
	for _, invariant := range broken {
		if !r.Violated(invariant) {
			t.Errorf("%s: violation of %s not found; found %v", r.Title, invariant, r.Found)
		}
	}
	for _, v := range r.Found {
		t.Logf("found, as planted (%s): %s", r.Title, v)
	}
}
