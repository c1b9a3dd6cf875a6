package harness

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"html"
)

// Browser is a scripted browser: it keeps cookies, sends the headers of a browser, and reads hidden inputs and forms. It does
// not follow redirects by itself.
type Browser struct {
	e      *Env
	t      testing.TB
	client *http.Client
}

// Browser is a new browser that is logged out.
func (e *Env) Browser() *Browser {
	e.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return &Browser{e: e, t: e.t, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// LoggedIn is a new browser in which the user is logged in.
func (e *Env) LoggedIn(u User) *Browser {
	e.t.Helper()
	b := e.Browser()
	b.LogIn(u.Email)
	return b
}

// Client is the browser's HTTP client, cookies included.
func (b *Browser) Client() *http.Client { return b.client }

// Get requests a path of the server, or an absolute URL.
func (b *Browser) Get(path string) Answer {
	b.t.Helper()
	return b.Send(http.MethodGet, path, nil)
}

// Post submits a form as a page of the server does.
func (b *Browser) Post(path string, form url.Values) Answer {
	b.t.Helper()
	return b.Send(http.MethodPost, path, form, PageHeaders(b.e.URL)...)
}

// Send sends a request with further headers given as name, value, …
func (b *Browser) Send(method, path string, form url.Values, headers ...string) Answer {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.e.URL + path
	}
	request, err := NewRequest(context.Background(), method, path, form)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html,application/xhtml+xml")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return read(b.t, b.client, request)
}

// Do sends a request as it is, with the browser's cookies.
func (b *Browser) Do(request *http.Request) Answer {
	b.t.Helper()
	return read(b.t, b.client, request)
}

// LogIn logs in with Password.
func (b *Browser) LogIn(email string) {
	b.t.Helper()
	a := b.Post("/login", url.Values{"email": {email}, "password": {Password}})
	if a.Status != http.StatusSeeOther {
		b.t.Fatalf("log in %s: status %d: %.300s", email, a.Status, a.Body)
	}
}

// Authorize sends an authorization request, parameters given as name, value, …
func (b *Browser) Authorize(parameters ...string) Answer {
	b.t.Helper()
	return b.Get("/oauth/authorize?" + Pairs(parameters...).Encode())
}

// Pairs are parameters given as name, value, …
func Pairs(parameters ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		v.Add(parameters[i], parameters[i+1])
	}
	return v
}

var hidden = regexp.MustCompile(`<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"`)

// Hidden is the value of a hidden input of a page, "" for none.
func (a Answer) Hidden(name string) string {
	for _, m := range hidden.FindAllStringSubmatch(a.Body, -1) {
		if m[1] == name {
			return html.UnescapeString(m[2])
		}
	}
	return ""
}

// Decide presses allow or deny on a consent page.
func (b *Browser) Decide(page Answer, decision string) Answer {
	b.t.Helper()
	id := page.Hidden("request_id")
	if id == "" {
		b.t.Fatalf("not a consent page: %d %s: %.400s", page.Status, page.Header.Get("Location"), page.Body)
	}
	form := url.Values{"request_id": {id}, "decision": {decision}}
	if account := page.Hidden("account"); account != "" {
		form.Set("account", account)
	}
	return b.Post("/oauth/consent", form)
}

// Code goes through authorization and consent and returns the code.
func (b *Browser) Code(app App, parameters ...string) string {
	b.t.Helper()
	all := append([]string{"client_id", app.ID, "state", "xyz"}, parameters...)
	v := Pairs(all...)
	if !v.Has("scope") {
		v.Set("scope", "contacts")
	}
	if !v.Has("redirect_uri") {
		v.Set("redirect_uri", app.URI)
	}
	if v.Get("redirect_uri") == "-" {
		v.Del("redirect_uri")
	}
	if app.Secret == "" && !v.Has("code_challenge") {
		v.Set("code_challenge", Challenge)
		v.Set("code_challenge_method", "S256")
	}
	page := b.Get("/oauth/authorize?" + v.Encode())
	if page.Status == http.StatusOK {
		page = b.Decide(page, "allow")
	}
	to := app.URI
	if u := v.Get("redirect_uri"); u != "" {
		to = u
	}
	return b.e.With(b.t).WantCode(page, to, "xyz")
}

// cookies are the browser's cookies for the server.
func (b *Browser) cookies() []*http.Cookie {
	b.t.Helper()
	u, err := url.Parse(b.e.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.client.Jar.Cookies(u)
}

// Cookie is the value of one of the browser's cookies, "" for none.
func (b *Browser) Cookie(name string) string {
	b.t.Helper()
	for _, c := range b.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Follow follows a redirect, which must lead to a path of the server.
func (b *Browser) Follow(a Answer) Answer {
	b.t.Helper()
	location := a.Header.Get("Location")
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") {
		b.t.Fatalf("status %d, Location %q; want 303 to a path of the server: %.300s", a.Status, location, a.Body)
	}
	return b.Get(location)
}

// SecureBrowser is a new browser for an environment whose issuer is https, as behind a proxy that terminates TLS: it keeps
// cookies as with https, and reaches the server over a listener of its own.
func (e *Env) SecureBrowser() *Browser {
	e.t.Helper()
	listener := httptest.NewServer(e.Server.Handler())
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listener.Listener.Addr().String())
		},
	}
	e.t.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
	})
	b := e.Browser()
	b.client.Transport = transport
	return b
}

// Make posts a form that creates a credential and follows to the page that shows it once. Another answer is returned as it is.
func (b *Browser) Make(path string, form url.Values) Answer {
	b.t.Helper()
	a := b.Post(path, form)
	if a.Status == http.StatusSeeOther && strings.Contains(a.Header.Get("Location"), "/created/") {
		return b.Follow(a)
	}
	return a
}
