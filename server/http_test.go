package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
