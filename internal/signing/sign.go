package signing

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Sign makes a JWT in compact form from c, with this server as issuer.
func (k *Keys) Sign(ctx context.Context, c Claims) (string, error) {
	c.registered().Issuer = k.options.Issuer
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	key, kid, err := k.signingKey(ctx, c.kind())
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithType(jose.ContentType(c.kind().typ)).WithHeader("kid", kid))
	if err != nil {
		return "", fmt.Errorf("signer of key %s: %w", kid, err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}

// signingKey returns the key that signs this type of token at the moment.
func (k *Keys) signingKey(ctx context.Context, t kind) (key jose.SigningKey, kid string, err error) {
	if t.shared && k.options.Algorithm == string(jose.HS256) {
		return jose.SigningKey{Algorithm: jose.HS256, Key: []byte(k.options.Secret.Reveal())}, sharedKeyID, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	private, kid, err := k.currentKey(ctx)
	return jose.SigningKey{Algorithm: jose.ES256, Key: private}, kid, err
}

// currentKey returns the newest key that has begun to sign. The lock is held.
func (k *Keys) currentKey(ctx context.Context) (*ecdsa.PrivateKey, string, error) {
	keys, err := k.active(ctx)
	if err != nil {
		return nil, "", err
	}
	key, now := keys[0], k.store.Now()
	for _, next := range keys[1:] {
		if !now.Before(next.ActiveFrom) {
			key = next
		}
	}
	if key.ID != k.kid {
		private, err := unsealKey(k.options.SealingKey, key)
		if err != nil {
			return nil, "", err
		}
		k.kid, k.private = key.ID, private
	}
	return k.private, k.kid, nil
}
