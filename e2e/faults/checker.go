package faults

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

const (
	never = time.Duration(math.MaxInt64)
	// grace is how long a repeated refresh gets the same answer. Close to its end nobody can tell from outside.
	grace     = 10 * time.Second
	graceEdge = time.Second
)

// Rules are what Judge goes by.
type Rules struct {
	Refusal time.Duration // a refusal takes no longer
	// Orderly are spans in which the server stopped in order: what it did not answer then it has not done.
	Orderly []Span
}

// Span is a time between two moments.
type Span struct{ From, To time.Duration }

func (s Span) meets(from, to time.Duration) bool { return from <= s.To && to >= s.From }

// credential is what the ledger tells about one.
type credential struct {
	name   string
	born   time.Duration // acknowledged
	ending time.Duration // the first request that may have ended it was sent
	ended  time.Duration // the first one that has ended it was answered
	hangs  []string
	checks []Entry
}

// court is a ledger in the making of a judgement.
type court struct {
	rules       Rules
	entries     []Entry
	credentials map[string]*credential
	attempts    map[string][]Entry // to use a code or a refresh token, in the order of their start
	down        []Span
	found       []Violation
}

// Judge finds what in the ledger must not be: I1 to I5.
func Judge(entries []Entry, rules Rules) []Violation {
	c := &court{rules: rules, entries: entries, credentials: map[string]*credential{}, attempts: map[string][]Entry{}}
	for i := range entries {
		if entries[i].End == 0 {
			entries[i].End, entries[i].Outcome = never, Lost
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Start, b.Start) })
	c.collect()
	c.findEnds()
	for _, e := range entries {
		c.judgeAnswer(e)
	}
	for _, attempts := range c.attempts {
		c.judgeAttempts(attempts)
	}
	for _, of := range c.credentials {
		c.judgeChecks(of)
	}
	slices.SortFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.String(), b.String()) })
	return c.found
}

