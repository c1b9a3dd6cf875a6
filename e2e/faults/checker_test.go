package faults_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/faults"
)

// story is a history in short: each line has kind, method, target, start and end in milliseconds, outcome, and, separated
// by commas, what was issued and what that depends on.
func story(t *testing.T, lines string) []faults.Op {
	t.Helper()
	var entries []faults.Op
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var e faults.Op
		var start, end int64
		var gained, hangs string
		n, err := fmt.Sscan(line, &e.Kind, &e.Method, &e.Target, &start, &end, &e.Outcome, &gained, &hangs)
		if n < 6 {
			t.Fatalf("%q: %v", line, err)
		}
		e.ID = int64(len(entries) + 1)
		e.Start, e.End = time.Duration(start)*time.Millisecond, time.Duration(end)*time.Millisecond
		if gained != "" {
			e.Issued = strings.Split(gained, ",")
		}
		if hangs != "" {
			e.DependsOn = strings.Split(hangs, ",")
		}
		entries = append(entries, e)
	}
	return entries
}

// TestCheck: a valid history has no violation, and an invalid one the violation of the right invariant.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, story string
		want        []string // violated invariants
	}{
		{"a token is valid and then revoked", `
			issue code c1 10 20 ok t1 c1
			verify me t1 21 25 ok
			end revoke t1 30 40 ok
			verify me t1 35 45 ok
			verify me t1 41 45 refused`, nil},
		{"an acknowledged token is lost", `
			issue code c1 10 20 ok t1 c1
			verify me t1 21 25 refused`, []string{"I1"}},
		{"a valid token is refused once", `
			issue code c1 10 20 ok t1 c1
			verify me t1 21 25 refused
			verify me t1 26 30 ok`, []string{"I5"}},
		{"a revoked token is valid", `
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 40 ok
			verify me t1 41 45 ok`, []string{"I2"}},
		{"a verification that began before the answer proves nothing", `
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 40 ok
			verify me t1 39 45 ok`, nil},
		{"an unanswered revocation may have happened", `
			down kill - 30 40 ok
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 35 unknown
			verify me t1 41 45 refused
			verify me t1 46 50 refused`, nil},
		{"an unanswered revocation takes effect once", `
			down kill - 30 40 ok
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 35 unknown
			verify me t1 41 45 refused
			verify me t1 46 50 ok`, []string{"I3"}},
		{"a removal ends the tokens of the installation", `
			issue code c1 10 20 ok t1 c1,i1
			end uninstall i1 30 40 ok
			verify me t1 41 45 ok`, []string{"I2"}},
		{"a code has two products", `
			issue code c1 10 20 ok t1 c1
			issue code c1 11 21 ok t2 c1`, []string{"I4"}},
		{"a replay ends the product", `
			issue code c1 10 20 ok t1 c1
			issue code c1 12 30 refused
			verify me t1 21 25 ok
			verify me t1 31 35 refused`, nil},
		{"a replay that was answered leaves the product", `
			issue code c1 10 20 ok t1 c1
			issue code c1 12 30 refused
			verify me t1 31 35 ok`, []string{"I2"}},
		{"an attempt that was over before cannot end the product", `
			issue code c1 10 20 unavailable
			issue code c1 21 30 ok t1 c1
			verify me t1 31 35 refused`, []string{"I1"}},
		{"a valid code is refused", `issue code c1 10 20 refused`, []string{"I5"}},
		{"an unanswered exchange may have happened", `
			issue code c1 10 20 unavailable
			issue code c1 21 30 refused`, nil},
		{"a refused code is exchanged", `
			issue code c1 10 20 unavailable
			issue code c1 21 30 refused
			issue code c1 31 40 ok t1 c1`, []string{"I3"}},
		{"a refresh is repeated", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 unavailable
			issue refresh r1 50 60 ok t2,r2 c1
			verify me t1 70 80 ok`, nil},
		{"a repeated refresh has another answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 35 60 ok t3,r3 c1`, []string{"I4"}},
		{"a repeated refresh has lost its answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 unavailable
			issue refresh r1 50 60 refused`, []string{"I3"}},
		{"a late repetition has another answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 20000 20010 ok t3,r3 c1
			issue refresh r1 20020 20030 ok t3,r3 c1
			issue refresh r3 20040 20050 ok t4,r4 c1
			verify me t2 20060 20070 ok`, nil},
		{"a late repetition has two answers", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 20000 20010 ok t3,r3 c1
			issue refresh r1 20005 20012 ok t4,r4 c1
			issue refresh r1 20020 20030 ok t5,r5 c1`, []string{"I4"}},
		{"a late repetition is refused", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 unavailable
			issue refresh r1 20000 20010 refused`, []string{"I3"}},
		{"a repetition after the successor was used is a theft, and ends the family", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r2 50 60 ok t3,r3 c1
			issue refresh r1 70 80 refused
			verify me t1 90 95 refused`, nil},
		{"500", `verify me t1 10 20 wrong`, []string{"I5"}},
		{"a refusal takes too long", `verify me t1 10 9000 unavailable`, []string{"I5"}},
		{"a connection is cut while the server is up", `verify me t1 10 20 unknown`, []string{"I5"}},
		{"a dead server cuts connections", `
			down kill - 15 40 ok
			verify me t1 10 20 unknown`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := faults.Check(story(t, c.story), faults.Limits{Unavailable: 3 * time.Second})
			var got []string
			for _, v := range found {
				got = append(got, v.Invariant)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v", found, c.want)
			}
		})
	}
}

// TestCheckGracefulStop: a server that stops gracefully has not done what it did not answer.
func TestCheckGracefulStop(t *testing.T) {
	t.Parallel()
	entries := story(t, `
		down stop - 15 40 ok
		issue code c1 10 20 unknown
		issue code c1 41 50 refused`)
	rules := faults.Limits{Unavailable: 3 * time.Second, Graceful: []faults.Span{{From: 15 * time.Millisecond, To: 40 * time.Millisecond}}}
	if found := faults.Check(entries, rules); len(found) != 1 || found[0].Invariant != "I3" {
		t.Errorf("found %v, want I3", found)
	}
}

// TestHistory: written operations are read back, including one without a result.
func TestHistory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := faults.NewHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []faults.Op{
		{ID: 1, Kind: faults.Issue, Target: "c1", Start: 1},
		{ID: 2, Kind: faults.End, Target: "t1", Start: 2},
		{ID: 1, Kind: faults.Issue, Target: "c1", Start: 1, End: 3, Outcome: faults.OK, Issued: []string{"t1"}},
	} {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := faults.ReadHistory(path)
	if err != nil || len(entries) != 2 || entries[0].Outcome != faults.OK || entries[1].End != 0 {
		t.Errorf("ReadLedger = %+v, %v", entries, err)
	}
}
