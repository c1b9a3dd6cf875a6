package scope

import (
	"slices"
	"strings"
)

// SameResource reports whether two resource indicators (RFC 8707) name one resource: they are equal, or they are one
// origin with and without its trailing slash (RFC 3986 §6.2.3). Package bearer, a module of its own, has a
// copy; a test compares the two.
func SameResource(a, b string) bool {
	return a == b || trimOrigin(a) == trimOrigin(b)
}

// HasResource reports whether the list names the resource.
func HasResource(list []string, resource string) bool {
	return slices.ContainsFunc(list, func(r string) bool { return SameResource(r, resource) })
}

// trimOrigin removes the slash that ends a bare origin, and nothing else: a path, query or fragment stays as it is.
func trimOrigin(uri string) string {
	_, rest, found := strings.Cut(uri, "://")
	if found && len(rest) > 1 && strings.IndexAny(rest, "/?#") == len(rest)-1 && strings.HasSuffix(rest, "/") {
		return strings.TrimSuffix(uri, "/")
	}
	return uri
}
