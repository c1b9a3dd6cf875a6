package oauth

import (
	"net/http"

	"xenoauth/server/web"
)

// keySetPath is the path of the key set, which the metadata names.
const keySetPath = "/.well-known/jwks.json"

// KeySet answers GET /.well-known/jwks.json with the public keys of user tokens (RFC 7517). A key is published a day before it
// signs, so that verifiers may cache the answer.
func (h *Handler) KeySet(w http.ResponseWriter, r *http.Request) error {
	set, err := h.keys.KeySet(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	return web.WriteJSON(w, http.StatusOK, set)
}
