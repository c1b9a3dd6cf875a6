// Package signing owns the server's signing keys and the JWTs made with them: it makes, seals, rotates and publishes keys,
// signs tokens, and verifies their form, signature and registered claims.
//
// Each type of token is one file with one claims type, which also fixes the typ of its header: user_token.go today, and ID tokens
// or JWT access tokens beside it. So a token of one type is never accepted as another (RFC 8725 §3.11). Rights and revocation are not its concern: package issuer decides
// which tokens are signed, and package verify looks a verified token up in the database.
//
// The only state it changes is the table of signing keys, by one guarded operation of the store.
package signing

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Errors of Verify.
var (
	// ErrInvalid: the token is not one of ours, or not of the expected type.
	ErrInvalid = errors.New("invalid signed token")
	// ErrExpired: the token is one of ours and has expired.
	ErrExpired = errors.New("expired signed token")
)

const (
	// KeyLead is how long a key is published before it signs, so that a verifier that caches the key set for a day has it in time.
	KeyLead = 24 * time.Hour
	// keyMargin is how much longer a key is published than the last token that it signed can live.
	keyMargin = time.Hour
	// sharedKeyID is the kid of tokens under the shared secret of HS256.
	sharedKeyID = "hs256"
	// MinSharedSecret is how many bytes a secret of HS256 must have (RFC 7518 §3.2).
	MinSharedSecret = 32
)

// Options are the settings of Keys. SealingKey is required to sign; a zero field of the others means its default.
type Options struct {
	Issuer      string        // the iss claim; "" accepts any, in tools beside the server
	Algorithm   string        // ES256, or HS256 for old verifiers, which then share Secret
	Secret      secret.Text   // of HS256: MinSharedSecret bytes at least; "" accepts no token under a shared secret
	SealingKey  []byte        // under which private keys are stored
	MaxLifetime time.Duration // of the longest-lived token, for which its key stays published: 24 h
	KeyInterval time.Duration // how long a key signs: 30 days; more than KeyLead
	KeyRefresh  time.Duration // how old a replica's copy of the keys may be: 30 s
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.MaxLifetime, 24 * time.Hour}, {&o.KeyInterval, 30 * 24 * time.Hour}, {&o.KeyRefresh, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Check returns an error for the first invalid setting.
func (o Options) Check() error {
	o = o.withDefaults()
	switch {
	case o.Algorithm != "" && o.Algorithm != "ES256" && o.Algorithm != "HS256":
		return errors.New("user tokens must be signed with ES256 or HS256")
	case o.Algorithm == "HS256" && o.Secret == "":
		return errors.New("user tokens signed with HS256 need a secret")
	case o.Secret != "" && len(o.Secret) < MinSharedSecret:
		return fmt.Errorf("the secret of user tokens must have %d bytes", MinSharedSecret)
	case o.KeyInterval < 2*KeyLead:
		return fmt.Errorf("a signing key must be used for at least %s", 2*KeyLead)
	}
	return nil
}

// Store is the part of the storage that Keys need.
type Store interface {
	store.SigningKeys
	Now() time.Time
}

// Keys are one replica's copy of the signing keys. Replicas share the keys through the store. Each reads them again when its copy
// is older than KeyRefresh, which is far shorter than KeyLead, so that no replica lacks a key that another one signs with. The
// content of a presented token never causes a read.
type Keys struct {
	store   Store
	options Options

	mu      sync.Mutex
	readAt  time.Time // by this process's clock
	list    []store.SigningKey
	public  map[string]publicKey // by kid; nil before the keys were read
	makeAt  time.Time            // when the next key may be made, after the database has refused to store it
	kid     string               // of private
	private *ecdsa.PrivateKey
}

type publicKey struct {
	key      *ecdsa.PublicKey
	retireAt time.Time // zero: not yet known
}

// New returns the keys in s.
func New(s Store, o Options) *Keys { return &Keys{store: s, options: o.withDefaults()} }

// Prepare makes the first key if there is none, and returns an error if this server cannot sign or verify, in which case it must
// not start. Every replica calls it before it serves, so that each has the first key.
func (k *Keys) Prepare(ctx context.Context) error {
	if _, err := k.KeySet(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.options.Algorithm == string(jose.HS256) {
		return nil // the private keys are not used
	}
	_, _, err := k.currentKey(ctx)
	return err
}

// Registered are the claims that every type of token has (RFC 7519 §4.1). Sign fills in the issuer.
type Registered struct {
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti"`
}

func (r *Registered) registered() *Registered { return r }

// Claims are the claims of one type of token, which embed Registered. Only types of this package implement it.
type Claims interface {
	registered() *Registered
	kind() kind
	// valid reports whether the claims beside the registered ones are those of a token of this type.
	valid() bool
}

// kind describes the header of a type of token.
type kind struct {
	typ    string
	shared bool // may be signed with HS256, if the server is set to that
}
