package scope

import (
	"slices"
	"strings"
)

// Sensitivity is how much harm a granted scope can do. The consent page marks the higher ones.
type Sensitivity string

// The sensitivities, ascending.
const (
	Low    Sensitivity = "low"
	Medium Sensitivity = "medium"
	High   Sensitivity = "high"
)

// Scope is one entry of the catalogue (docs/scopes-file.md).
type Scope struct {
	Name        string
	Title       string // a few words, for lists
	Description string // a sentence for the consent page: what an app can do, verb first
	Sensitivity Sensitivity
	Aliases     []string // other names for it in requests
	Implies     []string // canonical names of scopes granted with it
	// NeedsUser excludes the scope from tokens without a user (client credentials).
	NeedsUser bool
	// Permissions are the scope's own, without those of implied scopes.
	Permissions []Permission
	Note        string // the reasons, for operators; not shown to users
}

// RoleInfo describes a role to users.
type RoleInfo struct {
	Role        Role
	Title       string
	Description string
}

// Row is one row of the permission matrix: permissions that are granted
// together, and the roles that have them, ascending.
type Row struct {
	Name        string
	Permissions []Permission
	Roles       []Role
}

// Catalogue holds the scopes, the roles and the permission matrix of a server.
// It is immutable and safe for concurrent use. Callers may modify the slices that
// it returns.
type Catalogue struct {
	scopes []Scope // in the order of the file
	roles  []RoleInfo
	matrix []Row

	numbering   numbering
	index       map[string]int  // name or alias to index in scopes
	scopeGrants []permissionSet // by index in scopes, implied scopes included
	roleGrants  []permissionSet // by rank; rank 0 has no permission
}

// Names returns the canonical names in the order of the catalogue.
func (c *Catalogue) Names() []string {
	names := make([]string, len(c.scopes))
	for i, s := range c.scopes {
		names[i] = s.Name
	}
	return names
}

// Scope looks up a scope by name or alias.
func (c *Catalogue) Scope(name string) (Scope, bool) {
	i, ok := c.index[name]
	if !ok {
		return Scope{}, false
	}
	return c.scopes[i].clone(), true
}

// Roles returns the descriptions of all roles, ascending.
func (c *Catalogue) Roles() []RoleInfo { return slices.Clone(c.roles) }

// Matrix returns the permission matrix row by row, for pages and documents.
func (c *Catalogue) Matrix() []Row {
	rows := slices.Clone(c.matrix)
	for i := range rows {
		rows[i].Permissions = slices.Clone(rows[i].Permissions)
		rows[i].Roles = slices.Clone(rows[i].Roles)
	}
	return rows
}

// Canonical returns the requested scopes by their canonical names. Names that
// are not in the catalogue are returned separately, ascending.
func (c *Catalogue) Canonical(asked Set) (canonical Set, unknown []string) {
	var known []string
	for _, name := range asked.names {
		if i, ok := c.index[name]; ok {
			known = append(known, c.scopes[i].Name)
		} else {
			unknown = append(unknown, name)
		}
	}
	return newSet(known), unknown
}

// Known returns the names of the set that are canonical in this catalogue. An app
// may have registered its scopes under another one.
func (c *Catalogue) Known(set Set) Set {
	return set.filter(func(name string) bool {
		i, ok := c.index[name]
		return ok && c.scopes[i].Name == name
	})
}

// Expand returns the scopes by their canonical names together with all scopes
// that they imply, directly or indirectly. Names that are not in the catalogue, or
// no longer, are kept and give no permission.
func (c *Catalogue) Expand(set Set) Set {
	if !slices.ContainsFunc(set.names, c.leadsOn) {
		return set // the usual case, on the hot path of every request
	}
	reached, unknown := c.Canonical(set)
	names := reached.Slice()
	for i := 0; i < len(names); i++ {
		for _, implied := range c.scopes[c.index[names[i]]].Implies {
			if !slices.Contains(names, implied) {
				names = append(names, implied)
			}
		}
	}
	return newSet(append(names, unknown...))
}

// leadsOn reports whether Expand replaces the name or adds others to it.
func (c *Catalogue) leadsOn(name string) bool {
	i, ok := c.index[name]
	return ok && (c.scopes[i].Name != name || len(c.scopes[i].Implies) > 0)
}

// Describe returns the scopes of the set, each once and without the implied
// ones, in the order of the catalogue. Unknown names are left out. To show users
// everything that an app may do, pass the expanded set.
func (c *Catalogue) Describe(set Set) []Scope {
	canonical, _ := c.Canonical(set)
	described := make([]Scope, 0, canonical.Len())
	for _, s := range c.scopes {
		if canonical.Has(s.Name) {
			described = append(described, s.clone())
		}
	}
	return described
}

// Spell returns the scope string of a token response. Some clients compare it with
// the string that they sent, so granted scopes keep the order and spelling of the
// request. Scopes that the request does not name follow by their canonical names. A
// scope that was requested by two names is returned by both. granted contains
// canonical names.
func (c *Catalogue) Spell(asked string, granted Set) string {
	var words []string
	spelled := map[string]bool{}
	for _, word := range split(asked) {
		name := word
		if i, ok := c.index[word]; ok {
			name = c.scopes[i].Name
		}
		if granted.Has(name) && !slices.Contains(words, word) {
			words = append(words, word)
			spelled[name] = true
		}
	}
	for _, name := range granted.names {
		if !spelled[name] {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// RolePermissions returns the permissions of a role, in the order of Permissions.
// An unknown role has none.
func (c *Catalogue) RolePermissions(r Role) []Permission {
	return c.numbering.list(c.roleGrants[r.Rank()])
}

// SharedPermissions returns the permissions that both roles have: for a token that
// was issued for one role to a member who now has the other.
func (c *Catalogue) SharedPermissions(a, b Role) []Permission {
	return c.numbering.list(c.roleGrants[a.Rank()] & c.roleGrants[b.Rank()])
}

// ScopePermissions returns the permissions of the scopes and of those they imply,
// before any role narrows them. Unknown names have none.
func (c *Catalogue) ScopePermissions(scopes Set) []Permission {
	return c.numbering.list(c.ofScopes(scopes))
}

// Effective returns the permissions of a token with these scopes that acts for a
// member with this role: those that both give. Without a role there are none.
func (c *Catalogue) Effective(scopes Set, r Role) []Permission {
	return c.numbering.list(c.ofScopes(scopes) & c.roleGrants[r.Rank()])
}

// Allows reports whether Effective(scopes, r) contains p, without building the
// list. It is false for an unknown permission, which ValidPermission detects.
func (c *Catalogue) Allows(scopes Set, r Role, p Permission) bool {
	return c.ofScopes(scopes)&c.roleGrants[r.Rank()]&c.numbering.bit[p] != 0
}

// RoleAllows reports whether RolePermissions(r) contains p, for user tokens, whose
// scope is a role.
func (c *Catalogue) RoleAllows(r Role, p Permission) bool {
	return c.roleGrants[r.Rank()]&c.numbering.bit[p] != 0
}

func (c *Catalogue) ofScopes(scopes Set) permissionSet {
	var grants permissionSet
	for _, name := range scopes.names {
		if i, ok := c.index[name]; ok {
			grants |= c.scopeGrants[i]
		}
	}
	return grants
}

func (s Scope) clone() Scope {
	s.Aliases = slices.Clone(s.Aliases)
	s.Implies = slices.Clone(s.Implies)
	s.Permissions = slices.Clone(s.Permissions)
	return s
}
