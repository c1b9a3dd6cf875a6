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

// DefaultMaxConnections is the default limit on open connections of a server.
const DefaultMaxConnections = 4096

// HTTPServer serves handler with time and size limits, so that slow, large or many requests do not block the others
// (docs/battery.md, H1 to H3). maxConnections limits the open connections; 0 means the default. Bodies are limited where they are
// read. For listeners of CountReads, the total size of unfinished requests is limited as well.
func HTTPServer(handler http.Handler, log *slog.Logger, maxConnections int) *http.Server {
	if maxConnections == 0 {
		maxConnections = DefaultMaxConnections
	}
	c := newConnections(maxConnections)
	return &http.Server{
		Handler:   c.track(closeChunked(handler)),
		ConnState: c.connState,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // longer than any handler waits: it also ends a request that is being answered
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10, // net/http adds 4 KB
		Protocols:         httpProtocols(runtime.Version()),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// closeChunked closes the connection after a request with a chunked body. net/http ignores a Content-Length beside
// Transfer-Encoding. A proxy that uses it would see the request end elsewhere, and the bytes in between must not be read as the
// next request (request smuggling, RFC 9112 §6.1).
func closeChunked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// httpProtocols disables HTTP/2 in builds of toolchains before 1.26.9, whose HTTP/2 server a client could crash.
func httpProtocols(goVersion string) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(version.IsValid(goVersion) && version.Compare(goVersion, "go1.26.9") >= 0)
	return p
}
