package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a scope string. They keep a request from making every later step
// (the consent page, the rows of its tokens) as long as it likes.
const (
	MaxTokens = 100
	MaxBytes  = 2000
)

// ErrInvalid is wrapped by every error of ParseSet and NewSet: what OAuth calls
// invalid_scope.
var ErrInvalid = errors.New("invalid scope")

// Set is a set of scope names. It is a value: nothing changes it once made, and
// it may be shared. The zero Set is empty. Sets are compared by Equal.
type Set struct {
	names []string // ascending, each once; never handed out
}

// ParseSet reads a scope string by RFC 6749 §3.3. It is strict about characters
// (%x21, %x23-5B, %x5D-7E and the space between), lenient about spaces at the
// ends or repeated, and a name given twice counts once. Up to MaxBytes and
// MaxTokens are read. The empty string is the empty set.
//
// Errors wrap ErrInvalid and say where the fault is without repeating it, in
// characters that an error_description may hold.
func ParseSet(s string) (Set, error) {
	if len(s) > MaxBytes {
		return Set{}, fmt.Errorf("%w: the scope parameter has %d bytes, at most %d are allowed", ErrInvalid, len(s), MaxBytes)
	}
	for i := range len(s) {
		if s[i] != ' ' && !scopeByte(s[i]) {
			return Set{}, fmt.Errorf("%w: byte %d of the scope parameter is 0x%02X, which no scope may hold; scopes are separated by spaces", ErrInvalid, i+1, s[i])
		}
	}
	names := split(s)
	if len(names) > MaxTokens {
		return Set{}, fmt.Errorf("%w: the scope parameter names %d scopes, at most %d are allowed", ErrInvalid, len(names), MaxTokens)
	}
	return newSet(names), nil
}

// NewSet makes a set of names, under the rules of ParseSet; an empty name, or
// one with a space, is refused.
func NewSet(names ...string) (Set, error) {
	for i, name := range names {
		if !validName(name) {
			return Set{}, fmt.Errorf("%w: name %d of the list is empty or holds a character that no scope may hold", ErrInvalid, i+1)
		}
	}
	return ParseSet(strings.Join(names, " "))
}

// String returns the canonical form: names ascending, single spaces between.
func (s Set) String() string { return strings.Join(s.names, " ") }

// Slice returns the names in ascending order, in a slice of the caller's own.
func (s Set) Slice() []string { return append([]string{}, s.names...) }

// Len returns the number of names.
func (s Set) Len() int { return len(s.names) }

// Has says whether the set holds this very name; it knows no aliases.
func (s Set) Has(name string) bool {
	_, found := slices.BinarySearch(s.names, name)
	return found
}

// Covers says whether every name of other is in s. Every set covers the empty
// one.
func (s Set) Covers(other Set) bool {
	return !slices.ContainsFunc(other.names, func(n string) bool { return !s.Has(n) })
}

// Equal says whether both sets hold the same names.
func (s Set) Equal(other Set) bool { return slices.Equal(s.names, other.names) }

// Union returns the names that are in either set. It may exceed the bounds of
// ParseSet.
func (s Set) Union(other Set) Set { return newSet(slices.Concat(s.names, other.names)) }

// Intersect returns the names that are in both sets.
func (s Set) Intersect(other Set) Set { return s.filter(other.Has) }

// Minus returns the names of s that are not in other.
func (s Set) Minus(other Set) Set {
	return s.filter(func(n string) bool { return !other.Has(n) })
}

// MarshalText writes the canonical form.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSet reads.
func (s *Set) UnmarshalText(text []byte) error {
	parsed, err := ParseSet(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

func (s Set) filter(keep func(string) bool) Set {
	var names []string
	for _, n := range s.names {
		if keep(n) {
			names = append(names, n)
		}
	}
	return Set{names}
}

// newSet takes over names, which it sorts.
func newSet(names []string) Set {
	slices.Sort(names)
	return Set{slices.Compact(names)}
}

// split separates at spaces only; strings.Fields would also take other white
// space, and text that is not ASCII, for separators.
func split(s string) []string {
	return slices.DeleteFunc(strings.Split(s, " "), func(n string) bool { return n == "" })
}

// scopeByte says whether RFC 6749 §3.3 allows c in a scope's name.
func scopeByte(c byte) bool { return '!' <= c && c <= '~' && c != '"' && c != '\\' }

func validName(name string) bool {
	for i := range len(name) {
		if !scopeByte(name[i]) {
			return false
		}
	}
	return name != ""
}
