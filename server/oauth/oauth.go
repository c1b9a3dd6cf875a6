// Package oauth holds the endpoints of the protocol, one file an endpoint: authorize, consent, token, revoke,
// introspect, metadata.
//
// It owns the reading of protocol requests and the writing of protocol answers. It refuses before it acts: a request is
// parsed strictly, the client and the redirect URI are proven, and only then is a rule of directory or issuer called.
// It holds no state and no SQL. go-oauth2 dispatches the grants, and its hooks carry the rules about clients and scopes;
// parsing, client authentication, redirects and answers are our own (docs/decisions/go-oauth2.md).
package oauth

import (
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/signing"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// Handler serves the protocol's endpoints.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	verify    *verify.Verifier
	issuer    *issuer.Issuer
	keys      *signing.Keys
	catalogue *scope.Catalogue
	grants    []grant
	config    *library.Config
	origin    string
}

// New makes the handler. origin is the issuer: every absolute URL and every iss parameter begins with it.
func New(t *web.Toolkit, d *directory.Directory, i *issuer.Issuer, v *verify.Verifier, k *signing.Keys, c *scope.Catalogue, origin string) *Handler {
	h := &Handler{web: t, directory: d, verify: v, issuer: i, keys: k, catalogue: c, origin: origin}
	h.setGrants(grants())
	return h
}

// setGrants makes the library allow the grants, and the metadata name them.
func (h *Handler) setGrants(list []grant) {
	h.grants = list
	h.config = &library.Config{TokenType: "Bearer"}
	for _, g := range list {
		h.config.AllowedGrantTypes = append(h.config.AllowedGrantTypes, g.name())
	}
}
