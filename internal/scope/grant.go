package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Grant is one scope as a member with some role can give it, in words for people. A token that has the scope has those
// of its permissions that the role has too.
type Grant struct {
	Scope
	// Can is what remains of a scope that the role cuts, such as "List contacts". It is empty if nothing remains, and
	// if the role cuts nothing: then Description is true as it stands.
	Can string
	// Lost lists the parts that the role cuts off; empty if there are none.
	Lost []Lost
}

// Lost is a part of a scope that a role cuts off.
type Lost struct {
	Words string // such as "Read, add and change contacts"
	Needs string // the lowest role of a person that has it, such as "an admin"
}

// Cut reports whether the role takes something from the scope.
func (g Grant) Cut() bool { return len(g.Lost) > 0 }

// Nothing reports whether the role leaves nothing of the scope. A scope without permissions of its own is not cut: APIs
// that ask for it by name find it.
func (g Grant) Nothing() bool { return g.Cut() && g.Can == "" }

// Grants describes the scopes of the set, as Describe does, as far as a member with this role can give them.
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

// lost lists for each role the permissions that it and the roles above it have, and no role below.
func (c *Catalogue) lost(set permissionSet) []Lost {
	var all []Lost
	for _, r := range Roles() {
		if r == RoleBot {
			continue // no person has it: a person gets its rights as an admin
		}
		if part := set & c.roleGrants[r.Rank()]; part != 0 {
			all = append(all, Lost{Words: words(c.numbering.list(part)), Needs: c.RoleInSentence(r)})
			set &^= part
		}
	}
	if set != 0 { // in a matrix of the operator's, of no role at all
		all = append(all, Lost{Words: words(c.numbering.list(set)), Needs: "a role that there is not"})
	}
	return all
}

// RoleInSentence is the name of a role with its article, such as "an admin". It is "no member" for any other value.
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

// The words of permissions. A permission without an entry in phrases is its action's verb and its resource's noun.
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

// words describes permissions, such as "List and read contacts; write messages". They are in the order of
// Permissions, so that those on one resource follow each other. No permission is "".
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

// enumerate is "a", "a and b", "a, b and c".
func enumerate(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
