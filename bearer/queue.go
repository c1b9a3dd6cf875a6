package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// key stands for a token wherever it is kept longer than a call: its SHA-256.
type key [32]byte

// queue lets the calls about one token follow one another, each answering everybody who came before it was sent (see the
// package's documentation for why not the one in flight). Calls about different tokens know nothing of each other.
type queue struct {
	mu sync.Mutex
	// next has an entry for each token with a call in flight: the call to be sent when it has ended, nil while nobody
	// waits for one. Whoever finds a call here may join it, since it is taken out before it is sent.
	next map[key]*call
}

// call is one that several wait for.
type call struct {
	ask     func(context.Context) (Identity, error)
	waiting int           // guarded by queue.mu
	done    chan struct{} // closed when id and err are set
	id      Identity
	err     error
}

func newQueue() *queue { return &queue{next: map[key]*call{}} }

// ask returns the answer of a call that is sent after ask was entered. A call that nobody can join ends with ctx; one that
// is shared does not end with any of those who wait.
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

// sendNext is called when the call in flight has ended: it sends the one that has gathered, if anybody still waits for it.
func (q *queue) sendNext(k key) {
	q.mu.Lock()
	c := q.next[k]
	if c == nil || c.waiting == 0 {
		delete(q.next, k)
		q.mu.Unlock()
		return
	}
	q.next[k] = nil // from here on nobody can join c
	q.mu.Unlock()
	go func() {
		defer q.sendNext(k)
		defer close(c.done)
		defer func() {
			// A panic of the API's own transport or hook would end the whole process here, where no server recovers it.
			if recover() != nil {
				c.id, c.err = Identity{}, fmt.Errorf("%w: %w", ErrUnavailable, errors.New("the HTTP client or OnTrouble panicked"))
			}
		}()
		c.id, c.err = c.ask(context.Background())
	}()
}
