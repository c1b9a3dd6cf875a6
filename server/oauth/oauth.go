// Package oauth holds the endpoints of the protocol, one file an endpoint: authorize, consent, token, revoke,
// introspect, metadata.
//
// It owns the reading of protocol requests and the writing of protocol answers. It refuses before it acts: a request is
// parsed strictly, the client and the redirect URI are proven, and only then is a rule of directory or issuer called.
// It holds no state and no SQL. go-oauth2 dispatches the grants; parsing, client authentication, redirects and answers
// are ours (docs/decisions).
package oauth

import (
	"net/url"

	"github.com/go-oauth2/oauth2/v4"
	grants "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// Handler serves the protocol's endpoints.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	verify    *verify.Verifier
	manager   *issuer.Issuer
	grants    *grants.Server
	catalogue *scope.Catalogue
	issuer    string
}

// New makes the handler. issuerURL is the origin that every absolute URL and every iss parameter begins with.
func New(t *web.Toolkit, d *directory.Directory, i *issuer.Issuer, v *verify.Verifier, c *scope.Catalogue, issuerURL string) *Handler {
	config := &grants.Config{
		TokenType:                   "Bearer",
		AllowedResponseTypes:        []oauth2.ResponseType{oauth2.Code},
		AllowedGrantTypes:           []oauth2.GrantType{oauth2.AuthorizationCode, oauth2.ClientCredentials, oauth2.Refreshing},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
	}
	return &Handler{
		web: t, directory: d, verify: v, manager: i, catalogue: c, issuer: issuerURL,
		grants: grants.NewServer(config, i),
	}
}

// redirectParams are the parameters of every redirect to an app: its state, to the byte, and who answers (RFC 9207).
func (h *Handler) redirectParams(state string) url.Values {
	params := url.Values{"iss": {h.issuer}}
	if state != "" {
		params.Set("state", state)
	}
	return params
}
