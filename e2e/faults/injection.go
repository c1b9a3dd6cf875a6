package faults

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Scene is where a fault strikes: a campaign under load.
type Scene struct {
	*Campaign
	load   *load
	report Report
	found  []Violation // by the fault itself
	begun  time.Time
	healed bool
	undo   func() // what a planted bug leaves behind; nil: nothing
}

// broke notes that a promise did not hold, as the fault itself saw.
func (s *Scene) broke(invariant, format string, args ...any) {
	s.found = append(s.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// note adds a line to the report.
func (s *Scene) note(format string, args ...any) {
	s.report.Notes = append(s.report.Notes, fmt.Sprintf(format, args...))
}

// progress waits until so many more credentials were acknowledged.
func (s *Scene) progress(ctx context.Context, more int) error {
	count := func() int {
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		return s.world.counts[Issue]
	}
	from := count()
	return until(ctx, patience, fmt.Sprintf("%d more credentials are acknowledged", more), func() bool { return count() >= from+more })
}

// strike does the dreadful thing at a moment when enough requests are in flight.
func (s *Scene) strike(ctx context.Context, do func() error) error {
	s.load.full.Store(true)
	defer s.load.full.Store(false)
	// Without such a moment it is done all the same, and the report says that it does not count.
	flying := 0
	_ = until(ctx, 20*time.Second, "enough requests are in flight", func() bool {
		flying = int(s.world.client.flying.Load())
		return flying >= enough
	})
	if s.report.Strikes == 0 || flying < s.report.Flying {
		s.report.Flying = flying
	}
	s.report.Strikes++
	return do()
}

// heal says that the trouble is over from now on.
func (s *Scene) heal() {
	s.healed = true
	s.world.watch()
}

// recover waits until everything works again, and notes how long that took.
func (s *Scene) recover(ctx context.Context) error {
	if !s.healed {
		s.heal()
	}
	took := time.Duration(0)
	err := until(ctx, patience, "everything works again", func() (good bool) {
		took, good = s.world.goodAgain(firstSigns...)
		return good
	})
	s.report.Recovery = max(s.report.Recovery, took)
	if most := s.options.within(mostRecovery); err != nil || s.report.Recovery > most {
		s.broke("I8", "the server was in trouble for %s after the end of the fault", s.report.Recovery)
	}
	s.healed = false
	return err
}

// firstSigns are what tells that the server works: it can read and write. The rest of the load is asked for less often.
var firstSigns = []string{"authorize", "code", "client", "me", "introspect"}

// verdict finds out what is left to find out, and judges everything since the campaign began.
func (s *Scene) verdict(ctx context.Context) error {
	w := s.world
	w.watch()
	w.settle(ctx, s.checked)
	w.tour(ctx)
	for _, how := range everything {
		if _, good := w.goodAgain(how); !good {
			s.broke("I8", "%s does not work after the end of the fault", how)
		}
	}
	s.checked = len(w.tokens)
	patience := s.options.within(mostRecovery)
	if s.undo != nil {
		patience = 2 * time.Second // it will not be
	}
	normal, err := w.backToNormal(ctx, s.before, patience)
	if err != nil {
		return err
	}
	if s.undo != nil {
		s.undo()
	}
	all, err := s.judgement(ctx)
	if err != nil {
		return err
	}
	var fresh []Violation
	for _, v := range all {
		if !slices.Contains(s.known, v) {
			fresh = append(fresh, v)
		}
	}
	s.known = all
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &s.report
	r.Issued, r.Ended, r.Checks = w.counts[Issue], w.counts[End], w.counts[Check]
	r.Unknown, r.Away, r.Slowest, r.Good = w.unknown, w.away, w.slowest, w.slowestGood
	r.Found = brief(slices.Concat(s.found, normal, fresh))
	fmt.Fprintf(s.options.Log, "  %d in flight, %d acked, %d ended, %d checks, %d unknown, recovery %s, all of it %s: %d violations\n",
		r.Flying, r.Issued, r.Ended, r.Checks, r.Unknown, seconds(r.Recovery), seconds(time.Since(s.begun)), len(r.Found))
	return nil
}
