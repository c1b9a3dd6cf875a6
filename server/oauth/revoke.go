package oauth

import (
	"errors"
	"net/http"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Revoke is the revocation endpoint (RFC 7009), POST. The answer comes when the token is dead everywhere, and is the
// same for a token that was dead before or never lived. token_type_hint is not needed: a token says what it is.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) error {
	r = r.WithContext(store.WithReserve(r.Context())) // whoever ends a token must not wait behind those who use it
	params, client, err := h.readTokenQuestion(w, r)
	if err != nil {
		return err
	}
	if params.Get("token") == "" {
		return errTokenMissing()
	}
	ctx := issuer.WithFacts(r.Context(), issuer.Facts{
		By:     store.Actor{Kind: store.ActorApp, ID: client.ID, IP: web.ClientIP(r)},
		Client: client,
	})
	token := params.Get("token")
	err = h.manager.RemoveAccessToken(ctx, token)
	if err == nil {
		err = h.manager.RemoveRefreshToken(ctx, token)
	}
	// A public caller has proven nothing, so it learns nothing about a token that is not its own.
	var fault *issuer.Error
	if errors.As(err, &fault) && fault.Code == issuer.UnauthorizedClient && client.App != nil && !client.App.Confidential {
		err = nil
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, struct{}{})
}

// readTokenQuestion reads what revocation and introspection have in common: a client that asks about one token.
func (h *Handler) readTokenQuestion(w http.ResponseWriter, r *http.Request) (web.Values, store.Client, error) {
	params, err := web.ParseBody(w, r)
	if err != nil {
		return web.Values{}, store.Client{}, err
	}
	if err := params.OneValue(); err != nil {
		return web.Values{}, store.Client{}, err
	}
	client, err := h.authenticate(r, params)
	if err != nil {
		return web.Values{}, store.Client{}, err
	}
	return params, client, nil
}

func errTokenMissing() error { return issuer.Errorf(issuer.InvalidRequest, "token is missing") }
