package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// MaxUserToken is the maximum length of a user token. Minted ones have about
// 550 bytes.
const MaxUserToken = 2048

// NewTokenID returns a jti: the lookup id, a hyphen, and 130 random bits in 26
// characters. Without the random bits an attacker who knows the database and
// the shared secret of HS256 could compute a token.
func NewTokenID(id ID) string { return id.String() + "-" + rand.Text() }

// ParseTokenID reads the lookup id from a jti of NewTokenID.
func ParseTokenID(jti string) (ID, bool) {
	id, random, found := strings.Cut(jti, "-")
	if !found || len(random) != 26 || strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return ID{}, false
	}
	return ParseID(id)
}

// ParseUserToken reads only the lookup id from the jti of a JWT. It verifies
// neither the signature nor any other claim, so the id is not trusted until the
// hash matches.
func ParseUserToken(jwt string) (ID, bool) {
	parts := strings.SplitN(jwt, ".", 4)
	if len(jwt) > MaxUserToken || len(parts) != 3 {
		return ID{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !bytes.HasPrefix(payload, []byte("{")) {
		return ID{}, false
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ID{}, false
	}
	return ParseTokenID(claims.ID)
}

// HashUserToken returns the SHA-256 of a JWT in compact form, which is stored.
// Because of it, the database and all signing keys together are not enough to
// forge a token.
func HashUserToken(jwt string) [32]byte { return sha256.Sum256([]byte(jwt)) }

// MatchesUserToken reports in constant time whether hash is that of this JWT. A
// stored hash of another length matches nothing.
func MatchesUserToken(jwt string, hash []byte) bool { return matches([]byte(jwt), hash) }
