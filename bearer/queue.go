package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// key is the SHA-256 of a token. Nothing that outlives a call holds the token itself.
type key [32]byte

// queue runs the calls for one token one after another. Each call answers all requests that arrived before it was sent (the
// package documentation explains why not those that arrive while it is in flight). Calls for different tokens are independent.
type queue struct {
	mu sync.Mutex
	// next has an entry for each token with a call in flight: the call to send after it, nil if no request waits. A request may
	// join any call in the map, because a call is removed before it is sent.
	next map[key]*call
}

// call is shared by all requests that wait for it.
type call struct {
	ask     func(context.Context) (Identity, error)
	waiting int           // guarded by queue.mu
	done    chan struct{} // closed when id and err are set
	id      Identity
	err     error
}

func newQueue() *queue { return &queue{next: map[key]*call{}} }

// ask returns the answer of a call that is sent after ask was entered. The first call for a token ends with ctx. A shared call
// does not end when one of its requests does.
func (q *queue) ask(ctx context.Context, k key, ask func(context.Context) (Identity, error)) (Identity, error) {
	q.mu.Lock()
	c, inFlight := q.next[k]
	if !inFlight {
		q.next[k] = nil
		q.mu.Unlock()
		defer q.sendNext(k)
		return ask(ctx)
	}
	if c == nil {
		c = &call{ask: ask, done: make(chan struct{})}
		q.next[k] = c
	}
	c.waiting++
	q.mu.Unlock()
	select {
	case <-c.done:
		return c.id, c.err
	case <-ctx.Done():
		q.mu.Lock()
		c.waiting--
		q.mu.Unlock()
		return Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// sendNext runs after a call has ended. It sends the queued call if a request still waits for it.
func (q *queue) sendNext(k key) {
	q.mu.Lock()
	c := q.next[k]
	if c == nil || c.waiting == 0 {
		delete(q.next, k)
		q.mu.Unlock()
		return
	}
	q.next[k] = nil // c can no longer be joined
	q.mu.Unlock()
	go func() {
		defer q.sendNext(k)
		defer close(c.done)
		defer func() {
			// In this goroutine, a panic of the API's transport or hook would end the process: no HTTP server recovers it.
			if recover() != nil {
				c.id, c.err = Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, errors.New("the HTTP client or OnTrouble panicked"))
			}
		}()
		c.id, c.err = c.ask(context.Background())
	}()
}
