package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
)

const (
	userSecretLen  = 24 // 192 bits
	userRefreshLen = userIDLen + 1 + 2*(len(ID{})+userSecretLen)
)

// UserRefresh is the refresh token of a user token. Existing clients check its
// form, "<user id>.<80 hexadecimal characters>": 32 characters are the lookup
// id, 48 the secret (docs/credentials.md). The zero UserRefresh matches nothing.
type UserRefresh struct {
	UserID string
	ID     ID

	// secret is behind two pointers; hide explains why.
	secret **[userSecretLen]byte
}

// NewUserRefresh mints a refresh token for the user. A userID that is not
// ValidUserID is a programming error and panics: the token could not be parsed.
func NewUserRefresh(userID string) UserRefresh {
	if !ValidUserID(userID) {
		panic(fmt.Sprintf("secret: cannot mint a refresh token for user id %q", userID))
	}
	u := UserRefresh{UserID: userID, ID: NewID(), secret: hide[[userSecretLen]byte]()}
	rand.Read((*u.secret)[:]) // never fails: the runtime crashes the process instead
	return u
}

// ParseUserRefresh reads the text of Reveal. Hexadecimal digits must be lower
// case, so that a token has one spelling. The user id is not verified: compare
// it with the stored one.
func ParseUserRefresh(s string) (UserRefresh, bool) {
	if len(s) != userRefreshLen || s[userIDLen] != '.' ||
		!lowerHex(s[:userIDLen]) || !lowerHex(s[userIDLen+1:]) {
		return UserRefresh{}, false
	}
	var raw [len(ID{}) + userSecretLen]byte
	if _, err := hex.Decode(raw[:], []byte(s[userIDLen+1:])); err != nil {
		return UserRefresh{}, false
	}
	u := UserRefresh{UserID: string([]byte(s[:userIDLen])), secret: hide[[userSecretLen]byte]()}
	n := copy(u.ID[:], raw[:])
	copy((*u.secret)[:], raw[n:])
	return u, true
}

// Hash returns the SHA-256 of the 24 secret bytes, which is stored. The zero
// UserRefresh has the zero hash.
func (u UserRefresh) Hash() [32]byte {
	if u.secret == nil {
		return [32]byte{}
	}
	return sha256.Sum256((*u.secret)[:])
}

// Matches reports in constant time whether hash is the Hash of this token. A
// stored hash that is empty or of another length matches nothing.
func (u UserRefresh) Matches(hash []byte) bool {
	return u.secret != nil && matches((*u.secret)[:], hash)
}

// Reveal returns the full text, for the response that issues it. It is empty for
// the zero UserRefresh.
func (u UserRefresh) Reveal() string {
	if u.secret == nil {
		return ""
	}
	text := make([]byte, 0, userRefreshLen)
	text = append(text, u.UserID...)
	text = append(text, '.')
	text = hex.AppendEncode(text, u.ID[:])
	return string(hex.AppendEncode(text, (*u.secret)[:]))
}

// Seal encrypts plain for a holder of this token, like Credential.Seal.
func (u UserRefresh) Seal(plain []byte, context string) ([]byte, error) {
	if u.secret == nil {
		return nil, ErrNoSecret
	}
	return seal((*u.secret)[:], plain, context)
}

// Open decrypts the result of Seal. Anything else is ErrSealed.
func (u UserRefresh) Open(sealed []byte, context string) ([]byte, error) {
	if u.secret == nil {
		return nil, ErrNoSecret
	}
	return open((*u.secret)[:], sealed, context)
}

// String returns "[redacted]".
func (UserRefresh) String() string { return redacted }

// GoString returns "[redacted]".
func (UserRefresh) GoString() string { return redacted }

// Format prints "[redacted]" whatever the verb.
func (UserRefresh) Format(s fmt.State, _ rune) { writeRedacted(s) }

// LogValue logs "[redacted]".
func (UserRefresh) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", and so do JSON and XML.
func (UserRefresh) MarshalText() ([]byte, error) { return []byte(redacted), nil }
