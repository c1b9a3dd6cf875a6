package issuer

import (
	"context"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"xenoauth/store"
)

// GrantParams are the facts that an endpoint has established about a request before it asks for a code or a token, and for
// which go-oauth2's request type has no field.
type GrantParams struct {
	By       store.Principal
	Client   store.Client // the authenticated client; at the authorization endpoint the app that asks
	Resource []string     // RFC 8707 resource parameters

	// Authorization endpoint only.
	Installation store.Installation
	RedirectSent bool
	ScopeAsked   string
}

// Manager is the Issuer for one request and implements oauth2.Manager. That interface has no argument for GrantParams, so they
// are fields: a Manager is made for each request and must not be shared. It also keeps the refresh token that it has loaded,
// so that the library's scope check and the rotation after it read the row once.
type Manager struct {
	*Issuer
	params  GrantParams
	refresh *loadedRefresh
}

var _ oauth2.Manager = (*Manager)(nil)

// Manager returns the Manager for one request.
func (i *Issuer) Manager(p GrantParams) *Manager { return &Manager{Issuer: i, params: p} }

// GetClient returns the client that this request has authenticated. It holds no secret: clients are authenticated before the
// library is called. For any other id the error is ClientRefused.
func (m *Manager) GetClient(_ context.Context, id string) (oauth2.ClientInfo, error) {
	c := m.params.Client
	if id == "" || id != c.ID {
		return nil, ClientRefused(true, store.ErrNotFound)
	}
	return &models.Client{ID: c.ID, Public: c.App != nil && !c.App.Confidential}, nil
}

// GenerateAccessToken redeems an authorization code or issues a token to an app for itself. Errors are of type *Error, or
// those of the store.
func (m *Manager) GenerateAccessToken(ctx context.Context, gt oauth2.GrantType, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	switch gt {
	case oauth2.AuthorizationCode:
		return m.redeem(ctx, tgr)
	case oauth2.ClientCredentials:
		return m.clientToken(ctx, tgr)
	default:
		return nil, Errorf(UnsupportedGrantType, "grant_type must be authorization_code, client_credentials or refresh_token")
	}
}

// tokenInfo is a token in go-oauth2's terms; with lifetime 0 it never expires.
func tokenInfo(clientID, access, refresh, scope string, lifetime time.Duration) *models.Token {
	return &models.Token{ClientID: clientID, Access: access, Refresh: refresh, Scope: scope, AccessExpiresIn: lifetime}
}
