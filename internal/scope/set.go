package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a scope string. They bound the consent page and the rows of the tokens
// that a request can cause.
const (
	MaxTokens = 100
	MaxBytes  = 2000
)

// ErrInvalid is wrapped by every error of ParseSet and NewSet. It corresponds to
// OAuth's invalid_scope.
var ErrInvalid = errors.New("invalid scope")

// Set is an immutable set of scope names, safe for concurrent use. The zero Set is
// empty. Compare sets with Equal.
type Set struct {
	names []string // ascending, without duplicates; never returned to callers
}

// ParseSet reads a scope string by RFC 6749 §3.3. It is strict about characters
// (%x21, %x23-5B, %x5D-7E and the space as separator) and accepts leading,
// trailing and repeated spaces. Duplicate names count once. At most MaxBytes bytes
// and MaxTokens names are accepted. The empty string is the empty set.
//
// Errors wrap ErrInvalid and give the position of the fault without quoting the
// input, in characters that an error_description may contain.
func ParseSet(s string) (Set, error) {
	if len(s) > MaxBytes {
		return Set{}, fmt.Errorf("%w: the scope parameter has %d bytes, at most %d are allowed", ErrInvalid, len(s), MaxBytes)
	}
	for i := range len(s) {
		if s[i] != ' ' && !scopeByte(s[i]) {
			return Set{}, fmt.Errorf("%w: byte %d of the scope parameter is 0x%02X, which is not allowed in a scope; separate scopes with spaces", ErrInvalid, i+1, s[i])
		}
	}
	names := split(s)
	if len(names) > MaxTokens {
		return Set{}, fmt.Errorf("%w: the scope parameter names %d scopes, at most %d are allowed", ErrInvalid, len(names), MaxTokens)
	}
	return newSet(names), nil
}

// NewSet returns the set of these names, under the rules of ParseSet. A name that
// is empty or contains a space is an error.
func NewSet(names ...string) (Set, error) {
	for i, name := range names {
		if !validName(name) {
			return Set{}, fmt.Errorf("%w: name %d of the list is empty or contains a character that is not allowed in a scope", ErrInvalid, i+1)
		}
	}
	return ParseSet(strings.Join(names, " "))
}

// String returns the canonical form: names ascending, single spaces between.
func (s Set) String() string { return strings.Join(s.names, " ") }

// Slice returns the names in ascending order, in a new slice.
func (s Set) Slice() []string { return append([]string{}, s.names...) }

// Len returns the number of names.
func (s Set) Len() int { return len(s.names) }

// Has reports whether the set contains this exact name. It does not resolve aliases.
func (s Set) Has(name string) bool {
	_, found := slices.BinarySearch(s.names, name)
	return found
}

// Covers reports whether every name of other is in s. Every set covers the empty
// one.
func (s Set) Covers(other Set) bool {
	return !slices.ContainsFunc(other.names, func(n string) bool { return !s.Has(n) })
}

// Equal reports whether both sets contain the same names.
func (s Set) Equal(other Set) bool { return slices.Equal(s.names, other.names) }

// Union returns the names that are in either set. It may exceed the limits of
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

// UnmarshalText parses text with ParseSet.
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

// newSet takes ownership of names and sorts them.
func newSet(names []string) Set {
	slices.Sort(names)
	return Set{slices.Compact(names)}
}

// split separates at spaces only. strings.Fields would also split at other white
// space, Unicode's included.
func split(s string) []string {
	return slices.DeleteFunc(strings.Split(s, " "), func(n string) bool { return n == "" })
}

// scopeByte reports whether RFC 6749 §3.3 allows c in the name of a scope.
func scopeByte(c byte) bool { return '!' <= c && c <= '~' && c != '"' && c != '\\' }

func validName(name string) bool {
	for i := range len(name) {
		if !scopeByte(name[i]) {
			return false
		}
	}
	return name != ""
}
