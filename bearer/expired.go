package bearer

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// clockLeeway is how much earlier than Xenoauth's the end of a token may seem to come here.
const clockLeeway = time.Minute

// saysExpired reads the claims of a token that Xenoauth has just called inactive: is it a JWT that says that its time is
// over? Nothing vouches for the claims, and nothing depends on them but which refusal is answered: introspection gives no
// reason.
func saysExpired(token string, now time.Time) bool {
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
