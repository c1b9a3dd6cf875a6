package oauth

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
)

// TestReadResources: a resource is an absolute URI without fragment (RFC 8707 §2), in printable ASCII and of limited length.
// There may be several; empty ones count as absent.
func TestReadResources(t *testing.T) {
	t.Parallel()
	ten := slices.Repeat([]string{"https://api.test"}, maxResources)
	for name, c := range map[string]struct{ sent, want []string }{
		"none":           {nil, nil},
		"empty":          {[]string{"", ""}, nil},
		"one":            {[]string{"https://api.test/mcp?a=b"}, []string{"https://api.test/mcp?a=b"}},
		"several":        {[]string{"https://two.test", "", "urn:api:one"}, []string{"https://two.test", "urn:api:one"}},
		"ten":            {ten, ten[:1]},
		"an origin":      {[]string{"https://api.test/", "https://api.test"}, []string{"https://api.test/"}},
		"eleven":         {append(ten[:len(ten):len(ten)], "https://api.test"), []string{issuer.InvalidTarget}},
		"500 bytes":      {[]string{"https://" + strings.Repeat("x", maxResourceLen-8)}, []string{"https://" + strings.Repeat("x", maxResourceLen-8)}},
		"501 bytes":      {[]string{"https://" + strings.Repeat("x", maxResourceLen-7)}, []string{issuer.InvalidTarget}},
		"fragment":       {[]string{"https://api.test#x"}, []string{issuer.InvalidTarget}},
		"empty fragment": {[]string{"https://api.test#"}, []string{issuer.InvalidTarget}},
		"relative":       {[]string{"/api"}, []string{issuer.InvalidTarget}},
		"no scheme":      {[]string{"api.test"}, []string{issuer.InvalidTarget}},
		"space":          {[]string{"https://api.test/a b"}, []string{issuer.InvalidTarget}},
		"two in one":     {[]string{"https://api.test https://evil.test"}, []string{issuer.InvalidTarget}},
		"not ASCII":      {[]string{"https://api.test/\u00e4"}, []string{issuer.InvalidTarget}},
		"control":        {[]string{"https://api.test/\x01"}, []string{issuer.InvalidTarget}},
		"one of three":   {[]string{"https://api.test", "x", "https://two.test"}, []string{issuer.InvalidTarget}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			params, err := web.ParseQuery(httptest.NewRequest("GET", "/?"+url.Values{"resource": c.sent}.Encode(), nil))
			if err != nil {
				t.Fatal(err)
			}
			got, fault := readResources(params)
			if fault != nil {
				got = []string{fault.Code}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
