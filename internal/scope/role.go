package scope

import "fmt"

// Role is what a member is in an account, and the scope of a user token. Roles
// ascend guest < agent < bot < admin, and each may do all that the lower may.
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

// ParseRole reads the name of a role, exactly as written above. The error does
// not repeat s.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.Rank() > 0 {
		return r, nil
	}
	return "", fmt.Errorf("unknown role: it is one of %s, %s, %s, %s", RoleGuest, RoleAgent, RoleBot, RoleAdmin)
}

// Rank returns 1 for guest to 4 for admin, and 0 for anything else.
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

// Covers says whether r may do all that other may. What is not a role covers
// nothing and is covered by nothing.
func (r Role) Covers(other Role) bool { return other.Rank() > 0 && r.Rank() >= other.Rank() }
