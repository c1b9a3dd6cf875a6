package oauth

import (
	"net/http"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// readTokenQuestion reads a request for revocation or introspection: a client, and the token that it asks about.
func (h *Handler) readTokenQuestion(w http.ResponseWriter, r *http.Request) (store.Client, string, error) {
	params, err := web.ParseBody(w, r)
	if err != nil {
		return store.Client{}, "", err
	}
	if err := params.OneValue(); err != nil {
		return store.Client{}, "", err
	}
	client, err := h.authenticate(r, params)
	if err != nil {
		return store.Client{}, "", err
	}
	return client, params.Get("token"), nil
}

func errTokenMissing() error { return issuer.Errorf(issuer.InvalidRequest, "token is missing") }
