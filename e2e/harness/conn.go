package harness

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Conn is a connection to the server on which a test sends any bytes, at any speed.
type Conn struct {
	net.Conn
	t      testing.TB
	answer *bufio.Reader
}

// Dial opens a connection to the server. It is closed when the test ends.
func (e *Env) Dial() *Conn {
	e.t.Helper()
	return dial(e.t, e.URL)
}

func dial(t testing.TB, base string) *Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &Conn{conn, t, bufio.NewReader(conn)}
}

// Send writes text and reports whether the other end still accepted it.
func (c *Conn) Send(text string) bool {
	_, err := io.WriteString(c.Conn, text)
	return err == nil
}

// SendSlowly writes text byte by byte with a pause before each, until the other end accepts no more.
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

// Receive reads the next answer; false: the server has closed the connection instead.
func (c *Conn) Receive() (Answer, bool) { return c.receive(http.MethodGet) }

// receive reads the answer to a request of the method, on which it depends whether the answer has a body.
func (c *Conn) receive(method string) (Answer, bool) {
	c.t.Helper()
	response, err := http.ReadResponse(c.answer, &http.Request{Method: method})
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

// Closed waits for the server to close the connection and reports whether it did so in time. Received bytes are dropped.
func (c *Conn) Closed(within time.Duration) bool {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return true
	}
	_, err := io.Copy(io.Discard, c.answer)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// request sends a request exactly as given, on a connection of its own, and returns the answer.
func request(t testing.TB, base, method, target, host, body string, lines []string) Answer {
	t.Helper()
	c := dial(t, base)
	defer c.Close()
	if host == "" {
		host = strings.TrimPrefix(base, "http://")
	}
	lines = append([]string{fmt.Sprintf("%s %s HTTP/1.1", method, target), "Host: " + host, "Connection: close"}, lines...)
	c.Send(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
	a, ok := c.receive(method)
	if !ok {
		t.Fatalf("%s %.100q: no answer", method, target)
	}
	return a
}

// Raw posts a form with header lines exactly as given, including those that no HTTP client sends: the same header twice, an
// empty one, bytes outside ASCII.
func (e *Env) Raw(path, form string, lines ...string) Answer {
	e.t.Helper()
	lines = append([]string{"Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(form))}, lines...)
	return request(e.t, e.URL, http.MethodPost, path, "", form, lines)
}

// Visit sends a request of the browser, cookies included, whose target and further header lines are sent exactly as given. HTTP
// clients would correct or refuse some of them.
func (b *Browser) Visit(method, target string, lines ...string) Answer {
	b.t.Helper()
	return b.VisitHost("", method, target, lines...)
}

// VisitHost is Visit with another Host header than the server's own ("").
func (b *Browser) VisitHost(host, method, target string, lines ...string) Answer {
	b.t.Helper()
	for _, c := range b.cookies() {
		lines = append(lines, "Cookie: "+c.Name+"="+c.Value)
	}
	return request(b.t, b.e.URL, method, target, host, "", append([]string{"Accept: text/html"}, lines...))
}

// Basic is an Authorization header with id and secret as they are, without the encoding of RFC 6749 §2.3.1.
func Basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}
