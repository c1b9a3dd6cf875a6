package faults

import (
	"context"
	"syscall"
	"time"
)

// KillServer is F1: the server is killed and started again, so many times.
func KillServer(cycles int) Nemesis {
	return Nemesis{Name: "F1", Title: "kill -9 of the server", Inject: func(ctx context.Context, s *Injection) error {
		return s.repeat(ctx, cycles, func() error {
			from := s.workload.client.now()
			if err := s.underLoad(ctx, func() error {
				from = s.workload.client.now()
				return s.server.kill()
			}); err != nil {
				return err
			}
			started := time.Now()
			if err := s.server.start(ctx); err != nil {
				return err
			}
			s.workload.down(from)
			took := time.Since(started)
			s.report.Start = max(s.report.Start, took)
			if took > s.options.within(maxStart) {
				s.violated("I8", "a killed server took %s to become ready", took)
			}
			return nil
		})
	}}
}

// maxStop is how long a graceful stop may take: requests under way have ten seconds.
const maxStop = 15 * time.Second

// StopServer is F18: the server gets SIGTERM twice and is started again.
func StopServer(cycles int) Nemesis {
	return Nemesis{Name: "F18", Title: "graceful stop", Inject: func(ctx context.Context, s *Injection) error {
		return s.repeat(ctx, cycles, func() error {
			return s.underLoad(ctx, func() error { return s.stopGracefully(ctx) })
		})
	}}
}

func (s *Injection) stopGracefully(ctx context.Context) error {
	from := s.workload.client.now()
	for range 2 { // a second signal changes nothing
		if err := s.server.signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	begun := time.Now()
	code, err := s.server.wait(timeout)
	if err != nil {
		return err
	}
	if took := time.Since(begun); took > s.options.within(maxStop) {
		s.violated("I8", "the server took %s to stop", took)
	}
	if code != 0 {
		s.violated("I8", "a server that was stopped gracefully exited with %d", code)
	}
	s.graceful = append(s.graceful, Span{from, s.workload.client.now()})
	started := time.Now()
	err = s.server.start(ctx)
	s.report.Start = max(s.report.Start, time.Since(started))
	s.workload.down(from)
	return err
}
