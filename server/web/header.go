package web

import (
	"net/http"
	"net/url"
	"strings"

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

// AllowFormAction lets a form of the page about to be rendered end, by way of a redirect, at the app's address:
// browsers apply form-action to the whole chain of redirects that follows a submitted form. Call it before Render.
func AllowFormAction(w http.ResponseWriter, v directory.ValidatedRedirect) {
	if source := formActionSource(v.URI()); source != "" {
		w.Header().Set("Content-Security-Policy", policyBase+" "+source)
	}
}

// formActionSource returns the narrowest CSP source that covers uri, or "" if none can be written.
func formActionSource(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || strings.ContainsAny(u.Host, " ;,'\"") {
		return ""
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return u.Scheme + ":" // a native app's own scheme has no host to narrow to
	case u.Host == "":
		return ""
	case strings.HasPrefix(u.Host, "["):
		return u.Scheme + ":" // the grammar of CSP has no IPv6 address
	}
	return u.Scheme + "://" + u.Host
}
