package harness

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Conn is a connection on which a test says what it likes, at the speed it likes.
type Conn struct {
	net.Conn
	t      testing.TB
	answer *bufio.Reader
}

// Dial opens a connection to the server. It ends with the test.
func (e *Env) Dial() *Conn {
	e.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		e.t.Fatal(err)
	}
	return &Conn{conn, e.t, bufio.NewReader(conn)}
}

// Say writes text and says whether the other end still took it.
func (c *Conn) Send(text string) bool {
	_, err := io.WriteString(c.Conn, text)
	return err == nil
}

// Drip writes text byte by byte with a pause before each, until all is written or the other end has had enough.
func (c *Conn) SendSlowly(text string, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range len(text) {
		<-tick.C
		if !c.Send(text[i : i+1]) {
			return
		}
	}
}

// Next reads the next answer; false: the server has closed the connection instead.
func (c *Conn) Receive() (Answer, bool) {
	c.t.Helper()
	response, err := http.ReadResponse(c.answer, nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("neither an answer nor the end of the connection")
	}
	if err != nil {
		return Answer{}, false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}, true
}

// Closed waits until the server closes the connection, at most as long as it is given, and says whether it did. What it
// says before that is dropped.
func (c *Conn) Closed(within time.Duration) bool {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return true
	}
	_, err := io.Copy(io.Discard, c.answer)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
