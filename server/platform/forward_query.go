package platform

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
)

// needs are the requirements of a gateway, all of which a token must meet.
type needs struct {
	scopes      []string
	permissions []scope.Permission
	owner       string // id of the user whose data is requested; "": none
	bot         string // id of the bot that the token must belong to; "": any token
	audience    string // RFC 8707 resource that the token must be for; "": a token narrowed to resources is refused
}

// VerifyNames are the query parameters of forward-auth.
var VerifyNames = []string{"scope", "permission", "owner", "bot", "aud"}

// readNeeds reads the query of forward-auth: scope (one or more names in one or more parameters), permission (the same),
// owner, bot and aud. It refuses unknown names other than those that the operator lets through, values that are empty or can
// never match, and a second value of owner, bot or aud, so that a typo never grants access.
func (h *Handler) readNeeds(r *http.Request) (needs, error) {
	query, err := web.ParseQuery(r)
	if err != nil {
		return needs{}, invalidQuery("it is malformed")
	}
	for _, name := range query.Names() {
		if fault := h.checkQueryName(query, name); fault != nil {
			return needs{}, fault
		}
	}
	n := needs{owner: query.Get("owner"), bot: query.Get("bot"), audience: query.Get("aud")}
	for _, list := range query.All("scope") {
		n.scopes = append(n.scopes, strings.Fields(list)...)
	}
	for _, list := range query.All("permission") {
		for _, name := range strings.Fields(list) {
			if !scope.ValidPermission(name) {
				return needs{}, invalidQuery("permission names an unknown permission")
			}
			n.permissions = append(n.permissions, scope.Permission(name))
		}
	}
	if n.owner != "" && n.permissions == nil {
		return needs{}, invalidQuery("owner requires a permission")
	}
	if n.bot != "" && !secret.ValidUserID(n.bot) {
		return needs{}, invalidQuery("bot must be the ID of a bot")
	}
	if u, err := url.Parse(n.audience); n.audience != "" && (err != nil || !u.IsAbs()) {
		return needs{}, invalidQuery("aud must be an absolute URI")
	}
	return n, nil
}

// checkQueryName checks one name, and that its values are not empty and not too many.
func (h *Handler) checkQueryName(query web.Values, name string) error {
	values := query.All(name)
	switch {
	case slices.Contains(h.verifyIgnore, name):
		return nil
	case !slices.Contains(VerifyNames, name):
		return invalidQuery(safeName(name) + " is not supported; use " + strings.Join(VerifyNames, ", "))
	case slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" }):
		// Probably a variable of the gateway that is not set: there is a requirement, but it is unknown.
		return invalidQuery(name + " is empty")
	case len(values) > 1 && name != "scope" && name != "permission":
		return invalidQuery(name + " is given more than once")
	}
	return nil
}

// safeName returns a query name if it is safe to show in an answer and a log. A long name, or one with other characters, may be a
// secret in the wrong place.
func safeName(name string) string {
	const maxShown = 32
	if name == "" || len(name) > maxShown || strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')
	}) {
		return "one parameter"
	}
	return name
}

// invalidQuery is the 403 for an error in the gateway's own query, which no token can meet. It is logged as a warning, since only
// the operator can correct it.
func invalidQuery(description string) error {
	err := insufficientScope("invalid forward-auth query: "+description, nil)
	err.Warn = true
	return err
}
