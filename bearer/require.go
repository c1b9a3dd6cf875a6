package bearer

import (
	"encoding/json"
	"errors"
	"net/http"
)

// refusal is an error response (RFC 6750 §3.1).
type refusal struct {
	status      int
	code        string // "" if no token was sent: the challenge then has no error
	description string
	scopes      string // that would be sufficient
}

var (
	twoMethods = &refusal{status: http.StatusBadRequest, code: "invalid_request",
		description: "the access token is sent twice; send it in the Authorization header only"}
	invalidToken = &refusal{status: http.StatusUnauthorized, code: "invalid_token",
		description: "the access token is malformed, unknown, expired or revoked"}
	// A 403 makes clients of user tokens use their refresh token.
	expiredToken = &refusal{status: http.StatusForbidden, code: "invalid_token",
		description: "Permission Denied: the user token has expired"}
	// 403 and not 401, because the token is valid: an app that always requests a resource would log in again and again.
	narrowed = &refusal{status: http.StatusForbidden, code: "insufficient_scope",
		description: "the access token is restricted to specific resources, and this API is not named as one of them"}
	unavailable = &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable",
		description: "access tokens cannot be verified right now; try again in a few seconds"}
)

// Require returns middleware for routes that need a valid token that meets all of the requirements, if there are any. The
// handler gets the Identity from FromContext. Each Require verifies the token again, so use one per route. CORS preflights
// carry no token: answer them before this middleware.
//
// It panics for a Requirement that was not made by one of this package's functions.
func (v *Verifier) Require(requirements ...Requirement) func(http.Handler) http.Handler {
	needs := allOf(requirements)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, refused := v.admit(r, needs)
			if refused != nil {
				v.refuse(w, refused)
				return
			}
			r = r.WithContext(NewContext(r.Context(), id))
			if tokenInForm(r) {
				v.refuse(w, twoMethods)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (v *Verifier) admit(r *http.Request, needs Requirement) (Identity, *refusal) {
	token, refused := tokenOf(r)
	if refused != nil {
		return Identity{}, refused
	}
	id, err := v.Verify(r.Context(), token)
	switch {
	case errors.Is(err, ErrExpired):
		return Identity{}, expiredToken
	case errors.Is(err, ErrInvalid):
		return Identity{}, invalidToken
	case err != nil:
		return Identity{}, unavailable
	case v.audience == "" && !needs.audience && len(id.Audience) > 0:
		return Identity{}, narrowed
	case !needs.met(r, id):
		return Identity{}, &refusal{status: http.StatusForbidden, code: "insufficient_scope", scopes: needs.missing(id),
			description: "the access token's scope or its user's role does not allow this; required: " + needs.text}
	}
	return id, nil
}

func (v *Verifier) refuse(w http.ResponseWriter, f *refusal) {
	h := w.Header()
	if f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	} else {
		challenge := `Bearer realm="` + v.realm + `"`
		if f.code != "" {
			challenge += `, error="` + f.code + `"`
		}
		if f.scopes != "" {
			challenge += `, scope="` + f.scopes + `"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
	body := struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{f.code, f.description}
	if body.Error == "" {
		body.Error = "invalid_token"
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the client has gone
}
