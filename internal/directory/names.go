package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"xenoauth/internal/confusable"
)

// product is our own name, folded as foldName folds.
const product = "xenoauth"

const (
	maxPersonName  = 100
	maxAppName     = 60
	maxDescription = 500
)

// cleanName trims a one-line name and returns its problem as a sentence, or "". It refuses characters that can make a name look
// like another or reverse it: controls, bidirectional marks, and characters of no width.
func cleanName(s string, most int) (string, string) {
	if !utf8.ValidString(s) {
		return "", "The name is not valid UTF-8 text."
	}
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n > most {
		return s, fmt.Sprintf("The name is too long: use at most %d characters, not %d.", most, n)
	}
	for _, r := range s {
		if !visible(r) {
			return s, fmt.Sprintf("Remove the character U+%04X from the name: it is invisible or changes how the name is read.", r)
		}
	}
	return s, ""
}

// cleanDescription is cleanName for a text of several lines, in which joiners are allowed: Persian and the languages
// of India are not spelled without them.
func cleanDescription(s string) (string, string) {
	if !utf8.ValidString(s) {
		return "", "The description is not valid UTF-8 text."
	}
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	if n := utf8.RuneCountInString(s); n > maxDescription {
		return s, fmt.Sprintf("The description is too long: use at most %d characters, not %d.", maxDescription, n)
	}
	const nonJoiner, joiner = '\u200C', '\u200D'
	for _, r := range s {
		if !visible(r) && r != '\n' && r != nonJoiner && r != joiner {
			return s, fmt.Sprintf("Remove the character U+%04X from the description: it is invisible or changes how the text is read.", r)
		}
	}
	return s, ""
}

// visible reports whether r is a character that people see. IsPrint leaves out controls, formats (bidirectional and zero-width ones among
// them) and every space but the plain one; the tables add letters and marks that draw nothing.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// sentenceWords are words of the sentences in which pages name members.
var sentenceWords = []string{"you", "and", "all", "members", "member", "everyone", "everybody", "others", "only", "it", "its", "no", "not", "access"}

// ReadsAsSentence reports whether a name, put into a sentence, can be taken for a part of it: "you", or "Ann and Ben".
func ReadsAsSentence(name string) bool {
	return slices.ContainsFunc(confusable.Words(name), func(word string) bool {
		return slices.ContainsFunc(sentenceWords, func(known string) bool {
			return confusable.Alike(confusable.Keys(word), confusable.Keys(known))
		})
	})
}

// NameKey is the same for names that look alike.
func NameKey(name string) string { return confusable.Keys(name)[1] }

// checkAppName is cleanName for a required name, which must not pretend to be ours.
func checkAppName(s string) (string, string) {
	name, fault := cleanName(s, maxAppName)
	switch {
	case fault != "":
		return name, fault
	case foldName(name) == "":
		return name, "Enter a name with letters or digits. People see it when they are asked to allow the app."
	case namesProduct(name):
		return name, "Choose a name without “Xenoauth”, so that people don’t mistake the app for part of Xenoauth."
	}
	return name, ""
}

// foldName keeps letters and digits only, in lower case, with those that pass for a letter of our name written as it.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToLower(r)
		switch {
		case strings.ContainsRune("хχ×ҳ✕", r):
			return 'x'
		case strings.ContainsRune("3еёєεéèêëēėęě", r):
			return 'e'
		case strings.ContainsRune("ոπпñńňņη", r):
			return 'n'
		case strings.ContainsRune("0оοσөóòôöõøōő", r):
			return 'o'
		case strings.ContainsRune("4@аαáàâäãåāă", r):
			return 'a'
		case strings.ContainsRune("υսцúùûüūůűų", r):
			return 'u'
		case strings.ContainsRune("7тτťțţ", r):
			return 't'
		case strings.ContainsRune("һհнħ", r):
			return 'h'
		case 'ａ' <= r && r <= 'ｚ':
			return r - 'ａ' + 'a'
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			return -1
		}
		return r
	}, name)
}
