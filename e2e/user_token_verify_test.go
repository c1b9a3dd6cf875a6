package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

// wantVerified verifies a token as an API would that has nothing but the published key (RFC 7515 §5.2, RFC 7518 §3.4).
func wantVerified(t *testing.T, token string, key map[string]any) {
	t.Helper()
	decode := func(v any) []byte {
		text, _ := v.(string)
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, decode(key["x"])...), decode(key["y"])...))
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.LastIndexByte(token, '.')
	digest, signature := sha256.Sum256([]byte(token[:cut])), decode(token[cut+1:])
	if len(signature) != 64 || !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature is not the published key's")
	}
}

// macMatches verifies a token as an old API does.
func macMatches(token, key string) bool {
	cut := strings.LastIndexByte(token, '.')
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(token[:cut]))
	signature, err := base64.RawURLEncoding.DecodeString(token[cut+1:])
	return err == nil && hmac.Equal(mac.Sum(nil), signature)
}
