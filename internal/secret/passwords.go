package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

const (
	minPasswordLen = 8
	maxPasswordLen = 1024
)

// PasswordError is a password that may not be chosen. Message is a sentence for
// the person who typed it; it never holds the password.
type PasswordError struct{ Message string }

// Error returns the sentence.
func (e *PasswordError) Error() string { return e.Message }

// What CheckPassword refuses.
var (
	ErrPasswordTooShort = &PasswordError{"The password is too short: use at least 8 characters."}
	ErrPasswordTooLong  = &PasswordError{"The password is too long: use at most 1024 bytes."}
	ErrPasswordNotText  = &PasswordError{"The password holds bytes that are not text in UTF-8."}
	ErrPasswordNUL      = &PasswordError{"The password holds a NUL character, which cannot be used."}
)

// CheckPassword says whether p may be chosen as a password: 8 to 1024 bytes of
// UTF-8 without NUL. Else it returns one of the *PasswordError above. Nothing
// else is asked of it (NIST SP 800-63B-4 §3.1.1.2 advises against rules of
// composition).
//
// The bytes count as sent. No Unicode normalisation is applied: a password that
// is normalised here and not by the program that hashed it elsewhere would
// never verify, and keyboards of one person rarely differ in their forms.
func CheckPassword(p string) error {
	switch {
	case len(p) < minPasswordLen:
		return ErrPasswordTooShort
	case len(p) > maxPasswordLen:
		return ErrPasswordTooLong
	case !utf8.ValidString(p):
		return ErrPasswordNotText
	case strings.IndexByte(p, 0) >= 0:
		return ErrPasswordNUL
	}
	return nil
}

// Params is what one argon2id computation costs.
type Params struct {
	Memory  uint32 // KiB, at least 8 a thread
	Time    uint32 // passes
	Threads uint8
}

// DefaultParams returns the cost used unless WithParams says otherwise: 19 MiB,
// two passes, one thread (the OWASP minimum for argon2id).
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

// Passwords hashes and verifies passwords with argon2id (RFC 9106). Only so
// many computations run at once, so that a flood of log-ins costs waiting and
// not memory; client addresses share them equally (WithAddress, WithAccount).
// Safe for concurrent use.
type Passwords struct {
	params Params
	queue  *queue
	dummy  phc
}

// PasswordsOption changes what NewPasswords makes.
type PasswordsOption func(*Passwords)

// WithParams sets the cost of new hashes; stored hashes keep theirs until they
// are hashed again. Tests use it to be quick. Parameters outside the bounds
// that stored hashes have are a fault of the program: NewPasswords panics.
func WithParams(p Params) PasswordsOption {
	return func(pw *Passwords) { pw.params = p }
}

// NewPasswords returns a hasher that computes at most concurrency hashes at
// once; 0 or less means one less than GOMAXPROCS, and one at least. Where
// hashing takes all cores, the verification of tokens waits behind it (measured
// by BenchmarkVerifyDuringLogIns), and no more people log in.
func NewPasswords(concurrency int, options ...PasswordsOption) *Passwords {
	if concurrency <= 0 {
		concurrency = max(1, runtime.GOMAXPROCS(0)-1)
	}
	pw := &Passwords{params: DefaultParams(), queue: newQueue(concurrency)}
	for _, set := range options {
		set(pw)
	}
	pw.dummy = phc{params: pw.params, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	if err := pw.dummy.check(); err != nil {
		panic(fmt.Sprintf("secret: cannot hash passwords so: %v", err))
	}
	return pw
}

// Hash returns the PHC string to store for password, under a new random salt:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
//
// It refuses what CheckPassword refuses with the same error. ErrQueueFull and
// ErrQueueTimeout: it was not computed.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	h := phc{params: p.params, salt: make([]byte, saltLen)}
	rand.Read(h.salt) // never fails: the runtime ends the process instead
	var err error
	if h.key, err = p.derive(ctx, h, password, keyLen); err != nil {
		return "", err
	}
	return h.String(), nil
}

// Verify says whether password is the one that stored was made of. rehash is
// true when it is, but at another cost than today's: the caller then stores a
// new Hash. An empty stored hash (a user without a password) costs as much and
// never verifies. Errors are ErrPasswordHash for a stored string that cannot be
// used, ErrQueueFull and ErrQueueTimeout; none says anything of the password.
func (p *Passwords) Verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	if stored == "" {
		return false, false, p.VerifyDummy(ctx, password)
	}
	h, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	key, err := p.derive(ctx, h, password, uint32(len(h.key)))
	if err != nil {
		return false, false, err
	}
	if subtle.ConstantTimeCompare(key, h.key) != 1 {
		return false, false, nil
	}
	weak := h.params != p.params || len(h.salt) < saltLen || len(h.key) < keyLen
	return true, weak, nil
}

// VerifyDummy does the work of Verify for a user who does not exist, so that the
// time of the answer does not tell. ErrQueueFull and ErrQueueTimeout.
func (p *Passwords) VerifyDummy(ctx context.Context, password string) error {
	key, err := p.derive(ctx, p.dummy, password, keyLen)
	if err != nil {
		return err
	}
	_ = subtle.ConstantTimeCompare(key, p.dummy.key)
	return nil
}

// derive waits for a slot and computes.
func (p *Passwords) derive(ctx context.Context, h phc, password string, length uint32) ([]byte, error) {
	release, err := p.queue.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return argon2.IDKey([]byte(password), h.salt, h.params.Time, h.params.Memory, h.params.Threads, length), nil
}
