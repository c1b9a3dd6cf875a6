package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// Requirement is a condition on the token of a request, made by Scope, Permission, Self, Bot, For and AnyOf.
type Requirement struct {
	met      func(*http.Request, Identity) bool
	text     string   // the missing right, for the response
	scopes   []string // sufficient scopes, for the challenge; empty if none is known
	audience bool     // only tokens for an audience that the requirement names meet it
}

// missing returns the scopes for the challenge (RFC 6750 §3) without those that the token has: a client that is asked for a scope
// that it already has would request it again and again.
func (r Requirement) missing(id Identity) string {
	var names []string
	for _, name := range r.scopes {
		if !id.HasScope(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Scope requires a scope. A role includes the lower ones: an admin's token has the scope agent. It panics if the name is not a
// valid scope.
func Scope(name string) Requirement {
	mustName(name)
	return Requirement{
		met:    func(_ *http.Request, id Identity) bool { return id.HasScope(name) },
		text:   "scope " + name,
		scopes: []string{name},
	}
}

// Permission requires a permission, such as "conversation:list". It panics if the name is not a valid permission,
// and if it ends in ":self": such a permission depends on the owner of the requested record, which Self takes.
func Permission(name string) Requirement {
	mustName(name)
	if strings.HasSuffix(name, selfSuffix) || !strings.Contains(name, ":") {
		panic("bearer: Permission(" + name + "): not of the form resource:action; for a permission on oneself use Self")
	}
	return Requirement{
		met:  func(_ *http.Request, id Identity) bool { return id.HasPermission(name) },
		text: "permission " + name,
	}
}

const selfSuffix = ":self"

// Self requires a permission on the record of one user, such as "user:fetch:self", with the rule of forward-auth: a token with
// the permission on all users ("user:fetch") passes, and one with the permission on its own user passes if owner returns the
// token's subject. An owner of "" matches no token. It panics if the name does not end in ":self".
func Self(owner func(*http.Request) string, permission string) Requirement {
	all, found := strings.CutSuffix(permission, selfSuffix)
	if !found {
		panic("bearer: Self(" + strings.ToValidUTF8(permission, "?") + "): not of the form resource:action:self")
	}
	needs := Permission(all)
	needs.text = "permission " + all + ", or " + all + selfSuffix + " for the token's own user"
	needs.met = func(r *http.Request, id Identity) bool {
		if id.HasPermission(all) {
			return true
		}
		subject := owner(r)
		return subject != "" && subject == id.Subject && id.HasPermission(all+selfSuffix)
	}
	return needs
}

// Bot requires a token of the bot with this id. An integration token that was obtained with the account's key alone belongs to
// the account and is refused. It panics if id is empty.
func Bot(id string) Requirement {
	mustName(id)
	return Requirement{
		met:  func(_ *http.Request, got Identity) bool { return got.Bot == id },
		text: "a token of bot " + id,
	}
}

// For requires a token that was requested for this resource (RFC 8707), for APIs whose routes have different audiences (see
// Config.Audience). It panics if resource is not a valid name.
func For(resource string) Requirement {
	mustName(resource)
	return Requirement{
		met:      func(_ *http.Request, id Identity) bool { return id.IsFor(resource) },
		text:     "a token for " + resource,
		audience: true,
	}
}

// AnyOf requires one of the alternatives. It panics if there are none.
func AnyOf(alternatives ...Requirement) Requirement {
	alternatives = slices.Clone(alternatives)
	one := Requirement{met: func(r *http.Request, id Identity) bool {
		return slices.ContainsFunc(alternatives, func(a Requirement) bool { return a.met(r, id) })
	}}
	for _, a := range alternatives {
		a.mustBeMade()
		if one.scopes == nil {
			one.scopes = a.scopes
		}
		one.text = join(one.text, ", or ", a.text)
	}
	one.mustBeMade()
	one.audience = !slices.ContainsFunc(alternatives, func(a Requirement) bool { return !a.audience })
	return one
}

// allOf combines requirements: the token must meet all of them.
func allOf(requirements []Requirement) Requirement {
	requirements = slices.Clone(requirements)
	all := Requirement{met: func(r *http.Request, id Identity) bool {
		return !slices.ContainsFunc(requirements, func(a Requirement) bool { return !a.met(r, id) })
	}}
	for _, a := range requirements {
		a.mustBeMade()
		all.scopes = append(all.scopes, a.scopes...)
		all.audience = all.audience || a.audience
		all.text = join(all.text, "; and ", a.text)
	}
	return all
}

func (r Requirement) mustBeMade() {
	if r.text == "" {
		panic("bearer: an empty requirement; make it with Scope, Permission, Self, Bot, For or AnyOf")
	}
}

// mustName panics for a name that is not a scope token (RFC 6749 §3.3): no token could meet it, and a challenge could not
// contain it.
func mustName(name string) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		panic("bearer: " + strings.ToValidUTF8(name, "?") + " cannot be the name of a scope or permission; give one name")
	}
}

func join(a, between, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}
