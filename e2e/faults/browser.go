package faults

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// browser is a person with a session. It may be used by many at once, as one with many tabs is.
type browser struct {
	client *client
	base   string // the issuer
	jar    http.CookieJar
	email  string
}

func newBrowser(c *client, base, email string) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make browser: %w", err)
	}
	return &browser{client: c, base: base, jar: jar, email: email}, nil
}

func (b *browser) send(ctx context.Context, method, path string, form url.Values) reply {
	request, err := http.NewRequestWithContext(ctx, method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{err: err, start: b.client.now(), end: b.client.now()}
	}
	request.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", b.base)
		request.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.client.do(request, b.jar)
}

func (b *browser) logIn(ctx context.Context, password string) error {
	r := b.send(ctx, http.MethodPost, "/login", url.Values{"email": {b.email}, "password": {password}})
	if r.err != nil || r.status != http.StatusSeeOther {
		return fmt.Errorf("log in %s: %d, %w", b.email, r.status, r.err)
	}
	return nil
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// code goes through authorization, and consent where it is asked for.
func (b *browser) code(ctx context.Context, a app) (code string, r reply, outcome Outcome) {
	query := url.Values{"client_id": {a.ID}, "redirect_uri": {callback}, "scope": {scopes}, "state": {"load"}}
	r = b.send(ctx, http.MethodGet, "/oauth/authorize?"+query.Encode(), nil)
	if r.err == nil && r.status == http.StatusOK {
		form := url.Values{"decision": {"allow"}}
		for _, m := range hiddenInput.FindAllStringSubmatch(string(r.body), -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		r = b.send(ctx, http.MethodPost, "/oauth/consent", form)
	}
	if r.err != nil || r.status != http.StatusSeeOther {
		return "", r, r.trouble()
	}
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), callback+"?") {
		r.err = errors.New("the browser was sent elsewhere") // the address may hold a secret
		return "", r, Wrong
	}
	if to.Query().Get("error") == "temporarily_unavailable" {
		return "", r, Away
	}
	if code = to.Query().Get("code"); code == "" {
		return "", r, Wrong
	}
	return code, r, OK
}

// remove removes an installation. One that is gone already is as good.
func (b *browser) remove(ctx context.Context, installation string) (reply, Outcome) {
	r := b.send(ctx, http.MethodPost, "/account/apps/"+installation+"/remove", url.Values{})
	gone := r.status == http.StatusSeeOther && r.header.Get("Location") == "/account/apps" || r.status == http.StatusNotFound
	if r.err == nil && gone {
		return r, OK
	}
	return r, r.trouble()
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
