package secret

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

const (
	minPasswordRunes = 8
	maxPasswordLen   = 1024 // bytes, as sent
	maxOrnament      = 6    // digits and symbols around a common word
)

// PasswordError refuses a password. Message is a sentence for the user; it never
// contains the password.
type PasswordError struct{ Message string }

// Error returns the sentence.
func (e *PasswordError) Error() string { return e.Message }

// The errors of CheckPassword and CheckNewPassword.
var (
	ErrPasswordTooLong = &PasswordError{"The password is too long: use at most 1024 bytes."}
	ErrPasswordNotText = &PasswordError{"The password is not valid UTF-8 text."}
	ErrPasswordNUL     = &PasswordError{"The password contains a NUL character, which is not allowed."}

	ErrPasswordTooShort  = &PasswordError{"The password is too short: use at least 8 characters."}
	ErrPasswordSpaces    = &PasswordError{"The password contains only spaces."}
	ErrPasswordRepeated  = &PasswordError{"The password repeats or counts through a few characters. Choose one that is harder to guess, such as several words."}
	ErrPasswordCommon    = &PasswordError{"This password is too easy to guess. Choose another, such as several words."}
	ErrPasswordPersonal  = &PasswordError{"The password is your e-mail address or name, which is easy to guess. Choose another."}
	ErrPasswordCharacter = &PasswordError{"The password contains a character that is not allowed, such as a control character or an invisible one."}
)

// CheckPassword refuses text that cannot be a password, before any work: more
// than 1024 bytes, text that is not UTF-8, NUL. It returns one of the
// *PasswordError values above.
func CheckPassword(p string) error {
	switch {
	case len(p) > maxPasswordLen:
		return ErrPasswordTooLong
	case !utf8.ValidString(p):
		return ErrPasswordNotText
	case strings.IndexByte(p, 0) >= 0:
		return ErrPasswordNUL
	}
	return nil
}

// CheckNewPassword refuses a new password of a user whose e-mail address and
// name are personal. It requires at least 8 characters after normalization,
// only characters that the PRECIS profile OpaqueString allows (RFC 8265 §4), and
// no easy guess. There are no composition rules (NIST SP 800-63B-4 §3.1.1.2
// advises against them). A log-in does not apply these rules. The error is a
// *PasswordError.
func CheckNewPassword(p string, personal ...string) error {
	if err := CheckPassword(p); err != nil {
		return err
	}
	normal, ok := normalizePassword(p)
	if !ok && strings.TrimSpace(p) != "" {
		return refusedCharacter(p)
	}
	lower := strings.ToLower(normal)
	switch {
	case utf8.RuneCountInString(normal) < minPasswordRunes:
		return ErrPasswordTooShort
	case strings.TrimSpace(normal) == "":
		return ErrPasswordSpaces
	case isPersonal(lower, personal):
		return ErrPasswordPersonal
	case isRepeated([]rune(lower)):
		return ErrPasswordRepeated
	case isCommon(lower):
		return ErrPasswordCommon
	}
	return nil
}

// normalizePassword returns p in the form that is hashed: spaces of other
// scripts become ASCII spaces, and letters are composed. It returns false if p
// has characters that a new password may not have.
func normalizePassword(p string) (string, bool) {
	normal, err := precis.OpaqueString.String(p)
	return normal, err == nil
}

// refusedCharacter names the first character that OpaqueString refuses.
func refusedCharacter(p string) error {
	for _, r := range p {
		if _, ok := normalizePassword(string(r)); !ok {
			what := "an invisible or unassigned character"
			if unicode.IsControl(r) {
				what = "a control character"
			}
			return &PasswordError{fmt.Sprintf("The password contains %s (U+%04X), which is not allowed.", what, r)}
		}
	}
	return ErrPasswordCharacter
}

// isPersonal reports whether p is the e-mail address, its local part, or a name.
func isPersonal(lower string, personal []string) bool {
	for _, word := range personal {
		word = strings.ToLower(word)
		local, _, _ := strings.Cut(word, "@")
		if word != "" && (lower == word || lower == local) {
			return true
		}
	}
	return false
}

// isRepeated reports whether p repeats up to three characters, or is a sequence
// up or down: 12345678, abcabcabc, zyxwvuts.
func isRepeated(p []rune) bool {
	for unit := 1; unit <= 3; unit++ {
		same := true
		for i := unit; i < len(p) && same; i++ {
			same = p[i] == p[i-unit]
		}
		if same {
			return true
		}
	}
	up, down := true, true
	for i := 1; i < len(p); i++ {
		// 0 follows 9, as in 1234567890.
		up = up && (p[i] == p[i-1]+1 || p[i-1] == '9' && p[i] == '0')
		down = down && (p[i] == p[i-1]-1 || p[i-1] == '0' && p[i] == '9')
	}
	return up || down
}

//go:embed common.txt
var commonText string

// common is the set of words in common.txt.
var common = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(commonText) {
		words[word] = true
	}
	return words
})

// isCommon reports whether p is a word of the list, once or twice, with up to
// six digits or symbols at either end: password1!, 1qaz2wsx, welcomewelcome.
func isCommon(lower string) bool {
	ornament := func(r rune) bool { return !unicode.IsLetter(r) }
	bare := strings.TrimFunc(lower, ornament)
	word := bare
	if half := len(bare) / 2; len(bare)%2 == 0 && bare[:half] == bare[half:] {
		word = bare[:half]
	}
	words := common()
	before := strings.Index(lower, bare)
	after := len(lower) - before - len(bare)
	return words[lower] || before <= maxOrnament && after <= maxOrnament && (words[bare] || words[word])
}
