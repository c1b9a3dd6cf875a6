package faults

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Injection is a run with its workload while one nemesis is active.
type Injection struct {
	*Run
	generator *generator
	report    Report
	found     []Violation // by the nemesis itself
	started   time.Time
	healed    bool
	undo      func() // removes the effects of a planted bug; may be nil
}

// violated records a violation that the nemesis itself has found.
func (s *Injection) violated(invariant, format string, args ...any) {
	s.found = append(s.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// note adds a line to the report.
func (s *Injection) note(format string, args ...any) {
	s.report.Notes = append(s.report.Notes, fmt.Sprintf(format, args...))
}

// progress waits until that many more credentials have been acknowledged.
func (s *Injection) progress(ctx context.Context, more int) error {
	count := func() int {
		s.workload.mu.Lock()
		defer s.workload.mu.Unlock()
		return s.workload.counts[Issue]
	}
	from := count()
	return until(ctx, timeout, fmt.Sprintf("%d more credentials are acknowledged", more), func() bool { return count() >= from+more })
}

// underLoad calls do as soon as enough requests are in flight.
func (s *Injection) underLoad(ctx context.Context, do func() error) error {
	s.generator.saturate.Store(true)
	defer s.generator.saturate.Store(false)
	// Without enough requests the fault is injected all the same, and the report states that it does not count.
	flying := 0
	_ = until(ctx, 20*time.Second, "enough requests are in flight", func() bool {
		flying = int(s.workload.client.inFlight.Load())
		return flying >= minInFlight
	})
	if s.report.Injections == 0 || flying < s.report.InFlight {
		s.report.InFlight = flying
	}
	s.report.Injections++
	return do()
}

// repeat runs cycles of a fault that ends when inject returns, each after some progress of the workload, and waits for the
// recovery from each.
func (s *Injection) repeat(ctx context.Context, cycles int, inject func() error) error {
	for range cycles {
		if err := s.progress(ctx, 50); err != nil {
			return err
		}
		if err := inject(); err != nil {
			return err
		}
		s.heal()
		if err := s.recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// heal marks the end of the fault.
func (s *Injection) heal() {
	s.healed = true
	s.workload.watch()
}

// recover waits until the main operations succeed again, and records how long that took.
func (s *Injection) recover(ctx context.Context) error {
	if !s.healed {
		s.heal()
	}
	took := time.Duration(0)
	err := until(ctx, timeout, "everything works again", func() (good bool) {
		took, good = s.workload.recovered(recoveryMethods...)
		return good
	})
	s.report.Recovery = max(s.report.Recovery, took)
	if most := s.options.within(maxRecovery); err != nil || s.report.Recovery > most {
		s.violated("I8", "requests failed for %s after the end of the fault", s.report.Recovery)
	}
	s.healed = false
	return err
}

// recoveryMethods show that the server can read and write. Other operations are less frequent.
var recoveryMethods = []string{"authorize", "code", "client", "me", "introspect"}

// check resolves unknown outcomes and checks everything since the run began.
func (s *Injection) check(ctx context.Context) error {
	w := s.workload
	w.watch()
	w.settle(ctx, s.checked)
	w.tour(ctx)
	for _, how := range allMethods {
		if _, good := w.recovered(how); !good {
			s.violated("I8", "%s does not work after the end of the fault", how)
		}
	}
	s.checked = len(w.tokens)
	limit := s.options.within(maxRecovery)
	if s.undo != nil {
		limit = 2 * time.Second // a planted leak does not end by itself
	}
	normal, err := w.backToNormal(ctx, s.before, limit)
	if err != nil {
		return err
	}
	if s.undo != nil {
		s.undo()
	}
	all, err := s.violations(ctx)
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
	r.Issued, r.Ended, r.Checks = w.counts[Issue], w.counts[End], w.counts[Verify]
	r.Unknown, r.Unavailable, r.Slowest, r.SlowestOther = w.unknown, w.unavailable, w.slowest, w.slowestOther
	r.Found = summarize(slices.Concat(s.found, normal, fresh))
	fmt.Fprintf(s.options.Log, "  %d in flight, %d acked, %d ended, %d checks, %d unknown, recovery %s, all of it %s: %d violations\n",
		r.InFlight, r.Issued, r.Ended, r.Checks, r.Unknown, seconds(r.Recovery), seconds(time.Since(s.started)), len(r.Found))
	return nil
}
