package scope_test

import (
	"testing"

	"xenoauth/bearer"
	"xenoauth/internal/scope"
)

// TestSameResource: an origin with and without its slash is one resource, and nothing else is.
func TestSameResource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://mcp.example.com", "https://mcp.example.com/", true},
		{"https://mcp.example.com:8443", "https://mcp.example.com:8443/", true},
		{"http://[::1]:9000", "http://[::1]:9000/", true},
		{"https://mcp.example.com/mcp", "https://mcp.example.com/mcp", true},
		{"https://mcp.example.com/mcp", "https://mcp.example.com/mcp/", false},
		{"https://mcp.example.com", "https://mcp.example.com//", false},
		{"https://mcp.example.com/?a", "https://mcp.example.com?a", false},
		{"https://mcp.example.com", "https://mcp.example.com.evil.test/", false},
		{"https://mcp.example.com", "http://mcp.example.com/", false},
		{"https://mcp.example.com", "https://mcp.example.com:443/", false},
		{"urn:example:api", "urn:example:api/", false},
		{"https://", "https:///", false},
		{"", "/", false},
	} {
		if scope.SameResource(c.a, c.b) != c.same || scope.SameResource(c.b, c.a) != c.same {
			t.Errorf("%q and %q: one resource is not %v", c.a, c.b, c.same)
		}
		if scope.HasResource([]string{"https://other.test", c.a}, c.b) != c.same {
			t.Errorf("%q in a list of %q: want %v", c.b, c.a, c.same)
		}
	}
	if scope.HasResource(nil, "") {
		t.Error("an empty list has the empty resource")
	}
}

// TestSameResource_BearerAgrees: package bearer, a module of its own, has a copy of the comparison.
func TestSameResource_BearerAgrees(t *testing.T) {
	t.Parallel()
	uris := []string{"", "/", "https://", "https:///", "urn:a:b", "urn:a:b/"}
	for _, origin := range []string{"https://api.test", "http://[::1]:80", "https://API.test", "x://y"} {
		for _, end := range []string{"", "/", "//", "/a", "/a/", "?", "/?", "?q", "/?q", "#", "/#/", "?/"} {
			uris = append(uris, origin+end)
		}
	}
	for _, a := range uris {
		for _, b := range uris {
			got, want := (bearer.Identity{Audience: []string{a}}).IsFor(b), scope.SameResource(a, b)
			if got != want {
				t.Errorf("%q and %q: bearer reports %v, want %v", a, b, got, want)
			}
		}
	}
}
