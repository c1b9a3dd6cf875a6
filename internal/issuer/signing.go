package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const (
	// KeyLead is how long a key is published before it signs, so that whoever keeps the key set for a day knows it.
	KeyLead = 24 * time.Hour
	// keyMargin is how much longer a key is published than the last token that it signed can live.
	keyMargin = time.Hour
	// sharedKeyID is the kid of tokens under the shared secret of HS256.
	sharedKeyID = "hs256"
)

// signingKeys signs with the key whose turn it is, and makes the next one in time. Replicas share the keys by way of the
// store; each reads them anew when what it knows is older than KeyRefresh, which is far shorter than KeyLead, so that no
// replica misses a key that another one signs with.
type signingKeys struct {
	store   Store
	options UserTokenOptions

	mu     sync.Mutex
	readAt time.Time // by this process's clock
	keys   []store.SigningKey
	kid    string // of signer
	signer jose.Signer
}

// sign makes a JWT in compact form.
func (k *signingKeys) sign(ctx context.Context, payload []byte) (string, error) {
	signer, err := k.today(ctx)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign user token: %w", err)
	}
	return signed.CompactSerialize()
}

// today is the signer whose turn it is.
func (k *signingKeys) today(ctx context.Context) (jose.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.options.Algorithm == string(jose.HS256) {
		return k.signerFor(sharedKeyID, jose.HS256, []byte(k.options.Secret.Reveal()))
	}
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	key, now := keys[0], k.store.Now()
	for _, next := range keys[1:] {
		if !now.Before(next.ActiveFrom) {
			key = next
		}
	}
	if key.ID == k.kid {
		return k.signer, nil
	}
	private, err := unsealKey(k.options.SealingKey, key)
	if err != nil {
		return nil, err
	}
	return k.signerFor(key.ID, jose.ES256, private)
}

// signerFor remembers the signer. The lock is held.
func (k *signingKeys) signerFor(kid string, algorithm jose.SignatureAlgorithm, key any) (jose.Signer, error) {
	if kid == k.kid {
		return k.signer, nil
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, new(jose.SignerOptions).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		return nil, fmt.Errorf("signer of key %s: %w", kid, err)
	}
	k.kid, k.signer = kid, signer
	return signer, nil
}

// current is all keys, at least one, and the next one if it is time for it. The lock is held.
func (k *signingKeys) current(ctx context.Context) ([]store.SigningKey, error) {
	if len(k.keys) > 0 && time.Since(k.readAt) < k.options.KeyRefresh {
		return k.keys, nil
	}
	for {
		readAt := time.Now()
		keys, err := k.store.SigningKeys(ctx)
		if err != nil {
			return k.lastKnown(fmt.Errorf("read signing keys: %w", err))
		}
		next, retirePrevious, due := k.options.nextKey(keys, k.store.Now())
		if !due {
			k.keys, k.readAt = keys, readAt
			return keys, nil
		}
		if err := makeKey(&next, k.options.SealingKey); err != nil {
			return nil, err
		}
		err = k.store.AddSigningKey(ctx, next, retirePrevious)
		// Another replica may have been first, or the operator has taken the old key away: what counts is what is there now.
		if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return k.lastKnown(fmt.Errorf("add signing key: %w", err))
		}
	}
}

// lastKnown bears with a database that does not answer for a second: what is known signs on, and one request after
// another need not wait here. The lock is held.
func (k *signingKeys) lastKnown(err error) ([]store.SigningKey, error) {
	if len(k.keys) == 0 || !errors.Is(err, store.ErrUnavailable) {
		return nil, err
	}
	k.readAt = time.Now().Add(time.Second - k.options.KeyRefresh)
	return k.keys, nil
}

// nextKey says whether the newest key needs a successor by now, and when that one begins to sign and the old one is no
// longer needed.
func (o UserTokenOptions) nextKey(keys []store.SigningKey, now time.Time) (next store.SigningKey, retirePrevious time.Time, due bool) {
	next = store.SigningKey{CreatedAt: now, ActiveFrom: now}
	if len(keys) == 0 {
		return next, time.Time{}, true
	}
	newest := keys[len(keys)-1]
	turn := newest.ActiveFrom.Add(o.KeyInterval)
	if now.Before(turn.Add(-KeyLead)) {
		return next, time.Time{}, false
	}
	next.Follows = newest.ID
	next.ActiveFrom = turn
	if earliest := now.Add(KeyLead); turn.Before(earliest) {
		next.ActiveFrom = earliest
	}
	return next, next.ActiveFrom.Add(o.Lifetime + keyMargin), true
}

// makeKey fills in a new P-256 key.
func makeKey(k *store.SigningKey, sealingKey []byte) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode signing key: %w", err)
	}
	k.ID, k.Algorithm = secret.NewID().String(), string(jose.ES256)
	if k.Public, err = x509.MarshalPKIXPublicKey(private.Public()); err != nil {
		return fmt.Errorf("encode signing key: %w", err)
	}
	if k.Private, err = secret.Seal(sealingKey, plain, sealedAs(k.ID)); err != nil {
		return fmt.Errorf("seal signing key: %w", err)
	}
	return nil
}

func sealedAs(kid string) string { return "xenoauth signing key " + kid }

// unsealKey fails if the server's own key is not the one that sealed this one: better no token than one that nobody can
// verify.
func unsealKey(sealingKey []byte, k store.SigningKey) (*ecdsa.PrivateKey, error) {
	plain, err := secret.Open(sealingKey, k.Private, sealedAs(k.ID))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("signing key %s is no key of %s", k.ID, jose.ES256)
	}
	return private, nil
}

// PrepareKeys makes the first key if there is none, and proves that this server can sign: a server that cannot must not
// start. All replicas do it before they serve, so that each knows the first key.
func (i *Issuer) PrepareKeys(ctx context.Context) error {
	if _, err := i.KeySet(ctx); err != nil {
		return err
	}
	_, err := i.keys.today(ctx)
	return err
}

// KeySet is the public keys as a JWK Set (RFC 7517 §5): those that sign, will sign, or signed a token that may still
// live. A shared secret is never among them.
func (i *Issuer) KeySet(ctx context.Context) (json.RawMessage, error) {
	i.keys.mu.Lock()
	keys, err := i.keys.current(ctx)
	i.keys.mu.Unlock()
	if err != nil {
		return nil, err
	}
	now, set := i.store.Now(), jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range slices.Backward(keys) {
		if !k.RetireAt.IsZero() && !now.Before(k.RetireAt) {
			continue
		}
		public, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return encoded, nil
}
