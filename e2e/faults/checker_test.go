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

// story is a ledger in short: each line is act, how, of, start, end in milliseconds, outcome, and what was gained and what
// that hangs on, separated by commas.
func story(t *testing.T, lines string) []faults.Entry {
	t.Helper()
	var entries []faults.Entry
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var e faults.Entry
		var start, end int64
		var gained, hangs string
		n, err := fmt.Sscan(line, &e.Act, &e.How, &e.Of, &start, &end, &e.Outcome, &gained, &hangs)
		if n < 6 {
			t.Fatalf("%q: %v", line, err)
		}
		e.ID = int64(len(entries) + 1)
		e.Start, e.End = time.Duration(start)*time.Millisecond, time.Duration(end)*time.Millisecond
		if gained != "" {
			e.Gained = strings.Split(gained, ",")
		}
		if hangs != "" {
			e.Hangs = strings.Split(hangs, ",")
		}
		entries = append(entries, e)
	}
	return entries
}

// TestJudge: what may happen is not called a violation, and what may not is, by its name.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, story string
		want        []string // invariants that are broken
	}{
		{"a token lives and is revoked", `
			issue code c1 10 20 ok t1 c1
			check me t1 21 25 ok
			end revoke t1 30 40 ok
			check me t1 35 45 ok
			check me t1 41 45 refused`, nil},
		{"an acknowledged token is gone", `
			issue code c1 10 20 ok t1 c1
			check me t1 21 25 refused`, []string{"I1"}},
		{"a token is called dead and is not", `
			issue code c1 10 20 ok t1 c1
			check me t1 21 25 refused
			check me t1 26 30 ok`, []string{"I5"}},
		{"a revoked token is good", `
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 40 ok
			check me t1 41 45 ok`, []string{"I2"}},
		{"a check that began before the answer tells nothing", `
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 40 ok
			check me t1 39 45 ok`, nil},
		{"an unanswered revocation may have happened", `
			down kill - 30 40 ok
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 35 lost
			check me t1 41 45 refused
			check me t1 46 50 refused`, nil},
		{"an unanswered revocation happens once", `
			down kill - 30 40 ok
			issue code c1 10 20 ok t1 c1
			end revoke t1 30 35 lost
			check me t1 41 45 refused
			check me t1 46 50 ok`, []string{"I3"}},
		{"a revocation of the stay ends its tokens", `
			issue code c1 10 20 ok t1 c1,i1
			end uninstall i1 30 40 ok
			check me t1 41 45 ok`, []string{"I2"}},
		{"a code has two products", `
			issue code c1 10 20 ok t1 c1
			issue code c1 11 21 ok t2 c1`, []string{"I4"}},
		{"a replay ends the product", `
			issue code c1 10 20 ok t1 c1
			issue code c1 12 30 refused
			check me t1 21 25 ok
			check me t1 31 35 refused`, nil},
		{"a replay that was answered leaves the product", `
			issue code c1 10 20 ok t1 c1
			issue code c1 12 30 refused
			check me t1 31 35 ok`, []string{"I2"}},
		{"a first try that was over before cannot end the product", `
			issue code c1 10 20 away
			issue code c1 21 30 ok t1 c1
			check me t1 31 35 refused`, []string{"I1"}},
		{"a good code is refused", `issue code c1 10 20 refused`, []string{"I5"}},
		{"an unanswered exchange may have happened", `
			issue code c1 10 20 away
			issue code c1 21 30 refused`, nil},
		{"a refused code is exchanged", `
			issue code c1 10 20 away
			issue code c1 21 30 refused
			issue code c1 31 40 ok t1 c1`, []string{"I3"}},
		{"a refresh is repeated", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 away
			issue refresh r1 50 60 ok t2,r2 c1
			check me t1 70 80 ok`, nil},
		{"a repeated refresh has another answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 35 60 ok t3,r3 c1`, []string{"I4"}},
		{"a repeated refresh has lost its answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 away
			issue refresh r1 50 60 refused`, []string{"I3"}},
		{"a late repetition has another answer", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 20000 20010 ok t3,r3 c1
			issue refresh r1 20020 20030 ok t3,r3 c1
			issue refresh r3 20040 20050 ok t4,r4 c1
			check me t2 20060 20070 ok`, nil},
		{"a late repetition has two answers", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r1 20000 20010 ok t3,r3 c1
			issue refresh r1 20005 20012 ok t4,r4 c1
			issue refresh r1 20020 20030 ok t5,r5 c1`, []string{"I4"}},
		{"a late repetition is refused", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 away
			issue refresh r1 20000 20010 refused`, []string{"I3"}},
		{"a repetition after the successor was used is a theft, and ends the family", `
			issue code c1 10 20 ok t1,r1 c1
			issue refresh r1 30 40 ok t2,r2 c1
			issue refresh r2 50 60 ok t3,r3 c1
			issue refresh r1 70 80 refused
			check me t1 90 95 refused`, nil},
		{"500", `check me t1 10 20 wrong`, []string{"I5"}},
		{"a refusal takes too long", `check me t1 10 9000 away`, []string{"I5"}},
		{"a connection is cut off by nobody", `check me t1 10 20 lost`, []string{"I5"}},
		{"a dead server cuts connections off", `
			down kill - 15 40 ok
			check me t1 10 20 lost`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := faults.Judge(story(t, c.story), faults.Rules{Refusal: 3 * time.Second})
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

// TestJudgeOrderlyStop: a server that stops in order has not done what it did not answer.
func TestJudgeOrderlyStop(t *testing.T) {
	t.Parallel()
	entries := story(t, `
		down stop - 15 40 ok
		issue code c1 10 20 lost
		issue code c1 41 50 refused`)
	rules := faults.Rules{Refusal: 3 * time.Second, Orderly: []faults.Span{{From: 15 * time.Millisecond, To: 40 * time.Millisecond}}}
	if found := faults.Judge(entries, rules); len(found) != 1 || found[0].Invariant != "I3" {
		t.Errorf("found %v, want I3", found)
	}
}

// TestLedger: what was written is read back, a request that was sent and never answered included.
func TestLedger(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := faults.NewLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []faults.Entry{
		{ID: 1, Act: faults.Issue, Of: "c1", Start: 1},
		{ID: 2, Act: faults.End, Of: "t1", Start: 2},
		{ID: 1, Act: faults.Issue, Of: "c1", Start: 1, End: 3, Outcome: faults.OK, Gained: []string{"t1"}},
	} {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := faults.ReadLedger(path)
	if err != nil || len(entries) != 2 || entries[0].Outcome != faults.OK || entries[1].End != 0 {
		t.Errorf("ReadLedger = %+v, %v", entries, err)
	}
}
