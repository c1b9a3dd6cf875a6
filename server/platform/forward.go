package platform

import (
	"net/http"
	"slices"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
)

// Verify is forward-auth: a gateway sends it the Authorization header of a request, and the answer decides whether that request
// may pass (nginx auth_request, Caddy forward_auth, Traefik ForwardAuth, Envoy ext_authz). It accepts every method, and
// reads neither the body, which may never arrive, nor any other header.
//
// The query has the requirements (readNeeds). The answer is 200 with all six identity headers, empty ones included, so that a
// gateway that copies them overwrites headers that the client has forged; otherwise 401, 403 or 503. It is never 400, which
// gateways turn into a 500.
func (h *Handler) Verify(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != 0 {
		// Otherwise net/http waits for the body before it answers, in order to reuse the connection.
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
	if err := h.check(id, n); err != nil {
		return err
	}
	writeIdentity(w.Header(), id)
	w.WriteHeader(http.StatusOK)
	return nil
}

// check returns a 403 for the first requirement that the token does not meet.
func (h *Handler) check(id verify.Identity, n needs) error {
	switch {
	case n.bot != "" && (!id.Bot || id.User == nil || id.User.ID != n.bot):
		return insufficientScope("the token does not belong to the required bot", nil)
	case n.audience == "" && len(id.Audience) > 0:
		// The app asked for a token that is valid at other APIs only (RFC 8707 §3).
		return insufficientScope("the token is restricted to specific resources, and the gateway does not name this one (aud)", nil)
	case n.audience != "" && !scope.HasResource(id.Audience, n.audience):
		return insufficientScope("the token is not valid for the required resource", nil)
	}
	for _, name := range n.scopes {
		if !h.hasScope(id, name) {
			return insufficientScope("the token lacks a required scope", h.stepUp(id, n))
		}
	}
	for _, p := range n.permissions {
		if !hasPermission(id, p, n.owner) {
			return h.withoutPermission(id, n)
		}
	}
	return nil
}

// hasScope reports whether the token has a scope, by name or alias for the token of an app; the scopes of every other token are
// roles, and a role includes the lower ones. No scope of the catalogue can have the name of a role.
func (h *Handler) hasScope(id verify.Identity, name string) bool {
	if id.Acts != "" {
		role, err := scope.ParseRole(name)
		return err == nil && id.Acts.Covers(role)
	}
	known, ok := h.catalogue.Scope(name)
	return ok && id.Scopes.Has(known.Name)
}

const selfSuffix = ":self"

// hasPermission reports whether the token has a permission. One that ends in :self is sufficient only for the owner's own data, and
// the one for all users always. For other permissions the owner does not matter.
func hasPermission(id verify.Identity, p scope.Permission, owner string) bool {
	general, self := strings.CutSuffix(string(p), selfSuffix)
	if slices.Contains(id.Permissions, scope.Permission(general)) {
		return true
	}
	own := id.User != nil && owner != "" && owner == id.User.ID
	return self && own && slices.Contains(id.Permissions, p)
}

// writeIdentity sets all six headers. A bot is also a user. A token that stands for the account alone names no bot, even if it
// was issued at a bot's endpoint.
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
