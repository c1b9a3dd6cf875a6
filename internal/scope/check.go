package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds, in characters, of what people read.
const (
	maxTitle       = 80
	maxDescription = 500
	maxName        = 64
)

func (f *file) checkScopes() {
	if len(f.scopes) == 0 {
		f.faults.add("file", "scopes", "there must be at least one")
	}
	if len(f.scopes) > MaxTokens {
		f.faults.add("file", "scopes", "%d are too many: a request can name %d", len(f.scopes), MaxTokens)
	}
	taken := map[string]string{} // as what, in words
	for _, r := range Roles() {
		taken[string(r)] = "the name of a role"
	}
	total := 0
	for i, s := range f.scopes { // names first: an alias gives way to a name
		f.checkName(entry("scope", s.Name, i), "name", s.Name, taken, "the name of a scope")
		total += len(s.Name) + 1
	}
	if total > MaxBytes {
		f.faults.add("file", "scopes", "the names make %d bytes together: a request can hold %d", total, MaxBytes)
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
				f.faults.add(where, "permissions", "%q is given twice", p)
			}
		}
	}
}

// checkName reports a name that no request could hold or that is taken, and
// takes it. A role's name is refused, since the scope of a user token is one.
func (f *file) checkName(where, field, name string, taken map[string]string, as string) {
	switch by, found := taken[name]; {
	case !validName(name):
		f.faults.add(where, field, "%q is empty or holds a character that no scope may hold (RFC 6749 §3.3)", name)
	case len(name) > maxName:
		f.faults.add(where, field, "%q is longer than %d characters", name, maxName)
	case found:
		f.faults.add(where, field, "%q is already %s", name, by)
	default:
		taken[name] = as
	}
}

// checkWords refuses text that a page could not show as one line of words;
// characters that change the direction of writing are among those.
func (f *file) checkWords(where, field, text string, most int) {
	switch {
	case strings.TrimSpace(text) == "":
		f.faults.add(where, field, "must not be empty")
	case utf8.RuneCountInString(text) > most:
		f.faults.add(where, field, "must not be longer than %d characters", most)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.faults.add(where, field, "holds a character that cannot be printed")
	}
}

// checkImplied follows what scopes imply.
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
				f.faults.add(where, "needs_user", "must be true, since the implied %q needs a user", implied)
			}
		}
	}
	done := map[string]bool{}
	for _, s := range f.scopes {
		f.findCircle(byName, done, []string{s.Name})
	}
}

// findCircle walks depth first from the last name of path and reports each way
// back into it; names that are done lead to no circle not yet reported.
func (f *file) findCircle(byName map[string]Scope, done map[string]bool, path []string) {
	name := path[len(path)-1]
	if done[name] {
		return
	}
	for _, implied := range byName[name].Implies {
		if start := slices.Index(path, implied); start >= 0 {
			circle := append(slices.Clone(path[start:]), implied)
			f.faults.add(entry("scope", implied, 0), "implies", "goes round in a circle: %s", strings.Join(circle, " → "))
			continue
		}
		f.findCircle(byName, done, append(slices.Clone(path), implied))
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

// checkMatrix asks for every permission in exactly one row, and for rows in
// which every role has what a lower one has.
func (f *file) checkMatrix() {
	rowOf := map[Permission]string{}
	rows := map[string]bool{}
	for i, row := range f.matrix {
		where := entry("row", row.Name, i)
		f.checkWords(where, "row", row.Name, maxTitle)
		if rows[row.Name] {
			f.faults.add(where, "row", "there are two of this name")
		}
		rows[row.Name] = true
		if len(row.Permissions) == 0 {
			f.faults.add(where, "permissions", "must not be empty")
		}
		for _, p := range row.Permissions {
			if other, found := rowOf[p]; found {
				f.faults.add(where, "permissions", "%q is in row %q already", p, other)
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
			f.faults.add(where, "roles", "%q is given twice", r)
		}
	}
	var lowest Role
	for _, r := range Roles() {
		switch has := slices.Contains(roles, r); {
		case has && lowest == "":
			lowest = r
		case !has && lowest != "":
			f.faults.add(where, "roles", "%q has not what %q has: roles cascade", r, lowest)
		}
	}
}
