package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Maximum lengths, in characters, of texts for users and of names.
const (
	maxTitle       = 80
	maxDescription = 500
	maxName        = 64
)

func (f *file) checkScopes() {
	if len(f.scopes) == 0 {
		f.faults.add("file", "scopes", "at least one is required")
	}
	if len(f.scopes) > MaxTokens {
		f.faults.add("file", "scopes", "there are %d; a request can name at most %d", len(f.scopes), MaxTokens)
	}
	taken := map[string]string{} // by name; the value describes the owner
	for _, r := range Roles() {
		taken[string(r)] = "the name of a role"
	}
	total := 0
	for i, s := range f.scopes { // names before aliases, so that a conflict is reported for the alias
		f.checkName(entry("scope", s.Name, i), "name", s.Name, taken, "the name of a scope")
		total += len(s.Name) + 1
	}
	if total > MaxBytes {
		f.faults.add("file", "scopes", "the names have %d bytes together; a request can have at most %d", total, MaxBytes)
	}
	for i, s := range f.scopes {
		where := entry("scope", s.Name, i)
		for _, alias := range s.Aliases {
			f.checkName(where, "aliases", alias, taken, "an alias")
		}
		f.checkWords(where, "title", s.Title, maxTitle)
		f.checkWords(where, "description", s.Description, maxDescription)
		if !slices.Contains([]Sensitivity{Low, Medium, High}, s.Sensitivity) {
			f.faults.add(where, "sensitivity", "must be low, medium or high")
		}
		for j, p := range s.Permissions {
			if !ValidPermission(string(p)) {
				f.faults.add(where, "permissions", "%q is not a permission", p)
			} else if slices.Contains(s.Permissions[:j], p) {
				f.faults.add(where, "permissions", "%q is listed twice", p)
			}
		}
	}
}

// checkName reports a name that is malformed or already taken, and records it as
// taken. The names of roles are reserved, because the scope of a user token is a
// role.
func (f *file) checkName(where, field, name string, taken map[string]string, as string) {
	switch by, found := taken[name]; {
	case !validName(name):
		f.faults.add(where, field, "%q is empty or contains a character that is not allowed in a scope (RFC 6749 §3.3)", name)
	case len(name) > maxName:
		f.faults.add(where, field, "%q is longer than %d characters", name, maxName)
	case found:
		f.faults.add(where, field, "%q is already %s", name, by)
	default:
		taken[name] = as
	}
}

// checkWords reports text that is empty, overlong, or contains unprintable
// characters, among them those that change the direction of writing.
func (f *file) checkWords(where, field, text string, limit int) {
	switch {
	case strings.TrimSpace(text) == "":
		f.faults.add(where, field, "must not be empty")
	case utf8.RuneCountInString(text) > limit:
		f.faults.add(where, field, "must not be longer than %d characters", limit)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.faults.add(where, field, "contains an unprintable character")
	}
}

// checkImplied reports implied scopes that do not exist, that need a user although
// the scope does not, or that form a cycle.
func (f *file) checkImplied() {
	byName := map[string]Scope{}
	for _, s := range f.scopes {
		byName[s.Name] = s
	}
	for i, s := range f.scopes {
		where := entry("scope", s.Name, i)
		for _, implied := range s.Implies {
			other, known := byName[implied]
			switch {
			case !known:
				f.faults.add(where, "implies", "%q is not the name of a scope", implied)
			case other.NeedsUser && !s.NeedsUser:
				f.faults.add(where, "needs_user", "must be true because the implied scope %q needs a user", implied)
			}
		}
	}
	done := map[string]bool{}
	for _, s := range f.scopes {
		f.findCycle(byName, done, []string{s.Name})
	}
}

// findCycle searches depth first from the last name of path and reports each cycle.
// Cycles through names in done have been reported.
func (f *file) findCycle(byName map[string]Scope, done map[string]bool, path []string) {
	name := path[len(path)-1]
	if done[name] {
		return
	}
	for _, implied := range byName[name].Implies {
		if start := slices.Index(path, implied); start >= 0 {
			cycle := append(slices.Clone(path[start:]), implied)
			f.faults.add(entry("scope", implied, 0), "implies", "implication cycle: %s", strings.Join(cycle, " → "))
			continue
		}
		f.findCycle(byName, done, append(slices.Clone(path), implied))
	}
	done[name] = true
}

func (f *file) checkRoles() {
	names := make([]Role, len(f.roles))
	for i, info := range f.roles {
		names[i] = info.Role
		where := entry("role", string(info.Role), i)
		f.checkWords(where, "title", info.Title, maxTitle)
		f.checkWords(where, "description", info.Description, maxDescription)
	}
	if !slices.Equal(names, Roles()) {
		f.faults.add("file", "roles", "must be guest, agent, bot, admin, in this order")
	}
}

// checkMatrix requires every permission to be in exactly one row, and roles to
// cascade in each row.
func (f *file) checkMatrix() {
	rowOf := map[Permission]string{}
	rows := map[string]bool{}
	for i, row := range f.matrix {
		where := entry("row", row.Name, i)
		f.checkWords(where, "row", row.Name, maxTitle)
		if rows[row.Name] {
			f.faults.add(where, "row", "duplicate name")
		}
		rows[row.Name] = true
		if len(row.Permissions) == 0 {
			f.faults.add(where, "permissions", "must not be empty")
		}
		for _, p := range row.Permissions {
			if other, found := rowOf[p]; found {
				f.faults.add(where, "permissions", "%q is already in row %q", p, other)
			} else if !ValidPermission(string(p)) {
				f.faults.add(where, "permissions", "%q is not a permission", p)
			}
			rowOf[p] = row.Name
		}
		f.checkCascade(where, row.Roles)
	}
	for _, p := range Permissions() {
		if _, found := rowOf[p]; !found {
			f.faults.add("file", "matrix", "%q is in no row", p)
		}
	}
}

func (f *file) checkCascade(where string, roles []Role) {
	for i, r := range roles {
		if r.Rank() == 0 {
			f.faults.add(where, "roles", "%q is not a role", r)
		} else if slices.Contains(roles[:i], r) {
			f.faults.add(where, "roles", "%q is listed twice", r)
		}
	}
	var lowest Role
	for _, r := range Roles() {
		switch has := slices.Contains(roles, r); {
		case has && lowest == "":
			lowest = r
		case !has && lowest != "":
			f.faults.add(where, "roles", "%q is missing although %q is listed: roles cascade", r, lowest)
		}
	}
}
