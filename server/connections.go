package server

import (
	"container/list"
	"io"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many connections are open. Refusing new ones would let whoever opens many and says nothing lock
// out everybody else; so the one that has been waiting longest, for its first request, the rest of one (its header or its
// body) or the next one, is closed in their favour. One whose whole request is there and being answered stays.
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

// track notes when all of a request is read and being answered.
func (c *connections) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(connKey{}).(net.Conn)
		switch {
		case !ok:
		case r.Body == http.NoBody:
			c.answering(conn)
		default:
			r.Body = &body{ReadCloser: r.Body, whole: func() { c.answering(conn) }}
		}
		next.ServeHTTP(w, r)
	})
}

// body tells when its end was read. Until then its connection keeps the place that it took when it began to wait.
type body struct {
	io.ReadCloser
	whole func()
}

// Read reads.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.whole()
	}
	return n, err
}

func (c *connections) answering(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopWaiting(conn)
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
