package scope_test

import (
	"strings"
	"testing"

	"xenoauth/internal/scope"
)

// TestAsk: names and aliases are accepted, standard scopes that the catalogue does not have are ignored, and other names
// are faults with a precise description.
func TestAsk(t *testing.T) {
	t.Parallel()
	c := scope.Default()
	for parameter, want := range map[string]struct{ scopes, words, fault string }{
		"contacts":                         {"contacts", "contacts", ""},
		"widget contacts":                  {"contacts widgets", "widget contacts", ""},
		" widget  widgets widget ":         {"widgets", "widget widgets", ""},
		"openid contacts":                  {"contacts", "contacts", ""},
		"contacts offline_access":          {"contacts", "contacts", ""},
		"openid profile email widget":      {"widgets", "widget", ""},
		"address phone faqs":               {"faqs", "faqs", ""},
		"openid":                           {fault: "no scope of this server"},
		"offline_access openid":            {fault: "no scope of this server"},
		"OPENID contacts":                  {fault: "unknown scope"},
		"openid bogus":                     {fault: "unknown scope"},
		"widgets,contacts":                 {fault: "separate scopes with spaces"},
		"openid,profile":                   {fault: "separate scopes with spaces"},
		"contacts bogus":                   {fault: "unknown scope"},
		"":                                 {fault: "malformed"},
		" ":                                {fault: "malformed"},
		"con\"tacts":                       {fault: "malformed"},
		strings.Repeat("contacts ", 1_000): {fault: "malformed"},
	} {
		got, fault := c.Ask(parameter)
		if !strings.Contains(fault, want.fault) || (fault == "") != (want.fault == "") || strings.ContainsAny(fault, "\"\\") || len(fault) > 200 {
			t.Errorf("%.40q: fault %q, want %q in it", parameter, fault, want.fault)
		}
		if got.Scopes.String() != want.scopes || got.Words != want.words {
			t.Errorf("%.40q: %q as %q, want %q as %q", parameter, got.Scopes, got.Words, want.scopes, want.words)
		}
	}
}
