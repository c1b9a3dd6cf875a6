package browser

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/oauth2"
)

// thirdParty is an app of somebody else's on a port, and so an origin, of its own. It speaks OAuth by golang.org/x/oauth2.
type thirdParty struct {
	t        testing.TB
	url      string // its origin
	callback string
	back     chan comeback

	mu     sync.Mutex
	config oauth2.Config
	state  string
	proof  string // PKCE verifier; "" for none
	onward string // where the callback sends the browser on to; "" for nowhere
}

// comeback is how a browser came back to the app.
type comeback struct {
	token *oauth2.Token
	err   error
}

// startApp starts an app that listens on an address such as 127.0.0.1:0, for a server under test. It is not registered yet.
func startApp(t testing.TB, server, listen string, tls bool) *thirdParty {
	t.Helper()
	a := &thirdParty{t: t, back: make(chan comeback, 10)}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatalf("listen for an app: %v", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.front)
	mux.HandleFunc("GET /cb", a.receive)
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, _ *http.Request) { show(w, "Done", "") })
	s := httptest.NewUnstartedServer(mux)
	s.Listener.Close()
	s.Listener = listener
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	a.url, a.callback = s.URL, s.URL+"/cb"
	a.config = oauth2.Config{
		RedirectURL: a.callback,
		Endpoint:    oauth2.Endpoint{AuthURL: server + "/oauth/authorize", TokenURL: server + "/oauth/token"},
	}
	return a
}

// register tells the app who it is. secret "" is a public app, which uses PKCE.
func (a *thirdParty) register(clientID, secret string, scopes ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.config.ClientID, a.config.ClientSecret, a.config.Scopes = clientID, secret, scopes
	a.state = oauth2.GenerateVerifier()
	if secret == "" {
		a.proof = oauth2.GenerateVerifier()
	}
}

// connect is the address that the app sends browsers to.
func (a *thirdParty) connect() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var options []oauth2.AuthCodeOption
	if a.proof != "" {
		options = append(options, oauth2.S256ChallengeOption(a.proof))
	}
	return a.config.AuthCodeURL(a.state, options...)
}

// front is the app's own page.
func (a *thirdParty) front(w http.ResponseWriter, _ *http.Request) {
	show(w, "An app of somebody else’s", `<a id="connect" href="`+html.EscapeString(a.connect())+`">Connect</a>`)
}

// receive is the redirect URI.
func (a *thirdParty) receive(w http.ResponseWriter, r *http.Request) {
	token, err := a.exchange(r)
	a.back <- comeback{token, err}
	a.mu.Lock()
	onward := a.onward
	a.mu.Unlock()
	switch {
	case onward != "":
		http.Redirect(w, r, onward, http.StatusFound)
	case err != nil:
		show(w, "Not connected", html.EscapeString(err.Error()))
	default:
		show(w, "Connected", "")
	}
}

func (a *thirdParty) exchange(r *http.Request) (*oauth2.Token, error) {
	a.mu.Lock()
	config, state, proof := a.config, a.state, a.proof
	a.mu.Unlock()
	query := r.URL.Query()
	if query.Get("state") != state {
		return nil, fmt.Errorf("state %q is not what was sent", query.Get("state"))
	}
	if code := query.Get("error"); code != "" {
		return nil, errors.New(code)
	}
	var options []oauth2.AuthCodeOption
	if proof != "" {
		options = append(options, oauth2.VerifierOption(proof))
	}
	return config.Exchange(r.Context(), query.Get("code"), options...)
}

// comeback is how the browser came back. It must have done so by now.
func (a *thirdParty) comeback() comeback {
	a.t.Helper()
	select {
	case c := <-a.back:
		return c
	default:
		a.t.Fatal("the browser did not come back to the app")
		return comeback{}
	}
}

// token is what the app got.
func (a *thirdParty) token() *oauth2.Token {
	a.t.Helper()
	c := a.comeback()
	if c.err != nil {
		a.t.Fatalf("the app got no token: %v", c.err)
	}
	return c.token
}

// use asks the server with a token, through the library's own client, and returns the status.
func (a *thirdParty) use(token *oauth2.Token, address string) int {
	a.t.Helper()
	a.mu.Lock()
	config := a.config
	a.mu.Unlock()
	response, err := config.Client(context.Background(), token).Get(address)
	if err != nil {
		a.t.Fatalf("use the token: %v", err)
	}
	response.Body.Close()
	return response.StatusCode
}

func show(w http.ResponseWriter, heading, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>%[1]s</title><link rel="icon" href="data:,"><h1>%[1]s</h1>%[2]s`, heading, body)
}
