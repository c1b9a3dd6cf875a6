package scope

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func mustSet(t testing.TB, s string) Set {
	t.Helper()
	set, err := ParseSet(s)
	if err != nil {
		t.Fatalf("ParseSet(%q): %v", s, err)
	}
	return set
}

func TestParseSet(t *testing.T) {
	t.Parallel()
	var hundred []string
	for i := range 101 {
		hundred = append(hundred, fmt.Sprintf("s%d", i))
	}
	for name, tt := range map[string]struct {
		in   string
		want string
		bad  bool
	}{
		"nothing":             {"", "", false},
		"spaces only":         {"   ", "", false},
		"one":                 {"contacts", "contacts", false},
		"sorted":              {"widgets contacts faqs", "contacts faqs widgets", false},
		"repeated spaces":     {"  a   b ", "a b", false},
		"repeated names":      {"b a b a", "a b", false},
		"upper and lower":     {"a A", "A a", false},
		"all characters":      {"!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", false},
		"quotation mark":      {`a "b`, "", true},
		"backslash":           {`a\b`, "", true},
		"tab":                 {"a\tb", "", true},
		"newline":             {"a\nb", "", true},
		"NUL":                 {"a\x00", "", true},
		"DEL":                 {"a\x7f", "", true},
		"no-break space":      {"a\u00a0b", "", true},
		"letter beyond ASCII": {"é", "", true},
		"not UTF-8":           {"\xff", "", true},
		"2000 bytes":          {strings.Repeat("x", 2000), strings.Repeat("x", 2000), false},
		"2001 bytes":          {strings.Repeat("x", 2001), "", true},
		"2001 bytes of space": {strings.Repeat(" ", 2001), "", true},
		"100 names":           {strings.Join(hundred[:100], " "), mustSet(t, strings.Join(hundred[:100], " ")).String(), false},
		"101 names":           {strings.Join(hundred, " "), "", true},
		"one name 101 times":  {strings.Repeat("a ", 101), "", true},
	} {
		set, err := ParseSet(tt.in)
		if (err != nil) != tt.bad || set.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q, error %v", name, set, err, tt.want, tt.bad)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrInvalid) || set.Len() != 0 {
			t.Errorf("%s: %v is not ErrInvalid, or the set is not empty", name, err)
		}
		for _, c := range []byte(err.Error()) { // RFC 6749 §5.2, error_description
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				t.Errorf("%s: the error %q contains %q", name, err, c)
			}
		}
	}
}

func TestNewSet(t *testing.T) {
	t.Parallel()
	in := []string{"b", "a", "b"}
	set, err := NewSet(in...)
	if err != nil || set.String() != "a b" || !slices.Equal(in, []string{"b", "a", "b"}) {
		t.Errorf("NewSet = %q, %v; argument now %v", set, err, in)
	}
	for _, bad := range []string{"", " ", "a b", "a\n", `"`} {
		if _, err := NewSet("a", bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("name %q: %v, want ErrInvalid", bad, err)
		}
	}
	if set, err := NewSet(); err != nil || set.Len() != 0 {
		t.Errorf("NewSet() = %q, %v", set, err)
	}
}

func TestSetAlgebra(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b, union, intersect, minus string
		covers                        bool
	}{
		{"", "", "", "", "", true},
		{"a", "", "a", "", "a", true},
		{"", "a", "a", "", "", false},
		{"a b c", "b", "a b c", "b", "a c", true},
		{"a b", "b c", "a b c", "b", "a", false},
		{"a", "A", "A a", "", "a", false},
		{"a b", "b a", "a b", "a b", "", true},
	} {
		a, b := mustSet(t, tt.a), mustSet(t, tt.b)
		got := []string{a.Union(b).String(), a.Intersect(b).String(), a.Minus(b).String()}
		if want := []string{tt.union, tt.intersect, tt.minus}; !slices.Equal(got, want) {
			t.Errorf("%q with %q: %q, want %q", a, b, got, want)
		}
		if a.Covers(b) != tt.covers || a.Equal(b) != (a.String() == b.String()) {
			t.Errorf("%q with %q: Covers %v, Equal %v", a, b, a.Covers(b), a.Equal(b))
		}
		if a.String() != tt.a || !b.Equal(mustSet(t, tt.b)) {
			t.Errorf("an operation changed its operands to %q, %q", a, b)
		}
	}
	s := mustSet(t, "a b")
	s.Slice()[0] = "z"
	if !s.Has("a") || s.Has("z") || s.Has("") || s.Len() != 2 {
		t.Error("Slice shares its array with the set, or Has is wrong")
	}
	if (Set{}).Slice() == nil {
		t.Error("the empty set gives a nil slice, which JSON writes as null")
	}
}

