package gateway

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
)

// TestGatewayPreflight: a browser's CORS preflight reaches the API without a token and without an identity, and its answer
// comes back; every request that is not one, however similar, is guarded.
func TestGatewayPreflight(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		origin := []string{"Origin", "https://spa.test"}
		asks := append(origin[:2:2], "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		invented := append(asks[:len(asks):len(asks)], "X-Xenoauth-User", w.env.U.ID, "X-Xenoauth-Scope", "admin", "X_Xenoauth_User", w.env.U.ID)
		good := w.env.Bearers()[0].Token
		for _, path := range []string{"/contacts", "/list", "/manage", "/users/" + w.env.U.ID} {
			for _, token := range []string{"", "garbage", good} {
				a := w.ask(t, http.MethodOptions, path, token, "", invented...)
				seen := w.passes(t, "preflight of "+path, a)
				if seen.Method != http.MethodOptions || seen.Authorization != "" || len(seen.Others) > 0 || !maps.Equal(seen.Identity, harness.Identity{}.Filled()) {
					t.Errorf("preflight of %s: the API saw %+v", path, seen)
				}
				if got := a.Header.Get("Access-Control-Allow-Origin"); got != "https://spa.test" {
					t.Errorf("preflight of %s: Access-Control-Allow-Origin %q", path, got)
				}
			}
		}
		for what, ask := range map[string]func() harness.Answer{
			"OPTIONS without Origin": func() harness.Answer {
				return w.ask(t, http.MethodOptions, "/contacts", "", "", "Access-Control-Request-Method", "POST")
			},
			"OPTIONS without Access-Control-Request-Method": func() harness.Answer { return w.ask(t, http.MethodOptions, "/contacts", "", "", origin...) },
			"OPTIONS with empty headers": func() harness.Answer {
				return w.ask(t, http.MethodOptions, "/contacts", "", "", "Origin", "", "Access-Control-Request-Method", "")
			},
			"GET":  func() harness.Answer { return w.ask(t, http.MethodGet, "/contacts", "", "", asks...) },
			"POST": func() harness.Answer { return w.ask(t, http.MethodPost, "/contacts", "", "x", asks...) },
			"GET with an override": func() harness.Answer {
				return w.ask(t, http.MethodGet, "/contacts", "", "", append(asks[:len(asks):len(asks)], "X-HTTP-Method-Override", "OPTIONS")...)
			},
		} {
			if strings.HasPrefix(what, "OPTIONS with empty") {
				// Whether an empty header is present is read differently; the API must not get an identity from it.
				if a := ask(); a.Status == http.StatusOK && !maps.Equal(w.passes(t, what, a).Identity, harness.Identity{}.Filled()) {
					t.Errorf("%s: an identity reached the API", what)
				}
				continue
			}
			w.refused(t, what, http.StatusUnauthorized, bare, ask)
		}
	})
}

// TestGatewayWebsocket: a websocket with a good token is opened and carries bytes both ways, with the identity in its
// request; without one it is refused before the API sees it. No other protocol is upgraded to.
func TestGatewayWebsocket(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.env.Bearers()[0].Token
		upgrade := func(protocol, token string) (*http.Response, net.Conn, *bufio.Reader) {
			t.Helper()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			authorization := ""
			if token != "" {
				authorization = "Authorization: Bearer " + token + "\r\n"
			}
			fmt.Fprintf(conn, "GET /contacts/socket HTTP/1.1\r\nHost: x\r\n%sConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", authorization, protocol)
			read := bufio.NewReader(conn)
			response, err := http.ReadResponse(read, nil)
			if err != nil {
				t.Fatal(err)
			}
			return response, conn, read
		}
		response, conn, read := upgrade("websocket", token)
		if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-Seen-User") != w.env.U.ID {
			t.Fatalf("with a token: %d, the API saw user %q", response.StatusCode, response.Header.Get("X-Seen-User"))
		}
		fmt.Fprint(conn, "ping\n")
		if line, err := read.ReadString('\n'); err != nil || line != "ping\n" {
			t.Errorf("through the socket: %q, %v", line, err)
		}
		before := w.reached.Load()
		if response, _, _ := upgrade("websocket", ""); response.StatusCode != http.StatusUnauthorized || w.reached.Load() != before {
			t.Errorf("without a token: %d, and it has reached the API: %t", response.StatusCode, w.reached.Load() != before)
		}
		if response, _, _ := upgrade("h2c", token); response.StatusCode == http.StatusSwitchingProtocols {
			t.Error("another protocol than websocket was upgraded to")
		}
	})
}

// TestGatewayBodyLimit: a body of several megabytes passes. One over the limit that nginx.conf sets is 413; Caddy has none.
func TestGatewayBodyLimit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.env.Bearers()[0].Token
		if seen := w.passes(t, "5 MB", w.ask(t, http.MethodPost, "/contacts", token, strings.Repeat("x", 5_000_000))); len(seen.Body) != 5_000_000 {
			t.Errorf("of 5 MB the API saw %d bytes", len(seen.Body))
		}
		if strings.Contains(t.Name(), "/caddy/") {
			return
		}
		if a := w.ask(t, http.MethodPost, "/contacts", token, strings.Repeat("x", 11<<20)); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("11 MB: %d, want 413", a.Status)
		}
	})
}

// socket answers a websocket's handshake and echoes its messages.
func socket(rw http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Seen-User: %s\r\n\r\n", r.Header.Get("Upgrade"), r.Header.Get("X-Xenoauth-User"))
	if buffered.Flush() == nil {
		_, _ = io.Copy(conn, buffered)
	}
}
