package scope

import "fmt"

// Role is the role of a member in an account, and the scope of a user token. Roles
// ascend guest < agent < bot < admin; each has all permissions of the lower ones.
type Role string

// The roles, ascending.
const (
	RoleGuest Role = "guest"
	RoleAgent Role = "agent"
	RoleBot   Role = "bot"
	RoleAdmin Role = "admin"
)

// Roles returns all roles, ascending.
func Roles() []Role { return []Role{RoleGuest, RoleAgent, RoleBot, RoleAdmin} }

// ParseRole parses the exact name of a role. The error does not quote s.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.Rank() > 0 {
		return r, nil
	}
	return "", fmt.Errorf("unknown role: it is one of %s, %s, %s, %s", RoleGuest, RoleAgent, RoleBot, RoleAdmin)
}

// Rank returns 1 for guest to 4 for admin, and 0 for an unknown role.
func (r Role) Rank() int {
	switch r {
	case RoleGuest:
		return 1
	case RoleAgent:
		return 2
	case RoleBot:
		return 3
	case RoleAdmin:
		return 4
	}
	return 0
}

// Covers reports whether r has all permissions of other. An unknown role covers no
// role and is covered by none.
func (r Role) Covers(other Role) bool { return other.Rank() > 0 && r.Rank() >= other.Rank() }
