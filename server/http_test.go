package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestHTTP2: HTTP/2 is off for toolchains whose HTTP/2 server a client can crash.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"go1.26.8": false, "go1.26.9": true, "go1.26.11": true, "go1.27": true, "go1.27rc1": true, "go1.25.20": false, "devel go1.27-abc": false} {
		p := httpProtocols(version)
		if p.HTTP2() != want || !p.HTTP1() {
			t.Errorf("built by %s: %v, want HTTP/2 %v", version, p, want)
		}
	}
}

// TestConnections_Limit: above the limit the connection with the longest wait is closed, and never one that is being answered.
func TestConnections_Limit(t *testing.T) {
	t.Parallel()
	c := newConnections(2)
	conns := make([]*closing, 5)
	for i := range conns {
		conns[i] = &closing{}
	}
	expect := func(what string, closed ...bool) {
		t.Helper()
		for i, want := range closed {
			if conns[i].closed != want {
				t.Errorf("%s: connection %d closed: %t, want %t", what, i, conns[i].closed, want)
			}
		}
	}
	c.connState(conns[0], http.StateNew)
	c.answering(conns[0])
	c.connState(conns[0], http.StateIdle)
	c.connState(conns[1], http.StateNew)
	c.connState(conns[1], http.StateActive) // has begun a request, which may never end
	expect("two are open", false, false)
	c.answering(conns[0])
	c.connState(conns[2], http.StateNew)
	expect("the first is being answered", false, true, false)
	c.connState(conns[1], http.StateClosed)
	c.answering(conns[2])
	c.connState(conns[3], http.StateNew)
	expect("all others are being answered", false, true, false, true)
	c.connState(conns[3], http.StateClosed)
	c.connState(conns[0], http.StateClosed)
	c.connState(conns[4], http.StateNew)
	c.connState(conns[2], http.StateIdle)
	expect("there is room again", false, true, false, true, false)
	c.connState(conns[2], http.StateClosed)
	c.connState(conns[4], http.StateClosed)

	// A connection whose body arrives slowly counts as waiting until the end of the body.
	next := func(conn *closing, body io.Reader, handle func(body io.Reader)) {
		c.connState(conn, http.StateNew)
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r = r.WithContext(context.WithValue(r.Context(), connKey{}, net.Conn(conn)))
		c.track(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r.Body) })).ServeHTTP(nil, r)
	}
	drop, whole, none, more := &closing{}, &closing{}, &closing{}, &closing{}
	next(drop, strings.NewReader("drops"), func(body io.Reader) { _, _ = body.Read(make([]byte, 1)) })
	next(whole, strings.NewReader("all of it"), func(body io.Reader) { _, _ = io.ReadAll(body) })
	next(none, http.NoBody, func(io.Reader) {})
	if !drop.closed || whole.closed || none.closed {
		t.Errorf("closed: %t with an incomplete body, want true; %t and %t the others", drop.closed, whole.closed, none.closed)
	}
	next(more, strings.NewReader("drops"), func(io.Reader) {})
	if !more.closed || whole.closed || none.closed {
		t.Errorf("closed: %t, %t, %t; want only the new one: the others are being answered", more.closed, whole.closed, none.closed)
	}
	for _, conn := range []*closing{drop, whole, none, more} {
		c.connState(conn, http.StateClosed)
	}
	wantNone(t, c)
}

func wantNone(t *testing.T, c *connections) {
	t.Helper()
	if len(c.open) != 0 || len(c.networks) != 0 || c.held != 0 {
		t.Errorf("%d open, %d networks waiting, %d bytes held after all were closed", len(c.open), len(c.networks), c.held)
	}
}

// TestConnections_LimitByNetwork: above the limit the network with the most waiting connections loses one, however long others
// have waited.
func TestConnections_LimitByNetwork(t *testing.T) {
	t.Parallel()
	c := newConnections(5)
	quiet := &closing{address: "192.0.2.1:1"}
	c.connState(quiet, http.StateNew)
	attacker := make([]*closing, 50)
	for i := range attacker {
		attacker[i] = &closing{address: fmt.Sprintf("[2001:db8:1:2::%x]:1", i)} // one /64
		c.connState(attacker[i], http.StateNew)
	}
	late := &closing{address: "192.0.2.2:1"}
	c.connState(late, http.StateNew)
	open := 0
	for i, conn := range attacker {
		if !conn.closed {
			open++
		}
		if conn.closed != (i < len(attacker)-3) {
			t.Errorf("connection %d of the attacker: closed %t", i, conn.closed)
		}
	}
	if quiet.closed || late.closed || open != 3 {
		t.Errorf("others closed: %t, %t; %d of the attacker are open", quiet.closed, late.closed, open)
	}
	for _, conn := range append(attacker, quiet, late) {
		c.connState(conn, http.StateClosed)
	}
	wantNone(t, c)
}

// TestConnections_UnfinishedBytes: above the limit on bytes, the network that holds the most loses the connection that holds the
// most. A complete request holds nothing, and the next request on its connection starts at zero.
func TestConnections_UnfinishedBytes(t *testing.T) {
	t.Parallel()
	c := newConnections(100)
	c.maxHeld = 1000
	small := &closing{address: "192.0.2.1:1"}
	c.connState(small, http.StateNew)
	c.read(small, 300)
	done := &closing{address: "192.0.2.9:1"}
	c.connState(done, http.StateNew)
	for range 10 {
		c.read(done, 600)
		c.answering(done)
		c.read(done, 600) // of the next request, early
		c.connState(done, http.StateIdle)
	}
	attacker := make([]*closing, 20)
	for i := range attacker {
		attacker[i] = &closing{address: "192.0.2.2:1"}
		c.connState(attacker[i], http.StateNew)
		c.read(attacker[i], 100+i)
		if c.held > 1000 {
			t.Fatalf("%d bytes are held", c.held)
		}
	}
	if small.closed || done.closed {
		t.Errorf("others closed: %t, %t", small.closed, done.closed)
	}
	c.read(small, 701) // more than all of the attacker's
	if !small.closed {
		t.Error("the connection that holds the most is open")
	}
	for _, conn := range append(attacker, small, done) {
		c.connState(conn, http.StateClosed)
	}
	wantNone(t, c)
}

// closing is a connection that notes whether it was closed.
type closing struct {
	net.Conn
	address string
	closed  bool
}

func (c *closing) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(cmp.Or(c.address, "127.0.0.1:1")))
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
