package oauth

import (
	"github.com/go-oauth2/oauth2/v4"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
)

// refreshGrant rotates a refresh token (RFC 6749 §6).
type refreshGrant struct{}

func (refreshGrant) name() oauth2.GrantType { return oauth2.Refreshing }

func (refreshGrant) read(params web.Values) (*oauth2.TokenGenerateRequest, error) {
	refresh := params.Get("refresh_token")
	if refresh == "" {
		return nil, errMissing("refresh_token")
	}
	return &oauth2.TokenGenerateRequest{Refresh: refresh, Scope: params.Get("scope")}, nil
}

// permit allows every client. Loading the token checks that it was issued to the client.
func (refreshGrant) permit(oauth2.ClientInfo) error { return nil }

func (refreshGrant) setHooks(s *library.Server, m *issuer.Manager) {
	s.RefreshingScopeHandler = func(request *oauth2.TokenGenerateRequest, granted string) (bool, error) {
		all, err := scope.ParseSet(granted)
		if err == nil {
			_, err = m.RefreshScope(request.Scope, all)
		}
		return err == nil, err
	}
}
