// Package platform has the endpoints that belong to the platform itself rather than to OAuth: user tokens, integration tokens,
// forward-auth for gateways, and /api/me. It reads requests, calls the rules in directory, issuer and verify, and writes
// the answers. It has no state, and the only rule of its own is whether a token meets the requirements of a gateway.
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
