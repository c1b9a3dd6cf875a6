package oauth

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// FuzzReadBasic: no header makes readBasic panic. A refusal is invalid_client or invalid_request and repeats nothing from the header.
// An accepted header gives an id of printable ASCII and at most two readings of the secret, each of which the header contains. Any
// id and secret are read correctly whether the client encodes both (RFC 6749 §2.3.1) or, like curl, sends both raw.
func FuzzReadBasic(f *testing.F) {
	id, password := "app_0351f7xd0u4I7fElWApOWT", secret.Format{}.New(secret.Client).Reveal()
	for _, seed := range [][3]string{
		{basic(id, password), id, password}, {"Basic", "", ""}, {"Basic ", "x", ""}, {"basic " + base64.StdEncoding.EncodeToString([]byte("a:b")), "a", "b"},
		{"Basic !!!!", "a b", "c d"}, {"Basic eA==", "a+b", "c+d"}, {"Bearer x", "%41", "%41"}, {basic("%zz", "%zz"), "%zz", "%zz"}, {basic("\x00", "\xff"), "\x00", "\xff"},
		{basic("a", "b:c:d"), "a:b", "c:d"}, {basic("", ""), "", "%"}, {basic(strings.Repeat("%61", 50), "+"), "ä", "+%2B"}, {"Basic  eDp5", "x", "y"}, {"Basic eDp5 ", "x", "y\n"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, header, id, password string) {
		for _, bodyID := range []string{"", id} {
			c, err := readBasic(header, bodyID)
			var refused *issuer.Error
			switch {
			case err == nil && (!printableASCII(c.ID) || len(c.Secrets) > 2 || bodyID != "" && c.ID != bodyID || !contains(header, c)):
				t.Fatalf("%q gives the id %q and %d secrets", header, c.ID, len(c.Secrets))
			case err != nil && (!errors.As(err, &refused) || refused.Code != issuer.InvalidClient && refused.Code != issuer.InvalidRequest):
				t.Fatalf("%q: %v", header, err)
			case err != nil && len(header) > 20 && strings.Contains(err.Error(), header[6:]):
				t.Fatalf("the error repeats the header: %v", err)
			}
		}
		if !printableASCII(id) || id == "" || password == "" {
			return
		}
		understood := func(how, header string) {
			c, err := readBasic(header, id)
			if err != nil || c.ID != id || !slices.ContainsFunc(c.Secrets, func(s secret.Text) bool { return s.Reveal() == password }) {
				t.Fatalf("%s: %q and %q were not read correctly: %q, %v", how, id, password, c.ID, err)
			}
		}
		understood("encoded", basic(url.QueryEscape(id), url.QueryEscape(password)))
		understood("percent-encoded", basic(percentEncode(id), percentEncode(password)))
		// A raw id can contain neither a colon nor characters that decoding changes; our ids have letters, digits and _ only.
		if !strings.ContainsAny(id, ":%+") {
			understood("raw", basic(id, password))
		}
	})
}

// contains reports whether the header contains exactly this id and these secrets, each raw or decoded once.
func contains(header string, c verify.ClientCredentials) bool {
	_, encoded, _ := strings.Cut(header, " ")
	encoded = strings.TrimLeft(encoded, " ")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	id, password, found := strings.Cut(string(raw), ":")
	reads := func(text, as string) bool {
		decoded, err := url.QueryUnescape(text)
		return text == as || err == nil && decoded == as
	}
	for _, s := range c.Secrets {
		found = found && s != "" && reads(password, s.Reveal())
	}
	return err == nil && found && reads(id, c.ID) && (len(c.Secrets) == 0) == (password == "")
}

func percentEncode(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.Write([]byte{'%', digits[s[i]>>4], digits[s[i]&15]})
	}
	return b.String()
}
