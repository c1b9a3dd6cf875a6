package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	oauth2server "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/e2e/harness"
)

// stock is go-oauth2 as its README sets it up, for the tests that show which of its faults are not ours: the default
// manager and server, clients identified by the form, everybody logged in. Its app alpha has the secret of harness.App's
// kind, the domain https://app.test and the tokens that never expire; beta is another app.
type stock struct {
	t       *testing.T
	url     string
	tokens  *memory
	clients clients
	panics  chan any // what the token endpoint panicked with
}

var (
	stockAlpha = harness.App{ID: "alpha", Secret: "alpha-secret", URI: harness.CB}
	stockBeta  = harness.App{ID: "beta", Secret: "beta-secret", URI: harness.CB}
)

func newStock(t *testing.T) *stock {
	t.Helper()
	s := &stock{t: t, tokens: &memory{tokens: map[string]models.Token{}}, panics: make(chan any, 100), clients: clients{
		"alpha": &models.Client{ID: "alpha", Secret: "alpha-secret", Domain: "https://app.test"},
		"beta":  &models.Client{ID: "beta", Secret: "beta-secret", Domain: "https://app.test"},
		"empty": &models.Client{ID: "empty", Secret: "", Domain: "https://app.test"},
	}}
	m := manage.NewDefaultManager()
	m.SetAuthorizeCodeTokenCfg(&manage.Config{IsGenerateRefresh: true}) // both never expire
	m.MapClientStorage(s.clients)
	m.MapTokenStorage(s.tokens)
	srv := oauth2server.NewDefaultServer(m)
	srv.SetAllowGetAccessRequest(true)
	srv.SetClientInfoHandler(oauth2server.ClientFormHandler)
	srv.UserAuthorizationHandler = func(http.ResponseWriter, *http.Request) (string, error) { return "ursula", nil }

	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if fault := recover(); fault != nil {
				s.panics <- fault
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		_ = srv.HandleTokenRequest(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// authorize asks its authorization endpoint.
func (s *stock) authorize(parameters ...string) harness.Answer {
	s.t.Helper()
	return harness.Fetch(s.t, http.MethodGet, s.url+"/authorize?"+harness.Pairs(parameters...).Encode(), nil)
}

// code is a code for alpha.
func (s *stock) code(parameters ...string) string {
	s.t.Helper()
	all := append([]string{"response_type", "code", "client_id", "alpha", "redirect_uri", harness.CB, "scope", "contacts"}, parameters...)
	location := s.authorize(all...).Location(s.t)
	if location == nil || location.Query().Get("code") == "" {
		s.t.Fatalf("the library gave no code: %v", location)
	}
	return location.Query().Get("code")
}

// token asks its token endpoint.
func (s *stock) token(form url.Values) harness.Answer {
	s.t.Helper()
	return harness.Fetch(s.t, http.MethodPost, s.url+"/token", form)
}

// redeem redeems a code as alpha.
func (s *stock) redeem(code string, parameters ...string) harness.Answer {
	s.t.Helper()
	return s.token(stockAlpha.As(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", harness.CB}, parameters...)...))
}

// shows fails the test when the library no longer has a fault: then docs/decisions/go-oauth2.md needs another look.
func (s *stock) shows(fault string, there bool) {
	s.t.Helper()
	if !there {
		s.t.Errorf("go-oauth2 no longer has this fault: %s", fault)
	}
}

type clients map[string]oauth2.ClientInfo

func (c clients) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) { return c[id], nil }

// memory is a token store that can wait and fail where a test wants it to.
type memory struct {
	mu     sync.Mutex
	tokens map[string]models.Token
	read   func()       // between the reading of a code and what follows
	fail   func() error // instead of reading a code
}

func (m *memory) Create(_ context.Context, info oauth2.TokenInfo) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	token := *info.(*models.Token)
	for _, key := range []string{token.Code, token.Access, token.Refresh} {
		if key != "" {
			m.tokens[key] = token
		}
	}
	return nil
}

func (m *memory) get(key string) (oauth2.TokenInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if token, ok := m.tokens[key]; ok {
		return &token, nil
	}
	return nil, nil
}

func (m *memory) remove(key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tokens, key)
	return nil
}

func (m *memory) GetByCode(_ context.Context, code string) (oauth2.TokenInfo, error) {
	if m.fail != nil {
		return nil, m.fail()
	}
	info, err := m.get(code)
	if m.read != nil {
		m.read()
	}
	return info, err
}

func (m *memory) GetByAccess(_ context.Context, access string) (oauth2.TokenInfo, error) {
	return m.get(access)
}

func (m *memory) GetByRefresh(_ context.Context, refresh string) (oauth2.TokenInfo, error) {
	return m.get(refresh)
}
func (m *memory) RemoveByCode(_ context.Context, code string) error       { return m.remove(code) }
func (m *memory) RemoveByAccess(_ context.Context, access string) error   { return m.remove(access) }
func (m *memory) RemoveByRefresh(_ context.Context, refresh string) error { return m.remove(refresh) }

// granted says whether a token answer has a token.
func granted(a harness.Answer) bool {
	return a.Status == http.StatusOK && strings.Contains(a.Body, `"access_token"`)
}
