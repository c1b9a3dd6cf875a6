package web

import (
	"net/http"
	"net/url"

	"xenoauth/internal/directory"
)

const (
	// Pages need one stylesheet and our own pictures, and no script at all. Logos of apps are not loaded, from us or from
	// their hosts: a remote picture would tell its host who is looking at which consent page.
	policyBase = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	policyAPI  = "default-src 'none'; frame-ancestors 'none'"
	oneYear    = "max-age=31536000"
)

// pageHeaders sets what every page carries (BATTERY.md W5). Render relaxes the referrer policy on pages with a form.
func (t *Toolkit) pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policyBase)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	t.commonHeaders(h)
}

func (t *Toolkit) apiHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policyAPI)
	t.commonHeaders(h)
}

func (t *Toolkit) commonHeaders(h http.Header) {
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if t.issuer.Scheme == "https" {
		h.Set("Strict-Transport-Security", oneYear)
	}
}

// AllowFormAction lets a form of the page about to be rendered end, by way of redirects, at the app's address. Chromium
// applies form-action to the whole chain of redirects that follows a submitted form, also to those by which the app sends
// the browser on from its callback to a host that we cannot know; so what is allowed is the scheme of the address and not
// its origin. Call it before Render.
func AllowFormAction(w http.ResponseWriter, v directory.ValidatedRedirect) {
	w.Header().Set("Content-Security-Policy", policyBase+formActionSource(v.URI()))
}

// formActionSource returns the CSP source that covers uri and its onward redirects, after a space, or "".
func formActionSource(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	return " " + u.Scheme + ":" // "http:" covers https, too
}
