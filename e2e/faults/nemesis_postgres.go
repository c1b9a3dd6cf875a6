package faults

import (
	"context"
	"fmt"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Crash is F2: all processes of Postgres are killed, and it is started again.
func Crash(cycles int) Fault {
	return Fault{Name: "F2", Title: "kill -9 of Postgres", Inject: func(ctx context.Context, s *Scene) error {
		return s.restarts(ctx, cycles, s.cluster.Kill)
	}}
}

// Restart is F3: Postgres is restarted, fast or immediately.
func Restart(how string, cycles int) Fault {
	signal := map[string]string{"fast": "INT", "immediate": "QUIT"}[how]
	return Fault{Name: "F3", Title: "restart -m " + how, Inject: func(ctx context.Context, s *Scene) error {
		return s.restarts(ctx, cycles, func() error { return s.cluster.Halt(signal) })
	}}
}

func (s *Scene) restarts(ctx context.Context, cycles int, halt func() error) error {
	for range cycles {
		if err := s.progress(ctx, 60); err != nil {
			return err
		}
		if err := s.strike(ctx, halt); err != nil {
			return err
		}
		if err := s.cluster.Restart(ctx); err != nil {
			return err
		}
		s.heal()
		if err := s.recover(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Cut is F5: Postgres has committed, and its answer is lost. First so for all connections at once, then for chosen codes
// and refresh tokens, whose clients try again.
func Cut(cycles, chosen int) Fault {
	return Fault{Name: "F5", Title: "link cut between COMMIT and its answer", Linked: true, Inject: func(ctx context.Context, s *Scene) error {
		for range cycles {
			if err := s.progress(ctx, 40); err != nil {
				return err
			}
			if err := s.strike(ctx, func() error { s.link.silence(); return nil }); err != nil {
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

// cutOne loses the answer to one exchange, or to one rotation, and tries again. It returns whether the answer was lost.
func (s *Scene) cutOne(ctx context.Context, rotation bool) (int, error) {
	w := s.world
	a := w.marked
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
		if _, outcome := w.exchange(ctx, c); outcome != OK {
			return 0, fmt.Errorf("the fault got no family: %s", outcome)
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
	// It passes twice: the first time it is looked up, the second time it is used up.
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
		case <-time.After(breath):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 1, nil
}

func lookupID(text string) (store.LookupID, error) {
	c, ok := secret.Format{}.Parse(text)
	if !ok {
		return store.LookupID{}, fmt.Errorf("the server minted what is no credential")
	}
	return store.LookupID(c.ID), nil
}

// code gets a code for the fault itself, which nobody else tries.
func (s *Scene) code(ctx context.Context, a app) (*code, error) {
	var c *code
	err := until(ctx, patience, "the fault gets a code", func() bool {
		c = s.world.authorize(ctx, s.world.browsers[0], a)
		return c != nil
	})
	if c != nil {
		c.mine = true
	}
	return c, err
}
