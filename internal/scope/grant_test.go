package scope_test

import (
	"fmt"
	"strings"
	"testing"

	"xenoauth/internal/scope"
)

// TestGrants: the words for each scope and role, which agree with the permissions for every combination.
func TestGrants(t *testing.T) {
	t.Parallel()
	c := scope.Default()
	for key, want := range map[string]string{
		"widgets admin": "", "widgets bot": "nothing; Needs an admin: List, read, add and change widgets and brands",
		"widgets agent":       "nothing; Needs an admin: List, read, add and change widgets and brands",
		"faqs agent":          "List, read, add and change FAQs; Needs an admin: Delete FAQs",
		"faqs guest":          "nothing; Needs an agent: List, read, add and change FAQs; Needs an admin: Delete FAQs",
		"faqs bot":            "",
		"contacts agent":      "List contacts; Needs an admin: Read, add and change contacts",
		"contacts guest":      "nothing; Needs an agent: List contacts; Needs an admin: Read, add and change contacts",
		"conversations agent": "Start conversations; list and read conversations; write messages; Needs an admin: Change conversations; list and read messages",
		"conversations guest": "Read conversations; write messages; Needs an agent: Start conversations; list conversations; Needs an admin: Change conversations; list and read messages",
		"conversations bot":   "Start conversations; list and read conversations; write messages; list and read messages; Needs an admin: Change conversations",
		"conversations admin": "",
	} {
		name, role, _ := strings.Cut(key, " ")
		set, err := scope.NewSet(name)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		g := c.Grants(set, scope.Role(role))[0]
		if g.Cut() {
			parts = append(parts, g.Can)
			if g.Nothing() {
				parts[0] = "nothing"
			}
		}
		for _, l := range g.Lost {
			parts = append(parts, fmt.Sprintf("Needs %s: %s", l.Needs, l.Words))
		}
		if got := strings.Join(parts, "; "); got != want {
			t.Errorf("%s:\n got %q\nwant %q", key, got, want)
		}
	}
	for _, role := range scope.Roles() {
		for _, name := range c.Names() {
			set, err := scope.NewSet(name)
			if err != nil {
				t.Fatal(err)
			}
			g, has, all := c.Grants(set, role)[0], c.Effective(set, role), c.ScopePermissions(set)
			if g.Cut() != (len(has) < len(all)) || g.Nothing() != (len(has) == 0) {
				t.Errorf("%s for %s: cut %v, nothing %v; it has %v of %v", name, role, g.Cut(), g.Nothing(), has, all)
			}
		}
	}
}

// TestGrants_WordsForEveryPermission: no permission has an empty description.
func TestGrants_WordsForEveryPermission(t *testing.T) {
	t.Parallel()
	for _, p := range scope.Permissions() {
		text := fmt.Sprintf(`{"scopes": [{"name": "x", "title": "x", "description": "x", "sensitivity": "low", "permissions": [%q]}],
			"matrix": [{"row": "all", "permissions": ["%s"], "roles": ["admin"]}]}`, p, strings.Join(names(scope.Permissions()), `","`))
		c, err := scope.LoadCatalogue(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		set, err := scope.NewSet("x")
		if err != nil {
			t.Fatal(err)
		}
		g := c.Grants(set, scope.RoleGuest)[0]
		if len(g.Lost) != 1 || len(strings.Fields(g.Lost[0].Words)) < 2 || strings.Contains(g.Lost[0].Words, "  ") || g.Lost[0].Needs != "an admin" {
			t.Errorf("%s: %+v", p, g.Lost)
		}
	}
}

func names(permissions []scope.Permission) []string {
	var all []string
	for _, p := range permissions {
		all = append(all, string(p))
	}
	return all
}
