package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// MaxQueued is the number of computations of one client address that may wait for a slot.
const MaxQueued = 256

var (
	// ErrQueueFull is the error of a computation that did not start because MaxQueued of its address are waiting.
	ErrQueueFull = errors.New("secret: too many passwords of this address are waiting to be computed")
	// ErrQueueTimeout is the error of a computation whose context ended before it got a slot. It wraps the context's.
	ErrQueueTimeout = errors.New("secret: password not computed")
)

// requester is the client for which a password is computed. The zero value is the process itself.
type requester struct{ address, account string }

type requesterKey struct{}

// WithAddress assigns passwords that are computed with the returned context to a client address. Addresses share the slots
// equally. Without it the passwords belong to the process itself.
func WithAddress(ctx context.Context, address string) context.Context {
	r := requesterOf(ctx)
	r.address = address
	return context.WithValue(ctx, requesterKey{}, r)
}

// WithAccount assigns passwords that are computed with the returned context to an account. The accounts at an address divide
// the share of the address equally.
func WithAccount(ctx context.Context, account string) context.Context {
	r := requesterOf(ctx)
	r.account = account
	return context.WithValue(ctx, requesterKey{}, r)
}

func requesterOf(ctx context.Context) requester {
	r, _ := ctx.Value(requesterKey{}).(requester)
	return r
}

// queue shares a number of slots between client addresses, and the share of an address between its accounts. A free slot
// goes to the address that uses the fewest slots, and among those to the least recently served. An address with a single
// computation thus gets the next free slot, however many computations another address has queued. Safe for concurrent use.
type queue struct {
	mu        sync.Mutex
	free      int
	turn      uint64            // counts arrivals and completions
	addresses map[string]*share // those that compute or wait
}

// share is the use and the queue of an address, or of an account at an address.
type share struct {
	running  int
	waiting  int
	turn     uint64            // of the last service, or of joining
	accounts map[string]*share // of an address
	line     []*waiter         // of an account, in the order of arrival
}

// waiter is a computation without a slot. granted is closed when it gets one.
type waiter struct {
	requester
	granted chan struct{}
}

func newQueue(slots int) *queue {
	return &queue{free: slots, addresses: make(map[string]*share)}
}

// take waits for a slot; release must be called after the computation. The errors are ErrQueueFull and
// ErrQueueTimeout.
func (q *queue) take(ctx context.Context) (release func(), err error) {
	// A context that has ended gets no slot, even if one is free.
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrQueueTimeout, ctx.Err())
	}
	w, err := q.join(requesterOf(ctx))
	if err != nil {
		return nil, err
	}
	release = func() { q.release(w.requester) }
	select {
	case <-w.granted:
		return release, nil
	case <-ctx.Done():
	}
	if !q.leave(w) { // it was granted a slot at the same moment
		release()
	}
	return nil, fmt.Errorf("%w: %w", ErrQueueTimeout, ctx.Err())
}

func (q *queue) join(r requester) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	address := q.shareOf(q.addresses, r.address)
	if address.waiting >= MaxQueued {
		return nil, ErrQueueFull
	}
	if address.accounts == nil {
		address.accounts = make(map[string]*share)
	}
	account := q.shareOf(address.accounts, r.account)
	w := &waiter{r, make(chan struct{})}
	account.line = append(account.line, w)
	account.waiting++
	address.waiting++
	q.grant()
	return w, nil
}

// shareOf returns the share of a key, and adds one if there is none. The lock is held.
func (q *queue) shareOf(shares map[string]*share, key string) *share {
	s := shares[key]
	if s == nil {
		q.turn++
		s = &share{turn: q.turn}
		shares[key] = s
	}
	return s
}

// grant assigns the free slots. The lock is held.
func (q *queue) grant() {
	for q.free > 0 {
		address := next(q.addresses)
		if address == nil {
			return
		}
		account := next(address.accounts)
		w := account.line[0]
		account.line = account.line[1:]
		for _, s := range []*share{address, account} {
			s.waiting--
			s.running++
		}
		q.free--
		close(w.granted)
	}
}

// next is the share that gets the next slot; nil if none waits. It scans all shares: there are no more than connections, and a
// computation takes far longer.
func next(shares map[string]*share) *share {
	var first *share
	for _, s := range shares {
		if s.waiting == 0 {
			continue
		}
		if first == nil || s.running < first.running || s.running == first.running && s.turn < first.turn {
			first = s
		}
	}
	return first
}

func (q *queue) release(r requester) {
	q.mu.Lock()
	defer q.mu.Unlock()
	address := q.addresses[r.address]
	for _, s := range []*share{address, address.accounts[r.account]} {
		s.running--
		q.turn++
		s.turn = q.turn // behind shares that joined meanwhile
	}
	q.forget(r)
	q.free++
	q.grant()
}

// leave removes a waiter from the queue. It returns false if the waiter was granted a slot.
func (q *queue) leave(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	address := q.addresses[w.address]
	if address == nil || address.accounts[w.account] == nil {
		return false
	}
	account := address.accounts[w.account]
	for i, other := range account.line {
		if other == w {
			account.line = append(account.line[:i], account.line[i+1:]...)
			account.waiting--
			address.waiting--
			q.forget(w.requester)
			return true
		}
	}
	return false
}

// waiting returns the number of computations of an address that wait for a slot.
func (q *queue) waiting(address string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := q.addresses[address]; s != nil {
		return s.waiting
	}
	return 0
}

// forget removes shares that neither compute nor wait. The lock is held.
func (q *queue) forget(r requester) {
	address := q.addresses[r.address]
	if account := address.accounts[r.account]; account.running == 0 && account.waiting == 0 {
		delete(address.accounts, r.account)
	}
	if len(address.accounts) == 0 {
		delete(q.addresses, r.address)
	}
}
