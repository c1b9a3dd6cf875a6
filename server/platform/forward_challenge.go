package platform

import (
	"net/http"
	"slices"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// withoutPermission is the 403 for a token that lacks a permission. If the member's role is too low, the description states
// that, and no scope is named, since a token with more scopes would be refused as well.
func (h *Handler) withoutPermission(id verify.Identity, n needs) error {
	description := "the token lacks a required permission"
	switch {
	case id.OfApp() && id.User == nil:
		description += ": it acts for no member"
	case !h.roleAllows(id, n):
		description = "the member's role in the account does not allow this, regardless of the token's scope"
	}
	return insufficientScope(description, h.stepUp(id, n))
}

// stepUp returns the scopes that the token lacks and with which it would be accepted under the member's role. There are none if
// the role does not suffice, or no scope of the catalogue gives the permission. A scope that the token has is never among
// them, since a client that asks for it again would loop.
func (h *Handler) stepUp(id verify.Identity, n needs) []string {
	if !h.roleAllows(id, n) {
		return nil
	}
	var names []string
	for _, name := range n.scopes {
		if !h.hasScope(id, name) {
			names = append(names, name)
		}
	}
	for _, p := range n.permissions {
		if hasPermission(id, p, n.owner) {
			continue
		}
		name := h.scopeFor(id, needed(id, p, n.owner))
		if name == "" {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// scopeFor returns a scope that the token lacks and that gives the permission: for a token whose scopes are roles, the lowest
// sufficient role above its own; for others, the first such scope of the catalogue; "" if there is none.
func (h *Handler) scopeFor(id verify.Identity, p scope.Permission) string {
	if id.Acts != "" {
		for _, r := range scope.Roles() {
			if h.catalogue.RoleAllows(r, p) && !id.Acts.Covers(r) && id.Role.Covers(r) {
				return string(r)
			}
		}
		return ""
	}
	for _, name := range h.catalogue.Names() {
		if s, _ := h.catalogue.Scope(name); !id.Scopes.Has(name) && slices.Contains(s.Permissions, p) {
			return name
		}
	}
	return ""
}

// roleAllows reports whether the member's role allows every permission that the token lacks, whatever its scopes.
func (h *Handler) roleAllows(id verify.Identity, n needs) bool {
	return !slices.ContainsFunc(n.permissions, func(p scope.Permission) bool {
		return !hasPermission(id, p, n.owner) && !h.catalogue.RoleAllows(id.Role, needed(id, p, n.owner))
	})
}

// needed returns the permission that the token lacks. For the data of another user, one that ends in :self is replaced by the one
// for all users.
func needed(id verify.Identity, p scope.Permission, owner string) scope.Permission {
	if general, self := strings.CutSuffix(string(p), selfSuffix); self && (id.User == nil || owner != id.User.ID) {
		return scope.Permission(general)
	}
	return p
}

// insufficientScope is the 403 of RFC 6750 §3.1. Names that a challenge cannot contain are left out, since the gateway may have
// passed them through from the client.
func insufficientScope(description string, names []string) *web.Error {
	var plain []string
	for _, name := range names {
		if _, err := scope.NewSet(name); err == nil && !slices.Contains(plain, name) {
			plain = append(plain, name)
		}
	}
	challenge := `Bearer realm="xenoauth", error="insufficient_scope"`
	if len(plain) > 0 {
		challenge += `, scope="` + strings.Join(plain, " ") + `"`
	}
	return &web.Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: description,
		Header: http.Header{"Www-Authenticate": {challenge}}}
}
