package oauth

import (
	"errors"
	"net/http"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
	"xenoauth/store"
)

// introspection is the answer for a live token (RFC 7662 §2.2); a token that never expires has no exp. The answer for any other
// token is exactly {"active":false}.
type introspection struct {
	Active       bool               `json:"active"`
	Scope        string             `json:"scope"`
	ClientID     string             `json:"client_id,omitempty"`
	Subject      string             `json:"sub"`
	Account      string             `json:"account,omitempty"`
	Bot          string             `json:"bot,omitempty"`
	Installation string             `json:"installation,omitempty"`
	Username     string             `json:"username,omitempty"`
	TokenType    string             `json:"token_type,omitempty"`
	IssuedAt     int64              `json:"iat"`
	ExpiresAt    int64              `json:"exp,omitempty"`
	Issuer       string             `json:"iss"`
	Audience     any                `json:"aud,omitempty"`
	Permissions  []scope.Permission `json:"permissions"` // never null
}

type inactive struct {
	Active bool `json:"active"`
}

// Introspect is the introspection endpoint (RFC 7662), POST. A resource server may introspect every access token, a confidential
// app its own tokens, and a public app none, because it cannot authenticate.
func (h *Handler) Introspect(w http.ResponseWriter, r *http.Request) error {
	client, token, err := h.readTokenQuestion(w, r)
	if err != nil {
		return err
	}
	if client.App != nil && !client.App.Confidential {
		return errClient("introspection requires a client_secret, which a public app does not have")
	}
	if token == "" {
		return errTokenMissing()
	}
	id, err := h.inspect(r, client, token)
	if errors.Is(err, verify.ErrInvalid) {
		return web.WriteJSON(w, http.StatusOK, inactive{})
	}
	if err != nil {
		return err
	}
	answer := h.newIntrospection(id)
	if client.App != nil && !id.Profile {
		answer.Username = "" // the consent page did not list it
	}
	return web.WriteJSON(w, http.StatusOK, answer)
}

// inspect looks the token up. A token that this client may not see is verify.ErrInvalid.
func (h *Handler) inspect(r *http.Request, client store.Client, token string) (verify.Identity, error) {
	id, err := h.verify.Inspect(r.Context(), token)
	if errors.Is(err, verify.ErrInvalid) && client.App != nil {
		id, err = h.verify.InspectRefresh(r.Context(), token)
	}
	if err == nil && client.App != nil && id.ClientID != client.ID {
		return verify.Identity{}, verify.ErrInvalid
	}
	return id, err
}

func (h *Handler) newIntrospection(id verify.Identity) introspection {
	a := introspection{
		Active: true, Scope: id.Scopes.String(), ClientID: id.ClientID, Subject: id.Subject,
		Installation: id.Installation, IssuedAt: id.IssuedAt.Unix(), Issuer: h.origin, Permissions: id.Permissions,
	}
	if a.Permissions == nil {
		a.Permissions = []scope.Permission{}
	}
	if id.Kind != secret.Refresh {
		a.TokenType = h.config.TokenType
	}
	if id.Account != nil {
		a.Account = id.Account.ID
	}
	if id.User != nil {
		a.Username = id.User.Email
		if id.Bot {
			a.Bot = id.User.ID
		}
	}
	if !id.ExpiresAt.IsZero() {
		a.ExpiresAt = id.ExpiresAt.Unix()
	}
	// A single audience may be a string (RFC 7519 §4.1.3).
	switch len(id.Audience) {
	case 0:
	case 1:
		a.Audience = id.Audience[0]
	default:
		a.Audience = id.Audience
	}
	return a
}
