package harness

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Basic is an Authorization header from id and secret as they are, without the encoding of RFC 6749 §2.3.1.
func Basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// Raw posts a form over a connection of its own with header lines exactly as given, among them what no HTTP client
// sends: the same header twice, an empty one, bytes outside ASCII.
func (e *Env) Raw(path, form string, lines ...string) Answer {
	e.t.Helper()
	host := strings.TrimPrefix(e.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", path, host)
	fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(form))
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n" + form)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		e.t.Fatalf("write raw request: %v", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		e.t.Fatalf("read raw answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatalf("read raw answer: %v", err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// Fetch asks any server, without cookies: a form for a POST, none for a GET.
func Fetch(t testing.TB, method, address string, form url.Values) Answer {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return read(t, client, request)
}
