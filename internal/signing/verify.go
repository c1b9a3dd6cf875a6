package signing

import (
	"context"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // refuses an object with two members of one name, and "EXP" for exp

	"xenoauth/internal/secret"
)

// IsJWT reports whether a text has the form of a JWT: no other credential contains a dot.
func IsJWT(text string) bool { return strings.IndexByte(text, '.') >= 0 }

// Verify checks the form, signature and claims of a token and fills in c, whose type is the expected type of token.
// ErrInvalid, ErrExpired, or store.ErrUnavailable if the keys cannot be read. Whether the token was revoked is for the caller.
func (k *Keys) Verify(ctx context.Context, token string, c Claims) error {
	signed, kid, ok := parse(token, c.kind())
	if !ok {
		return ErrInvalid
	}
	key, retired, err := k.verificationKey(ctx, jose.SignatureAlgorithm(signed.Signatures[0].Protected.Algorithm), kid, c.kind())
	if err != nil {
		return err
	}
	payload, err := signed.Verify(key)
	if err != nil || json.Unmarshal(payload, c) != nil {
		return ErrInvalid
	}
	r := c.registered()
	switch {
	case r.ExpiresAt <= 0 || !c.valid():
		return ErrInvalid
	case k.options.Issuer != "" && r.Issuer != k.options.Issuer:
		return ErrInvalid
	case k.store.Now().Unix() >= r.ExpiresAt:
		return ErrExpired
	case retired: // an attacker who found the key must not use it now
		return ErrInvalid
	}
	return nil
}

// parse reads the one form that our tokens have: compact, signed by one of two algorithms, with alg, kid and typ in
// the header and nothing else, above all no key of its own (RFC 8725 §3.1, §3.10, §3.11).
func parse(token string, t kind) (signed *jose.JSONWebSignature, kid string, ok bool) {
	if len(token) > secret.MaxUserToken || strings.Count(token, ".") != 2 {
		return nil, "", false
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.HS256})
	if err != nil || len(signed.Signatures) != 1 {
		return nil, "", false
	}
	h := signed.Signatures[0].Protected
	if len(h.ExtraHeaders) != 1 || h.ExtraHeaders[jose.HeaderType] != t.typ || h.JSONWebKey != nil || h.Nonce != "" {
		return nil, "", false
	}
	return signed, h.KeyID, true
}

// verificationKey returns the key named by kid, and whether it was retired. The key decides on the algorithm, not the token: kid
// and alg must both be the key's.
func (k *Keys) verificationKey(ctx context.Context, algorithm jose.SignatureAlgorithm, kid string, t kind) (key any, retired bool, err error) {
	if kid == sharedKeyID {
		if algorithm != jose.HS256 || !t.shared || k.options.Secret == "" {
			return nil, false, ErrInvalid
		}
		return []byte(k.options.Secret.Reveal()), false, nil
	}
	if _, ok := secret.ParseID(kid); !ok || algorithm != jose.ES256 {
		return nil, false, ErrInvalid
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil {
		return nil, false, err
	}
	public, ok := k.public[kid]
	if !ok {
		return nil, false, ErrInvalid
	}
	return public.key, !public.retireAt.IsZero() && !k.store.Now().Before(public.retireAt), nil
}
