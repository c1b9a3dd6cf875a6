package e2e

import (
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
)

// matrix is the table of docs/dialects.md, Permissions: guest, agent, bot, admin.
const matrix = `
| list organizations | - | - | + | + |
| list organization groups | - | - | + | + |
| list users | - | - | + | + |
| list conversations | - | + | + | + |
| list messages | - | - | + | + |
| list contacts | - | + | + | + |
| list knowledge items | - | + | + | + |
| list forms | - | - | + | + |
| list services | - | - | - | + |
| fetch organization | - | - | + | + |
| fetch organization group | - | - | + | + |
| fetch user (self) | + | + | + | + |
| fetch user | - | - | + | + |
| fetch conversation | + | + | + | + |
| fetch message | - | - | + | + |
| fetch contact | - | - | + | + |
| fetch knowledge item | - | + | + | + |
| fetch form | - | - | - | + |
| fetch service | - | - | - | + |
| create organization | - | - | - | + |
| create organization group | - | - | - | + |
| create user | - | - | - | + |
| create conversation | - | + | + | + |
| create message | + | + | + | + |
| create contact | - | - | + | + |
| create knowledge item | - | + | + | + |
| create form | - | - | + | + |
| create service | - | - | - | + |
| update organization | - | - | - | + |
| update organization group | - | - | - | + |
| update user (self) | + | + | + | + |
| update user | - | - | - | + |
| update conversation | - | - | - | + |
| update message | - | - | + | + |
| update contact | - | - | + | + |
| update knowledge item | - | + | + | + |
| update form | - | - | + | + |
| update service | - | - | - | + |
| delete knowledge item | - | - | + | + |
| delete any other resource | - | - | - | + |
`

// cell is one row of the table with its answer for each role, ascending.
type cell struct {
	row         string
	permissions []string
	allowed     []bool
}

// cells reads the table.
func cells(t *testing.T) []cell {
	t.Helper()
	var all []cell
	for line := range strings.Lines(strings.TrimSpace(matrix)) {
		columns := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		c := cell{row: strings.TrimSpace(columns[0])}
		c.permissions = permissionsOf(c.row)
		for _, column := range columns[1:] {
			c.allowed = append(c.allowed, strings.TrimSpace(column) == "+")
		}
		all = append(all, c)
	}
	if len(all) != 40 || slices.ContainsFunc(all, func(c cell) bool { return len(c.allowed) != 4 }) {
		t.Fatalf("the table has %d rows, want 40 of 4 cells", len(all))
	}
	return all
}

// permissionsOf translates a row by the rule that follows the table.
func permissionsOf(row string) []string {
	action, resource, _ := strings.Cut(row, " ")
	self := ""
	if name, found := strings.CutSuffix(resource, " (self)"); found {
		resource, self = name, ":self"
	}
	if resource == "any other resource" {
		var all []string
		for _, other := range strings.Fields("organization organization_group user conversation message contact form service") {
			all = append(all, other+":delete")
		}
		return all
	}
	return []string{strings.ReplaceAll(strings.TrimSuffix(resource, "s"), " ", "_") + ":" + action + self}
}

// rolePermissions is what the table allows each role, ascending.
func rolePermissions(t *testing.T) map[scope.Role][]string {
	t.Helper()
	all := map[scope.Role][]string{}
	for _, c := range cells(t) {
		for i, role := range scope.Roles() {
			if c.allowed[i] {
				all[role] = append(all[role], c.permissions...)
			}
		}
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// TestSeedPermissions replays the table cell by cell, 4 × 40, with a real token of each role: what GET /api/me says that
// the token may do is what the table allows, and nothing else.
func TestSeedPermissions(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for i, role := range scope.Roles() {
			e.SetRole(e.U, role)
			me := e.Me(e.UserTokens(e.U).Token).JSON(t)
			held := listed(me["permissions"])
			for _, c := range cells(t) {
				for _, permission := range c.permissions {
					if got := slices.Contains(held, permission); got != c.allowed[i] {
						t.Errorf("%s, %s: %s is held %t, want %t", c.row, role, permission, got, c.allowed[i])
					}
				}
			}
			if want := rolePermissions(t)[role]; !slices.Equal(held, want) {
				t.Errorf("%s holds %v, want %v", role, held, want)
			}
			if account := me["account"].(map[string]any); account["role"] != string(role) {
				t.Errorf("role = %v, want %s", account["role"], role)
			}
		}
	})
}
