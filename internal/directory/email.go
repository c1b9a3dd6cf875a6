package directory

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxEmail     = 254 // RFC 5321 §4.5.3.1.3, less the angle brackets
	maxLocalPart = 64
	maxLabel     = 63
)

// sentence is an error that is shown to people as it stands.
type sentence string

func (s sentence) Error() string { return string(s) }

// What NormalizeEmail refuses.
const (
	errEmailEmpty  = sentence("Enter an e-mail address, such as ada@example.org.")
	errEmailLong   = sentence("The e-mail address is too long: use at most 254 characters.")
	errEmailAt     = sentence("An e-mail address has exactly one @, as in ada@example.org.")
	errEmailLocal  = sentence("The part before the @ may have the letters a to z, digits, dots and the signs !#$%&'*+-/=?^_`{|}~ only.")
	errEmailDomain = sentence("The part after the @ is not the name of a domain, such as example.org.")
)

// NormalizeEmail returns the one spelling under which an address is stored and looked up: trimmed, in lower case.
// Dots and plus signs stay: what they mean is the business of the address's own domain. The error is a sentence.
//
// The part before the @ is ASCII, so that no two spellings of different people look alike; quoted forms and literal
// addresses are refused. A domain may be in its own script or in punycode, which are not unified.
func NormalizeEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errEmailEmpty
	}
	if len(s) > maxEmail {
		return "", errEmailLong
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || strings.Contains(domain, "@") {
		return "", errEmailAt
	}
	if local == "" || len(local) > maxLocalPart || strings.Trim(local, ".") != local || !isLocalPart(local) {
		return "", errEmailLocal
	}
	if !isDomain(domain) {
		return "", errEmailDomain
	}
	return strings.ToLower(local) + "@" + strings.ToLower(domain), nil
}

func isLocalPart(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", rune(s[i])) {
			return false
		}
	}
	return true
}

func isDomain(s string) bool {
	if !utf8.ValidString(s) || len(strings.ToLower(s)) != len(s) {
		return false // a character whose lower case has another length could outgrow the limit
	}
	for _, r := range s {
		// A Kelvin sign becomes a k in lower case: two addresses would become one.
		if r >= utf8.RuneSelf && unicode.ToLower(r) < utf8.RuneSelf {
			return false
		}
		if r >= utf8.RuneSelf && (!visible(r) || !unicode.In(r, unicode.L, unicode.M, unicode.Nd)) {
			return false
		}
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "-") != label {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c < utf8.RuneSelf && !isAlnum(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
