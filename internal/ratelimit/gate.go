package ratelimit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// gatePlaces is how many attempts of one network check a password at a time: more than are hashed at a time, so that
	// hashing never waits for them.
	gatePlaces = 32
	// gateLine is how many more attempts of a network may wait for a place.
	gateLine = 256
	// gateBudget is how long an attempt waits for a place. With turnBudget and the time that a password waits to be hashed it
	// stays within the server's ReadTimeout.
	gateBudget = 5 * time.Second
)

// errGateFull is the error of an attempt that may not even wait.
var errGateFull = errors.New("too many attempts of this network wait to have a password checked")

// gate lets a limited number of attempts of each network check a password at a time, in the order in which they came. The
// others hold neither a connection to the database nor a place in the queue for hashing. Safe for concurrent use.
type gate struct {
	budget time.Duration // how long an attempt waits for a place
	mu     sync.Mutex
	of     map[string]*gateState // by network
}

type gateState struct {
	inside int
	line   []chan struct{} // each is closed when its attempt may enter
}

func newGate() *gate {
	return &gate{budget: gateBudget, of: make(map[string]*gateState)}
}

// enter waits for a place; leave must be called once. The errors are errGateFull and the context's.
func (g *gate) enter(ctx context.Context, network string) (leave func(), err error) {
	g.mu.Lock()
	s := g.of[network]
	if s == nil {
		s = &gateState{}
		g.of[network] = s
	}
	leave = sync.OnceFunc(func() { g.leave(network, s) })
	if s.inside < gatePlaces {
		s.inside++
		g.mu.Unlock()
		return leave, nil
	}
	if len(s.line) >= gateLine {
		g.mu.Unlock()
		return nil, errGateFull
	}
	open := make(chan struct{})
	s.line = append(s.line, open)
	g.mu.Unlock()
	select {
	case <-open:
		return leave, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(s.line, open)
	if i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
	}
	g.mu.Unlock()
	if i < 0 { // its turn came at the same moment
		leave()
	}
	return nil, ctx.Err()
}

// leave gives the place to the first in line.
func (g *gate) leave(network string, s *gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(s.line) > 0 {
		close(s.line[0])
		s.line = s.line[1:]
		return
	}
	if s.inside--; s.inside == 0 {
		delete(g.of, network)
	}
}
