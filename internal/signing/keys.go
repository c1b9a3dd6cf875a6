package signing

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
	"time"

	"github.com/go-jose/go-jose/v4"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// load reads the keys if the copy is too old. If the database does not answer, the copy is used for another retryPause, so that
// requests do not all wait for the database. The lock is held.
func (k *Keys) load(ctx context.Context) error {
	if k.public != nil && time.Since(k.readAt) < k.options.KeyRefresh {
		return nil
	}
	readAt := time.Now()
	list, err := k.store.SigningKeys(ctx)
	if errors.Is(err, store.ErrUnavailable) && k.public != nil {
		k.readAt = time.Now().Add(retryPause - k.options.KeyRefresh)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	public, err := parseKeys(list)
	if err != nil {
		return err
	}
	k.list, k.public, k.readAt = list, public, readAt
	return nil
}

// retryPause is how long a replica uses the keys that it has before it tries the database again.
const retryPause = time.Second

// active returns all keys, at least one, and makes the next one if it is time for it. The lock is held.
func (k *Keys) active(ctx context.Context) ([]store.SigningKey, error) {
	for {
		if err := k.load(ctx); err != nil {
			return nil, err
		}
		next, retirePrevious, due := k.options.nextKey(k.list, k.store.Now())
		if !due || len(k.list) > 0 && time.Now().Before(k.makeAt) {
			return k.list, nil
		}
		if err := makeKey(&next, k.options.SealingKey); err != nil {
			return nil, err
		}
		err := k.store.AddSigningKey(ctx, next, retirePrevious)
		switch {
		case errors.Is(err, store.ErrUnavailable) && len(k.list) > 0:
			k.makeAt = time.Now().Add(retryPause)
			return k.list, nil
		// ErrConflict: another replica was first. ErrNotFound: the operator has removed the old key. In both cases the keys are read
		// again.
		case err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
			return nil, fmt.Errorf("add signing key: %w", err)
		}
		k.readAt = time.Time{}
	}
}

// nextKey reports whether the newest key needs a successor now, and returns when the successor begins to sign and when the old
// key is no longer needed.
func (o Options) nextKey(keys []store.SigningKey, now time.Time) (next store.SigningKey, retirePrevious time.Time, due bool) {
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
	return next, next.ActiveFrom.Add(o.MaxLifetime + keyMargin), true
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
	if k.Private, err = secret.Seal(sealingKey, plain, sealContext(k.ID)); err != nil {
		return fmt.Errorf("seal signing key: %w", err)
	}
	return nil
}

func sealContext(kid string) string { return "xenoauth signing key " + kid }

// unsealKey returns the private key of k. It fails if k was sealed under another server key: a token signed with any other key
// would be accepted by no verifier.
func unsealKey(sealingKey []byte, k store.SigningKey) (*ecdsa.PrivateKey, error) {
	plain, err := secret.Open(sealingKey, k.Private, sealContext(k.ID))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("signing key %s is not a key for %s", k.ID, jose.ES256)
	}
	return private, nil
}

func parseKeys(list []store.SigningKey) (map[string]publicKey, error) {
	keys := make(map[string]publicKey, len(list))
	for _, k := range list {
		parsed, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		public, ok := parsed.(*ecdsa.PublicKey)
		if !ok || public.Curve != elliptic.P256() || k.Algorithm != string(jose.ES256) {
			return nil, fmt.Errorf("signing key %s is not a key for %s", k.ID, jose.ES256)
		}
		keys[k.ID] = publicKey{public, k.RetireAt}
	}
	return keys, nil
}

// KeySet returns the public keys as a JWK Set (RFC 7517 §5): those that sign, will sign, or have signed a token that may still
// be valid. It never contains a shared secret.
func (k *Keys) KeySet(ctx context.Context) (json.RawMessage, error) {
	k.mu.Lock()
	keys, err := k.active(ctx)
	public := k.public
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	now, set := k.store.Now(), jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range slices.Backward(keys) {
		if !key.RetireAt.IsZero() && !now.Before(key.RetireAt) {
			continue
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: public[key.ID].key, KeyID: key.ID, Algorithm: key.Algorithm, Use: "sig"})
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return encoded, nil
}
