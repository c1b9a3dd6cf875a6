package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// KillPostgres is F2: all processes of Postgres are killed, and it is started again.
func KillPostgres(cycles int) Nemesis {
	return Nemesis{Name: "F2", Title: "kill -9 of Postgres", Inject: func(ctx context.Context, s *Injection) error {
		return s.restarts(ctx, cycles, s.cluster.Kill)
	}}
}

// RestartPostgres is F3: Postgres is restarted in mode fast or immediate.
func RestartPostgres(how string, cycles int) Nemesis {
	signal := map[string]string{"fast": "INT", "immediate": "QUIT"}[how]
	return Nemesis{Name: "F3", Title: "restart -m " + how, Inject: func(ctx context.Context, s *Injection) error {
		return s.restarts(ctx, cycles, func() error { return s.cluster.Halt(signal) })
	}}
}

func (s *Injection) restarts(ctx context.Context, cycles int, halt func() error) error {
	return s.repeat(ctx, cycles, func() error {
		if err := s.underLoad(ctx, halt); err != nil {
			return err
		}
		return s.cluster.Restart(ctx)
	})
}

// CutAnswers is F5: Postgres has committed, and its answer is lost; first on all connections at once, then for single
// exchanges and rotations, whose clients try again.
func CutAnswers(cycles, chosen int) Nemesis {
	return Nemesis{Name: "F5", Title: "link cut between COMMIT and its answer", Linked: true, Inject: func(ctx context.Context, s *Injection) error {
		for range cycles {
			if err := s.progress(ctx, 40); err != nil {
				return err
			}
			if err := s.underLoad(ctx, func() error { s.link.dropAnswers(); return nil }); err != nil {
				return err
			}
		}
		unanswered := 0
		for i := range chosen {
			lost, err := s.cutOne(ctx, i%2 == 0)
			if err != nil {
				return err
			}
			unanswered += lost
		}
		if unanswered < chosen/2 {
			return fmt.Errorf("only %d of %d answers were cut off: the fault was not tried", unanswered, chosen)
		}
		s.note("%d of %d exchanges and rotations were committed and not answered, and then tried again", unanswered, chosen)
		return nil
	}}
}

// cutOne loses the answer to one exchange or rotation, and tries again. It returns 1 if the answer was lost.
func (s *Injection) cutOne(ctx context.Context, rotation bool) (int, error) {
	w := s.workload
	a := w.targeted
	if rotation {
		a = w.rotating
	}
	c, err := s.code(ctx, a)
	if err != nil {
		return 0, err
	}
	use := func() Outcome { _, outcome := w.exchange(ctx, c); return outcome }
	presented := c.text
	if rotation {
		// The server is under load, so an exchange may be answered 503. Its code may be used up and is replaced.
		for attempt := 0; c.family == nil; attempt++ {
			if attempt == 20 {
				return 0, errors.New("20 exchanges gave no family")
			}
			if _, outcome := w.exchange(ctx, c); outcome == OK {
				break
			}
			if c, err = s.code(ctx, a); err != nil {
				return 0, err
			}
		}
		f := c.family
		presented = f.current
		use = func() Outcome {
			f.mu.Lock()
			defer f.mu.Unlock()
			return w.refresh(ctx, f, 1)
		}
	}
	id, err := lookupID(presented)
	if err != nil {
		return 0, err
	}
	// The id is sent twice: for the look-up, and for the use.
	s.link.cutAfter(id[:], 1)
	first := use()
	if first == OK {
		return 0, nil
	}
	for range 20 {
		if outcome := use(); outcome == OK || outcome == Refused {
			break
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 1, nil
}

func lookupID(text string) (store.LookupID, error) {
	c, ok := secret.Format{}.Parse(text)
	if !ok {
		return store.LookupID{}, fmt.Errorf("not a credential")
	}
	return store.LookupID(c.ID), nil
}

// code gets a code that the generator does not use.
func (s *Injection) code(ctx context.Context, a app) (*code, error) {
	var c *code
	err := until(ctx, timeout, "a code is issued", func() bool {
		c = s.workload.authorize(ctx, s.workload.browsers[0], a)
		return c != nil
	})
	if c != nil {
		c.private = true
	}
	return c, err
}
