package bearer

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// clockLeeway is how far this machine's clock may be behind Xenoauth's.
const clockLeeway = time.Minute

// claimsExpired reports whether token, which introspection has just returned as inactive, is a JWT whose exp claim has passed.
// The claims are not verified. They only select the error to return, because introspection gives no reason.
func claimsExpired(token string, now time.Time) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var claims struct {
		Expires float64 `json:"exp"` // Unix seconds
	}
	if json.Unmarshal(text, &claims) != nil || claims.Expires <= 0 {
		return false
	}
	return claims.Expires <= float64(now.Add(clockLeeway).Unix())
}
