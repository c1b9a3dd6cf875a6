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

// TestHTTP2 stays off for toolchains whose server can be crashed from afar.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"go1.26.8": false, "go1.26.9": true, "go1.26.11": true, "go1.27": true, "go1.27rc1": true, "go1.25.20": false, "devel go1.27-abc": false} {
		p := httpProtocols(version)
		if p.HTTP2() != want || !p.HTTP1() {
			t.Errorf("built by %s: %v, want HTTP/2 %v", version, p, want)
		}
	}
}

// TestConnections: over the bound, whoever waits longest is closed, and nobody who is being answered.
func TestConnections(t *testing.T) {
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
	c.changed(conns[0], http.StateNew)
	c.answering(conns[0])
	c.changed(conns[0], http.StateIdle)
	c.changed(conns[1], http.StateNew)
	c.changed(conns[1], http.StateActive) // has begun a request, and may never end it
	expect("two are open", false, false)
	c.answering(conns[0])
	c.changed(conns[2], http.StateNew)
	expect("the first is being answered", false, true, false)
	c.changed(conns[1], http.StateClosed)
	c.answering(conns[2])
	c.changed(conns[3], http.StateNew)
	expect("all others are being answered", false, true, false, true)
	c.changed(conns[3], http.StateClosed)
	c.changed(conns[0], http.StateClosed)
	c.changed(conns[4], http.StateNew)
	c.changed(conns[2], http.StateIdle)
	expect("there is room again", false, true, false, true, false)
	c.changed(conns[2], http.StateClosed)
	c.changed(conns[4], http.StateClosed)

	// A body that comes in drops is the rest of a request: its connection gives way to others until its end was read.
	next := func(conn *closing, body io.Reader, handle func(body io.Reader)) {
		c.changed(conn, http.StateNew)
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r = r.WithContext(context.WithValue(r.Context(), connKey{}, net.Conn(conn)))
		c.track(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r.Body) })).ServeHTTP(nil, r)
	}
	drop, whole, none, more := &closing{}, &closing{}, &closing{}, &closing{}
	next(drop, strings.NewReader("drops"), func(body io.Reader) { _, _ = body.Read(make([]byte, 1)) })
	next(whole, strings.NewReader("all of it"), func(body io.Reader) { _, _ = io.ReadAll(body) })
	next(none, http.NoBody, func(io.Reader) {})
	if !drop.closed || whole.closed || none.closed {
		t.Errorf("closed: the one whose body was not read to its end %t, want true; the others %t, %t", drop.closed, whole.closed, none.closed)
	}
	next(more, strings.NewReader("drops"), func(io.Reader) {})
	if !more.closed || whole.closed || none.closed {
		t.Errorf("closed: %t, %t, %t; want the new one, because the others are being answered", more.closed, whole.closed, none.closed)
	}
	for _, conn := range []*closing{drop, whole, none, more} {
		c.changed(conn, http.StateClosed)
	}
	wantNone(t, c)
}

func wantNone(t *testing.T, c *connections) {
	t.Helper()
	if len(c.open) != 0 || len(c.networks) != 0 || c.held != 0 {
		t.Errorf("%d open, %d networks waiting, %d bytes held after all were closed", len(c.open), len(c.networks), c.held)
	}
}

// TestConnectionsByNetwork: over the limit, the network that has most waiting loses one, however long others wait.
func TestConnectionsByNetwork(t *testing.T) {
	t.Parallel()
	c := newConnections(5)
	quiet := &closing{address: "192.0.2.1:1"}
	c.changed(quiet, http.StateNew)
	flood := make([]*closing, 50)
	for i := range flood {
		flood[i] = &closing{address: fmt.Sprintf("[2001:db8:1:2::%x]:1", i)} // one /64
		c.changed(flood[i], http.StateNew)
	}
	late := &closing{address: "192.0.2.2:1"}
	c.changed(late, http.StateNew)
	open := 0
	for i, conn := range flood {
		if !conn.closed {
			open++
		}
		if conn.closed != (i < len(flood)-3) {
			t.Errorf("connection %d of the flood: closed %t", i, conn.closed)
		}
	}
	if quiet.closed || late.closed || open != 3 {
		t.Errorf("others are closed: %t, %t; of the flood %d are open", quiet.closed, late.closed, open)
	}
	for _, conn := range append(flood, quiet, late) {
		c.changed(conn, http.StateClosed)
	}
	wantNone(t, c)
}

// TestUnfinishedRequestsAreBounded: over the limit of bytes, the network that holds most loses the connection that holds
// most; a complete request holds nothing, and the next request on its connection starts from nothing.
func TestUnfinishedRequestsAreBounded(t *testing.T) {
	t.Parallel()
	c := newConnections(100)
	c.mostHeld = 1000
	small := &closing{address: "192.0.2.1:1"}
	c.changed(small, http.StateNew)
	c.read(small, 300)
	done := &closing{address: "192.0.2.9:1"}
	c.changed(done, http.StateNew)
	for range 10 {
		c.read(done, 600)
		c.answering(done)
		c.read(done, 600) // of the next request, early
		c.changed(done, http.StateIdle)
	}
	flood := make([]*closing, 20)
	for i := range flood {
		flood[i] = &closing{address: "192.0.2.2:1"}
		c.changed(flood[i], http.StateNew)
		c.read(flood[i], 100+i)
		if c.held > 1000 {
			t.Fatalf("%d bytes are held", c.held)
		}
	}
	if small.closed || done.closed {
		t.Errorf("others are closed: %t, %t", small.closed, done.closed)
	}
	c.read(small, 701) // more than all of the flood's
	if !small.closed {
		t.Error("the connection that holds most is open")
	}
	for _, conn := range append(flood, small, done) {
		c.changed(conn, http.StateClosed)
	}
	wantNone(t, c)
}

// closing is a connection of which only its end matters.
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
