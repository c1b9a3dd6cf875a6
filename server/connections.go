package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many connections are open. Refusing new ones would let whoever opens many and says nothing lock
// out everybody else; so the one that has been waiting longest, for its first request, the rest of one or the next one,
// is closed in their favour. One whose request is being answered stays.
type connections struct {
	most    int
	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: being answered
	waiting list.List                  // of net.Conn, the longest waiting first
}

func newConnections(most int) *connections {
	return &connections{most: most, open: make(map[net.Conn]*list.Element)}
}

type connKey struct{}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	var surplus net.Conn
	switch state {
	case http.StateNew:
		c.open[conn] = c.waiting.PushBack(conn)
		if len(c.open) > c.most {
			surplus = c.forget(c.waiting.Front()) // conn itself, if all others are being answered
		}
	case http.StateIdle:
		if _, known := c.open[conn]; known {
			c.stopWaiting(conn)
			c.open[conn] = c.waiting.PushBack(conn)
		}
	case http.StateClosed, http.StateHijacked:
		c.stopWaiting(conn)
		delete(c.open, conn)
	}
	c.mu.Unlock()
	if surplus != nil {
		_ = surplus.Close() // its goroutine finds out
	}
}

// track notes when a request is read and being answered.
func (c *connections) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			c.mu.Lock()
			c.stopWaiting(conn)
			c.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

func (c *connections) stopWaiting(conn net.Conn) {
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
		c.open[conn] = nil
	}
}

func (c *connections) forget(e *list.Element) net.Conn {
	conn := e.Value.(net.Conn)
	c.waiting.Remove(e)
	delete(c.open, conn)
	return conn
}
