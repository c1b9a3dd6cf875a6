package platform

import (
	"errors"
	"net/http"

	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// me is the answer of GET /api/me. A value that the token does not have is null, not left out, so that programs can rely on
// every member.
type me struct {
	TokenType    string             `json:"token_type"`
	ClientID     *string            `json:"client_id"`
	Subject      string             `json:"sub"`
	User         *meUser            `json:"user"`
	Account      *meAccount         `json:"account"`
	App          *meApp             `json:"app"`
	Bot          *meBot             `json:"bot"`
	Installation *string            `json:"installation"`
	Scopes       []string           `json:"scopes"`
	Permissions  []scope.Permission `json:"permissions"`
	ExpiresAt    *int64             `json:"expires_at"` // Unix seconds
}

// meUser has no e-mail address and name if the user approved the app on a consent page that did not list them.
type meUser struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Name          string `json:"name"`
}

type meAccount struct {
	ID   string     `json:"id"`
	Name string     `json:"name"`
	Role scope.Role `json:"role"`
}

type meApp struct {
	ClientID string `json:"client_id"`
	Name     string `json:"name"`
}

type meBot struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Me answers GET /api/me with the identity and the rights of the presented token.
func (h *Handler) Me(w http.ResponseWriter, r *http.Request) error {
	token, err := web.BearerToken(r)
	if err != nil {
		return err
	}
	id, err := h.verify.Lookup(r.Context(), token)
	if errors.Is(err, verify.ErrKey) {
		return h.web.RefusedKey(r, token, err)
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, newMe(id))
}

func newMe(id verify.Identity) me {
	m := me{
		TokenType:   "Bearer",
		Subject:     id.Subject,
		Scopes:      id.Scopes.Slice(),
		Permissions: id.Permissions,
	}
	if m.Permissions == nil {
		m.Permissions = []scope.Permission{}
	}
	if id.ClientID != "" {
		m.ClientID = &id.ClientID
	}
	if id.OfApp() {
		m.App = &meApp{ClientID: id.ClientID, Name: id.AppName}
	}
	if id.User != nil {
		m.User = &meUser{ID: id.User.ID}
		if id.Profile || !id.OfApp() {
			m.User.Email, m.User.Name, m.User.EmailVerified = id.User.Email, id.User.Name, !id.User.EmailVerifiedAt.IsZero()
		}
		if id.Bot {
			m.Bot = &meBot{ID: id.User.ID, Name: id.User.Name}
		}
	}
	if id.Account != nil {
		m.Account = &meAccount{ID: id.Account.ID, Name: id.Account.Name, Role: id.Role}
	}
	if id.Installation != "" {
		m.Installation = &id.Installation
	}
	if !id.ExpiresAt.IsZero() {
		at := id.ExpiresAt.Unix()
		m.ExpiresAt = &at
	}
	return m
}
