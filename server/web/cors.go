package web

import "net/http"

// What a script on another site may send to the endpoints that allow it, and may read of their answers.
const (
	corsAllow  = "Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version"
	corsExpose = "WWW-Authenticate, DPoP-Nonce, Retry-After"
)

// CORS mounts an API handler that scripts of every site may call with the methods named. It is safe because the answer
// allows no credentials: nothing is done in anybody's name but that of the credentials in the request itself. Mount it
// for OPTIONS, too.
func (t *Toolkit) CORS(methods string, h Handler) http.Handler {
	return apiHandler{t, func(w http.ResponseWriter, r *http.Request) error {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", corsExpose)
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
