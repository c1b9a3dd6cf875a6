package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// sampleApp is a third-party app as a developer would write it. It shares only the client id and the secret with the server, and
// talks to it over HTTP. Each browser has its own connection, kept in memory.
type sampleApp struct {
	issuer, origin         string
	clientID, clientSecret string
	scope                  string
	client                 *http.Client

	mu       sync.Mutex
	visitors map[string]*visitor
}

// visitor is one browser's session with the sample app.
type visitor struct {
	state string // of the pending authorization request
	token string // "" while not connected
}

const (
	sampleCookie = "sample_shop"
	maxVisitors  = 1000
)

// errTokenInvalid is the result of a call after the user has removed the app.
var errTokenInvalid = errors.New("the token is no longer valid")

func newSampleApp(issuer, origin, clientID, clientSecret, scope string) *sampleApp {
	return &sampleApp{
		issuer: issuer, origin: origin, clientID: clientID, clientSecret: clientSecret, scope: scope,
		client:   &http.Client{Timeout: 10 * time.Second},
		visitors: map[string]*visitor{},
	}
}

func (a *sampleApp) redirectURI() string { return a.origin + "/callback" }

func (a *sampleApp) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /connect", a.connect)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /disconnect", a.disconnect)
	return http.NewCrossOriginProtection().Handler(mux)
}

// visitor returns the browser's session, and starts one if there is none.
func (a *sampleApp) visitor(w http.ResponseWriter, r *http.Request) *visitor {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cookie, err := r.Cookie(sampleCookie); err == nil {
		if v, ok := a.visitors[cookie.Value]; ok {
			return v
		}
	}
	if len(a.visitors) >= maxVisitors {
		clear(a.visitors)
	}
	id, v := rand.Text(), &visitor{}
	a.visitors[id] = v
	http.SetCookie(w, &http.Cookie{Name: sampleCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return v
}

// get and set lock the session, because two tabs may use it.
func (a *sampleApp) get(v *visitor) visitor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return *v
}

func (a *sampleApp) set(v *visitor, to visitor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*v = to
}

// home shows the button to connect or, when connected, the result of a call with the token.
func (a *sampleApp) home(w http.ResponseWriter, r *http.Request) {
	v := a.visitor(w, r)
	token := a.get(v).token
	if token == "" {
		a.render(w, http.StatusOK, samplePage{})
		return
	}
	me, err := a.me(r.Context(), token)
	switch {
	case errors.Is(err, errTokenInvalid):
		a.set(v, visitor{})
		a.render(w, http.StatusOK, samplePage{Message: "You have removed Sample Shop, so its token is refused now."})
	case err != nil:
		a.render(w, http.StatusBadGateway, samplePage{Message: err.Error()})
	default:
		a.render(w, http.StatusOK, samplePage{Me: me})
	}
}

// connect is step 1: it sends the browser to the authorization page. The state ties the response to this browser.
func (a *sampleApp) connect(w http.ResponseWriter, r *http.Request) {
	state := rand.Text()
	a.set(a.visitor(w, r), visitor{state: state})
	http.Redirect(w, r, a.authorizeURL(state), http.StatusSeeOther)
}

// authorizeURL returns the address of the authorization page in the Xeno dialect, without response_type.
func (a *sampleApp) authorizeURL(state string) string {
	return a.issuer + "/oauth/authorize?" + url.Values{
		"client_id": {a.clientID}, "scope": {a.scope}, "redirect_uri": {a.redirectURI()}, "state": {state},
	}.Encode()
}

// callback is step 2: the browser returns with a code or an error.
func (a *sampleApp) callback(w http.ResponseWriter, r *http.Request) {
	v := a.visitor(w, r)
	query := r.URL.Query()
	if err := a.checkAnswer(query, a.get(v).state); err != nil {
		a.render(w, http.StatusBadRequest, samplePage{Message: err.Error()})
		return
	}
	a.set(v, visitor{}) // a state is valid once
	if query.Get("error") != "" {
		a.render(w, http.StatusOK, samplePage{Message: "Not connected: " + query.Get("error") + ". " + query.Get("error_description")})
		return
	}
	token, err := a.exchange(r.Context(), query.Get("code"))
	if err != nil {
		a.render(w, http.StatusBadGateway, samplePage{Message: err.Error()})
		return
	}
	a.set(v, visitor{token: token})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// checkAnswer refuses a response to another browser's request, and one of another server (RFC 9207).
func (a *sampleApp) checkAnswer(query url.Values, state string) error {
	if state == "" || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 {
		return errors.New("the answer does not belong to a request of this browser (state); start again")
	}
	if query.Get("iss") != a.issuer {
		return fmt.Errorf("the answer is not from %s (iss)", a.issuer)
	}
	return nil
}

// exchange redeems the code in the Xeno dialect, without grant_type.
func (a *sampleApp) exchange(ctx context.Context, code string) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
	}
	status, err := a.post(ctx, "/oauth/token", url.Values{
		"client_id": {a.clientID}, "client_secret": {a.clientSecret}, "code": {code}, "redirect_uri": {a.redirectURI()},
	}, &answer)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK || answer.AccessToken == "" {
		return "", fmt.Errorf("the token endpoint answered %d", status)
	}
	return answer.AccessToken, nil
}

