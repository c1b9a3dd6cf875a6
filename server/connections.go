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

// maxUnfinished is the number of bytes of incomplete requests that the server holds: headers and bodies whose end has not been
// received. Until then a byte costs several times its size, because buffers grow by doubling.
const maxUnfinished = 32 << 20

// connections limits the number of open connections, and the bytes of unfinished requests that they hold. Refusing new connections
// would let a client with many silent ones lock out all others. So the server closes a waiting connection: one that waits for its
// first request, the rest of a request (header or body), or the next request. It chooses the network with the most waiting
// connections, and of those the one that has waited longest; or the network that holds the most bytes, and of its connections the
// one that holds the most. A connection whose complete request is being answered is never closed.
type connections struct {
	max     int
	maxHeld int64

	mu       sync.Mutex
	open     map[net.Conn]*connection
	networks map[string]*network // that have waiting connections
	held     int64
}

// connection is an open connection.
type connection struct {
	net.Conn
	network string
	place   *list.Element // in network.waiting; nil while a request is being answered
	held    int64         // bytes read since it began to wait
}

// network is the waiting connections of one client network.
type network struct {
	waiting list.List // of *connection, the longest wait first
	held    int64
}

func newConnections(limit int) *connections {
	return &connections{max: limit, maxHeld: maxUnfinished, open: make(map[net.Conn]*connection), networks: make(map[string]*network)}
}

type connKey struct{}

// connState is for http.Server.ConnState.
func (c *connections) connState(conn net.Conn, state http.ConnState) {
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
		if len(c.open) > c.max { // closes o itself if all others are being answered
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
		_ = surplus.Close() // its goroutine notices
	}
}

// track notes when a request is complete and being answered.
func (c *connections) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(connKey{}).(net.Conn)
		switch {
		case !ok:
		case r.Body == http.NoBody:
			c.answering(conn)
		default:
			r.Body = &body{ReadCloser: r.Body, end: func() { c.answering(conn) }}
		}
		next.ServeHTTP(w, r)
	})
}

// body calls end when its end was read. Until then its connection keeps its place in the order of waiting.
type body struct {
	io.ReadCloser
	end func()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
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

// read counts bytes of a request, and closes connections while too many bytes are held.
func (c *connections) read(conn net.Conn, n int) {
	c.mu.Lock()
	var surplus []net.Conn
	if o := c.open[conn]; o != nil && o.place != nil {
		o.held += int64(n)
		c.networks[o.network].held += int64(n)
		c.held += int64(n)
		for c.held > c.maxHeld {
			surplus = append(surplus, c.forget(c.largestHolder()))
		}
	}
	c.mu.Unlock()
	for _, conn := range surplus {
		_ = conn.Close()
	}
}

// wait appends a connection to the waiting ones of its network. The lock is held, here and below.
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

// longestWaiting is the connection with the longest wait of the network with the most waiting connections.
func (c *connections) longestWaiting() *connection {
	n := c.largest(func(n *network) int64 { return int64(n.waiting.Len()) })
	return n.waiting.Front().Value.(*connection)
}

// largestHolder is the connection that holds the most bytes, of the network that holds the most.
func (c *connections) largestHolder() *connection {
	var largest *connection
	n := c.largest(func(n *network) int64 { return n.held })
	for e := n.waiting.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*connection); largest == nil || o.held > largest.held {
			largest = o
		}
	}
	return largest
}

func (c *connections) largest(size func(*network) int64) (largest *network) {
	for _, n := range c.networks {
		if largest == nil || size(n) > size(largest) {
			largest = n
		}
	}
	return largest
}

// CountReads returns a listener whose connections report to HTTPServer how many bytes of a request they have received, so that
// HTTPServer can limit the total of all unfinished requests.
func CountReads(l net.Listener) net.Listener { return countingListener{l} }

type countingListener struct{ net.Listener }

// Accept implements net.Listener.
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

// Read implements net.Conn.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if owner := c.owner.Load(); owner != nil && n > 0 {
		owner.read(c, n)
	}
	return n, err
}

// CloseWrite is called by net/http before it drops a refused request, so that the client can still read the response.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
