package ratelimit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// waitForLine returns when n attempts of the network wait at the gate.
func waitForLine(g *gate, network string, n int) {
	for {
		g.mu.Lock()
		full := g.of[network] != nil && len(g.of[network].line) == n
		g.mu.Unlock()
		if full {
			return
		}
		runtime.Gosched()
	}
}

// TestGate: gatePlaces attempts of a network are inside, those after them enter in order as others leave, one that gives up
// leaves its place in the line to another, one more than the line holds is refused at once, and other networks are not affected.
func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate()
	var inside []func()
	for range gatePlaces {
		leave, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		inside = append(inside, leave)
	}
	entered := make(chan int, gateLine)
	ctx, giveUp := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := g.enter(ctx, "a")
		gaveUp <- err
	}()
	waitForLine(g, "a", 1)
	var all sync.WaitGroup
	for i := range gateLine - 1 {
		all.Go(func() {
			leave, err := g.enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			entered <- i
			leave()
		})
		waitForLine(g, "a", i+2)
	}
	if _, err := g.enter(t.Context(), "a"); !errors.Is(err, errGateFull) {
		t.Errorf("one more: %v", err)
	}
	leave, err := g.enter(t.Context(), "b")
	if err != nil {
		t.Errorf("another network: %v", err)
	}
	leave()
	giveUp()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("one that gives up: %v", err)
	}
	inside[0]()
	inside[0]() // a second time changes nothing
	for want := range gateLine - 1 {
		if got := <-entered; got != want {
			t.Fatalf("number %d enters before %d", got, want)
		}
	}
	all.Wait()
	for _, leave := range inside[1:] {
		leave()
	}
	if n := len(g.of); n != 0 {
		t.Errorf("%d networks are kept when all have left", n)
	}
}

func TestGate_Concurrent(t *testing.T) {
	t.Parallel()
	g := newGate()
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			leave, err := g.enter(ctx, "a")
			if err != nil {
				return
			}
			n := inside.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			runtime.Gosched()
			inside.Add(-1)
			leave()
		})
	}
	all.Wait()
	if most.Load() > gatePlaces || len(g.of) != 0 {
		t.Errorf("%d were inside at once, and %d networks are kept", most.Load(), len(g.of))
	}
}
