package ratelimit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"xenoauth/store"
)

// turnBudget is how long an attempt waits for pending attempts before it. Together with the wait for its own turn it stays within
// the server's time limit for a request.
const turnBudget = 2 * time.Second

// pending are the attempts of this process that are counted, or about to be, and whose outcome is not known yet, by the keys
// that they count under. Safe for concurrent use.
type pending struct {
	budget time.Duration // how long an attempt waits for others
	mu     sync.Mutex
	of     map[string]*keyState
}

// keyState is the state of one key. It is kept while attempts are pending under the key, or watched.
type keyState struct {
	pending, watchers int
	released          int              // how many attempts were released since the key is watched
	changed           chan struct{}    // closed when an attempt is released, or the last pending one has ended
	turns             [3]chan struct{} // per kind of work: holds one while a request has the turn
}

// work is a kind of work that requests do one at a time under a key. Releasing an attempt frees a count, so it does not wait
// behind attempts that need one.
type work int

const (
	toCount work = iota
	toRelease
	toLook
)

func newPending() *pending {
	return &pending{budget: turnBudget, of: make(map[string]*keyState)}
}

// at returns the state of a key. The lock is held.
func (p *pending) at(key string) *keyState {
	if p.of[key] == nil {
		p.of[key] = &keyState{changed: make(chan struct{}), turns: [...]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)}}
	}
	return p.of[key]
}

// forget drops the state of a key that is no longer used. The lock is held.
func (p *pending) forget(key string) {
	if s := p.of[key]; s.pending == 0 && s.watchers == 0 {
		delete(p.of, key)
	}
}

// wake wakes the attempts that wait for a change. The lock is held.
func (s *keyState) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// watch has releases counted until unwatch is called.
func (p *pending) watch(limits []store.Limit) (unwatch func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range limits {
		p.at(l.Key).watchers++
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range limits {
			p.of[l.Key].watchers--
			p.forget(l.Key)
		}
	}
}

// takeTurn waits until no other request of this process does the same work under these keys. Each key is one row, which every
// attempt locks. A request that waited for the lock in the database would hold a connection and use up its database budget, so
// that one network with many attempts could take the connections from all others. release must be called; the error is the
// context's.
func (p *pending) takeTurn(ctx context.Context, to work, limits []store.Limit) (release func(), err error) {
	unwatch := p.watch(limits)
	var taken []chan struct{}
	release = func() {
		for _, t := range taken {
			<-t
		}
		unwatch()
	}
	for _, t := range p.turns(to, limits) {
		select {
		case t <- struct{}{}: // free, so it is taken even if the context has ended
		default:
			select {
			case t <- struct{}{}:
			case <-ctx.Done():
				release()
				return nil, ctx.Err()
			}
		}
		taken = append(taken, t)
	}
	return release, nil
}

// wait is takeTurn within the budget of an attempt. The request that has the turn is at the database, so the wait counts
// against the time that this request may spend on the database.
func (p *pending) wait(ctx context.Context, to work, limits []store.Limit) (release func(), err error) {
	turn, waited := store.SpendBudget(ctx, p.budget)
	defer waited()
	return p.takeTurn(turn, to, limits)
}

// turns are those under the keys, which are watched.
func (p *pending) turns(to work, limits []store.Limit) (turns []chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range inOrder(limits) {
		turns = append(turns, p.of[l.Key].turns[to])
	}
	return turns
}

// inOrder sorts the keys: a fixed lock order prevents deadlock.
func inOrder(limits []store.Limit) []store.Limit {
	return slices.SortedFunc(slices.Values(limits), func(a, b store.Limit) int { return cmp.Compare(a.Key, b.Key) })
}

// begin notes an attempt before any other request can see its count.
func (p *pending) begin(limits []store.Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range limits {
		p.at(l.Key).pending++
	}
}

// end notes that an attempt is no longer pending: its request was answered, or it was not counted after all.
func (p *pending) end(limits []store.Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range limits {
		s := p.of[l.Key]
		if s.pending--; s.pending == 0 {
			s.wake()
			p.forget(l.Key)
		}
	}
}

// release notes that the count of an attempt was taken back, and wakes the attempts that wait, one of which can now be counted.
func (p *pending) release(limits []store.Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range limits {
		if s := p.of[l.Key]; s != nil {
			s.released++
			s.wake()
		}
	}
}

// look returns a channel that is closed when it is worth asking again (nil: no attempt under these keys is pending), and how
// many attempts were released so far. The keys are watched.
func (p *pending) look(limits []store.Limit) (changed <-chan struct{}, released int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range limits {
		s := p.of[l.Key]
		released += s.released
		if changed == nil && s.pending > 0 {
			changed = s.changed
		}
	}
	return changed, released
}
