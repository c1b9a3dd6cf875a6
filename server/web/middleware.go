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

// requestInfo is determined once per request.
type requestInfo struct {
	id string
	ip string
}

type requestInfoKey struct{}

// defaultBudget is the default time that one request may wait for the database, in total. A request is thus answered within three
// seconds, however many statements it needs.
const defaultBudget = 2500 * time.Millisecond

// Identify gives the request an id, determines the client's address, and limits how long the request waits for the database. The
// id is returned as X-Request-Id; one that the client sends is ignored.
func (t *Toolkit) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := make([]byte, 8)
		rand.Read(id) // never fails: the runtime crashes the process instead
		a := requestInfo{id: hex.EncodeToString(id), ip: t.clientIP(r)}
		w.Header().Set("X-Request-Id", a.id)
		ctx := store.WithBudget(context.WithValue(r.Context(), requestInfoKey{}, a), t.budget)
		ctx = secret.WithAddress(ctx, NetworkOf(a.ip)) // requests of one network share slots for hashing
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// RequestID returns the id that Identify assigned, or an empty text.
func RequestID(ctx context.Context) string {
	a, _ := ctx.Value(requestInfoKey{}).(requestInfo)
	return a.id
}

// ClientIP returns the address of the client as text: that of the connection, or the one that a trusted proxy reports.
func ClientIP(r *http.Request) string {
	if a, ok := r.Context().Value(requestInfoKey{}).(requestInfo); ok {
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

// clientIP reads X-Forwarded-For from the right, where the nearest proxy appended, and stops at the first address that is not a
// trusted proxy. Addresses further left come from the client, which can send any.
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
		next, ok := parseIP(strings.TrimSpace(hop))
		if !ok {
			break
		}
		ip = next
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

// AccessLog logs one line per request at debug level, with the route and never the URL, which may hold a code or a token.
func (t *Toolkit) AccessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		t.log.DebugContext(r.Context(), "request", "request", RequestID(r.Context()), "method", printable(r.Method, 16), "route", r.Pattern,
			"status", rec.status, "bytes", rec.bytes, "ip", ClientIP(r), "took", time.Since(start))
	})
}

// Recover turns a panic into a 500 that reveals only the request's id. A response that has begun is aborted.
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
				t.logError(r, classify(err), err)
				panic(http.ErrAbortHandler)
			}
			// Headers that the handler has set, such as a new cookie, no longer apply.
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

// CleanPath answers 404 to every path that is not in canonical form: //x, /./, /x/, and any percent-encoding, which no route needs.
// A path that two parsers read differently can bypass access rules of a proxy.
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

// Routes serves mux and replaces its plain 404 and 405. A 405 has the format of the path's other methods: a page, or JSON of
// either form. A 404 has the format that the client accepts.
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
			if strings.Contains(allow, http.MethodOptions) { // mounted by CORS
				readableByScripts(w.Header())
			}
			t.fail(w, r, false, refusal)
		case messageHandler:
			t.apiHeaders(w.Header())
			h.writeError(w, r, refusal)
		default:
			t.fail(w, r, wantsPage(r), refusal)
		}
	})
}

// fail writes an error for a request that reached no handler.
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

// wantsPage reports whether the client is a browser: browsers always accept text/html.
func wantsPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// recorder notes the status and the size of the response.
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
