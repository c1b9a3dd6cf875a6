// Package confusable compares names by how they look (Unicode Technical Standard 39).
//
// It is a leaf: it owns the table of confusable characters and does not depend on the purpose of the names.
package confusable

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed table.txt
var table string

// prototypes maps a character to the one that stands for all that look like it.
var prototypes = sync.OnceValue(func() map[rune]string {
	m := make(map[rune]string, 6000)
	for line := range strings.SplitSeq(table, "\n") {
		prototype, character, found := strings.Cut(line, "\t")
		if !found {
			continue // a comment
		}
		for _, r := range character {
			m[r] = prototype
		}
	}
	return m
})

// Skeleton is the same for two texts that can be confused (UTS 39 section 4). It is for comparing only, never for display.
func Skeleton(s string) string {
	var b strings.Builder
	known := prototypes()
	for _, r := range norm.NFD.String(s) {
		switch prototype, found := known[r]; {
		case found:
			b.WriteString(prototype)
		case !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(b.String())
}

// marks claim a right to a name. They are no letters of it.
var marks = strings.NewReplacer("™", "", "℠", "", "®", "", "©", "")

// Keys are two forms of a name that another name has, either of them, when the two can be taken for each other: by the
// letters as they are written, and whatever their case. Styled letters, accents, spaces and punctuation make no difference.
func Keys(name string) [2]string {
	plain := norm.NFKC.String(marks.Replace(name))
	return [2]string{
		bare(Skeleton(plain)),
		bare(strings.ToLower(Skeleton(strings.ToLower(plain)))),
	}
}

// Alike reports whether two names can be taken for each other. A name without letters and digits is like no other.
func Alike(a, b [2]string) bool {
	return a[0] != "" && (a[0] == b[0] || a[1] == b[1])
}

// bare keeps letters and digits.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// Words are the parts of a name between spaces and punctuation.
func Words(name string) []string {
	return strings.FieldsFunc(norm.NFC.String(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// together are scripts that one word may be written in (UTS 39 section 5.2, "highly restrictive").
var together = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// Mixed reports whether a word has letters of scripts that no writing system uses together, as in "Zаpier" with a Cyrillic а.
func Mixed(word string) bool {
	scripts := map[string]bool{}
	for _, r := range norm.NFKC.String(word) {
		if name := scriptOf(r); name != "" {
			scripts[name] = true
		}
	}
	if len(scripts) < 2 {
		return false
	}
	for _, group := range together {
		in := 0
		for _, name := range group {
			if scripts[name] {
				in++
			}
		}
		if in == len(scripts) {
			return false
		}
	}
	return true
}

// scriptOf is "" for characters that all scripts share.
func scriptOf(r rune) string {
	if r < unicode.MaxASCII {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return "Latin"
		}
		return ""
	}
	if unicode.In(r, unicode.Common, unicode.Inherited) {
		return ""
	}
	for name, script := range unicode.Scripts {
		if unicode.Is(script, r) {
			return name
		}
	}
	return ""
}

// Styled finds a letter or digit that is another one in a special form, such as 𝐗 or Ⓧ: mathematical, circled, small or
// wide forms. It returns the letter as it is usually written, and false if there is none.
func Styled(name string) (written rune, usual string, found bool) {
	for _, r := range name {
		if 0x1D400 <= r && r <= 0x1D7FF || 0x2460 <= r && r <= 0x24FF || 0x1F100 <= r && r <= 0x1F1FF ||
			0x2100 <= r && r <= 0x214F && unicode.IsLetter(r) {
			if usual = norm.NFKC.String(string(r)); usual != string(r) && bare(usual) != "" {
				return r, usual, true
			}
		}
	}
	return 0, "", false
}
