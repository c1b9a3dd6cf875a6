package oauth

import (
	"errors"
	"net/http"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Revoke is the revocation endpoint (RFC 7009), POST. When it answers, every replica refuses the token. The answer is the same for
// a token that was revoked before or never existed. token_type_hint is not read: a token's prefix states its kind.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) error {
	r = r.WithContext(store.WithReservedConnections(r.Context())) // revoking a token must not wait behind requests that use it
	client, token, err := h.readTokenQuestion(w, r)
	if err != nil {
		return err
	}
	if token == "" {
		return errTokenMissing()
	}
	m := h.issuer.Manager(issuer.GrantParams{
		By:     store.AppPrincipal(client.ID, web.ClientIP(r)),
		Client: client,
	})
	err = m.RemoveAccessToken(r.Context(), token)
	if err == nil {
		err = m.RemoveRefreshToken(r.Context(), token)
	}
	// A public app has not authenticated, so it gets no information about a token that is not its own.
	var fault *issuer.Error
	if errors.As(err, &fault) && fault.Code == issuer.UnauthorizedClient && client.App != nil && !client.App.Confidential {
		err = nil
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, struct{}{})
}
