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
// method, and reads neither the body, which may never arrive, nor any other header.
//
// The query is read by readNeeds. The answer is 200 with all six identity headers, empty ones included, so that a
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
	n, err := h.readNeeds(r)
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

// meets reports, as a 403, the first thing that the token lacks.
func (h *Handler) meets(id verify.Identity, n needs) error {
	switch {
	case n.bot != "" && (!id.Bot || id.User == nil || id.User.ID != n.bot):
		return insufficient("the token does not belong to the required bot", nil)
	case n.audience == "" && len(id.Audience) > 0:
		// RFC 8707 §3: the app asked for a token that is good elsewhere only.
		return insufficient("the token is restricted to specific resources, and the gateway does not name this one (aud)", nil)
	case n.audience != "" && !scope.HasResource(id.Audience, n.audience):
		return insufficient("the token is not valid for the required resource", nil)
	}
	for _, name := range n.scopes {
		if !h.hasScope(id, name) {
			return insufficient("the token lacks a required scope", h.stepUp(id, n))
		}
	}
	for _, p := range n.permissions {
		if !hasPermission(id, p, n.owner) {
			return h.withoutPermission(id, n)
		}
	}
	return nil
}

// hasScope: the scopes of an app's token by name or alias; for every other token roles, which cascade. The catalogue lets
// no scope have the name of a role.
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

// writeIdentity sets all six headers. A bot is a user too; a token that stands for the account alone is of no bot, even
// if a bot's endpoint gave it.
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