func TestSetJSON(t *testing.T) {
	t.Parallel()
	var got struct{ Scope Set }
	if err := json.Unmarshal([]byte(`{"Scope":"b a"}`), &got); err != nil || got.Scope.String() != "a b" {
		t.Errorf("read %q, %v", got.Scope, err)
	}
	if doc, err := json.Marshal(got); err != nil || string(doc) != `{"Scope":"a b"}` {
		t.Errorf("written %s, %v", doc, err)
	}
	if err := json.Unmarshal([]byte(`{"Scope":"a\tb"}`), &got); !errors.Is(err, ErrInvalid) || got.Scope.String() != "a b" {
		t.Errorf("a bad string gives %v and leaves %q", err, got.Scope)
	}
}

// FuzzParseSet: a string is accepted if and only if RFC 6749 §3.3 and the limits allow it; the set contains exactly its
// names, survives formatting and parsing, and obeys set algebra.
func FuzzParseSet(f *testing.F) {
	for _, seed := range []string{"", "a", "widget brands", " b  a b ", "a\tb", "a\"", "é", "\xff", strings.Repeat("a ", 101)} {
		f.Add(seed, "widgets a")
	}
	catalogue := Default()
	f.Fuzz(func(t *testing.T, s, other string) {
		set, err := ParseSet(s)
		names := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
		if allowed := scopeString.MatchString(s) && len(s) <= 2000 && len(names) <= 100; allowed != (err == nil) {
			t.Fatalf("%q: %v", s, err)
		}
		if err != nil {
			if set.Len() != 0 || !errors.Is(err, ErrInvalid) || !errorText.MatchString(err.Error()) {
				t.Fatalf("%q: %v with %q", s, err, set)
			}
			return
		}
		slices.Sort(names)
		if names = slices.Compact(names); !slices.Equal(set.Slice(), names) || set.Len() != len(names) {
			t.Fatalf("%q is %q", s, set.Slice())
		}
		again, err := ParseSet(set.String())
		if err != nil || !again.Equal(set) || !set.Covers(again) {
			t.Fatalf("%q is %q, which reads as %q (%v)", s, set, again, err)
		}
		if second, err := ParseSet(other); err == nil {
			checkAlgebra(t, set, second)
		}
		// Scopes that are granted in full are spelled as in the request.
		known, unknown := catalogue.Canonical(set)
		if len(unknown) == 0 && !mustSet(t, catalogue.Spell(s, known)).Equal(set) {
			t.Fatalf("%q is spelled %q", s, catalogue.Spell(s, known))
		}
		if same, none := catalogue.Canonical(known); !same.Equal(known) || len(none) != 0 || known.Len()+len(unknown) > set.Len() {
			t.Fatalf("%q: %q are known and %q are not", s, known, unknown)
		}
	})
}

var (
	// scopeString is RFC 6749 §3.3 with any spaces.
	scopeString = regexp.MustCompile(`^[\x20\x21\x23-\x5B\x5D-\x7E]*$`)
	// errorText matches the characters allowed in an error_description (RFC 6749 §5.2).
	errorText = regexp.MustCompile(`^[\x20\x21\x23-\x5B\x5D-\x7E]+$`)
)

// checkAlgebra asserts the membership of every name in the combinations of two sets.
func checkAlgebra(t *testing.T, a, b Set) {
	union, both, only, covered := a.Union(b), a.Intersect(b), a.Minus(b), true
	for _, name := range append(a.Slice(), b.Slice()...) {
		inA, inB := slices.Contains(a.names, name), slices.Contains(b.names, name)
		if !union.Has(name) || both.Has(name) != (inA && inB) || only.Has(name) != (inA && !inB) {
			t.Fatalf("%q with %q: %q, %q, %q", a, b, union, both, only)
		}
		covered = covered && inA
	}
	if union.Len() != b.Len()+only.Len() || a.Len() != both.Len()+only.Len() || a.Covers(b) != covered || a.Equal(b) != (a.String() == b.String()) {
		t.Fatalf("%q with %q: %q, %q, %q; covers %v, equal %v", a, b, union, both, only, a.Covers(b), a.Equal(b))
	}
}
