package platform

import (
	"net/http"
	"slices"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// Verify is forward-auth: a gateway asks it, with the Authorization header of a request that it has received, whether that
// request may pass (nginx auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy ext_authz). It answers to every
// method, and reads neither the body, which belongs to somebody else and may never arrive, nor any other header.
//
// Query: scope (one or more names in one or more parameters), permission (the same), owner (the user whose data is asked
// for). All that is named is needed. The answer is 200 with all six identity headers, empty ones included, so that a
// gateway that copies them overwrites whatever the client invented; or 401, 403, 503; never 400, which gateways turn into
// a 500.
func (h *Handler) Verify(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != 0 {
		// Otherwise net/http waits for the body before it answers, to use the connection again.
		w.Header().Set("Connection", "close")
	}
	token, err := web.HeaderToken(r)
	if err != nil {
		return err
	}
	id, err := h.verify.Lookup(r.Context(), token)
	if err != nil {
		return err
	}
	n, err := readNeeds(r)
	if err != nil {
		return err
	}
	if err := h.meets(id, n); err != nil {
		return err
	}
	writeIdentity(w.Header(), id)
	w.WriteHeader(http.StatusOK)
	return nil
}

// needs are what a gateway wants of a token.
type needs struct {
	scopes      []string
	permissions []scope.Permission
	owner       string // "" is nobody
}

// readNeeds refuses, closed, whatever it does not understand.
func readNeeds(r *http.Request) (needs, error) {
	query, err := web.ParseQuery(r)
	if err != nil {
		return needs{}, misconfigured("the query is malformed")
	}
	if len(query.All("owner")) > 1 {
		return needs{}, misconfigured("owner is given more than once")
	}
	n := needs{owner: query.Get("owner")}
	for _, list := range query.All("scope") {
		n.scopes = append(n.scopes, strings.Fields(list)...)
	}
	for _, list := range query.All("permission") {
		for _, name := range strings.Fields(list) {
			if !scope.ValidPermission(name) {
				return needs{}, misconfigured("permission names an unknown permission")
			}
			n.permissions = append(n.permissions, scope.Permission(name))
		}
	}
	return n, nil
}

// meets says whether the token has every scope and every permission.
func (h *Handler) meets(id verify.Identity, n needs) error {
	for _, name := range n.scopes {
		if !h.hasScope(id, name) {
			return insufficient("the token does not have the scope that is needed", h.helpful(id, n))
		}
	}
	for _, p := range n.permissions {
		if !hasPermission(id, p, n.owner) {
			return insufficient("the token does not have the permission that is needed", h.helpful(id, n))
		}
	}
	return nil
}

// hasScope: the scopes of an app's token by name or alias; for every other token roles, which cascade (SEEDS.md §3). The
// catalogue lets no scope have the name of a role.
func (h *Handler) hasScope(id verify.Identity, name string) bool {
	if id.Acts != "" {
		role, err := scope.ParseRole(name)
		return err == nil && id.Acts.Covers(role)
	}
	known, ok := h.catalogue.Scope(name)
	return ok && id.Scopes.Has(known.Name)
}

const selfSuffix = ":self"

// hasPermission: one that ends in :self is enough where the caller is the owner, and nowhere else; the one on all users is
// enough everywhere. An owner changes nothing about the others.
func hasPermission(id verify.Identity, p scope.Permission, owner string) bool {
	general, self := strings.CutSuffix(string(p), selfSuffix)
	if slices.Contains(id.Permissions, scope.Permission(general)) {
		return true
	}
	own := id.User != nil && owner != "" && owner == id.User.ID
	return self && own && slices.Contains(id.Permissions, p)
}

// helpful names the scopes that would do, for the challenge, as far as there are any: for a permission the lowest role or
// the first scope of the catalogue that has it.
func (h *Handler) helpful(id verify.Identity, n needs) []string {
	names := slices.Clone(n.scopes)
	for _, p := range n.permissions {
		if id.Acts != "" {
			roles := scope.Roles()
			if i := slices.IndexFunc(roles, func(r scope.Role) bool { return h.catalogue.RoleAllows(r, p) }); i >= 0 {
				names = append(names, string(roles[i]))
			}
			continue
		}
		for _, name := range h.catalogue.Names() {
			if s, _ := h.catalogue.Scope(name); slices.Contains(s.Permissions, p) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// writeIdentity sets all six headers. A bot is a user, too.
func writeIdentity(h http.Header, id verify.Identity) {
	var user, account, app, bot string
	if id.User != nil {
		user = id.User.ID
		if id.Bot {
			bot = id.User.ID
		}
	}
	if id.Account != nil {
		account = id.Account.ID
	}
	if id.OfApp() {
		app = id.ClientID
	}
	h.Set("X-Xenoauth-User", user)
	h.Set("X-Xenoauth-Account", account)
	h.Set("X-Xenoauth-App", app)
	h.Set("X-Xenoauth-Bot", bot)
	h.Set("X-Xenoauth-Installation", id.Installation)
	h.Set("X-Xenoauth-Scope", id.Scopes.String())
}

// insufficient is the 403 of RFC 6750 §3.1. Of the names, those stand in the challenge that may: what the gateway asks may
// have come from the client.
func insufficient(description string, names []string) error {
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

// misconfigured is a fault in the gateway's own question, which no token can meet.
func misconfigured(description string) error {
	return insufficient("the gateway asks wrongly: "+description, nil)
}
