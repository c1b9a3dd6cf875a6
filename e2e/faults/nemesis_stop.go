package faults

import (
	"context"
	"syscall"
	"time"
)

// Kills is F1: the server is killed and started again, so many times.
func Kills(cycles int) Fault {
	return Fault{Name: "F1", Title: "kill -9 of the server", Inject: func(ctx context.Context, s *Scene) error {
		for range cycles {
			if err := s.progress(ctx, 40); err != nil {
				return err
			}
			from := s.world.client.now()
			if err := s.strike(ctx, func() error {
				from = s.world.client.now()
				return s.server.kill()
			}); err != nil {
				return err
			}
			started := time.Now()
			if err := s.server.start(ctx); err != nil {
				return err
			}
			s.world.down(from)
			took := time.Since(started)
			s.report.Start = max(s.report.Start, took)
			if most := s.options.within(mostStart); took > most {
				s.broke("I8", "a killed server was ready only after %s", took)
			}
			s.heal()
			if err := s.recover(ctx); err != nil {
				return err
			}
		}
		return nil
	}}
}

// mostStop is how long a server may take to stop in order: it gives the requests under way ten seconds.
const mostStop = 15 * time.Second

// Stops is F18: the server is told to stop, twice, and started again.
func Stops(cycles int) Fault {
	return Fault{Name: "F18", Title: "graceful stop", Inject: func(ctx context.Context, s *Scene) error {
		for range cycles {
			if err := s.progress(ctx, 40); err != nil {
				return err
			}
			if err := s.strike(ctx, func() error { return s.stopInOrder(ctx) }); err != nil {
				return err
			}
			s.heal()
			if err := s.recover(ctx); err != nil {
				return err
			}
		}
		return nil
	}}
}

func (s *Scene) stopInOrder(ctx context.Context) error {
	from := s.world.client.now()
	for range 2 { // a second signal changes nothing
		if err := s.server.signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	begun := time.Now()
	code, err := s.server.wait(patience)
	if err != nil {
		return err
	}
	if took := time.Since(begun); took > s.options.within(mostStop) {
		s.broke("I8", "the server took %s to stop", took)
	}
	if code != 0 {
		s.broke("I8", "a server that was told to stop ended with %d", code)
	}
	s.orderly = append(s.orderly, Span{from, s.world.client.now()})
	started := time.Now()
	err = s.server.start(ctx)
	s.report.Start = max(s.report.Start, time.Since(started))
	s.world.down(from)
	return err
}
