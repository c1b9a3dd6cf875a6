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
	// grace is how long a repeated refresh gets the same answer. Within graceEdge of its end a client cannot know which
	// answer it gets.
	grace     = 10 * time.Second
	graceEdge = time.Second
)

// Limits are parameters of Check.
type Limits struct {
	Unavailable time.Duration // the longest time until a 503
	// Graceful are spans in which the server stopped gracefully: requests without an answer then have had no effect.
	Graceful []Span
}

// Span is a time from one point to another.
type Span struct{ From, To time.Duration }

func (s Span) meets(from, to time.Duration) bool { return from <= s.To && to >= s.From }

// credential is the history of one credential.
type credential struct {
	name          string
	born          time.Duration // acknowledged
	ending        time.Duration // the first request that may have ended it was sent
	ended         time.Duration // the first request that did end it was answered
	dependsOn     []string
	verifications []Op
}

// checker is the state of Check.
type checker struct {
	limits      Limits
	ops         []Op
	credentials map[string]*credential
	uses        map[string][]Op // of a code or a refresh token, in the order of their start
	down        []Span
	found       []Violation
}

// Check finds the violations of I1 to I5 in a history.
func Check(ops []Op, rules Limits) []Violation {
	c := &checker{limits: rules, ops: ops, credentials: map[string]*credential{}, uses: map[string][]Op{}}
	for i := range ops {
		if ops[i].End == 0 {
			ops[i].End, ops[i].Outcome = never, Unknown
		}
	}
	slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Start, b.Start) })
	c.collect()
	c.findEnds()
	for _, op := range ops {
		c.checkAnswer(op)
	}
	for _, uses := range c.uses {
		c.checkUses(uses)
	}
	for _, of := range c.credentials {
		c.checkVerifications(of)
	}
	slices.SortFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.String(), b.String()) })
	return c.found
}

