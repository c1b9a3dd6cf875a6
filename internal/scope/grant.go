package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Grant describes, for users, what a member with a certain role grants by a scope. A token with the scope has only those
// of its permissions that the role has as well.
type Grant struct {
	Scope
	// Can describes the rest of a scope that the role narrows, such as "List contacts". It is empty if nothing remains,
	// and if the role has all of the scope, because then Description applies.
	Can string
	// Lost lists the parts that the role does not have.
	Lost []Lost
}

// Lost is a part of a scope that a role does not have.
type Lost struct {
	Words string // such as "Read, add and change contacts"
	Needs string // the lowest role of a person that has it, such as "an admin"
}

// Cut reports whether the role lacks a permission of the scope.
func (g Grant) Cut() bool { return len(g.Lost) > 0 }

// Nothing reports whether the role has no permission of the scope. It is false for a scope without permissions, which
// APIs require by name.
func (g Grant) Nothing() bool { return g.Cut() && g.Can == "" }

// Grants describes the scopes of the set, in the order of Describe, as a member with this role can grant them.
func (c *Catalogue) Grants(set Set, r Role) []Grant {
	var all []Grant
	for _, s := range c.Describe(set) {
		own := c.numbering.set(s.Permissions)
		lost := own &^ c.roleGrants[r.Rank()]
		g := Grant{Scope: s}
		if lost != 0 {
			g.Can, g.Lost = words(c.numbering.list(own&^lost)), c.lost(lost)
		}
		all = append(all, g)
	}
	return all
}

// lost groups the permissions by the lowest role that has them.
func (c *Catalogue) lost(set permissionSet) []Lost {
	var all []Lost
	for _, r := range Roles() {
		if r == RoleBot {
			continue // only programs have this role; a user needs the next higher one, admin
		}
		if part := set & c.roleGrants[r.Rank()]; part != 0 {
			all = append(all, Lost{Words: words(c.numbering.list(part)), Needs: c.RoleInSentence(r)})
			set &^= part
		}
	}
	if set != 0 { // a matrix in a scopes file can have permissions without a role
		all = append(all, Lost{Words: words(c.numbering.list(set)), Needs: "a role that does not exist"})
	}
	return all
}

// RoleInSentence returns the title of a role with its article, such as "an admin", or "no member" for an unknown role.
func (c *Catalogue) RoleInSentence(r Role) string {
	for _, info := range c.roles {
		if title := strings.ToLower(info.Title); info.Role == r && strings.ContainsAny(title[:1], "aeiou") {
			return "an " + title
		} else if info.Role == r {
			return "a " + title
		}
	}
	return "no member"
}

// The words for permissions. A permission without an entry in phrases is described by its action's verb and its resource's
// noun.
var (
	verbs = map[string]string{"list": "list", "fetch": "read", "create": "add", "update": "change", "delete": "delete"}
	nouns = map[string]string{
		"organization": "organizations", "organization_group": "organization groups", "user": "users", "conversation": "conversations",
		"message": "messages", "contact": "contacts", "knowledge_item": "FAQs", "form": "forms", "service": "widgets and brands",
	}
	phrases = map[Permission]string{
		"conversation:create": "start conversations",
		"message:create":      "write messages",
		FetchSelf:             "read your own profile",
		UpdateSelf:            "change your own profile",
	}
)

// words describes permissions, such as "List and read contacts; write messages". The permissions must be in the order of
// Permissions, so that those on one resource are adjacent. Without permissions it returns "".
func words(permissions []Permission) string {
	var parts []string
	for len(permissions) > 0 {
		resource, _, _ := strings.Cut(string(permissions[0]), ":")
		var actions []string
		for len(permissions) > 0 && strings.HasPrefix(string(permissions[0]), resource+":") {
			p := permissions[0]
			permissions = permissions[1:]
			if phrase, own := phrases[p]; own {
				parts = append(parts, phrase)
			} else if _, action, _ := strings.Cut(string(p), ":"); !slices.Contains(actions, verbs[action]) {
				actions = append(actions, verbs[action])
			}
		}
		if len(actions) > 0 {
			parts = append(parts, enumerate(actions)+" "+nouns[resource])
		}
	}
	text := strings.Join(parts, "; ")
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 || first == utf8.RuneError {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// enumerate returns "a", "a and b", "a, b and c".
func enumerate(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
