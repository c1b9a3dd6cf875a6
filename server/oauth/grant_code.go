package oauth

import (
	"github.com/go-oauth2/oauth2/v4"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
)

// codeGrant redeems an authorization code (RFC 6749 §4.1.3). The scope parameter is not read, since the user has approved the
// scopes already.
type codeGrant struct{}

func (codeGrant) name() oauth2.GrantType { return oauth2.AuthorizationCode }

func (codeGrant) read(params web.Values) (*oauth2.TokenGenerateRequest, error) {
	code := params.Get("code")
	if code == "" {
		return nil, errMissing("code")
	}
	return &oauth2.TokenGenerateRequest{Code: code, RedirectURI: params.Get("redirect_uri"), CodeVerifier: params.Get("code_verifier")}, nil
}

// permit allows every client. Redeeming checks that the code was issued to it.
func (codeGrant) permit(oauth2.ClientInfo) error { return nil }

// setHooks checks the scopes of a new code at the authorization endpoint.
func (codeGrant) setHooks(s *library.Server, m *issuer.Manager) {
	s.ClientScopeHandler = func(request *oauth2.TokenGenerateRequest) (bool, error) {
		_, err := m.AppScope(request.Scope)
		return err == nil, err
	}
}
