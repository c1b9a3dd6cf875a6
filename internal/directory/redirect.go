package directory

import (
	"errors"
	"net/url"
	"strings"

	"xenoauth/store"
)

// Faults of a redirect URI. All of them render a page and never redirect (RFC 6749 §4.1.2.1).
var (
	// ErrRedirectMismatch: the URI is not one the app registered.
	ErrRedirectMismatch = errors.New("redirect_uri is not registered for this app")
	// ErrRedirectMissing: none was sent, and the app registered several.
	ErrRedirectMissing = errors.New("redirect_uri is required, because the app has several")
	// ErrRedirectRefused: the URI was registered before such URIs were refused: it is on this server's own host, or its scheme
	// cannot be registered.
	ErrRedirectRefused = errors.New("redirect_uri is registered but no longer allowed")
)

// ValidatedRedirect is an address of an app that was proven to be registered. Only MatchRedirect creates one, and
// redirects take no other type, so an address that was not matched cannot be redirected to.
type ValidatedRedirect struct {
	uri        string
	registered string
	sent       bool
}

// MatchRedirect is the function MatchRedirect, and also refuses addresses that can no longer be registered, because they would
// mislead on the page: those of this server itself, and schemes that look like a website.
func (d *Directory) MatchRedirect(app store.App, sent string) (ValidatedRedirect, error) {
	v, err := MatchRedirect(app, sent)
	if err == nil && (d.own.holds(v.URI()) || v.Native() != "" && schemeFault(v.Native(), !app.Confidential) != "") {
		return ValidatedRedirect{}, ErrRedirectRefused
	}
	return v, err
}

// MatchRedirect finds the registered redirect URI of app for the parameter sent; "" is an absent parameter.
//
// The comparison is of bytes (RFC 9700 §2.1): no parsing and no normalisation, so no two programs can read it differently.
// The one variable is the port of a registered http URI on a loopback host (RFC 8252 §7.3), and an exact match wins
// over that.
func MatchRedirect(app store.App, sent string) (ValidatedRedirect, error) {
	if sent == "" {
		if len(app.RedirectURIs) != 1 {
			return ValidatedRedirect{}, ErrRedirectMissing
		}
		only := app.RedirectURIs[0]
		return ValidatedRedirect{uri: only, registered: only}, nil
	}
	for _, registered := range app.RedirectURIs {
		if sent == registered {
			return ValidatedRedirect{uri: sent, registered: registered, sent: true}, nil
		}
	}
	for _, registered := range app.RedirectURIs {
		if matchLoopback(registered, sent) {
			return ValidatedRedirect{uri: sent, registered: registered, sent: true}, nil
		}
	}
	return ValidatedRedirect{}, ErrRedirectMismatch
}

// URI is the address that the browser is sent to.
func (v ValidatedRedirect) URI() string { return v.uri }

// Registered is the registered URI that it matched; it differs from URI only in a loopback port.
func (v ValidatedRedirect) Registered() string { return v.registered }

// Origin is the destination of the address, in the form that an installation stores.
func (v ValidatedRedirect) Origin() string { return originOf(v.registered) }

// Native is the scheme of a native app's address, "" for a web address. Pages show only the scheme of such an address: the part
// in the place of a host can be any text.
func (v ValidatedRedirect) Native() string {
	scheme, _, _ := strings.Cut(v.uri, ":")
	if scheme == "https" || scheme == "http" {
		return ""
	}
	return scheme
}

// Sent reports whether the app sent the parameter, in which case the token request must repeat it (RFC 6749 §4.1.3).
func (v ValidatedRedirect) Sent() bool { return v.sent }

// Exact reports whether the address equals the registered one byte by byte.
func (v ValidatedRedirect) Exact() bool { return v.uri == v.registered }

// HTTPS reports whether only the owner of the domain can receive requests at the address.
func (v ValidatedRedirect) HTTPS() bool { return strings.HasPrefix(v.uri, "https://") }

// With returns the address with parameters added to its query, whose own bytes stay as registered (RFC 6749 §3.1.2).
func (v ValidatedRedirect) With(params url.Values) string {
	encoded := params.Encode()
	_, query, hasQuery := strings.Cut(v.uri, "?")
	switch {
	case encoded == "":
		return v.uri
	case !hasQuery:
		return v.uri + "?" + encoded
	case query == "", strings.HasSuffix(query, "&"):
		return v.uri + encoded
	default:
		return v.uri + "&" + encoded // also after a second question mark, which belongs to a value
	}
}

// matchLoopback compares component by component: scheme and host as registered, any valid port, and the rest
// (path and query) as registered, to the byte.
func matchLoopback(registered, sent string) bool {
	origin, rest, ok := splitLoopback(registered)
	if !ok {
		return false
	}
	after, ok := strings.CutPrefix(sent, origin)
	if !ok {
		return false
	}
	if port, ok := strings.CutPrefix(after, ":"); ok {
		digits := 0
		for digits < len(port) && '0' <= port[digits] && port[digits] <= '9' {
			digits++
		}
		if !validPort(port[:digits]) {
			return false
		}
		after = port[digits:]
	}
	return after == rest
}

// splitLoopback cuts a registered URI into scheme with host, and what follows the port. Registration has refused
// userinfo, so the host ends where a port, path or query begins.
func splitLoopback(registered string) (origin, rest string, ok bool) {
	for _, origin := range []string{"http://localhost", "http://127.0.0.1", "http://[::1]"} {
		after, found := strings.CutPrefix(registered, origin)
		if !found {
			continue
		}
		if port, found := strings.CutPrefix(after, ":"); found {
			after = strings.TrimLeft(port, "0123456789")
		}
		if after == "" || after[0] == '/' || after[0] == '?' {
			return origin, after, true
		}
	}
	return "", "", false
}

// validPort accepts 1 to 65535 as a URI writes it: digits without a leading zero.
func validPort(digits string) bool {
	if digits == "" || len(digits) > 5 || digits[0] == '0' {
		return false
	}
	n := 0
	for _, d := range []byte(digits) {
		if d < '0' || '9' < d {
			return false
		}
		n = n*10 + int(d-'0')
	}
	return n <= 65535
}
