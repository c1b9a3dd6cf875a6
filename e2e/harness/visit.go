package harness

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Visit asks in the browser's name, cookies included, for a request target that is sent exactly as given, over a
// connection of its own, with further header lines. HTTP clients would mend or refuse what some of the battery asks.
func (b *Browser) Visit(method, target string, lines ...string) Answer {
	b.t.Helper()
	return b.VisitHost("", method, target, lines...)
}

// VisitHost is Visit with another Host header than the server's own ("").
func (b *Browser) VisitHost(host, method, target string, lines ...string) Answer {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodGet, b.e.URL, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Method = method // which may be none that http.NewRequest takes
	for _, c := range b.client.Jar.Cookies(request.URL) {
		lines = append(lines, "Cookie: "+c.Name+"="+c.Value)
	}
	if host == "" {
		host = request.URL.Host
	}
	conn, err := net.Dial("tcp", request.URL.Host)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	lines = append([]string{fmt.Sprintf("%s %s HTTP/1.1", method, target), "Host: " + host, "Accept: text/html", "Connection: close"}, lines...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		b.t.Fatalf("send %s %.100q: %v", method, target, err)
	}
	return receive(b.t, conn, request)
}

func receive(t testing.TB, conn net.Conn, request *http.Request) Answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// Follow goes where the server sent the browser, which must be a path of the server's own.
func (b *Browser) Follow(a Answer) Answer {
	b.t.Helper()
	location := a.Header.Get("Location")
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") {
		b.t.Fatalf("status %d, Location %q; want 303 to a path of our own: %.300s", a.Status, location, a.Body)
	}
	return b.Get(location)
}

// SecureBrowser is a new browser for a rig whose issuer is https, as behind a proxy that ends TLS: it believes that it
// speaks https, keeps cookies by those rules, and reaches the server over a listener of its own.
func (e *Env) SecureBrowser() *Browser {
	e.t.Helper()
	listener := httptest.NewServer(e.Server.Handler())
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listener.Listener.Addr().String())
		},
	}
	e.t.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
	})
	b := e.Browser()
	b.client.Transport = transport
	return b
}

// Make posts a form that makes something and goes on to the page that shows it once. Any other answer is returned as it is.
func (b *Browser) Make(path string, form url.Values) Answer {
	b.t.Helper()
	a := b.Post(path, form)
	if a.Status == http.StatusSeeOther && strings.Contains(a.Header.Get("Location"), "/created/") {
		return b.Follow(a)
	}
	return a
}
