package server

import (
	"net"
	"net/http"
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
	answer := func(conn net.Conn) {
		c.mu.Lock()
		c.stopWaiting(conn)
		c.mu.Unlock()
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
	answer(conns[0])
	c.changed(conns[0], http.StateIdle)
	c.changed(conns[1], http.StateNew)
	c.changed(conns[1], http.StateActive) // has begun a request, and may never end it
	expect("two are open", false, false)
	answer(conns[0])
	c.changed(conns[2], http.StateNew)
	expect("the first is being answered", false, true, false)
	c.changed(conns[1], http.StateClosed)
	answer(conns[2])
	c.changed(conns[3], http.StateNew)
	expect("all others are being answered", false, true, false, true)
	c.changed(conns[3], http.StateClosed)
	c.changed(conns[0], http.StateClosed)
	c.changed(conns[4], http.StateNew)
	c.changed(conns[2], http.StateIdle)
	expect("there is room again", false, true, false, true, false)
	c.changed(conns[2], http.StateClosed)
	c.changed(conns[4], http.StateClosed)
	if len(c.open) != 0 || c.waiting.Len() != 0 {
		t.Errorf("%d open, %d waiting after all were closed", len(c.open), c.waiting.Len())
	}
}

// closing is a connection of which only its end matters.
type closing struct {
	net.Conn
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
