package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // refuses an object with two members of one name, and "EXP" for exp

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ErrExpired: this was a user token of ours, and its time is over. It is ErrInvalid, too; apart from that its holder is
// told, with 403, to use the refresh token (docs/dialects.md, User tokens).
var ErrExpired = fmt.Errorf("expired user token: %w", ErrInvalid)

// sharedKeyID is the kid of tokens under the shared secret.
const sharedKeyID = "hs256"

// UserTokenOptions say which user tokens are ours.
type UserTokenOptions struct {
	Issuer     string        // the iss claim; "" for any, in tools beside the server
	Secret     secret.Text   // of HS256; "" means that no token under a shared secret is good
	KeyRefresh time.Duration // how old the knowledge of the signing keys may be; 0: 30 s
}

// UserTokens lets a Verifier accept user tokens; without it none is good.
func UserTokens(o UserTokenOptions) Option {
	if o.KeyRefresh == 0 {
		o.KeyRefresh = 30 * time.Second
	}
	return func(v *Verifier) { v.userTokens = &userTokens{options: o} }
}

// userTokens knows the public keys. They are read when what is known is too old, never because of what a token says: a
// key is published long before it signs.
type userTokens struct {
	options UserTokenOptions

	mu     sync.Mutex
	readAt time.Time // by this process's clock
	keys   map[string]publicKey
}

type publicKey struct {
	key      *ecdsa.PublicKey
	retireAt time.Time // zero: not yet known
}

// userClaims are the claims of a user token. The two that our tokens never have are here to be refused.
type userClaims struct {
	UserID    string `json:"_id"`
	Scope     string `json:"scope"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti"`
	Audience  any    `json:"aud"`
	NotBefore any    `json:"nbf"`
}

// isJWT tells by the form: no Format writes a dot.
func isJWT(token string) bool { return strings.IndexByte(token, '.') >= 0 }

// inspectUserToken is Inspect for a JWT. Signature and claims are verified first, without the database; then the database is
// asked whether exactly this token was issued, and whether user, account and membership are good today.
func (v *Verifier) inspectUserToken(ctx context.Context, token string) (Identity, error) {
	if v.userTokens == nil {
		return Identity{}, ErrInvalid
	}
	signed, kid, ok := parseJWT(token)
	if !ok {
		return Identity{}, ErrInvalid
	}
	claims, err := v.userTokens.prove(ctx, v.store, signed, kid)
	if err != nil {
		return Identity{}, err
	}
	id, ok := secret.ParseTokenID(claims.ID)
	if !ok {
		return Identity{}, ErrInvalid
	}
	a, err := v.store.UserRefreshByID(ctx, store.LookupID(id))
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrInvalid
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up user token: %w", err)
	}
	if !secret.MatchesUserToken(token, a.TokenHash) || a.Owner.UserID != claims.UserID || !a.Live {
		return Identity{}, ErrInvalid
	}
	return v.acting(Identity{
		Kind: secret.JWT, TokenID: id, Subject: a.User.ID, User: &a.User, Bot: a.User.Bot, Account: &a.Account, Role: a.Role,
		IssuedAt: time.Unix(claims.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(claims.ExpiresAt, 0).UTC(), Pair: &a,
	}, []scope.Role{a.Role})
}

// parseJWT reads the one form that our tokens have: compact, signed by one of two algorithms, with alg, kid and typ in
// its header and nothing else, above all no key of its own (RFC 8725 §3.1, §3.10, §3.11).
func parseJWT(token string) (signed *jose.JSONWebSignature, kid string, ok bool) {
	if len(token) > secret.MaxUserToken || strings.Count(token, ".") != 2 {
		return nil, "", false
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.HS256})
	if err != nil || len(signed.Signatures) != 1 {
		return nil, "", false
	}
	h := signed.Signatures[0].Protected
	if len(h.ExtraHeaders) != 1 || h.ExtraHeaders[jose.HeaderType] != "JWT" || h.JSONWebKey != nil || h.Nonce != "" {
		return nil, "", false
	}
	return signed, h.KeyID, true
}

// prove checks the signature and the claims. The key decides about the algorithm, not the token: kid and alg must both be
// the key's.
func (u *userTokens) prove(ctx context.Context, s Store, signed *jose.JSONWebSignature, kid string) (userClaims, error) {
	algorithm := jose.SignatureAlgorithm(signed.Signatures[0].Protected.Algorithm)
	now := s.Now()
	var key any
	retired := false
	if kid == sharedKeyID {
		if algorithm != jose.HS256 || u.options.Secret == "" {
			return userClaims{}, ErrInvalid
		}
		key = []byte(u.options.Secret.Reveal())
	} else {
		public, err := u.public(ctx, s, kid)
		if err != nil {
			return userClaims{}, err
		}
		if algorithm != jose.ES256 || public.key == nil {
			return userClaims{}, ErrInvalid
		}
		key, retired = public.key, !public.retireAt.IsZero() && !now.Before(public.retireAt)
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return userClaims{}, ErrInvalid
	}
	var c userClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return userClaims{}, ErrInvalid
	}
	switch {
	case c.Audience != nil || c.NotBefore != nil || c.ExpiresAt <= 0 || c.UserID == "" || c.Subject != c.UserID:
		return userClaims{}, ErrInvalid
	case u.options.Issuer != "" && c.Issuer != u.options.Issuer:
		return userClaims{}, ErrInvalid
	case now.Unix() >= c.ExpiresAt:
		return userClaims{}, ErrExpired
	case retired: // whoever found the key must not use it now
		return userClaims{}, ErrInvalid
	}
	return c, nil
}

// public is the key with this id; without one its key is nil.
func (u *userTokens) public(ctx context.Context, s Store, kid string) (publicKey, error) {
	if _, ok := secret.ParseID(kid); !ok {
		return publicKey{}, nil
	}
	if err := u.refresh(ctx, s); err != nil {
		return publicKey{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keys[kid], nil
}

// refresh reads the keys if what is known is too old. Where they cannot be read, what is known goes on for a second: a
// database that does not answer is not asked by one request after another, and it has the last word on each token anyway.
func (u *userTokens) refresh(ctx context.Context, s Store) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys != nil && time.Since(u.readAt) < u.options.KeyRefresh {
		return nil
	}
	readAt := time.Now()
	list, err := s.SigningKeys(ctx)
	if err != nil && u.keys != nil {
		u.readAt = time.Now().Add(time.Second - u.options.KeyRefresh)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	keys, err := parseKeys(list)
	if err != nil {
		return err
	}
	u.keys, u.readAt = keys, readAt
	return nil
}

// PrepareKeys reads the signing keys before the first token comes.
func (v *Verifier) PrepareKeys(ctx context.Context) error {
	if v.userTokens == nil {
		return nil
	}
	return v.userTokens.refresh(ctx, v.store)
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
			return nil, fmt.Errorf("signing key %s is no key of %s", k.ID, jose.ES256)
		}
		keys[k.ID] = publicKey{public, k.RetireAt}
	}
	return keys, nil
}
