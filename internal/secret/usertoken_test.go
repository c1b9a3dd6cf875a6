package secret

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func jwt(claims string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"ES256"}`) + "." + part(claims) + "." + part("a signature")
}

func TestTokenID(t *testing.T) {
	id := NewID()
	jti := NewTokenID(id)
	if !regexp.MustCompile(`^[0-9A-Za-z]{22}-[A-Z2-7]{26}$`).MatchString(jti) {
		t.Errorf("jti = %q", jti)
	}
	if NewTokenID(id) == jti {
		t.Error("two tokens with one jti")
	}
	if got, ok := ParseTokenID(jti); !ok || got != id {
		t.Errorf("ParseTokenID = %v, %t", got, ok)
	}
	for _, s := range []string{"", "-", id.String(), jti + "A", jti[1:], strings.ToLower(jti), " " + jti, jti + "-", strings.Replace(jti, "-", ".", 1), strings.Repeat("z", 22) + jti[22:]} {
		if _, ok := ParseTokenID(s); ok {
			t.Errorf("ParseTokenID accepts %q", s)
		}
	}
}

func TestUserToken(t *testing.T) {
	id := NewID()
	text := jwt(fmt.Sprintf(`{"_id":"x","jti":%q}`, NewTokenID(id)))
	hash := HashUserToken(text)
	if got, ok := ParseUserToken(text); !ok || got != id || !MatchesUserToken(text, hash[:]) {
		t.Errorf("ParseUserToken = %v, %t", got, ok)
	}
	for _, other := range []string{text + "A", text[:len(text)-1], "", strings.ToUpper(text)} {
		if MatchesUserToken(other, hash[:]) {
			t.Errorf("%q matches", other)
		}
	}
	if MatchesUserToken(text, nil) || MatchesUserToken(text, hash[:31]) || MatchesUserToken("", nil) {
		t.Error("a token matches an empty hash")
	}
	for name, s := range map[string]string{
		"empty": "", "two parts": "a.b", "four parts": text + ".", "dots": strings.Repeat(".", 100_000), "not base64": "a.!.c",
		"no object": jwt(`[]`), "null": jwt(`null`), "no jti": jwt(`{}`), "jti of another type": jwt(`{"jti":1}`), "long": jwt(`{"x":"` + strings.Repeat("x", MaxUserToken) + `"}`),
	} {
		if _, ok := ParseUserToken(s); ok {
			t.Errorf("ParseUserToken accepts %s", name)
		}
	}
}

func TestSeal_ServerKey(t *testing.T) {
	key := []byte("a key of the server's own, 32 bytes")
	sealed, err := Seal(key, []byte("plain"), "here")
	if err != nil || strings.Contains(string(sealed), "plain") {
		t.Fatalf("Seal = %q, %v", sealed, err)
	}
	if plain, err := Open(key, sealed, "here"); err != nil || string(plain) != "plain" {
		t.Errorf("Open = %q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return Open([]byte("another key"), sealed, "here") },
		"another context": func() ([]byte, error) { return Open(key, sealed, "there") },
		"no key":          func() ([]byte, error) { return Open(nil, sealed, "here") },
		"nothing":         func() ([]byte, error) { return Open(key, nil, "here") },
	} {
		if plain, err := open(); err == nil {
			t.Errorf("%s opens it: %q", name, plain)
		}
	}
	if _, err := Seal(nil, []byte("plain"), "here"); err == nil {
		t.Error("Seal accepts an empty key")
	}
}

func FuzzParseUserToken(f *testing.F) {
	f.Add(jwt(`{"jti":"` + NewTokenID(NewID()) + `"}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := ParseUserToken(s)
		if !ok && id != (ID{}) {
			t.Errorf("%q is refused, but has the id %v", s, id)
		}
	})
}
