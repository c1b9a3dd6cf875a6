package web

import (
	"net/http"
	"strings"
)

// wellKnown is the part of the address space whose answers every script may read, whether there is anything or not:
// clients probe it, and take an answer that they cannot read for a failure of the network instead of a 404.
const wellKnown = "/.well-known/"

// What a script on another site may send to the endpoints that allow it, and may read of their answers.
const (
	corsAllow  = "Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version, X-Requested-With, traceparent, tracestate, baggage"
	corsExpose = "WWW-Authenticate, DPoP-Nonce, Retry-After"
)

// CORS mounts an API handler that scripts of every site may call with the methods named. It is safe because the answer
// allows no credentials: nothing is done in anybody's name but that of the credentials in the request itself. Mount it
// for OPTIONS, too.
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

// readableByScripts lets scripts of every site read the answer.
func readableByScripts(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", corsExpose)
}

// failWellKnown answers a request below wellKnown that reached no handler; a preflight is allowed, so that the script
// learns of the 404. It reports whether the request was one.
func (t *Toolkit) failWellKnown(w http.ResponseWriter, r *http.Request, err error) bool {
	if !strings.HasPrefix(r.URL.Path, wellKnown) {
		return false
	}
	t.CORS(http.MethodGet, func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, r)
	return true
}
