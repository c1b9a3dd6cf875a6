package scope

import (
	"slices"
	"strings"
	"testing"
)

// documented is the table of docs/dialects.md, Permissions: guest, agent, bot, admin. It
// is an independent copy, not derived from the catalogue.
const documented = `
| list organizations         | - | - | + | + |
| list organization groups   | - | - | + | + |
| list users                 | - | - | + | + |
| list conversations         | - | + | + | + |
| list messages              | - | - | + | + |
| list contacts              | - | + | + | + |
| list knowledge items       | - | + | + | + |
| list forms                 | - | - | + | + |
| list services              | - | - | - | + |
| fetch organization         | - | - | + | + |
| fetch organization group   | - | - | + | + |
| fetch user (self)          | + | + | + | + |
| fetch user                 | - | - | + | + |
| fetch conversation         | + | + | + | + |
| fetch message              | - | - | + | + |
| fetch contact              | - | - | + | + |
| fetch knowledge item       | - | + | + | + |
| fetch form                 | - | - | - | + |
| fetch service              | - | - | - | + |
| create organization        | - | - | - | + |
| create organization group  | - | - | - | + |
| create user                | - | - | - | + |
| create conversation        | - | + | + | + |
| create message             | + | + | + | + |
| create contact             | - | - | + | + |
| create knowledge item      | - | + | + | + |
| create form                | - | - | + | + |
| create service             | - | - | - | + |
| update organization        | - | - | - | + |
| update organization group  | - | - | - | + |
| update user (self)         | + | + | + | + |
| update user                | - | - | - | + |
| update conversation        | - | - | - | + |
| update message             | - | - | + | + |
| update contact             | - | - | + | + |
| update knowledge item      | - | + | + | + |
| update form                | - | - | + | + |
| update service             | - | - | - | + |
| delete knowledge item      | - | - | + | + |
| delete any other resource  | - | - | - | + |
`

// documentedRow returns the permissions of one row of the table.
func documentedRow(t *testing.T, words string) []Permission {
	t.Helper()
	action, object, _ := strings.Cut(words, " ")
	names := map[string]string{
		"organization": "organization", "organizations": "organization",
		"organization group": "organization_group", "organization groups": "organization_group",
		"user": "user", "users": "user",
		"conversation": "conversation", "conversations": "conversation",
		"message": "message", "messages": "message",
		"contact": "contact", "contacts": "contact",
		"knowledge item": "knowledge_item", "knowledge items": "knowledge_item",
		"form": "form", "forms": "form",
		"service": "service", "services": "service",
	}
	switch object {
	case "user (self)":
		return []Permission{Permission("user:" + action + ":self")}
	case "any other resource":
		return []Permission{
			"organization:delete", "organization_group:delete", "user:delete", "conversation:delete",
			"message:delete", "contact:delete", "form:delete", "service:delete",
		}
	}
	if names[object] == "" {
		t.Fatalf("the table names %q", object)
	}
	return []Permission{Permission(names[object] + ":" + action)}
}

func TestMatrix_EveryCell(t *testing.T) {
	t.Parallel()
	c := Default()
	everything := mustEverything(t)
	rows, covered := 0, map[Permission]bool{}
	for line := range strings.Lines(strings.TrimSpace(documented)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		words := strings.TrimSpace(cells[0])
		rows++
		for _, p := range documentedRow(t, words) {
			covered[p] = true
			for i, role := range []Role{RoleGuest, RoleAgent, RoleBot, RoleAdmin} {
				want := strings.TrimSpace(cells[i+1]) == "+"
				answers := []bool{
					c.RoleAllows(role, p),
					slices.Contains(c.RolePermissions(role), p),
					everything.Allows(mustSet(t, "everything"), role, p),
					slices.Contains(everything.Effective(mustSet(t, "everything"), role), p),
				}
				for _, got := range answers {
					if got != want {
						t.Errorf("%s, %s (%s): %v, want %v", words, role, p, answers, want)
						break
					}
				}
			}
		}
	}
	if rows != 40 || len(c.Matrix()) != 40 {
		t.Errorf("%d rows in the table, %d in the catalogue, want 40", rows, len(c.Matrix()))
	}
	for _, p := range Permissions() {
		if !covered[p] {
			t.Errorf("%s is in no row of the table", p)
		}
	}
	if len(covered) != 47 || len(Permissions()) != 47 {
		t.Errorf("%d permissions covered of %d, want 47", len(covered), len(Permissions()))
	}
}

// mustEverything returns a catalogue with one scope that gives every permission.
func mustEverything(t *testing.T) *Catalogue {
	t.Helper()
	var all []string
	for _, p := range Permissions() {
		all = append(all, `"`+string(p)+`"`)
	}
	c, err := LoadCatalogue(strings.NewReader(`{"scopes": [{"name": "everything", "title": "All",
		"description": "Do everything.", "sensitivity": "high", "permissions": [` + strings.Join(all, ",") + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMatrix_Surprising lists the cells that are not what one would expect.
func TestMatrix_Surprising(t *testing.T) {
	t.Parallel()
	c := Default()
	for _, tt := range []struct {
		permission Permission
		lowest     Role
	}{
		{"form:list", RoleBot}, {"form:create", RoleBot}, {"form:update", RoleBot}, {"form:fetch", RoleAdmin},
		{"conversation:fetch", RoleGuest}, {"conversation:list", RoleAgent},
		{"contact:list", RoleAgent}, {"contact:fetch", RoleBot},
		{"message:create", RoleGuest}, {"message:list", RoleBot}, {"message:fetch", RoleBot},
		{"conversation:create", RoleAgent}, {"conversation:update", RoleAdmin},
		{"knowledge_item:update", RoleAgent}, {"knowledge_item:delete", RoleBot},
	} {
		for _, role := range Roles() {
			if got, want := c.RoleAllows(role, tt.permission), role.Covers(tt.lowest); got != want {
				t.Errorf("%s for %s: %v, want %v", tt.permission, role, got, want)
			}
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for i, a := range Roles() {
		if got, err := ParseRole(string(a)); err != nil || got != a || a.Rank() != i+1 {
			t.Errorf("ParseRole(%s) = %s, %v; rank %d", a, got, err, a.Rank())
		}
		for j, b := range Roles() {
			if a.Covers(b) != (i >= j) {
				t.Errorf("%s.Covers(%s) = %v", a, b, a.Covers(b))
			}
		}
		if a.Covers("") || Role("").Covers(a) || a.Covers("root") || Role("root").Covers(a) {
			t.Errorf("%s covers an unknown role, or is covered by one", a)
		}
	}
	for _, bad := range []string{"", "Admin", "admin ", "owner", "ad\nmin"} {
		if r, err := ParseRole(bad); err == nil || r != "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("ParseRole(%q) = %q, %v", bad, r, err)
		}
	}
	for _, r := range []Role{"", "root"} {
		if got := Default().RolePermissions(r); len(got) != 0 {
			t.Errorf("role %q has %v", r, got)
		}
	}
}

func TestValidPermission(t *testing.T) {
	t.Parallel()
	for _, p := range Permissions() {
		if !ValidPermission(string(p)) {
			t.Errorf("%s is not valid", p)
		}
	}
	for _, bad := range []string{
		"", ":", "user", "user:", ":list", "user:list:self", "user:create:self", "contact:fetch:self",
		"user:fetch:self:self", "User:list", "widget:list", "contact:read", "contact:list ", "knowledge item:list",
	} {
		if ValidPermission(bad) || Default().RoleAllows(RoleAdmin, Permission(bad)) {
			t.Errorf("%q is valid or allowed", bad)
		}
	}
}
