package signing

import "xenoauth/internal/scope"

// UserClaims are the claims of a user token (docs/dialects.md). There is no aud: the token is for every API of the platform.
type UserClaims struct {
	UserID string     `json:"_id"`
	Scope  scope.Role `json:"scope"`
	Registered
	// User tokens never have these two. They are here so that a token with one of them is refused.
	Audience  any `json:"aud,omitempty"`
	NotBefore any `json:"nbf,omitempty"`
}

func (UserClaims) kind() kind { return kind{typ: "JWT", shared: true} }

func (c UserClaims) valid() bool {
	return c.Audience == nil && c.NotBefore == nil && c.UserID != "" && c.Subject == c.UserID
}