func (c *checker) report(invariant, format string, args ...any) {
	c.found = append(c.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// of returns the credential of a name.
func (c *checker) of(name string) *credential {
	if c.credentials[name] == nil {
		c.credentials[name] = &credential{name: name, born: never, ending: never, ended: never}
	}
	return c.credentials[name]
}

func (c *checker) collect() {
	for _, op := range c.ops {
		switch op.Kind {
		case Down:
			c.down = append(c.down, Span{op.Start, op.End})
		case Verify:
			of := c.of(op.Target)
			of.verifications = append(of.verifications, op)
		case Issue:
			if op.Target != "" {
				c.uses[op.Target] = append(c.uses[op.Target], op)
			}
			if op.Outcome != OK {
				continue
			}
			for _, name := range op.Issued {
				of := c.of(name)
				of.born = min(of.born, op.End)
				of.dependsOn = append(of.dependsOn, op.DependsOn...)
			}
		}
	}
}

// findEnds finds when each credential may have ended, and by when it had.
func (c *checker) findEnds() {
	ending, ended := map[string]time.Duration{}, map[string]time.Duration{}
	note := func(name string, sent, answered time.Duration) {
		ending[name] = min(cmp.Or(ending[name], never), sent)
		ended[name] = min(cmp.Or(ended[name], never), answered)
	}
	for _, op := range c.ops {
		if op.Kind != End {
			continue
		}
		answered := never
		if op.Outcome == OK {
			answered = op.End
		}
		note(op.Target, op.Start, answered)
	}
	for name, uses := range c.uses {
		sent, answered := c.reuse(uses)
		if sent == never {
			continue
		}
		note(name, sent, answered)
		if uses[0].Method == "refresh" {
			for _, family := range c.of(name).dependsOn {
				note(family, sent, answered)
			}
		}
	}
	for _, of := range c.credentials {
		for _, name := range append([]string{of.name}, of.dependsOn...) {
			of.ending = min(of.ending, cmp.Or(ending[name], never))
			of.ended = min(of.ended, cmp.Or(ended[name], never))
		}
	}
}

// reuse is when a code or refresh token may have been used a second time, which ends everything that it produced, and when
// that was answered. A refresh token may be presented again until its successor is used.
func (c *checker) reuse(uses []Op) (sent, answered time.Duration) {
	sent, answered = never, never
	used := c.successorUsed(uses)
	for _, op := range uses {
		if op.Method == "refresh" {
			if op.End >= used {
				sent = min(sent, op.Start)
			}
			continue
		}
		for _, granted := range uses {
			// A request that was over before the other began cannot have ended its product.
			if granted.Outcome != OK || granted.ID == op.ID || op.End < granted.Start {
				continue
			}
			sent = min(sent, op.Start)
			if op.Outcome == Refused {
				answered = min(answered, op.End)
			}
		}
	}
	return sent, answered
}

// successorUsed is when the first use of a successor of a refresh token was sent.
func (c *checker) successorUsed(uses []Op) time.Duration {
	used := never
	for _, op := range uses {
		if op.Method == "refresh" && op.Outcome == OK && len(op.Issued) == 2 && len(c.uses[op.Issued[1]]) > 0 {
			used = min(used, c.uses[op.Issued[1]][0].Start)
		}
	}
	return used
}

// checkAnswer checks the answer of one request: I5.
func (c *checker) checkAnswer(op Op) {
	if op.Kind == Down || op.Kind == Read {
		return
	}
	what := fmt.Sprintf("%s %s of %s", op.Kind, op.Method, op.Target)
	switch {
	case op.Outcome == Wrong:
		c.report("I5", "%s was answered %s", what, op.Detail)
	case op.Outcome == Unavailable && op.End-op.Start > c.limits.Unavailable:
		c.report("I5", "%s got 503 only after %s", what, op.End-op.Start)
	case op.Outcome == Unknown && !slices.ContainsFunc(c.down, func(s Span) bool { return s.meets(op.Start, op.End) }):
		c.report("I5", "%s was cut off while the server was up: %s", what, op.Detail)
	}
}

// checkUses checks all uses of one code or refresh token: I3, I4, I5.
func (c *checker) checkUses(uses []Op) {
	of := c.of(uses[0].Target)
	products := map[string]time.Duration{} // with the time of its first answer
	refused := never
	for _, op := range uses {
		switch op.Outcome {
		case OK:
			products[op.Issued[0]] = min(cmp.Or(products[op.Issued[0]], never), op.End)
			if op.Start >= refused {
				c.report("I3", "%s was exchanged after it was dead", op.Target)
			}
		case Refused:
			refused = min(refused, op.End)
			c.checkRefusal(of, uses, op)
		}
	}
	answers := slices.Sorted(maps.Values(products))
	for i, answered := range answers {
		// A refresh token whose successor is unused gets another one after the grace period, and again after the next.
		again := uses[0].Method == "refresh" && answered >= uses[0].Start+time.Duration(i)*(grace-graceEdge)
		if i > 0 && !again {
			c.report("I4", "%s produced %d tokens", of.name, len(products))
			break
		}
	}
}

// checkRefusal checks the answer that a code or refresh token is dead. That is right if it was ended, if a code was used
// before, whatever the outcome, or if the successor of a refresh token was used. A client presents no token that another
// successor replaced.
func (c *checker) checkRefusal(of *credential, uses []Op, op Op) {
	if of.ending <= op.End && (op.Method == "refresh" || c.endedOtherwise(of, uses)) {
		return
	}
	var earlier []Op
	for _, a := range uses {
		if a.ID != op.ID && a.Start <= op.End {
			earlier = append(earlier, a)
		}
	}
	if len(earlier) == 0 {
		c.report("I5", "%s was refused although it was valid: %s", op.Target, op.Detail)
		return
	}
	first := earlier[0]
	if op.Method == "refresh" && op.End < c.successorUsed(uses) {
		c.report("I3", "%s was refused %s after it was first sent: its answer is lost", op.Target, op.End-first.Start)
	}
	orderly := slices.ContainsFunc(c.limits.Graceful, func(s Span) bool { return s.meets(first.Start, first.End) })
	if orderly && first.Outcome == Unknown && !slices.ContainsFunc(earlier, func(a Op) bool { return a.Outcome == OK }) {
		c.report("I3", "%s was exchanged without an answer by a server that stopped gracefully", op.Target)
	}
}

// endedOtherwise reports whether a code was ended by something else than its own second use.
func (c *checker) endedOtherwise(of *credential, uses []Op) bool {
	sent, _ := c.reuse(uses)
	return of.ending < sent
}

// checkVerifications checks the verifications of one credential: I1, I2, I3, I5.
func (c *checker) checkVerifications(of *credential) {
	lastGood := time.Duration(-1)
	for _, op := range of.verifications {
		if op.Outcome == OK {
			lastGood = max(lastGood, op.Start)
		}
	}
	said := map[string]bool{} // one violation of each invariant per credential is enough
	once := func(invariant, format string, args ...any) {
		if !said[invariant] {
			said[invariant] = true
			c.report(invariant, format, args...)
		}
	}
	dead := never // the first answer that the credential is dead
	for _, op := range of.verifications {
		switch {
		case op.Outcome == OK && op.Start >= of.ended:
			once("I2", "%s was valid %s after its end was acknowledged", of.name, op.Start-of.ended)
		case op.Outcome == OK && op.Start >= dead && of.ending < never:
			once("I3", "%s was valid after it was dead", of.name)
		case op.Outcome == Refused && of.born <= op.Start && op.End <= of.ending:
			if lastGood >= op.End {
				once("I5", "%s was refused while it was valid", of.name)
			} else {
				once("I1", "%s was acknowledged and is lost", of.name)
			}
		}
		if op.Outcome == Refused {
			dead = min(dead, op.End)
		}
	}
}
