package secret

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	idLen     = 22
	userIDLen = 24
)

// ID is the lookup id of a credential, or the random part of a public id. It is
// not secret. It is time-ordered, so that rows created together are close in an
// index. No code may rely on the order, because clocks of replicas differ.
type ID [16]byte

// NewID returns a new UUIDv7 (RFC 9562 §5.7). Ids made by one process ascend.
func NewID() ID {
	// The only error is that of the random source, which cannot fail.
	return ID(uuid.Must(uuid.NewV7()))
}

// IDAt is not above any id that NewID creates at t or later, by the clock of
// NewID. It is for lists of new objects, not for decisions.
func IDAt(t time.Time) ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16)
	return id
}

// ParseID reads the 22 base62 characters that String writes. It accepts any
// 128-bit value, whatever its UUID version, and refuses larger ones.
func ParseID(s string) (ID, bool) {
	hi, lo, ok := decode128(s)
	if !ok {
		return ID{}, false
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, true
}

// String returns the id as 22 base62 characters, zero-padded. Texts sort like
// their ids.
func (id ID) String() string {
	var dst [idLen]byte
	encode128(&dst, binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:]))
	return string(dst[:])
}

// Bytes returns a copy of the 16 bytes, for a store.
func (id ID) Bytes() []byte { return append([]byte(nil), id[:]...) }

// MarshalText writes the id as String does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, ok := ParseID(string(text))
	if !ok {
		return fmt.Errorf("secret: an id is %d base62 characters below 2^128", idLen)
	}
	*id = parsed
	return nil
}

// NewPublicID returns prefix followed by 22 base62 characters, time-ordered:
// NewPublicID("acc_") is the id of an account. The prefix must contain no dot.
func NewPublicID(prefix string) string { return prefix + NewID().String() }

// ValidPublicID reports whether s has the form of an id of NewPublicID, not
// whether the object exists.
func ValidPublicID(prefix, s string) bool {
	rest, found := strings.CutPrefix(s, prefix)
	if !found {
		return false
	}
	_, ok := ParseID(rest)
	return ok
}

// NewUserID returns the id of a user or bot: 24 lower-case hexadecimal
// characters, of which the first 12 are the milliseconds since 1970 and the
// others random. Clients of user tokens check this shape.
func NewUserID() string {
	var b [14]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli()))
	rand.Read(b[8:]) // never fails: the runtime crashes the process instead
	return hex.EncodeToString(b[2:])
}

// ValidUserID reports whether s is 24 lower-case hexadecimal characters.
func ValidUserID(s string) bool { return len(s) == userIDLen && lowerHex(s) }

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
