package oauth

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Token is the token endpoint (RFC 6749 §3.2), POST, form or JSON. A request without grant_type redeems a code, as
// apps do that were written for the first dialect (docs/dialects.md, OAuth apps).
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Pragma", "no-cache")
	params, err := web.ParseFormOrJSON(w, r)
	if err != nil {
		return err
	}
	if err := params.OneValue("resource"); err != nil {
		return err
	}
	if fault := listFault(params); fault != nil {
		return fault
	}
	grantType, err := readGrantType(params)
	if err != nil {
		return err
	}
	client, err := h.authenticate(r, params)
	if err != nil {
		return err
	}
	request, err := readTokenRequest(grantType, params)
	if err != nil {
		return err
	}
	resources, fault := readResources(params)
	if fault != nil {
		return fault
	}
	request.ClientID, request.Request = client.ID, r
	ctx := issuer.WithFacts(r.Context(), issuer.Facts{
		By:       store.Actor{Kind: store.ActorApp, ID: client.ID, IP: web.ClientIP(r)},
		Client:   client,
		Resource: resources,
	})
	token, err := h.grants.GetAccessToken(ctx, grantType, request)
	if errors.Is(err, issuer.ErrUnknown) {
		return h.web.Refused(r, err)
	}
	if err != nil {
		return fromLibrary(err)
	}
	return web.WriteJSON(w, http.StatusOK, newTokenAnswer(token))
}

// TokenByGet answers every method but POST: it tells people who try the endpoint in a browser what to do instead.
func (h *Handler) TokenByGet(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Pragma", "no-cache")
	return &web.Error{Status: http.StatusMethodNotAllowed, Code: issuer.InvalidRequest, Header: http.Header{"Allow": {"POST"}},
		Description: "send the parameters in the body of a POST request"}
}

func readGrantType(params web.Values) (oauth2.GrantType, error) {
	switch g := params.Get("grant_type"); g {
	case "", "authorization_code":
		return oauth2.AuthorizationCode, nil
	case "refresh_token":
		return oauth2.Refreshing, nil
	case "client_credentials":
		return oauth2.ClientCredentials, nil
	}
	return "", issuer.Errorf(issuer.UnsupportedGrantType, "grant_type must be authorization_code, refresh_token or client_credentials")
}

// readTokenRequest takes what the grant needs and ignores what is not its own: a scope at the exchange of a code, say,
// changes nothing about what the user approved.
func readTokenRequest(g oauth2.GrantType, params web.Values) (*oauth2.TokenGenerateRequest, error) {
	missing := func(name string) error { return issuer.Errorf(issuer.InvalidRequest, "%s is missing", name) }
	request := &oauth2.TokenGenerateRequest{}
	switch g {
	case oauth2.AuthorizationCode:
		request.Code = params.Get("code")
		request.RedirectURI = params.Get("redirect_uri")
		request.CodeVerifier = params.Get("code_verifier")
		if request.Code == "" {
			return nil, missing("code")
		}
	case oauth2.Refreshing:
		request.Refresh = params.Get("refresh_token")
		request.Scope = params.Get("scope")
		if request.Refresh == "" {
			return nil, missing("refresh_token")
		}
	case oauth2.ClientCredentials:
		request.Scope = params.Get("scope")
	}
	return request, nil
}

// tokenAnswer is a successful answer (RFC 6749 §5.1). A token that never expires has no expires_in: 0 would mean that it
// is dead already.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

func newTokenAnswer(t oauth2.TokenInfo) tokenAnswer {
	return tokenAnswer{
		AccessToken:  t.GetAccess(),
		TokenType:    "Bearer",
		ExpiresIn:    int64(t.GetAccessExpiresIn() / time.Second),
		RefreshToken: t.GetRefresh(),
		Scope:        t.GetScope(),
	}
}

// fromLibrary gives go-oauth2's own refusals our form. So does it with what the store says of a code or refresh token that
// went away between two statements. All other errors pass through it unchanged.
func fromLibrary(err error) error {
	var ours *issuer.Error
	if errors.As(err, &ours) {
		return err
	}
	for _, known := range []struct {
		theirs error
		code   string
	}{
		{oautherrors.ErrUnauthorizedClient, issuer.UnauthorizedClient},
		{oautherrors.ErrUnsupportedGrantType, issuer.UnsupportedGrantType},
		{oautherrors.ErrInvalidGrant, issuer.InvalidGrant},
		{oautherrors.ErrInvalidScope, issuer.InvalidScope},
		{store.ErrNotFound, issuer.InvalidGrant},
		{store.ErrEnded, issuer.InvalidGrant},
		{store.ErrConsumed, issuer.InvalidGrant},
	} {
		if errors.Is(err, known.theirs) {
			return &issuer.Error{Code: known.code, Description: "the grant was refused", Cause: err}
		}
	}
	return err
}
