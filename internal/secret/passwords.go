package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"
)

// Params is the cost of one argon2id computation.
type Params struct {
	Memory  uint32 // KiB, at least 8 per thread
	Time    uint32 // passes
	Threads uint8
}

// DefaultParams returns the default cost: 19 MiB, two passes, one thread (the
// OWASP minimum for argon2id).
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

// Passwords hashes and verifies passwords with argon2id (RFC 9106). It limits
// the number of concurrent computations, so that many log-ins at once use time
// and not memory. Client addresses share the slots equally (WithAddress,
// WithAccount). Safe for concurrent use.
type Passwords struct {
	params  Params
	queue   *queue
	dummy   phc
	observe func(address string)
}

// PasswordOptions are the options of NewPasswords. The zero value is for production.
type PasswordOptions struct {
	// Concurrency is the number of slots. 0 or less means one less than GOMAXPROCS, and at least one.
	Concurrency int
	// Params are the cost of new hashes; stored hashes keep theirs until they are replaced. The zero value means
	// DefaultParams. NewPasswords panics if they exceed the limits for stored hashes. Tests set a low cost.
	Params Params
	// Observe is called at the start of each computation, while it holds its slot, with the address it belongs to.
	// The computation waits until the function returns. Tests use it to control the order.
	Observe func(address string)
}

// NewPasswords returns a hasher. If hashing used all cores, the verification of
// tokens would wait for it (measured by BenchmarkVerifyDuringLogIns), without
// more log-ins.
func NewPasswords(o PasswordOptions) *Passwords {
	if o.Concurrency <= 0 {
		o.Concurrency = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if o.Params == (Params{}) {
		o.Params = DefaultParams()
	}
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	pw := &Passwords{params: o.Params, queue: newQueue(o.Concurrency), observe: o.Observe}
	pw.dummy = phc{params: pw.params, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	if err := pw.dummy.check(); err != nil {
		panic(fmt.Sprintf("secret: invalid password parameters: %v", err))
	}
	return pw
}

// Hash returns the PHC string to store for password, under a new random salt:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
//
// It hashes the password's normal form, so that a password is the same on every
// keyboard. It refuses what CheckPassword refuses, and characters without a
// normal form, with a *PasswordError. ErrQueueFull and ErrQueueTimeout: the hash
// was not computed.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	normal, ok := normalizePassword(password)
	if !ok {
		return "", refusedCharacter(password)
	}
	h := phc{params: p.params, salt: make([]byte, saltLen)}
	rand.Read(h.salt) // never fails: the runtime crashes the process instead
	var err error
	if h.key, err = p.derive(ctx, h, normal, keyLen); err != nil {
		return "", err
	}
	return h.String(), nil
}

// Verify reports whether stored is a hash of password. rehash is true if it is,
// but at another cost, or not in normal form, as older versions hashed it; the
// caller then stores a new Hash. An empty stored hash (a user without a
// password) takes the same time and never verifies. Errors are ErrPasswordHash
// for an invalid stored string, ErrQueueFull and ErrQueueTimeout; none reveals
// anything about the password.
func (p *Passwords) Verify(ctx context.Context, stored, password string) (ok, rehash bool, err error) {
	if stored == "" {
		return false, false, p.VerifyDummy(ctx, password)
	}
	h, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	for i, form := range passwordForms(password) {
		key, err := p.derive(ctx, h, form, uint32(len(h.key)))
		if err != nil {
			return false, false, err
		}
		if subtle.ConstantTimeCompare(key, h.key) == 1 {
			weak := h.params != p.params || len(h.salt) < saltLen || len(h.key) < keyLen
			return true, weak || i > 0, nil
		}
	}
	return false, false, nil
}

// passwordForms are the texts that may have been hashed for a presented
// password: its normal form, and the text as typed if that differs. Their number
// does not depend on the user.
func passwordForms(password string) []string {
	normal, ok := normalizePassword(password)
	switch {
	case !ok:
		return []string{password}
	case normal == password:
		return []string{normal}
	}
	return []string{normal, password}
}

// VerifyDummy does the work of Verify for an unknown user, so that the response
// time reveals nothing. The errors are ErrQueueFull and ErrQueueTimeout.
func (p *Passwords) VerifyDummy(ctx context.Context, password string) error {
	for _, form := range passwordForms(password) {
		key, err := p.derive(ctx, p.dummy, form, keyLen)
		if err != nil {
			return err
		}
		_ = subtle.ConstantTimeCompare(key, p.dummy.key)
	}
	return nil
}

// Waiting returns the number of computations of an address that wait for a slot.
func (p *Passwords) Waiting(address string) int { return p.queue.waiting(address) }

// derive waits for a slot and computes.
func (p *Passwords) derive(ctx context.Context, h phc, password string, length uint32) ([]byte, error) {
	release, err := p.queue.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	p.observe(requesterOf(ctx).address)
	return argon2.IDKey([]byte(password), h.salt, h.params.Time, h.params.Memory, h.params.Threads, length), nil
}
