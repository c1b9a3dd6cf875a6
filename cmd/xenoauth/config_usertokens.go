package main

import (
	"time"

	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
)

// userTokens returns how user tokens are signed.
func (s *settings) userTokens() issuer.UserTokenOptions {
	var o issuer.UserTokenOptions
	o.Algorithm, o.Secret = s.oneOf("user-token-alg", "ES256", "HS256"), s.userTokenSecret()
	if o.Algorithm == "HS256" && o.Secret == "" && !s.values["user-token-secret"].unread {
		s.fault("user-token-alg", "HS256 needs a shared secret: set XENOAUTH_USER_TOKEN_SECRET_FILE to its file")
	}
	faults := len(s.faults)
	if o.KeyInterval = s.period("key-rotation", 2*signing.KeyLead); o.KeyInterval == 0 && len(s.faults) == faults {
		s.fault("key-rotation", "keys must rotate: use at least %s, such as 30d", brief(2*signing.KeyLead))
	}
	if o.MaxAge = s.period("user-token-max-age", time.Hour); o.MaxAge == 0 {
		s.fault("user-token-max-age", "log-ins of programs must end: use at least 1h, such as 90d")
	}
	return o
}

// userTokenSecret returns the secret of HS256, or "" if there is none.
func (s *settings) userTokenSecret() secret.Text {
	text := s.text("user-token-secret")
	if n := len(text); n > 0 && n < signing.MinSharedSecret {
		s.fault("user-token-secret", "%d bytes are too few: use %d random bytes or more", n, signing.MinSharedSecret)
	}
	return secret.Text(text)
}
