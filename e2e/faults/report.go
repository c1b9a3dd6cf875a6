// Package faults is the fault oracle. It runs the real program, keeps a load of requests on it, does something dreadful to
// the program or to its database in the midst of them, and then judges, by a ledger of everything that was sent and
// answered, whether the promises held (docs/faults.md).
//
// It owns the processes that it starts, a throw-away Postgres cluster and a directory, and removes all of them. It
// believes nothing that the server says about itself but its metrics: what was acknowledged is in the ledger, and what is
// kept is read from the database.
package faults

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Invariants in their order, each in a few words.
var Invariants = []struct{ Name, Says string }{
	{"I1", "what was acknowledged is there until somebody ends it"},
	{"I2", "what was ended stays ended, from the answer on"},
	{"I3", "an unknown outcome may be either, and once dead stays dead"},
	{"I4", "a code or refresh token produces one thing"},
	{"I5", "trouble is called trouble: 503 with Retry-After"},
	{"I6", "the rows belong together"},
	{"I7", "no secret in the logs"},
	{"I8", "everything is back to normal, soon"},
}

// Violation is a promise that did not hold.
type Violation struct {
	Invariant string
	Text      string
}

// String is for people.
func (v Violation) String() string { return v.Invariant + ": " + v.Text }

// Options are settings of a campaign. The zero value is good.
type Options struct {
	Log io.Writer // progress; nil: none
	// Slack multiplies the bounds on time, for machines that do other things meanwhile; 0 means 1.
	Slack float64
	// Workers are how many requests the load has in flight at most; 0 means 150.
	Workers int
}

func (o Options) withDefaults() Options {
	o.Log = cmp.Or[io.Writer](o.Log, io.Discard)
	o.Slack = cmp.Or(o.Slack, 1)
	o.Workers = cmp.Or(o.Workers, 150)
	return o
}

// within is a bound on time with the slack.
func (o Options) within(d time.Duration) time.Duration { return time.Duration(float64(d) * o.Slack) }

const (
	// enough is how many requests must be in flight when a fault strikes. Fewer, and the fault was not tried.
	enough = 100
	// mostWait is how long a refusal may take.
	mostWait = 3 * time.Second
	// mostRecovery is how long after the end of a fault the server may be in trouble.
	mostRecovery = 5 * time.Second
	// mostStart is how long a server takes from its start until it is ready.
	mostStart = 2 * time.Second
)

// Report is what one fault showed.
type Report struct {
	Fault    string // such as F1
	Title    string
	Database string
	Strikes  int
	Loadless bool          // the fault has no server to ask: a migration
	Flying   int           // requests in flight at a strike, the fewest of all strikes
	Issued   int           // credentials that were acknowledged
	Ended    int           // revocations and uninstallations that were acknowledged
	Checks   int           // verifications that were answered
	Unknown  int           // requests whose outcome nobody was told
	Away     int           // answers 503
	Slowest  time.Duration // answer 503
	Good     time.Duration // the slowest other answer
	Recovery time.Duration // after the end of the fault, the longest of all strikes
	Start    time.Duration // until a killed server was ready again, the longest
	Notes    []string
	Found    []Violation
}

// Run says whether the fault met enough requests to count.
func (r Report) Run() bool { return r.Loadless || r.Strikes > 0 && r.Flying >= enough }

// Passed says whether the fault was run and every promise held.
func (r Report) Passed() bool { return r.Run() && len(r.Found) == 0 }

// Broke says whether the invariant is among those that did not hold.
func (r Report) Broke(invariant string) bool {
	return slices.ContainsFunc(r.Found, func(v Violation) bool { return v.Invariant == invariant })
}

// Table is the reports as Markdown: faults × invariants.
func Table(reports []Report) string {
	var b strings.Builder
	b.WriteString("| fault | database | strikes | in flight | acked | ended | checks | unknown | 503 | slowest 503 | slowest other | recovery | ready |")
	for _, i := range Invariants {
		b.WriteString(" " + i.Name + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", 13+len(Invariants)) + "\n")
	for _, r := range reports {
		flying := fmt.Sprint(r.Flying)
		switch {
		case r.Loadless:
			flying = "–"
		case !r.Run():
			flying += " NOT RUN"
		}
		fmt.Fprintf(&b, "| %s %s | %s | %d | %s | %d | %d | %d | %d | %d | %s | %s | %s | %s |", r.Fault, r.Title, r.Database, r.Strikes, flying,
			r.Issued, r.Ended, r.Checks, r.Unknown, r.Away, seconds(r.Slowest), seconds(r.Good), seconds(r.Recovery), seconds(r.Start))
		for _, i := range Invariants {
			held := "held"
			if r.Broke(i.Name) {
				held = "BROKEN"
			}
			b.WriteString(" " + held + " |")
		}
		b.WriteString("\n")
	}
	for _, r := range reports {
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "\n- %s (%s): %s", r.Fault, r.Database, n)
		}
		for _, v := range r.Found {
			fmt.Fprintf(&b, "\n- **%s (%s) broke %s**", r.Fault, r.Database, v)
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
