package harness

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"xenoauth/internal/secret"
	"xenoauth/server"
)

// SigningKey is the newest private key of user tokens, for forged ones.
func (e *Env) SigningKey() (kid string, key *ecdsa.PrivateKey) {
	e.t.Helper()
	keys, err := e.Store.SigningKeys(e.t.Context())
	if err != nil || len(keys) == 0 {
		e.t.Fatalf("signing keys: %d, %v", len(keys), err)
	}
	newest := keys[len(keys)-1]
	sealing, err := e.Store.EnsureKey(e.t.Context(), "signing", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	plain, err := secret.Open(sealing, newest.Private, "xenoauth signing key "+newest.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		e.t.Fatal(err)
	}
	return newest.ID, parsed.(*ecdsa.PrivateKey)
}

// JWT is a forged token: header and claims as JSON, assembled without a library's checks.
type JWT struct {
	Header string
	Claims string
}

// Forge parses a token and changes members of its header and claims; nil removes one.
func Forge(t testing.TB, token string, header, claims map[string]any) JWT {
	t.Helper()
	parts := strings.Split(token, ".")
	changed := func(part string, changes map[string]any) string {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(raw)))
		decoder.UseNumber()
		var object map[string]any
		if err := decoder.Decode(&object); err != nil {
			t.Fatal(err)
		}
		maps.Copy(object, changes)
		maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
		raw, err = json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	return JWT{changed(parts[0], header), changed(parts[1], claims)}
}

// Unsigned is the part that is signed.
func (j JWT) Unsigned() string {
	return base64.RawURLEncoding.EncodeToString([]byte(j.Header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(j.Claims))
}

// With is the token with a given signature.
func (j JWT) With(signature []byte) string {
	return j.Unsigned() + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// ES256 is the token signed by RFC 7518 §3.4.
func (j JWT) ES256(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	digest := sha256.Sum256([]byte(j.Unsigned()))
	a, b, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return j.With(append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...))
}

// HS256 is the token signed by RFC 7518 §3.2.
func (j JWT) HS256(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(j.Unsigned()))
	return j.With(mac.Sum(nil))
}

// SetTokenHash makes the database accept this token in place of the one with the same jti, so that only the token itself
// can be the reason for a refusal.
func (e *Env) SetTokenHash(token string) {
	e.t.Helper()
	id, ok := secret.ParseUserToken(token)
	if !ok {
		e.t.Fatalf("%.20s… has no jti", token)
	}
	hash := secret.HashUserToken(token)
	e.Exec(`UPDATE user_refresh_tokens SET token_hash = $1 WHERE id = $2`, hash[:], id[:])
}

// Sibling starts another server over the same store under the same issuer, with other options.
func (e *Env) Sibling(options ...func(*server.Options)) *Env {
	e.t.Helper()
	var address string
	other := Bare(e.t, e.Store, append(options, func(o *server.Options) { address, o.Issuer = o.Issuer, e.URL })...)
	other.URL = address
	other.A, other.B, other.P, other.N, other.U = e.A, e.B, e.P, e.N, e.U
	return other
}

// ExpiredUserTokens is a pair of the user's whose access token has just expired.
func (e *Env) ExpiredUserTokens(u User) UserPair {
	e.t.Helper()
	return e.Sibling(func(o *server.Options) { o.UserTokens.Lifetime = 1 }).UserTokens(u)
}

// WantExpired asserts the 403 of an expired user token (docs/dialects.md, User tokens).
func (a Answer) WantExpired(t testing.TB) {
	t.Helper()
	a.WantError(t, 403, "invalid_token")
	if d := a.String(t, "error_description"); !strings.HasPrefix(d, "Permission Denied: ") {
		t.Errorf("error_description = %q", d)
	}
	if got, want := a.Header.Get("WWW-Authenticate"), fmt.Sprintf("Bearer realm=%q, error=%q", "xenoauth", "invalid_token"); got != want {
		t.Errorf("WWW-Authenticate = %q, want %q", got, want)
	}
}
