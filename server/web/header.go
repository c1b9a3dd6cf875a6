package web

import (
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
)

const (
	// Pages need one stylesheet and our own pictures, and no script but the one that allowScript names. Logos of apps are not loaded, from us or from
	// their hosts: a remote picture would tell its host who is looking at which consent page.
	policyBase = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	policyAPI  = "default-src 'none'; frame-ancestors 'none'"
	oneYear    = "max-age=31536000"
)

// pageHeaders sets what every page carries (docs/battery.md, W5). Render relaxes the referrer policy on pages with a form.
func (t *Toolkit) pageHeaders(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", policyBase)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if strings.HasPrefix(r.URL.Path, "/oauth/") {
		KeepOpener(h)
	}
	t.commonHeaders(h)
}

// KeepOpener is for pages from which a redirect to an app follows. An app may have opened them in a window of its own, and
// its callback page then reports to the page that opened the window. Any other value of the header, on a single page or
// redirect of the way, cuts that tie for good.
func KeepOpener(h http.Header) { h.Set("Cross-Origin-Opener-Policy", "unsafe-none") }

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

// allowScript lets the page about to be written run one static file, and no other.
func (t *Toolkit) allowScript(h http.Header, file string) {
	if path, err := t.assets.url(file); err == nil {
		h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; script-src "+t.origin()+path)
	}
}

// formActionSource returns the CSP source that covers uri and its onward redirects, after a space, or "".
func formActionSource(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	return " " + u.Scheme + ":" // "http:" covers https, too
}
