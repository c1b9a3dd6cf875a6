package secret

import (
	"regexp"
	"strings"
	"testing"
)

func TestUserRefresh(t *testing.T) {
	t.Parallel()
	user := NewUserID()
	u := NewUserRefresh(user)
	text := u.Reveal()
	if !regexp.MustCompile(`^[0-9a-f]{24}\.[0-9a-f]{80}$`).MatchString(text) || text[:24] != user {
		t.Fatal("the text does not have the form that clients check")
	}
	back, ok := ParseUserRefresh(text)
	hash := u.Hash()
	if !ok || back.UserID != user || back.ID != u.ID || !back.Matches(hash[:]) || back.Reveal() != text {
		t.Error("does not parse as minted")
	}
	other := NewUserRefresh(user).Hash()
	for name, hash := range map[string][]byte{"another's": other[:], "nil": nil, "short": hash[:31]} {
		if u.Matches(hash) {
			t.Errorf("matches the hash %s", name)
		}
	}
	if (UserRefresh{}).Matches(make([]byte, 32)) {
		t.Error("the zero token matches")
	}
	for name, bad := range map[string]string{
		"empty":                   "",
		"no dot":                  strings.Replace(text, ".", "0", 1),
		"upper case":              strings.ToUpper(text[:25]) + "A" + text[26:],
		"upper case in secret":    text[:104] + "F",
		"short":                   text[:104],
		"long":                    text + "0",
		"not hexadecimal":         text[:104] + "g",
		"user id not hexadecimal": "g" + text[1:],
		"trailing newline":        text + "\n",
	} {
		if _, ok := ParseUserRefresh(bad); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a user id of another form did not panic")
		}
	}()
	NewUserRefresh("alice")
}

func TestNewUserRefresh_Unique(t *testing.T) {
	t.Parallel()
	user, seen := NewUserID(), map[string]bool{}
	for range 100_000 {
		text := NewUserRefresh(user).Reveal()
		if seen[text[25:57]] || seen[text[57:]] {
			t.Fatal("a lookup id or secret occurred twice")
		}
		seen[text[25:57]], seen[text[57:]] = true, true
	}
}

func FuzzParseUserRefresh(f *testing.F) {
	f.Add(strings.Repeat("0", 24) + "." + strings.Repeat("f", 80))
	f.Add(strings.Repeat("0", 24) + "." + strings.Repeat("F", 80))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if u, ok := ParseUserRefresh(s); ok && (u.Reveal() != s || !ValidUserID(u.UserID)) {
			t.Errorf("%q is accepted, but Reveal returns %q", s, u.Reveal())
		}
	})
}
