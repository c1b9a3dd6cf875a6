package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Lengths of new salts and hashes, and the limits on a stored string: an
// attacker who can write one row must not make us use 4 GB or an hour.
const (
	saltLen = 16
	keyLen  = 32

	minSaltLen = 8
	minKeyLen  = 16
	maxPartLen = 64
	maxMemory  = 256 * 1024 // KiB
	maxTime    = 16
	maxThreads = 16
	maxPHCLen  = 256
)

// ErrPasswordHash is a stored password hash that is not an argon2id PHC string
// within the limits. It never contains the string.
var ErrPasswordHash = errors.New("secret: the stored password hash cannot be used")

// phc is a password hash in the PHC string format, for argon2id version 19 only.
type phc struct {
	params    Params
	salt, key []byte
}

// String writes the canonical form.
func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.Memory, h.params.Time, h.params.Threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parsePHC reads a PHC string in canonical form only. It encodes the result and
// compares the text, so that signs, spaces, leading zeros and spare base64 bits
// need no rules of their own.
func parsePHC(s string) (phc, error) {
	if len(s) > maxPHCLen {
		return phc{}, ErrPasswordHash
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 {
		return phc{}, ErrPasswordHash
	}
	var h phc
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.params.Memory, &h.params.Time, &h.params.Threads)
	if err != nil {
		return phc{}, ErrPasswordHash
	}
	var errSalt, errKey error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || h.check() != nil || h.String() != s {
		return phc{}, ErrPasswordHash
	}
	return h, nil
}

// check refuses parameters outside the limits.
func (h phc) check() error {
	p := h.params
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("threads %d are not 1 to %d", p.Threads, maxThreads)
	case p.Time < 1 || p.Time > maxTime:
		return fmt.Errorf("passes %d are not 1 to %d", p.Time, maxTime)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("memory %d KiB is not 8 a thread to %d", p.Memory, maxMemory)
	case len(h.salt) < minSaltLen || len(h.salt) > maxPartLen:
		return fmt.Errorf("salt of %d bytes is not %d to %d", len(h.salt), minSaltLen, maxPartLen)
	case len(h.key) < minKeyLen || len(h.key) > maxPartLen:
		return fmt.Errorf("hash of %d bytes is not %d to %d", len(h.key), minKeyLen, maxPartLen)
	}
	return nil
}
