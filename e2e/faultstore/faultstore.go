// Package faultstore is a store in front of a real one whose calls fail, panic, wait or are counted on demand. Every server
// of package harness has one (Env.Faults), which passes everything on until a test sets a fault.
package faultstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"xenoauth/store"
)

// Store passes calls on to the store that it embeds. Faults are set by the name of the method, and only for the methods
// that this package defines.
type Store struct {
	store.Store
	ahead atomic.Int64

	mu     sync.Mutex
	faults map[string]func() error
	calls  map[string]int
}

// New returns a store without faults in front of st.
func New(st store.Store) *Store {
	return &Store{Store: st, faults: map[string]func() error{}, calls: map[string]int{}}
}

// every is the key of a fault of all methods.
const every = ""

// Fail makes calls of the methods, all if none is named, return err instead of reaching the store.
func (s *Store) Fail(err error, methods ...string) { s.Before(func() error { return err }, methods...) }

// Before runs fault before each call of the methods, all if none is named. A call whose fault returns an error does not
// reach the store. A fault may panic, or block; the time that it takes does not count against the call's deadline.
func (s *Store) Before(fault func() error, methods ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(methods) == 0 {
		methods = []string{every}
	}
	for _, m := range methods {
		s.faults[m] = fault
	}
}

// Heal removes all faults.
func (s *Store) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Calls returns how many calls the methods, all if none is named, have received so far.
func (s *Store) Calls(methods ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m, calls := range s.calls {
		if len(methods) == 0 {
			n += calls
		}
		for _, name := range methods {
			if name == m {
				n += calls
			}
		}
	}
	return n
}

// SetAhead makes the database's clock run ahead of its real time by d.
func (s *Store) SetAhead(d time.Duration) { s.ahead.Store(int64(d)) }

// Now is the database's time.
func (s *Store) Now() time.Time { return s.Store.Now().Add(time.Duration(s.ahead.Load())) }

// call counts a call, runs its fault, and passes it on.
func call[T any](ctx context.Context, s *Store, method string, pass func(ctx context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	s.calls[method]++
	fault := s.faults[method]
	if fault == nil {
		fault = s.faults[every]
	}
	s.mu.Unlock()
	if fault != nil {
		if err := fault(); err != nil {
			var none T
			return none, err
		}
		ctx = context.WithoutCancel(ctx)
	}
	return pass(ctx)
}

// exec is call for a method that returns an error alone.
func exec(ctx context.Context, s *Store, method string, pass func(ctx context.Context) error) error {
	_, err := call(ctx, s, method, func(ctx context.Context) (struct{}, error) { return struct{}{}, pass(ctx) })
	return err
}
