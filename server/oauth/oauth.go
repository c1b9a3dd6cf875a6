// Package oauth has the endpoints of OAuth, one file each: authorize, consent, token, revoke, introspect, metadata. Each
// grant type of the token endpoint also has its own file.
//
// It reads protocol requests and writes protocol answers. A request is parsed strictly, its client authenticated and its redirect
// URI verified before a rule of directory or issuer is called. It has no state and no SQL. go-oauth2 dispatches the grants,
// and its hooks carry the rules about clients and scopes; parsing, client authentication, redirects and answers are our own
// (docs/decisions/go-oauth2.md).
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

// Handler serves the endpoints of OAuth.
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

// New makes the handler. origin is the issuer, with which every absolute URL begins.
func New(t *web.Toolkit, d *directory.Directory, i *issuer.Issuer, v *verify.Verifier, k *signing.Keys, c *scope.Catalogue, origin string) *Handler {
	h := &Handler{web: t, directory: d, verify: v, issuer: i, keys: k, catalogue: c, origin: origin}
	h.setGrants(grants())
	return h
}

// setGrants sets the grants that the token endpoint accepts and the metadata lists.
func (h *Handler) setGrants(list []grant) {
	h.grants = list
	h.config = &library.Config{TokenType: "Bearer"}
	for _, g := range list {
		h.config.AllowedGrantTypes = append(h.config.AllowedGrantTypes, g.name())
	}
}
