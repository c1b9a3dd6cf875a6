package server

import (
	"container/list"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"xenoauth/server/web"
)

// maxUnfinished is how many bytes of requests that are not complete the server holds: headers and bodies of which the end
// has not come. Until then a byte costs several times its size, since buffers grow by doubling.
const maxUnfinished = 32 << 20

// connections bounds how many connections are open, and the bytes of unfinished requests that they hold. Refusing new ones would
// let one client with many silent connections lock out all others; so a connection is closed that waits: for its first
// request, the rest of one (its header or its body) or the next one. It is one of the network that has most, and of those the
// one that has waited longest, or that holds most. One whose whole request is there and being answered stays.
type connections struct {
	most     int
	mostHeld int64

	mu       sync.Mutex
	open     map[net.Conn]*connection
	networks map[string]*network // of those that wait
	held     int64
}

// connection is an open one.
type connection struct {
	net.Conn
	network string
	place   *list.Element // in waiting; nil while it is being answered
	held    int64         // bytes read since it began to wait
}

// network is the total of the waiting connections of one client network.
type network struct {
	waiting list.List // of *connection, the longest waiting first
	held    int64
}

func newConnections(most int) *connections {
	return &connections{most: most, mostHeld: maxUnfinished, open: make(map[net.Conn]*connection), networks: make(map[string]*network)}
}

type connKey struct{}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	var surplus net.Conn
	switch state {
	case http.StateNew:
		o := &connection{Conn: conn, network: web.NetworkOf(conn.RemoteAddr().String())}
		if counted, ok := conn.(*countedConn); ok {
			counted.owner.Store(c)
		}
		c.open[conn] = o
		c.wait(o)
		if len(c.open) > c.most { // o itself goes if all others are being answered
			surplus = c.forget(c.longestWaiting())
		}
	case http.StateIdle:
		if o := c.open[conn]; o != nil {
			c.stopWaiting(o)
			c.wait(o)
		}
	case http.StateClosed, http.StateHijacked:
		if o := c.open[conn]; o != nil {
			c.forget(o)
		}
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
	if o := c.open[conn]; o != nil {
		c.stopWaiting(o)
	}
}

// read notes bytes of a request, and closes connections while too many are held.
func (c *connections) read(conn net.Conn, n int) {
	c.mu.Lock()
	var surplus []net.Conn
	if o := c.open[conn]; o != nil && o.place != nil {
		o.held += int64(n)
		c.networks[o.network].held += int64(n)
		c.held += int64(n)
		for c.held > c.mostHeld {
			surplus = append(surplus, c.forget(c.holdingMost()))
		}
	}
	c.mu.Unlock()
	for _, conn := range surplus {
		_ = conn.Close()
	}
}

// wait puts a connection at the end of those of its network that wait. The lock is held, here and below.
func (c *connections) wait(o *connection) {
	n := c.networks[o.network]
	if n == nil {
		n = &network{}
		c.networks[o.network] = n
	}
	o.place = n.waiting.PushBack(o)
}

func (c *connections) stopWaiting(o *connection) {
	if o.place == nil {
		return
	}
	n := c.networks[o.network]
	n.waiting.Remove(o.place)
	n.held -= o.held
	c.held -= o.held
	o.place, o.held = nil, 0
	if n.waiting.Len() == 0 {
		delete(c.networks, o.network)
	}
}

func (c *connections) forget(o *connection) net.Conn {
	c.stopWaiting(o)
	delete(c.open, o.Conn)
	return o.Conn
}

// longestWaiting is the connection that has waited longest of the network that has most waiting.
func (c *connections) longestWaiting() *connection {
	n := c.largest(func(n *network) int64 { return int64(n.waiting.Len()) })
	return n.waiting.Front().Value.(*connection)
}

// holdingMost is the connection that holds most of the network that holds most.
func (c *connections) holdingMost() *connection {
	var most *connection
	n := c.largest(func(n *network) int64 { return n.held })
	for e := n.waiting.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*connection); most == nil || o.held > most.held {
			most = o
		}
	}
	return most
}

func (c *connections) largest(size func(*network) int64) (largest *network) {
	for _, n := range c.networks {
		if largest == nil || size(n) > size(largest) {
			largest = n
		}
	}
	return largest
}

// CountReads returns a listener whose connections report to HTTPServer how much of a request has come, so that the
// total of all unfinished requests is bounded.
func CountReads(l net.Listener) net.Listener { return countingListener{l} }

type countingListener struct{ net.Listener }

// Accept accepts.
func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn}, nil
}

type countedConn struct {
	net.Conn
	owner atomic.Pointer[connections]
}

// Read reads.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if owner := c.owner.Load(); owner != nil && n > 0 {
		owner.read(c, n)
	}
	return n, err
}

// CloseWrite is what net/http does before it gives a refused request up, so that the client still reads why.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
