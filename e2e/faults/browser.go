package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"xenoauth/e2e/harness"
)

// browser is a user's session. Concurrent calls are allowed.
type browser struct {
	client *client
	base   string // the issuer
	jar    http.CookieJar
	email  string
}

func newBrowser(c *client, base, email string) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("create cookie jar: %w", err)
	}
	return &browser{client: c, base: base, jar: jar, email: email}, nil
}

func (b *browser) send(ctx context.Context, method, path string, form url.Values) reply {
	headers := harness.PageHeaders(b.base)
	if form == nil {
		headers = headers[:2] // a link sends no Origin
	}
	return b.client.send(ctx, method, b.base+path, form, b.jar, headers...)
}

func (b *browser) logIn(ctx context.Context, password string) error {
	r := b.send(ctx, http.MethodPost, "/login", url.Values{"email": {b.email}, "password": {password}})
	if r.err != nil || r.status != http.StatusSeeOther {
		return fmt.Errorf("log in %s: %d, %w", b.email, r.status, r.err)
	}
	return nil
}

// code goes through authorization, and consent if the page is shown.
func (b *browser) code(ctx context.Context, a app) (code string, r reply, outcome Outcome) {
	query := url.Values{"client_id": {a.ID}, "redirect_uri": {callback}, "scope": {scopes}, "state": {"load"}}
	r = b.send(ctx, http.MethodGet, "/oauth/authorize?"+query.Encode(), nil)
	if r.err == nil && r.status == http.StatusOK {
		form := harness.Answer{Body: string(r.body)}.Form("/oauth/consent")
		form.Set("decision", "allow")
		r = b.send(ctx, http.MethodPost, "/oauth/consent", form)
	}
	if r.err != nil || r.status != http.StatusSeeOther {
		return "", r, r.failure()
	}
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), callback+"?") {
		r.err = errors.New("the browser was redirected elsewhere") // the address may hold a secret
		return "", r, Wrong
	}
	if to.Query().Get("error") == "temporarily_unavailable" {
		return "", r, Unavailable
	}
	if code = to.Query().Get("code"); code == "" {
		return "", r, Wrong
	}
	return code, r, OK
}

// remove removes an installation. One that is already removed counts as removed.
func (b *browser) remove(ctx context.Context, installation string) (reply, Outcome) {
	r := b.send(ctx, http.MethodPost, "/account/apps/"+installation+"/remove", url.Values{})
	gone := r.status == http.StatusSeeOther && r.header.Get("Location") == "/account/apps" || r.status == http.StatusNotFound
	if r.err == nil && gone {
		return r, OK
	}
	return r, r.failure()
}

// secrets are the values of the session's cookies.
func (b *browser) secrets() []string {
	address, err := url.Parse(b.base)
	if err != nil {
		return nil
	}
	var values []string
	for _, c := range b.jar.Cookies(address) {
		values = append(values, c.Value)
	}
	return values
}
