package web

import (
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

// home is the page after a log-in without a destination.
const home = "/account/apps"

// requestIDLen is a request id without its prefix: letter, underscore, 22 + 43 + 6 characters.
const requestIDLen = 2 + 22 + 43 + 6

// NextURL turns the parameter next, which an attacker may have chosen, into a path of this server. next is never a path itself,
// so that there is no open redirect (docs/battery.md, W12): it is the id of a stored authorization request, a name from a fixed
// list, or the id of an app. Everything else leads to the list of installed apps.
func NextURL(next string) string {
	switch next {
	case "apps":
		return "/account/apps"
	case "security":
		return "/account/security"
	case "profile":
		return "/account"
	case "form":
		return "/account/form"
	case "keys":
		return "/account/keys"
	case "bots":
		return "/account/bots"
	case "developer":
		return "/developer/apps"
	case "developer-new":
		return "/developer/apps/new"
	}
	if secret.ValidPublicID("app_", next) {
		return "/developer/apps/" + next
	}
	if isRequestID(next) {
		return "/oauth/consent?request_id=" + url.QueryEscape(next)
	}
	return home
}

// LeadsToApp reports whether next names an authorization request, so that a redirect to its app follows.
func LeadsToApp(next string) bool { return strings.HasPrefix(NextURL(next), "/oauth/") }

// isRequestID reports whether s is a well-formed request id, with any prefix. The consent page checks whether it exists.
func isRequestID(s string) bool {
	if len(s) <= requestIDLen {
		return false
	}
	format, err := secret.NewFormat(s[:len(s)-requestIDLen])
	if err != nil {
		return false
	}
	c, ok := format.Parse(s)
	return ok && c.Kind == secret.Request
}

// loginURL is the log-in page that leads back to path, if NextURL has a name for it.
func loginURL(path string) string {
	name := ""
	switch {
	case path == "/account":
		name = "profile"
	case strings.HasPrefix(path, "/account/security"):
		name = "security"
	case strings.HasPrefix(path, "/account/apps"):
		name = "apps"
	case strings.HasPrefix(path, "/account/keys"):
		name = "keys"
	case strings.HasPrefix(path, "/account/bots"):
		name = "bots"
	case path == "/developer/apps":
		name = "developer"
	case path == "/developer/apps/new":
		name = "developer-new"
	case strings.HasPrefix(path, "/developer/apps/"):
		name, _, _ = strings.Cut(strings.TrimPrefix(path, "/developer/apps/"), "/")
		if !secret.ValidPublicID("app_", name) {
			name = "developer"
		}
	}
	if name == "" {
		return "/login"
	}
	return "/login?next=" + name
}

// Redirect redirects with 303 to a path of this server. A path that a browser could read as another host becomes the front page.
func Redirect(w http.ResponseWriter, _ *http.Request, path string) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		path = "/"
	}
	seeOther(w, path)
}

// RedirectTo redirects with 303 to an app's address, with params added. It is the only redirect to another host: the type of v
// proves that the address is registered.
func RedirectTo(w http.ResponseWriter, _ *http.Request, v directory.ValidatedRedirect, params url.Values) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	seeOther(w, v.With(params))
}

// seeOther writes Location itself, because http.Redirect rewrites relative paths and adds a body.
func seeOther(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
