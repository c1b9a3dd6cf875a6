package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// Requirement is a condition on the token of a request, made by Scope, Permission, Self, Bot, For and AnyOf.
type Requirement struct {
	met      func(*http.Request, Identity) bool
	text     string   // the missing right, for the answer
	scopes   []string // scopes that would do, for the challenge; empty: none is known
	audience bool     // every token that meets it is for an audience that it names
}

// missing are the scopes for the challenge of RFC 6750 §3, without those that the token has: a client that is asked for
// a scope that it has would request it again and again.
func (r Requirement) missing(id Identity) string {
	var names []string
	for _, name := range r.scopes {
		if !id.HasScope(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Scope requires a scope. Role scopes cascade: an admin's token has the scope agent. It panics if no scope can have this
// name.
func Scope(name string) Requirement {
	mustName(name)
	return Requirement{
		met:    func(_ *http.Request, id Identity) bool { return id.HasScope(name) },
		text:   "scope " + name,
		scopes: []string{name},
	}
}

// Permission requires a permission, such as "conversation:list". It panics if no permission can have this name, and for
// one that ends in ":self", which says nothing until the owner of what is asked for is known: use Self.
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

// Self requires a permission on the record of one user, "user:fetch:self" or "user:update:self", as forward-auth does. Who has
// the permission on all users, "user:fetch", passes; who has it on oneself passes if owner names the token's subject. An
// owner of "" is nobody. It panics for a name that does not end in ":self".
func Self(owner func(*http.Request) string, permission string) Requirement {
	all, found := strings.CutSuffix(permission, selfSuffix)
	if !found {
		panic("bearer: Self(" + strings.ToValidUTF8(permission, "?") + "): not of the form resource:action:self")
	}
	needs := Permission(all)
	needs.text = "permission " + all + ", or to be the one it is about with " + all + selfSuffix
	needs.met = func(r *http.Request, id Identity) bool {
		if id.HasPermission(all) {
			return true
		}
		who := owner(r)
		return who != "" && who == id.Subject && id.HasPermission(all+selfSuffix)
	}
	return needs
}

// Bot requires a token of the bot with this id. An integration token that was got with the account's key alone stands for
// the account and is refused, whatever endpoint gave it. It panics if id is empty.
func Bot(id string) Requirement {
	mustName(id)
	return Requirement{
		met:  func(_ *http.Request, got Identity) bool { return got.Bot == id },
		text: "a token of bot " + id,
	}
}

// For requires a token that was asked for this resource (RFC 8707), where Config.Audience is not the same for all routes.
// It panics if no resource can have this name.
func For(resource string) Requirement {
	mustName(resource)
	return Requirement{
		met:      func(_ *http.Request, id Identity) bool { return id.IsFor(resource) },
		text:     "a token for " + resource,
		audience: true,
	}
}

// AnyOf requires one of several. It panics without any.
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

// allOf requires all of them.
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

// mustName refuses what RFC 6749 §3.3 allows no scope to be named: it could never be met, and would not fit a challenge.
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
