package directory

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxEmail     = 254 // RFC 5321 §4.5.3.1.3, less the angle brackets
	maxLocalPart = 64
	maxLabel     = 63
)

// sentence is an error that is shown to people as it stands.
type sentence string

func (s sentence) Error() string { return string(s) }

// Errors of NormalizeEmail.
const (
	errEmailEmpty  = sentence("Enter an e-mail address, such as ada@example.org.")
	errEmailLong   = sentence("The e-mail address is too long: use at most 254 characters.")
	errEmailAt     = sentence("The e-mail address must have exactly one @, as in ada@example.org.")
	errEmailLocal  = sentence("The part before the @ can contain only letters a to z, digits, dots and !#$%&'*+-/=?^_`{|}~.")
	errEmailDomain = sentence("The part after the @ must be a domain name, such as example.org.")
)

// NormalizeEmail returns the one spelling in which an address is stored and looked up, so that one mailbox is one user:
// trimmed, in lower case, in Unicode's form NFKC, its domain in ASCII (RFC 5890 A-labels). Dots and plus signs before the @
// stay: their meaning depends on the domain. The error is a sentence.
//
// The part before the @ is ASCII, so that no two spellings of different people look alike; quoted forms and literal
// addresses are refused.
func NormalizeEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errEmailEmpty
	}
	if len(s) > maxEmail {
		return "", errEmailLong
	}
	if !utf8.ValidString(s) {
		return "", errEmailLocal
	}
	local, domain, found := strings.Cut(norm.NFKC.String(s), "@")
	if !found || strings.Contains(domain, "@") {
		return "", errEmailAt
	}
	if local == "" || len(local) > maxLocalPart || strings.Trim(local, ".") != local || !isLocalPart(local) {
		return "", errEmailLocal
	}
	domain, ok := asciiDomain(domain)
	if !ok {
		return "", errEmailDomain
	}
	address := strings.ToLower(local) + "@" + domain
	if len(address) > maxEmail {
		return "", errEmailLong
	}
	return address, nil
}

// asciiDomain returns a domain in lower case and ASCII; false: it is not a domain.
func asciiDomain(domain string) (string, bool) {
	// The ideographic full stop separates labels too (UTS #46 §4).
	domain = strings.ReplaceAll(domain, "\u3002", ".")
	if !isDomain(domain) {
		return "", false
	}
	labels := strings.Split(norm.NFKC.String(strings.ToLower(domain)), ".")
	for i, label := range labels {
		if decoded, ok := unicodeLabel(label); ok {
			label = decoded
		}
		if !isASCII(label) {
			label = acePrefix + encodePunycode(label)
		}
		if len(label) > maxLabel {
			return "", false
		}
		labels[i] = label
	}
	return strings.Join(labels, "."), true
}

// unicodeLabel is an A-label in its own script, normalised; false: it is not the A-label of a label that a domain may have.
func unicodeLabel(label string) (string, bool) {
	encoded, found := strings.CutPrefix(label, acePrefix)
	if !found {
		return "", false
	}
	decoded, ok := decodePunycode(encoded)
	if !ok || isASCII(decoded) || !isDomain(decoded) {
		return "", false
	}
	return norm.NFKC.String(strings.ToLower(decoded)), true
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// EmailSpellings returns the spellings in which a normalised address may be stored: the normal one first, then the one with the
// domain in its own script, which older versions stored.
func EmailSpellings(address string) []string {
	local, domain, _ := strings.Cut(address, "@")
	labels := strings.Split(domain, ".")
	for i, label := range labels {
		if decoded, ok := unicodeLabel(label); ok {
			labels[i] = decoded
		}
	}
	if older := local + "@" + strings.Join(labels, "."); older != address {
		return []string{address, older}
	}
	return []string{address}
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
