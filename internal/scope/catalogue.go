package scope

import (
	"slices"
	"strings"
)

// Sensitivity says how much a person should think before granting a scope.
type Sensitivity string

// The sensitivities, ascending.
const (
	Low    Sensitivity = "low"
	Medium Sensitivity = "medium"
	High   Sensitivity = "high"
)

// Scope is what the catalogue knows of one scope.
type Scope struct {
	Name        string
	Title       string // a few words, for lists
	Description string // what an app can then do, verb first, for the consent page
	Sensitivity Sensitivity
	Aliases     []string // other names it may be asked for by
	Implies     []string // canonical names that come with it
	// NeedsUser says that an app cannot hold it by itself (client credentials).
	NeedsUser bool
	// Permissions are those the scope itself gives, without the implied ones.
	Permissions []Permission
	Note        string // why it is so, for operators
}

// RoleInfo is what the catalogue says of a role to people.
type RoleInfo struct {
	Role        Role
	Title       string
	Description string
}

// Row is one row of the permission matrix: the permissions that stand or fall
// together, and the roles that hold them, ascending.
type Row struct {
	Name        string
	Permissions []Permission
	Roles       []Role
}

// Catalogue holds the scopes, the roles and the permission matrix of a server.
// It does not change once made and is safe for concurrent use; what it returns
// is the caller's own.
type Catalogue struct {
	scopes []Scope // in the order of the file
	roles  []RoleInfo
	matrix []Row

	numbering   numbering
	index       map[string]int  // name or alias → place in scopes
	scopeGrants []permissionSet // by place in scopes, implied scopes included
	roleGrants  []permissionSet // by rank; rank 0 holds nothing
}

// Names returns the canonical names in the order of the catalogue.
func (c *Catalogue) Names() []string {
	names := make([]string, len(c.scopes))
	for i, s := range c.scopes {
		names[i] = s.Name
	}
	return names
}

// Scope returns the scope of that name or alias.
func (c *Catalogue) Scope(name string) (Scope, bool) {
	i, ok := c.index[name]
	if !ok {
		return Scope{}, false
	}
	return c.scopes[i].clone(), true
}

// Roles returns what there is to say of each role, ascending.
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

// Canonical returns the asked scopes by their canonical names, and apart from
// them, ascending, the names that the catalogue does not know.
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

// Known returns those names of the set that are canonical today: what there is
// to grant of the scopes that an app registered under another catalogue.
func (c *Catalogue) Known(set Set) Set {
	return set.filter(func(name string) bool {
		i, ok := c.index[name]
		return ok && c.scopes[i].Name == name
	})
}

// Expand returns the scopes by their canonical names together with all that
// they imply, at any remove. Names that the catalogue does not know (any more)
// stay as they are and give no permission.
func (c *Catalogue) Expand(set Set) Set {
	if !slices.ContainsFunc(set.names, c.leadsOn) {
		return set // as nearly always: this is on the way of every request
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

// leadsOn says whether a name stands for others, too, or for another.
func (c *Catalogue) leadsOn(name string) bool {
	i, ok := c.index[name]
	return ok && (c.scopes[i].Name != name || len(c.scopes[i].Implies) > 0)
}

// Describe returns the scopes of the set, each once and without the implied
// ones, in the order of the catalogue. Unknown names are left out. Whoever tells
// people what an app may do describes the expanded set.
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

// Spell returns the scope string of a token answer: the granted scopes in the
// order and spelling of the scope string that was asked for, so that a client
// that compares the two finds its own words, then those granted beyond it by
// their canonical names. A scope asked for by two names is answered by both.
// granted holds canonical names.
func (c *Catalogue) Spell(asked string, granted Set) string {
	var words []string
	answered := map[string]bool{}
	for _, word := range split(asked) {
		name := word
		if i, ok := c.index[word]; ok {
			name = c.scopes[i].Name
		}
		if granted.Has(name) && !slices.Contains(words, word) {
			words = append(words, word)
			answered[name] = true
		}
	}
	for _, name := range granted.names {
		if !answered[name] {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}

// RolePermissions returns what a member with that role may do, in the order of
// Permissions; nothing for what is not a role.
func (c *Catalogue) RolePermissions(r Role) []Permission {
	return c.numbering.list(c.roleGrants[r.Rank()])
}

// SharedPermissions returns what both roles may do: for a token that was made
// for one and is used by a member with the other.
func (c *Catalogue) SharedPermissions(a, b Role) []Permission {
	return c.numbering.list(c.roleGrants[a.Rank()] & c.roleGrants[b.Rank()])
}

// ScopePermissions returns what the scopes, with those they imply, can give at
// most; unknown names give nothing.
func (c *Catalogue) ScopePermissions(scopes Set) []Permission {
	return c.numbering.list(c.ofScopes(scopes))
}

// Effective returns what a token with these scopes may do for a member with
// this role: the permissions that both give. Without a role it is nothing.
func (c *Catalogue) Effective(scopes Set, r Role) []Permission {
	return c.numbering.list(c.ofScopes(scopes) & c.roleGrants[r.Rank()])
}

// Allows says whether Effective(scopes, r) holds p, without building the list.
// It is false for what is not a permission; ask ValidPermission to tell that
// fault from a refusal.
func (c *Catalogue) Allows(scopes Set, r Role, p Permission) bool {
	return c.ofScopes(scopes)&c.roleGrants[r.Rank()]&c.numbering.bit[p] != 0
}

// RoleAllows says whether RolePermissions(r) holds p: the question for user
// tokens, whose scope is a role.
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
