// Package platform holds the endpoints that belong to the platform itself rather than to OAuth: user tokens, integration
// tokens, and what a bearer token is good for. It reads requests, asks directory, issuer and verify, and writes the
// answers; it holds no state, and decides nothing but whether a token has what a gateway asks for.
package platform

import (
	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// Handler serves the platform's endpoints.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	issuer    *issuer.Issuer
	verify    *verify.Verifier
	catalogue *scope.Catalogue

	verifyIgnore []string // query names of forward-auth that are not read
}

// New makes the handler. verifyIgnore are the query names that a gateway may pass through to forward-auth.
func New(t *web.Toolkit, d *directory.Directory, i *issuer.Issuer, v *verify.Verifier, c *scope.Catalogue, verifyIgnore []string) *Handler {
	return &Handler{web: t, directory: d, issuer: i, verify: v, catalogue: c, verifyIgnore: verifyIgnore}
}
