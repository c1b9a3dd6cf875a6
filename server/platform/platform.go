// Package platform holds the endpoints that belong to the platform itself rather than to OAuth: what a bearer token is
// good for. It asks package verify and writes the answer; it holds no state and decides nothing.
package platform

import "xenoauth/internal/verify"

// Handler serves the platform's endpoints.
type Handler struct {
	verify *verify.Verifier
}

// New makes the handler.
func New(v *verify.Verifier) *Handler { return &Handler{verify: v} }
