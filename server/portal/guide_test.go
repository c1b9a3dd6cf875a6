package portal

import (
	"net/url"
	"strings"
	"testing"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

func TestGuideNamesTheRealAddressesAndIsSafeToPaste(t *testing.T) {
	t.Parallel()
	scopes, err := scope.NewSet("contacts", "faqs")
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{issuer: "https://auth.test"}
	a := store.App{ID: "app_x", Confidential: true, Scopes: scopes, RedirectURIs: []string{"https://app.test/cb?a='$(id)'&b=1", "https://app.test/other"}}
	g := h.guide(a)
	u, err := url.Parse(g.Authorize)
	if err != nil || u.Host != "auth.test" || u.Path != "/oauth/authorize" {
		t.Fatalf("authorize %q, %v", g.Authorize, err)
	}
	if q := u.Query(); q.Get("client_id") != a.ID || q.Get("scope") != "contacts faqs" || q.Get("redirect_uri") != a.RedirectURIs[0] || q.Has("code_challenge") {
		t.Errorf("authorize %q", g.Authorize)
	}
	if !strings.Contains(g.Exchange, `redirect_uri='https://app.test/cb?a='\''$(id)'\''&b=1'`) || !strings.Contains(g.Exchange, "client_secret") {
		t.Errorf("exchange %s", g.Exchange)
	}
	a.Confidential = false
	if g := h.guide(a); !strings.Contains(g.Authorize, "code_challenge_method=S256") || !strings.Contains(g.Exchange, "code_verifier") || strings.Contains(g.Exchange, "client_secret") {
		t.Errorf("public: %+v", g)
	}
}