// disconnect revokes the token.
func (a *sampleApp) disconnect(w http.ResponseWriter, r *http.Request) {
	v := a.visitor(w, r)
	if token := a.get(v).token; token != "" {
		status, err := a.post(r.Context(), "/oauth/revoke", url.Values{
			"client_id": {a.clientID}, "client_secret": {a.clientSecret}, "token": {token},
		}, nil)
		if err != nil || status != http.StatusOK {
			a.render(w, http.StatusBadGateway, samplePage{Message: fmt.Sprintf("The token could not be revoked (status %d); try again.", status)})
			return
		}
	}
	a.set(v, visitor{})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// sampleMe is the part of /api/me that the app shows.
type sampleMe struct {
	User        struct{ Name, Email string }
	Account     struct{ Name, Role string }
	Scopes      []string
	Permissions []string
}

// me calls the platform's API with the token. It returns errTokenInvalid if the token is refused.
func (a *sampleApp) me(ctx context.Context, token string) (*sampleMe, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/api/me", nil)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	var me sampleMe
	status, err := a.do(req, &me)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusUnauthorized:
		return nil, errTokenInvalid
	case status != http.StatusOK:
		return nil, fmt.Errorf("the API answered %d", status)
	}
	return &me, nil
}

func (a *sampleApp) post(ctx context.Context, path string, form url.Values, answer any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("call %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(req, answer)
}

// do sends a request and reads a JSON response with status 200.
func (a *sampleApp) do(req *http.Request, answer any) (int, error) {
	res, err := a.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("call %s: %w", req.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("read the answer of %s: %w", req.URL.Path, err)
	}
	if res.StatusCode == http.StatusOK && answer != nil {
		if err := json.Unmarshal(body, answer); err != nil {
			return 0, fmt.Errorf("the answer of %s is not JSON: %w", req.URL.Path, err)
		}
	}
	return res.StatusCode, nil
}

// samplePage is the only page of the sample app.
type samplePage struct {
	Message string
	Me      *sampleMe
	Issuer  string
}

func (a *sampleApp) render(w http.ResponseWriter, status int, page samplePage) {
	page.Issuer = a.issuer
	var buffer bytes.Buffer
	t, err := template.New("sample").Parse(sampleHTML)
	if err == nil {
		err = t.Execute(&buffer, page)
	}
	if err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = buffer.WriteTo(w)
}

const sampleHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sample Shop</title>
<style>
:root { color-scheme: light dark; --ink: #22262e; --soft: #667085; --line: #d8dde6; --ground: #f3efe8; --card: #fffdf9; --accent: #b4531f; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece7df; --soft: #a9a29a; --line: #43403c; --ground: #1d1b19; --card: #282522; --accent: #f0925b; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
main { max-width: 34rem; margin: 8vh auto; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; } p { margin: .75rem 0; } .soft { color: var(--soft); }
button { font: inherit; font-weight: 600; padding: .7rem 1.2rem; border-radius: 9px; border: 1px solid var(--accent); background: var(--accent); color: var(--card); cursor: pointer; }
button.plain { background: none; color: var(--accent); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 1.25rem 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.note { padding: .7rem 1rem; border-left: 4px solid var(--accent); background: var(--ground); }
a { color: var(--accent); }
@media (max-width: 40rem) { main { margin: 0; min-height: 100vh; border: 0; border-radius: 0; } }
</style>
</head>
<body>
<main>
<h1>Sample Shop</h1>
<p class="soft">A small third-party app. It has nothing to do with your data until you say so.</p>
{{with .Message}}<p class="note" role="status">{{.}}</p>{{end}}
{{with .Me}}
<p><strong>Connected.</strong> This is what <code>/api/me</code> answers to the app's token:</p>
<dl>
<dt>User</dt><dd>{{.User.Name}} ({{.User.Email}})</dd>
<dt>Account</dt><dd>{{.Account.Name}}, role {{.Account.Role}}</dd>
<dt>Scopes</dt><dd>{{range $i, $s := .Scopes}}{{if $i}}, {{end}}{{$s}}{{end}}</dd>
<dt>Permissions</dt><dd>{{len .Permissions}}</dd>
</dl>
<form method="post" action="/disconnect"><button class="plain">Disconnect</button></form>
<p class="soft">Or remove the app at <a href="{{$.Issuer}}/account/apps">your installed apps</a>, then come back and reload: the token is refused at once.</p>
{{else}}
<form method="post" action="/connect"><button>Connect to Xenoauth</button></form>
<p class="soft">You will be sent to {{.Issuer}} to log in and decide what the app may do.</p>
{{end}}
</main>
</body>
</html>
`
