package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// arrival is what is found out once about a request.
type arrival struct {
	id string
	ip string
}

type arrivalKey struct{}

// databasePatience is how long one request waits for the database altogether by default, so that it is answered within
// three seconds however often it has to ask.
const databasePatience = 2500 * time.Millisecond

// Identify gives the request an id (sent back as X-Request-Id; one sent by the client is not believed), finds out the
// client's address, and bounds how long the request waits for the database.
func (t *Toolkit) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := make([]byte, 8)
		rand.Read(id) // never fails: the runtime ends the process instead
		a := arrival{id: hex.EncodeToString(id), ip: t.clientIP(r)}
		w.Header().Set("X-Request-Id", a.id)
		ctx := store.WithPatience(context.WithValue(r.Context(), arrivalKey{}, a), t.patience)
		ctx = secret.WithAddress(ctx, NetworkOf(a.ip)) // whose share of the hashing the request uses
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// RequestID returns the id that Identify gave, or "".
func RequestID(ctx context.Context) string {
	a, _ := ctx.Value(arrivalKey{}).(arrival)
	return a.id
}

// ClientIP returns the address of the client as text: of the connection, or as told by a trusted proxy.
func ClientIP(r *http.Request) string {
	if a, ok := r.Context().Value(arrivalKey{}).(arrival); ok {
		return a.ip
	}
	return connectionIP(r)
}

func connectionIP(r *http.Request) string {
	if ip, ok := parseIP(r.RemoteAddr); ok {
		return ip.String()
	}
	return ""
}

// clientIP walks X-Forwarded-For from the right, where the nearest proxy wrote, as long as proxies of ours wrote it. What
// stands further left came from outside and may be invented.
func (t *Toolkit) clientIP(r *http.Request) string {
	ip, ok := parseIP(r.RemoteAddr)
	if !ok {
		return ""
	}
	forwarded := r.Header.Values("X-Forwarded-For")
	if len(forwarded) > 0 && !t.trusted(ip) && (ip.IsLoopback() || ip.IsPrivate()) {
		t.proxyHint.Do(func() {
			t.log.Warn("X-Forwarded-For ignored, because the sender is not a trusted proxy. If it is your proxy, add its address to trusted-proxies; until then all its clients share one rate limit", "ip", ip)
		})
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !t.trusted(ip) {
			break
		}
		told, ok := parseIP(strings.TrimSpace(hop))
		if !ok {
			break
		}
		ip = told
	}
	return ip.String()
}

func (t *Toolkit) trusted(ip netip.Addr) bool {
	return slices.ContainsFunc(t.proxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func parseIP(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return ip.Unmap().WithZone(""), err == nil
}

// AccessLog writes one line a request at debug level: the route and never the address, which may hold a code or a token.
func (t *Toolkit) AccessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		t.log.DebugContext(r.Context(), "request", "request", RequestID(r.Context()), "method", printable(r.Method, 16), "route", r.Pattern,
			"status", rec.status, "bytes", rec.bytes, "ip", ClientIP(r), "took", time.Since(start))
	})
}

// Recover turns a panic into a 500 that tells nothing but the request's id. If the answer has begun, it is cut off.
func (t *Toolkit) Recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		defer func() {
			fault := recover()
			if fault == nil {
				return
			}
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
			err := &Error{Status: http.StatusInternalServerError, Cause: fmt.Errorf("panic: %v\n%s", fault, debug.Stack())}
			if rec.status != 0 {
				t.noteError(r, classify(err), err)
				panic(http.ErrAbortHandler)
			}
			// What the handler had begun to say, such as a new cookie, is no longer true.
			for name := range w.Header() {
				if name != "X-Request-Id" {
					w.Header().Del(name)
				}
			}
			t.fail(w, r, wantsPage(r), err)
		}()
		next.ServeHTTP(rec, r)
	})
}

// CleanPath answers 404 to every path that is not written in its one plain way: //x, /./, /x/, and anything that is
// percent-encoded, which no route of ours needs. Two readings of one path are how guards are walked around.
func (t *Toolkit) CleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.Contains(r.URL.EscapedPath(), "%") {
			t.fail(w, r, wantsPage(r), NotFound())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Routes serves mux and replaces its plain 404 and 405 by ours. A 405 has the form, page or JSON of either dialect, of what the address
// answers to other methods; a 404 the form that the client asks for.
func (t *Toolkit) Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &recorder{ResponseWriter: discard{make(http.Header)}}
		h.ServeHTTP(answer, r)
		allow := answer.Header().Get("Allow")
		if answer.status != http.StatusMethodNotAllowed || allow == "" {
			t.fail(w, r, wantsPage(r), NotFound())
			return
		}
		refusal := &Error{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {allow}},
			Description: "This address accepts only " + allow + "."}
		other := r.Clone(r.Context())
		other.Method, _, _ = strings.Cut(allow, ",")
		switch h, _ := mux.Handler(other); h := h.(type) {
		case pageHandler, openHandler:
			t.fail(w, r, true, refusal)
		case apiHandler:
			if strings.Contains(allow, http.MethodOptions) { // as only CORS mounts it
				readableByScripts(w.Header())
			}
			t.fail(w, r, false, refusal)
		case messageHandler:
			t.apiHeaders(w.Header())
			h.refuse(w, r, refusal)
		default:
			t.fail(w, r, wantsPage(r), refusal)
		}
	})
}

// fail answers a request that reached no handler.
func (t *Toolkit) fail(w http.ResponseWriter, r *http.Request, page bool, err error) {
	if t.failWellKnown(w, r, err) {
		return
	}
	if page {
		t.pageHeaders(w.Header(), r)
		t.pageError(w, r, err)
		return
	}
	t.apiHeaders(w.Header())
	t.apiError(w, r, err)
}

// wantsPage tells browsers, which always name text/html, from programs.
func wantsPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// recorder remembers whether and what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
