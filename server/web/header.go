package web

import (
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
)

const (
	// Pages need one stylesheet, our own images, and no script except the one that allowScript names. Logos of apps are not
	// loaded: a remote image would reveal to its host which consent page is viewed from which address.
	policyBase = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	policyAPI  = "default-src 'none'; frame-ancestors 'none'"
	oneYear    = "max-age=31536000"
)

// pageHeaders sets the headers of every page (docs/battery.md, W5). Render relaxes the referrer policy on pages with a form.
func (t *Toolkit) pageHeaders(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", policyBase)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if strings.HasPrefix(r.URL.Path, "/oauth/") {
		KeepOpener(h)
	}
	t.commonHeaders(h)
}

// KeepOpener is for every page and redirect on the way to an app. An app may open them in a pop-up window, where its callback
// page reports to the page that opened the window. A single response on the way with another value of the header cuts that
// connection permanently.
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

// AllowFormAction lets a form of the page about to be rendered lead, through redirects, to the app's address. Chromium applies
// form-action to the whole chain of redirects after a submitted form, including the app's own redirects from its callback to
// hosts that we cannot know. So it allows the scheme of the address instead of its origin. Call it before Render.
func AllowFormAction(w http.ResponseWriter, v directory.ValidatedRedirect) {
	w.Header().Set("Content-Security-Policy", policyBase+formActionSource(v.URI()))
}

// allowScript lets the page about to be written run one static file, and no other script.
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
	return " " + u.Scheme + ":" // "http:" includes https
}
