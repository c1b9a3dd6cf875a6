package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// MaxUserToken is how long a user token may be. Those that are minted have some
// 550 bytes.
const MaxUserToken = 2048

// NewTokenID returns a jti: the lookup id, a hyphen, and 130 random bits in 26
// characters, without which a token could be computed by who knows the shared
// secret of HS256 and the database.
func NewTokenID(id ID) string { return id.String() + "-" + rand.Text() }

// ParseTokenID reads the lookup id out of a jti that NewTokenID made.
func ParseTokenID(jti string) (ID, bool) {
	id, random, found := strings.Cut(jti, "-")
	if !found || len(random) != 26 || strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return ID{}, false
	}
	return ParseID(id)
}

// ParseUserToken reads the lookup id out of the jti of a JWT and nothing else:
// neither the signature nor any other claim is looked at, so the id is only
// claimed until the hash proves it.
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

// HashUserToken returns the SHA-256 of a whole JWT in compact form, to the
// letter: what is stored. With it, a database together with all signing keys
// does not suffice to make a token that is accepted.
func HashUserToken(jwt string) [32]byte { return sha256.Sum256([]byte(jwt)) }

// MatchesUserToken says in constant time whether hash is that of this JWT,
// every letter of it. A stored hash of another length matches nothing.
func MatchesUserToken(jwt string, hash []byte) bool { return matches([]byte(jwt), hash) }
