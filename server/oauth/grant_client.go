package oauth

import (
	"github.com/go-oauth2/oauth2/v4"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
)

// clientGrant issues a token to a confidential app for itself (RFC 6749 §4.4).
type clientGrant struct{}

func (clientGrant) name() oauth2.GrantType { return oauth2.ClientCredentials }

func (clientGrant) read(params web.Values) (*oauth2.TokenGenerateRequest, error) {
	return &oauth2.TokenGenerateRequest{Scope: params.Get("scope")}, nil
}

func (clientGrant) permit(client oauth2.ClientInfo) error {
	if client.IsPublic() {
		return issuer.NotConfidential()
	}
	return nil
}

func (clientGrant) setHooks(s *library.Server, m *issuer.Manager) {
	s.ClientScopeHandler = func(request *oauth2.TokenGenerateRequest) (bool, error) {
		_, err := m.ClientScope(request.Scope)
		return err == nil, err
	}
}
