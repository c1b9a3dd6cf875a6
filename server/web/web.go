// Package web is the toolkit of every handler: the adapters Page, Private and API, sessions, strict forms, rendering,
// redirects, and the one table that turns an error into an HTTP answer.
//
// It owns the cookies (of the session, and of a known browser), the headers of every response, and the text of generic error
// pages. It refuses parameters that are not exactly one well-formed value, paths that are not clean, requests that another
// site makes with our cookie, and redirects to addresses that were not validated. With internal/ratelimit it refuses guessing.
// The state it changes is a session's row: created at log-in, updated while in use, deleted at log-out.
package web

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"xenoauth/internal/ratelimit"
	"xenoauth/store"
)

// Config configures New. All fields are required, except TrustedProxies and the limits.
type Config struct {
	Issuer         *url.URL         // origin without path; decides the cookie's name and flags, HSTS and the loopback redirect
	Store          store.Store      // holds the sessions
	Templates      fs.FS            // layout.html, parts.html and one file per page
	Static         fs.FS            // files served under /static/
	Log            *slog.Logger     // one line per error; every request at debug level
	TrustedProxies []netip.Prefix   // proxies whose X-Forwarded-For is trusted
	CookieKey      []byte           // at least 32 bytes; authenticates session cookies, shared by all replicas
	Limits         ratelimit.Limits // on failures, and on what one user does
	MaxSessions    int              // per user; 0 means 50
	DatabaseBudget time.Duration    // the time that one request may wait for the database, in total; 0 means 2.5 s
}

// Toolkit is safe for concurrent use.
type Toolkit struct {
	issuer    *url.URL
	store     store.Store
	log       *slog.Logger
	proxies   []netip.Prefix
	budget    time.Duration // for the database, per request
	cookies   *cookieStore
	devices   devices
	formKey   []byte // seals parked forms
	limits    *ratelimit.Limiter
	proxyHint sync.Once // logs that a proxy may be missing in TrustedProxies
	templates templates
	assets    assets
	origins   *http.CrossOriginProtection
}

// New parses all templates and reads all static files, so that a bad one is an error at start-up.
func New(c Config) (*Toolkit, error) {
	if c.Issuer == nil || c.Store == nil || c.Templates == nil || c.Static == nil || c.Log == nil {
		return nil, errors.New("web: Issuer, Store, Templates, Static and Log are required")
	}
	if len(c.CookieKey) < 32 {
		return nil, fmt.Errorf("web: CookieKey has %d bytes, 32 are required", len(c.CookieKey))
	}
	t := &Toolkit{issuer: c.Issuer, store: c.Store, log: c.Log, proxies: c.TrustedProxies, budget: cmp.Or(c.DatabaseBudget, defaultBudget), origins: http.NewCrossOriginProtection()}
	// Behind a proxy that rewrites Host, our own forms must not look like those of another site.
	if err := t.origins.AddTrustedOrigin(t.origin()); err != nil {
		return nil, fmt.Errorf("web: issuer %q: %w", c.Issuer, err)
	}
	t.cookies = newCookieStore(c.Store, c.CookieKey, c.Issuer.Scheme == "https", cmp.Or(c.MaxSessions, 50))
	t.devices = newDevices(c.CookieKey, c.Issuer.Scheme == "https")
	t.formKey = seal(c.CookieKey, "parked forms")
	t.limits = ratelimit.New(c.Store, c.CookieKey, c.Limits)
	var err error
	if t.assets, err = loadAssets(c.Static); err != nil {
		return nil, err
	}
	if t.templates, err = parseTemplates(c.Templates, t.assets); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Toolkit) origin() string { return t.issuer.Scheme + "://" + t.issuer.Host }

// canonical returns the issuer's address of a page that was requested under another loopback name. Cookies belong to one
// host name: a session of 127.0.0.1 would be unknown on localhost.
func (t *Toolkit) canonical(r *http.Request) (string, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false
	}
	if strings.EqualFold(r.Host, t.issuer.Host) || !loopbackHost(t.issuer.Host) || !loopbackHost(r.Host) {
		return "", false
	}
	return t.origin() + r.URL.RequestURI(), true
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// seal derives a key from another one, or a mark of a text that only its holder can make.
func seal(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
