package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// ErrNoSecret is returned for sealing or opening with a zero value, which has
// no secret to derive a key from.
var ErrNoSecret = errors.New("secret: the credential is empty")

// ErrSealed is returned by Open for data that was not sealed with the same
// secret and context.
var ErrSealed = errors.New("secret: the sealed text cannot be opened")

// Credential is a minted or presented credential. Kind and ID may be logged;
// only Reveal returns the secret part. The zero Credential matches nothing.
//
// Compare credentials with Matches, never with ==.
type Credential struct {
	Kind Kind
	ID   ID

	prefix string
	// secret is behind two pointers; hide explains why.
	secret **[secretLen]byte
}

// Hash returns the SHA-256 of the ASCII of the 43 random characters. The hash
// is stored instead of the credential. The characters have 256 random bits, so
// neither salt nor stretching would add security. The zero Credential has the
// zero hash, which its Matches refuses.
func (c Credential) Hash() [32]byte {
	if c.secret == nil {
		return [32]byte{}
	}
	return sha256.Sum256((*c.secret)[:])
}

// Matches reports in constant time whether hash is the Hash of this credential.
// A stored hash that is empty or of another length matches nothing.
func (c Credential) Matches(hash []byte) bool {
	return c.secret != nil && matches((*c.secret)[:], hash)
}

// Reveal returns the full text, for the one response or page that issues the
// credential. It is empty for the zero Credential.
func (c Credential) Reveal() string {
	if c.secret == nil {
		return ""
	}
	text := make([]byte, 0, len(c.prefix)+2+bodyLen)
	text = append(text, c.prefix...)
	text = append(text, byte(c.Kind), '_')
	text = append(text, c.ID.String()...)
	text = append(text, (*c.secret)[:]...)
	sum := checksum(text)
	return string(append(text, sum[:]...))
}

// Hint returns the last four characters of the text, by which people recognize
// a credential in a list. They may be stored and shown. They belong to the
// checksum of all other characters, and reveal as much as four characters of
// the secret part would: 24 of its 256 bits.
func (c Credential) Hint() string {
	text := c.Reveal()
	return text[max(0, len(text)-hintLen):]
}

// Seal encrypts plain so that only a holder of this credential can Open it; the
// stored hash is not enough. The cipher is AES-256-GCM under a key derived from
// the secret part by HKDF-SHA256 (RFC 5869), with context as info and as
// additional data. Different uses must have different contexts. The result is
// 28 bytes longer than plain.
func (c Credential) Seal(plain []byte, context string) ([]byte, error) {
	if c.secret == nil {
		return nil, ErrNoSecret
	}
	return seal((*c.secret)[:], plain, context)
}

// Open decrypts the result of Seal with the same credential and context.
// Anything else is ErrSealed.
func (c Credential) Open(sealed []byte, context string) ([]byte, error) {
	if c.secret == nil {
		return nil, ErrNoSecret
	}
	return open((*c.secret)[:], sealed, context)
}

// String returns "[redacted]".
func (Credential) String() string { return redacted }

// GoString returns "[redacted]".
func (Credential) GoString() string { return redacted }

// Format prints "[redacted]" whatever the verb.
func (Credential) Format(s fmt.State, _ rune) { writeRedacted(s) }

// LogValue logs "[redacted]".
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", and so do JSON and XML.
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func writeRedacted(s fmt.State) { _, _ = s.Write([]byte(redacted)) }

func matches(secret, stored []byte) bool {
	if len(stored) != sha256.Size {
		return false
	}
	hash := sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(hash[:], stored) == 1
}

func seal(secret, plain []byte, context string) ([]byte, error) {
	aead, err := sealer(secret, context)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(context)), nil
}

func open(secret, sealed []byte, context string) ([]byte, error) {
	aead, err := sealer(secret, context)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

func sealer(secret []byte, context string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, context, 32)
	if err != nil {
		return nil, fmt.Errorf("secret: derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("secret: sealing mode: %w", err)
	}
	return aead, nil
}
