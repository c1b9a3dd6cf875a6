package oauth

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Token is the token endpoint (RFC 6749 §3.2), POST with a form or JSON. It parses the request, authenticates the client, lets
// the grant issue the token, and writes the answer.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Pragma", "no-cache")
	params, g, err := h.parseToken(w, r)
	if err != nil {
		return err
	}
	client, err := h.authenticate(r, params)
	if err != nil {
		return err
	}
	request, err := g.read(params)
	if err != nil {
		return err
	}
	resources, fault := readResources(params)
	if fault != nil {
		return fault
	}
	request.ClientID = client.ID
	token, err := h.issue(r.Context(), g, issuer.GrantParams{
		By:         store.AppPrincipal(client.ID, web.ClientIP(r)),
		Client:     client,
		Resource:   resources,
		ScopeAsked: request.Scope,
	}, request)
	if errors.Is(err, issuer.ErrUnknown) {
		return h.web.Refused(r, err)
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, h.newTokenAnswer(token))
}

// parseToken parses the body strictly and finds the grant, before the client is authenticated.
func (h *Handler) parseToken(w http.ResponseWriter, r *http.Request) (web.Values, grant, error) {
	params, err := web.ParseFormOrJSON(w, r)
	if err != nil {
		return web.Values{}, nil, err
	}
	if err := params.OneValue("resource"); err != nil {
		return web.Values{}, nil, err
	}
	if fault := nestedParameterError(params); fault != nil {
		return web.Values{}, nil, fault
	}
	g, err := h.findGrant(params.Get("grant_type"))
	return params, g, err
}

// TokenByGet answers every method other than POST, for example when a developer opens the endpoint in a browser.
func (h *Handler) TokenByGet(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Pragma", "no-cache")
	return &web.Error{Status: http.StatusMethodNotAllowed, Code: issuer.InvalidRequest, Header: http.Header{"Allow": {"POST"}},
		Description: "send the parameters in the body of a POST request"}
}

// tokenAnswer is a successful answer (RFC 6749 §5.1). A token that never expires has no expires_in: clients would take 0 for
// an expired token.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

func (h *Handler) newTokenAnswer(t oauth2.TokenInfo) tokenAnswer {
	return tokenAnswer{
		AccessToken:  t.GetAccess(),
		TokenType:    h.config.TokenType,
		ExpiresIn:    int64(t.GetAccessExpiresIn() / time.Second),
		RefreshToken: t.GetRefresh(),
		Scope:        t.GetScope(),
	}
}
