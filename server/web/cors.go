package web

import (
	"net/http"
	"strings"
)

// wellKnown is the path below which scripts may read every response, 404 included: clients probe it, and take a response that
// they cannot read for a network failure.
const wellKnown = "/.well-known/"

// The request headers that a script on another site may send, and the response headers that it may read.
const (
	corsAllow  = "Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version, X-Requested-With, traceparent, tracestate, baggage"
	corsExpose = "WWW-Authenticate, DPoP-Nonce, Retry-After"
)

// CORS mounts an API handler that scripts of every site may call with the given methods. That is safe because the response
// allows no cookies: the handler acts only for the credentials in the request itself. Mount it for OPTIONS as well.
func (t *Toolkit) CORS(methods string, h Handler) http.Handler {
	return apiHandler{t, func(w http.ResponseWriter, r *http.Request) error {
		header := w.Header()
		readableByScripts(header)
		if r.Method != http.MethodOptions {
			return h(w, r)
		}
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", corsAllow)
		header.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}}
}

// readableByScripts lets scripts of every site read the response.
func readableByScripts(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", corsExpose)
}

// failWellKnown answers a request below wellKnown that reached no handler, and reports whether the request was one. A preflight
// request succeeds, so that the script can read the 404.
func (t *Toolkit) failWellKnown(w http.ResponseWriter, r *http.Request, err error) bool {
	if !strings.HasPrefix(r.URL.Path, wellKnown) {
		return false
	}
	t.CORS(http.MethodGet, func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, r)
	return true
}
