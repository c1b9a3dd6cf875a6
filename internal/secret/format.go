package secret

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	defaultPrefix = "xno"
	maxPrefixLen  = 8
	secretLen     = 43 // 43 characters of 62 are 256 bits
	checksumLen   = 6  // 62^6 > 2^32
	hintLen       = 4
	bodyLen       = idLen + secretLen + checksumLen
)

// Kind is the purpose of a credential. Its letter is part of the text, so that
// a credential of one kind is refused where another is required, and leak
// scanners can distinguish them.
type Kind byte

// The kinds of credential.
const (
	Access       Kind = 'a' // access token that never expires
	Expiring     Kind = 'e' // access token that expires
	Refresh      Kind = 'r' // refresh token
	Code         Kind = 'c' // authorization code
	Client       Kind = 's' // client secret of an app
	APIKey       Kind = 'k' // API key of an account
	Bot          Kind = 'b' // secret of a bot
	Integration  Kind = 'i' // integration token
	Registration Kind = 'g' // registration access token (RFC 7592)
	Request      Kind = 'q' // stored consent request

	// JWT is the kind of user tokens. They have another format: no Format mints
	// or reads them.
	JWT Kind = 'j'
)

// Valid reports whether k is one of the kinds above that a Format mints.
func (k Kind) Valid() bool { return k != JWT && k.String() != "unknown" }

// String returns the name of the kind, for logs and error messages.
func (k Kind) String() string {
	switch k {
	case Access:
		return "access token"
	case Expiring:
		return "expiring access token"
	case Refresh:
		return "refresh token"
	case Code:
		return "code"
	case Client:
		return "client secret"
	case APIKey:
		return "API key"
	case Bot:
		return "bot secret"
	case Integration:
		return "integration token"
	case Registration:
		return "registration token"
	case Request:
		return "consent request"
	case JWT:
		return "user token"
	}
	return "unknown"
}

// Format mints and reads credentials. Their text is
//
//	prefix, kind letter, "_", 22 of lookup id, 43 random, 6 of CRC-32
//
// The zero Format uses the prefix "xno". A Format is safe for concurrent use.
type Format struct {
	prefixes []string // empty: the default alone
}

// NewFormat returns a format that mints with the first prefix and accepts all
// of them, so that a prefix can be changed while old credentials are in use. A prefix is
// 1 to 8 lower-case letters. Without prefixes it equals the zero Format. The
// error lists all mistakes.
func NewFormat(prefixes ...string) (Format, error) {
	var faults []error
	for i, p := range prefixes {
		if len(p) < 1 || len(p) > maxPrefixLen || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" {
			faults = append(faults, fmt.Errorf("secret: credential prefix %q is not 1 to %d lower-case letters", p, maxPrefixLen))
		}
		if slices.Contains(prefixes[:i], p) {
			faults = append(faults, fmt.Errorf("secret: credential prefix %q is given twice", p))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Format{}, err
	}
	return Format{prefixes: slices.Clone(prefixes)}, nil
}

// New mints a credential with a new id and a new secret part. An unknown kind
// is a programming error and panics.
func (f Format) New(k Kind) Credential {
	if !k.Valid() {
		panic(fmt.Sprintf("secret: cannot mint a credential of kind %d", byte(k)))
	}
	c := Credential{Kind: k, ID: NewID(), prefix: defaultPrefix, secret: hide[[secretLen]byte]()}
	if len(f.prefixes) > 0 {
		c.prefix = f.prefixes[0]
	}
	draw((*c.secret)[:])
	return c
}

// Parse reads the text of a credential of any kind. It accepts exactly what New
// can have minted, character for character: no surrounding space, no other
// spelling. It does not look up the credential; the caller does, and compares
// the secret with Matches. The result keeps no reference to s.
func (f Format) Parse(s string) (Credential, bool) {
	if len(f.prefixes) == 0 {
		return parse(s, defaultPrefix)
	}
	for _, p := range f.prefixes {
		if c, ok := parse(s, p); ok {
			return c, true
		}
	}
	return Credential{}, false
}

func parse(s, prefix string) (Credential, bool) {
	head := len(prefix) + 2
	if len(s) != head+bodyLen || !strings.HasPrefix(s, prefix) || s[head-1] != '_' {
		return Credential{}, false
	}
	kind := Kind(s[head-2])
	if !kind.Valid() || !base62Only(s[head:]) {
		return Credential{}, false
	}
	text, sum := s[:len(s)-checksumLen], s[len(s)-checksumLen:]
	if want := checksum(text); string(want[:]) != sum {
		return Credential{}, false
	}
	id, ok := ParseID(s[head : head+idLen])
	if !ok {
		return Credential{}, false
	}
	c := Credential{Kind: kind, ID: id, prefix: prefix, secret: hide[[secretLen]byte]()}
	copy((*c.secret)[:], text[head+idLen:])
	return c, true
}
