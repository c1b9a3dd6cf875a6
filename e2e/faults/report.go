// Package faults tests the real program under faults, in the manner of Jepsen (docs/faults.md). A workload of concurrent
// requests runs against the program and writes a history; a nemesis injects a fault into the program or its database; a
// checker then compares the history, the database's rows, the logs and the program's metrics with the invariants. The
// package owns the processes that it starts, a throw-away Postgres cluster and a directory, and removes all of them. Of the
// program's own reports it uses only the metrics.
package faults

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Invariants are the invariants in their order, with a short description.
var Invariants = []struct{ Name, Text string }{
	{"I1", "an acknowledged credential is valid until it is ended"},
	{"I2", "an ended credential stays invalid from the answer on"},
	{"I3", "an unknown outcome may be either, and a dead credential stays dead"},
	{"I4", "a code or refresh token has one product"},
	{"I5", "a failure of the database is 503 with Retry-After"},
	{"I6", "the rows are consistent"},
	{"I7", "no secret in the logs"},
	{"I8", "the server recovers in time"},
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string
	Text      string
}

// String is the violation as text.
func (v Violation) String() string { return v.Invariant + ": " + v.Text }

// Options are settings of a run. The zero value is valid.
type Options struct {
	Log io.Writer // progress; nil: none
	// Slack multiplies the time limits, for machines that are busy; 0 means 1.
	Slack float64
	// Workers are how many requests the workload has in flight at most; 0 means 150.
	Workers int
}

func (o Options) withDefaults() Options {
	o.Log = cmp.Or[io.Writer](o.Log, io.Discard)
	o.Slack = cmp.Or(o.Slack, 1)
	o.Workers = cmp.Or(o.Workers, 150)
	return o
}

// within is a time limit with the slack.
func (o Options) within(d time.Duration) time.Duration { return time.Duration(float64(d) * o.Slack) }

const (
	// minInFlight is how many requests must be in flight when a fault is injected. With fewer the fault does not count.
	minInFlight = 100
	// maxUnavailable is how long a 503 may take.
	maxUnavailable = 3 * time.Second
	// maxRecovery is how long after the end of a fault requests may still fail.
	maxRecovery = 5 * time.Second
	// maxStart is how long the server may take to become ready.
	maxStart = 2 * time.Second
)

// Report is the result of one nemesis.
type Report struct {
	Nemesis      string // such as F1
	Title        string
	Database     string
	Injections   int
	NoWorkload   bool          // a nemesis without requests: a migration
	InFlight     int           // requests in flight at an injection, the fewest of all
	Issued       int           // acknowledged credentials
	Ended        int           // acknowledged revocations and removals
	Checks       int           // answered verifications
	Unknown      int           // requests without an answer
	Unavailable  int           // answers with 503
	Slowest      time.Duration // 503
	SlowestOther time.Duration // other answer
	Recovery     time.Duration // after the end of the fault, the longest
	Start        time.Duration // until a killed server was ready again, the longest
	Notes        []string
	Found        []Violation
}

// Tried reports whether enough requests were in flight for the result to count.
func (r Report) Tried() bool { return r.NoWorkload || r.Injections > 0 && r.InFlight >= minInFlight }

// Passed reports whether the fault was tried and no invariant violated.
func (r Report) Passed() bool { return r.Tried() && len(r.Found) == 0 }

// Violated reports whether the invariant is among those that were violated.
func (r Report) Violated(invariant string) bool {
	return slices.ContainsFunc(r.Found, func(v Violation) bool { return v.Invariant == invariant })
}

// Table renders the reports as Markdown: nemeses × invariants.
func Table(reports []Report) string {
	var b strings.Builder
	b.WriteString("| fault | database | injections | in flight | acked | ended | checks | unknown | 503 | slowest 503 | slowest other | recovery | ready |")
	for _, i := range Invariants {
		b.WriteString(" " + i.Name + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", 13+len(Invariants)) + "\n")
	for _, r := range reports {
		flying := fmt.Sprint(r.InFlight)
		switch {
		case r.NoWorkload:
			flying = "–"
		case !r.Tried():
			flying += " NOT TRIED"
		}
		fmt.Fprintf(&b, "| %s %s | %s | %d | %s | %d | %d | %d | %d | %d | %s | %s | %s | %s |", r.Nemesis, r.Title, r.Database, r.Injections, flying,
			r.Issued, r.Ended, r.Checks, r.Unknown, r.Unavailable, seconds(r.Slowest), seconds(r.SlowestOther), seconds(r.Recovery), seconds(r.Start))
		for _, i := range Invariants {
			held := "held"
			if r.Violated(i.Name) {
				held = "VIOLATED"
			}
			b.WriteString(" " + held + " |")
		}
		b.WriteString("\n")
	}
	for _, r := range reports {
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "\n- %s (%s): %s", r.Nemesis, r.Database, n)
		}
		for _, v := range r.Found {
			fmt.Fprintf(&b, "\n- **%s (%s) violated %s**", r.Nemesis, r.Database, v)
		}
	}
	return b.String() + "\n"
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
