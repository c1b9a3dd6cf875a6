package oauth

import (
	"slices"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// describe returns the scopes that the app asks for, implied ones included. If some were approved before, asked has only the new
// ones and held the others; if all were, asked has all of them. With one account both are limited to the user's role there; with
// several, the limits are listed with each account.
func (h *Handler) describe(c directory.Consent, approved scope.Set) (asked, held []scope.Grant) {
	grants := func(set scope.Set) []scope.Grant {
		if len(c.Accounts) == 1 {
			return h.catalogue.Grants(set, c.Accounts[0].Role)
		}
		var uncut []scope.Grant
		for _, s := range h.catalogue.Describe(set) {
			uncut = append(uncut, scope.Grant{Scope: s})
		}
		return uncut
	}
	asked = grants(h.catalogue.Expand(c.Request.Scope))
	has := h.catalogue.Expand(approved)
	fresh := slices.DeleteFunc(slices.Clone(asked), func(g scope.Grant) bool { return has.Has(g.Name) })
	if len(fresh) == 0 {
		return asked, nil
	}
	return fresh, grants(has)
}

// consentAccount describes an account that the app can be installed on, with the rights that the user's role there does not allow.
func (h *Handler) consentAccount(c directory.Consent, m store.Member) web.ConsentAccount {
	a := web.ConsentAccount{
		ID: m.AccountID, Name: m.AccountName, Selected: len(c.Accounts) == 1, Role: h.catalogue.RoleInSentence(m.Role),
	}
	grants := h.catalogue.Grants(h.catalogue.Expand(c.Request.Scope), m.Role)
	a.Nothing = !slices.ContainsFunc(grants, func(g scope.Grant) bool { return !g.Nothing() })
	for _, g := range grants {
		if g.Cut() {
			a.Cut = append(a.Cut, g)
		}
	}
	return a
}
