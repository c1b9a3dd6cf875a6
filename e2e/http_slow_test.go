package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// TestSlowClients_H2: Clients that send a header or a body a byte at a time, that stop in the middle of either, and that open
// 10,000 connections and say nothing, half a header, or the beginning of a body: each is cut off (a header within 5 s, a
// body within 15 s, the connections that have been waited for longest when there are too many), and all the while others
// are served at once, and who is being answered gets the answer. HTTP/2 is not spoken: its preface gets an HTTP/1 error and
// the end of the connection.
func TestSlowClients_H2(t *testing.T) {
	t.Run("10,000 idle connections", floodOfConnections) // before the others: it needs the process's files
	t.Run("slow clients", func(t *testing.T) { harness.Each(t, slowClients) })
	t.Run("bounds", func(t *testing.T) {
		t.Parallel()
		s := harness.Bare(t, dbtest.Open(t, dbtest.SQLite(t))).Server.HTTP()
		if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout == 0 || s.ReadTimeout > 15*time.Second || s.WriteTimeout == 0 || s.WriteTimeout > 30*time.Second ||
			s.IdleTimeout == 0 || s.IdleTimeout > 2*time.Minute || s.MaxHeaderBytes == 0 || s.MaxHeaderBytes > 64<<10 {
			t.Errorf("header %s, read %s, write %s, idle %s, header bytes %d", s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
		for name, text := range map[string]string{
			"preface":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"preface and resets": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08", 1000),
			"settings flood":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 1000),
		} {
			c := e.Dial()
			c.Send(text)
			if a, answered := c.Receive(); answered && (a.Status < 400 || a.Status >= 500) {
				t.Errorf("%s: status = %d", name, a.Status)
			}
			if !c.Closed(10 * time.Second) {
				t.Errorf("%s: the connection stays open", name)
			}
		}
		c := e.Dial()
		c.Send("GET /login HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
		if a, _ := c.Receive(); a.Status == http.StatusSwitchingProtocols {
			t.Error("h2c is spoken")
		}
	})
}

// floodOfConnections is not parallel: it needs as many open files as a process commonly may have.
func floodOfConnections(t *testing.T) {
	const idle = 10_000
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	held, open := make(chan struct{}), make(chan struct{})
	e.Faults.Before(func() error { close(held); <-open; return nil }, "CreateClientToken")
	letGo := sync.OnceFunc(func() { close(open) })
	t.Cleanup(letGo)
	token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
	answered := make(chan harness.Answer, 1) // a request that is being answered is not cut off
	go func() { answered <- e.Token(e.A, "grant_type", "client_credentials") }()
	<-held
	first := e.Dial()
	for i := range idle {
		c := e.Dial()
		switch i % 4 {
		case 0: // says nothing
		case 1:
			c.Send("GET /login HTTP/1.1\r\n") // and no more
		default: // and no more of the body
			c.Send("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nx")
		}
		if i%1000 == 999 {
			e.WantLive(token, true)
			e.Browser().Get("/login").WantPage(t, http.StatusOK)
		}
	}
	if !first.Closed(10 * time.Second) {
		t.Error("the connection that has waited longest is still open")
	}
	letGo()
	if a := <-answered; a.Status != http.StatusOK {
		t.Errorf("the request that was under way: %d: %s", a.Status, a.Body)
	}
}

func slowClients(t *testing.T, e *harness.Env) {
	token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
	const head = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	const (
		headerBound = 5*time.Second + 3*time.Second // with some for a busy machine
		bodyBound   = 15*time.Second + 3*time.Second
	)
	var clients sync.WaitGroup
	for name, c := range map[string]struct {
		begin, drip string
		bound       time.Duration
	}{
		"nothing":                    {"", "", headerBound},
		"half a line":                {"POST /oauth/tok", "", headerBound},
		"half a header":              {head, "", headerBound},
		"a header a byte at a time":  {"", head + strings.Repeat("X-Slow: 1\r\n", 1000), headerBound},
		"endless header":             {head + "X: ", strings.Repeat("x", 10_000), headerBound},
		"no body":                    {head + "Content-Length: 100\r\n\r\n", "", bodyBound},
		"a body a byte at a time":    {head + "Content-Length: 1000\r\n\r\n", strings.Repeat("x", 1000), bodyBound},
		"a chunk and no more":        {head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "", bodyBound},
		"chunks a byte at a time":    {head + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 1000), bodyBound},
		"a body that nobody asked":   {"GET /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", strings.Repeat("x", 1000), bodyBound},
		"the body of a page, slowly": {strings.Replace(head, "/oauth/token", "/login", 1) + "Content-Length: 100\r\n\r\n", strings.Repeat("x", 100), bodyBound},
	} {
		clients.Go(func() {
			conn := e.Dial()
			start := time.Now()
			conn.Send(c.begin)
			go conn.SendSlowly(c.drip, 200*time.Millisecond)
			if !conn.Closed(c.bound) {
				t.Errorf("%s: the connection is open after %s", name, time.Since(start))
			}
		})
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		clients.Wait()
	}()
	for pause := time.NewTicker(50 * time.Millisecond); ; {
		start := time.Now()
		e.WantLive(token, true)
		e.Browser().Get("/login").WantPage(t, http.StatusOK)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("others are served after %s", took)
		}
		select {
		case <-served:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}
