package server

import (
	"context"
	"go/version"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"
)

// DefaultMaxConnections is how many connections one listener's server holds open unless told otherwise.
const DefaultMaxConnections = 4096

// HTTPServer serves handler with the bounds without which slow, large or many requests would stand in the way of the
// others (docs/battery.md, H1 to H3). maxConnections bounds the connections that are open at the same time; 0 means the
// default. Bodies are bounded where they are read. What unfinished requests hold together is bounded for listeners of
// CountReads.
func HTTPServer(handler http.Handler, log *slog.Logger, maxConnections int) *http.Server {
	if maxConnections == 0 {
		maxConnections = DefaultMaxConnections
	}
	c := newConnections(maxConnections)
	return &http.Server{
		Handler:   c.track(closeChunked(handler)),
		ConnState: c.changed,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // longer than what a handler waits for: its end also ends a request under way,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10, // net/http adds 4 KB
		Protocols:         httpProtocols(runtime.Version()),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// closeChunked ends the connection after a request whose body is chunked. net/http takes a Content-Length beside
// Transfer-Encoding for absent; a proxy that does not would see another end of the request, and what one of the two takes
// for the next request must never be read (RFC 9112 §6.1).
func closeChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// httpProtocols leaves HTTP/2 off in what toolchains before 1.26.9 build: its server could be crashed from afar.
func httpProtocols(goVersion string) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(version.IsValid(goVersion) && version.Compare(goVersion, "go1.26.9") >= 0)
	return p
}