func (c *court) report(invariant, format string, args ...any) {
	c.found = append(c.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// of gives the credential of a name.
func (c *court) of(name string) *credential {
	if c.credentials[name] == nil {
		c.credentials[name] = &credential{name: name, born: never, ending: never, ended: never}
	}
	return c.credentials[name]
}

func (c *court) collect() {
	for _, e := range c.entries {
		switch e.Act {
		case Down:
			c.down = append(c.down, Span{e.Start, e.End})
		case Check:
			of := c.of(e.Of)
			of.checks = append(of.checks, e)
		case Issue:
			if e.Of != "" {
				c.attempts[e.Of] = append(c.attempts[e.Of], e)
			}
			if e.Outcome != OK {
				continue
			}
			for _, name := range e.Gained {
				of := c.of(name)
				of.born = min(of.born, e.End)
				of.hangs = append(of.hangs, e.Hangs...)
			}
		}
	}
}

// findEnds finds when each credential may have ended, and when it had.
func (c *court) findEnds() {
	ending, ended := map[string]time.Duration{}, map[string]time.Duration{}
	note := func(name string, sent, answered time.Duration) {
		ending[name] = min(cmp.Or(ending[name], never), sent)
		ended[name] = min(cmp.Or(ended[name], never), answered)
	}
	for _, e := range c.entries {
		if e.Act != End {
			continue
		}
		answered := never
		if e.Outcome == OK {
			answered = e.End
		}
		note(e.Of, e.Start, answered)
	}
	for name, attempts := range c.attempts {
		sent, answered := c.reuse(attempts)
		if sent == never {
			continue
		}
		note(name, sent, answered)
		if attempts[0].How == "refresh" {
			for _, family := range c.of(name).hangs {
				note(family, sent, answered)
			}
		}
	}
	for _, of := range c.credentials {
		for _, name := range append([]string{of.name}, of.hangs...) {
			of.ending = min(of.ending, cmp.Or(ending[name], never))
			of.ended = min(of.ended, cmp.Or(ended[name], never))
		}
	}
}

// reuse is when a code or refresh token may have been used a second time, which ends all that it produced, and when
// that was answered. A refresh token may be presented again until its successor is used.
func (c *court) reuse(attempts []Entry) (sent, answered time.Duration) {
	sent, answered = never, never
	used := c.successorUsed(attempts)
	for _, e := range attempts {
		if e.How == "refresh" {
			if e.End >= used {
				sent = min(sent, e.Start)
			}
			continue
		}
		for _, granted := range attempts {
			// What was over before the other began cannot have seen what that one produced.
			if granted.Outcome != OK || granted.ID == e.ID || e.End < granted.Start {
				continue
			}
			sent = min(sent, e.Start)
			if e.Outcome == Refused {
				answered = min(answered, e.End)
			}
		}
	}
	return sent, answered
}

// successorUsed is when the first use of a successor of a refresh token was sent.
func (c *court) successorUsed(attempts []Entry) time.Duration {
	used := never
	for _, e := range attempts {
		if e.How == "refresh" && e.Outcome == OK && len(e.Gained) == 2 && len(c.attempts[e.Gained[1]]) > 0 {
			used = min(used, c.attempts[e.Gained[1]][0].Start)
		}
	}
	return used
}

// judgeAnswer judges a request by itself: I5.
func (c *court) judgeAnswer(e Entry) {
	if e.Act == Down || e.Act == Read {
		return
	}
	what := fmt.Sprintf("%s %s of %s", e.Act, e.How, e.Of)
	switch {
	case e.Outcome == Wrong:
		c.report("I5", "%s was answered %s", what, e.Detail)
	case e.Outcome == Away && e.End-e.Start > c.rules.Refusal:
		c.report("I5", "%s was told to come back only after %s", what, e.End-e.Start)
	case e.Outcome == Lost && !slices.ContainsFunc(c.down, func(s Span) bool { return s.meets(e.Start, e.End) }):
		c.report("I5", "%s was cut off while the server was up: %s", what, e.Detail)
	}
}

// judgeAttempts judges all uses of one code or refresh token: I3, I4, I5.
func (c *court) judgeAttempts(attempts []Entry) {
	of := c.of(attempts[0].Of)
	products := map[string]time.Duration{} // each with its first answer
	refused := never
	for _, e := range attempts {
		switch e.Outcome {
		case OK:
			products[e.Gained[0]] = min(cmp.Or(products[e.Gained[0]], never), e.End)
			if e.Start >= refused {
				c.report("I3", "%s was dead, and then it was exchanged", e.Of)
			}
		case Refused:
			refused = min(refused, e.End)
			c.judgeRefusal(of, attempts, e)
		}
	}
	answers := slices.Sorted(maps.Values(products))
	for i, answered := range answers {
		// A refresh token whose successor is unused has another one when the grace is over, and then again.
		again := attempts[0].How == "refresh" && answered >= attempts[0].Start+time.Duration(i)*(grace-graceEdge)
		if i > 0 && !again {
			c.report("I4", "%s produced %d things", of.name, len(products))
			break
		}
	}
}

// judgeRefusal judges the answer that a code or refresh token is dead. It may be if it was ended. A code may be if it was
// used before, in whatever way that went; a refresh token if its successor was used. A client presents no token that another
// successor replaced.
func (c *court) judgeRefusal(of *credential, attempts []Entry, e Entry) {
	if of.ending <= e.End && (e.How == "refresh" || c.endedOtherwise(of, attempts)) {
		return
	}
	var earlier []Entry
	for _, a := range attempts {
		if a.ID != e.ID && a.Start <= e.End {
			earlier = append(earlier, a)
		}
	}
	if len(earlier) == 0 {
		c.report("I5", "%s was refused, though it was good: %s", e.Of, e.Detail)
		return
	}
	first := earlier[0]
	if e.How == "refresh" && e.End < c.successorUsed(attempts) {
		c.report("I3", "%s was refused %s after it had been sent: its answer is not to be had again", e.Of, e.End-first.Start)
	}
	orderly := slices.ContainsFunc(c.rules.Orderly, func(s Span) bool { return s.meets(first.Start, first.End) })
	if orderly && first.Outcome == Lost && !slices.ContainsFunc(earlier, func(a Entry) bool { return a.Outcome == OK }) {
		c.report("I3", "%s was exchanged without an answer by a server that stopped in order", e.Of)
	}
}

// endedOtherwise says whether a code was ended by something else than its own second use.
func (c *court) endedOtherwise(of *credential, attempts []Entry) bool {
	sent, _ := c.reuse(attempts)
	return of.ending < sent
}

// judgeChecks judges what was said of one credential: I1, I2, I3, I5.
func (c *court) judgeChecks(of *credential) {
	lastGood := time.Duration(-1)
	for _, e := range of.checks {
		if e.Outcome == OK {
			lastGood = max(lastGood, e.Start)
		}
	}
	said := map[string]bool{} // once for each credential is enough
	once := func(invariant, format string, args ...any) {
		if !said[invariant] {
			said[invariant] = true
			c.report(invariant, format, args...)
		}
	}
	dead := never // the first answer that it is dead
	for _, e := range of.checks {
		switch {
		case e.Outcome == OK && e.Start >= of.ended:
			once("I2", "%s was good %s after its end was acknowledged", of.name, e.Start-of.ended)
		case e.Outcome == OK && e.Start >= dead && of.ending < never:
			once("I3", "%s was dead, and then it was good", of.name)
		case e.Outcome == Refused && of.born <= e.Start && e.End <= of.ending:
			if lastGood >= e.End {
				once("I5", "%s was called dead while it was good", of.name)
			} else {
				once("I1", "%s was acknowledged, and is gone", of.name)
			}
		}
		if e.Outcome == Refused {
			dead = min(dead, e.End)
		}
	}
}
