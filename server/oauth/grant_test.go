package oauth

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// deviceGrant is a grant that go-oauth2 does not know.
type deviceGrant struct{ issued *int }

func (deviceGrant) name() oauth2.GrantType { return "urn:ietf:params:oauth:grant-type:device_code" }

func (deviceGrant) read(web.Values) (*oauth2.TokenGenerateRequest, error) {
	return &oauth2.TokenGenerateRequest{}, nil
}

func (deviceGrant) permit(client oauth2.ClientInfo) error {
	if !client.IsPublic() {
		return issuer.Errorf(issuer.UnauthorizedClient, "only a public app may use the device grant")
	}
	return nil
}

func (deviceGrant) setHooks(*library.Server, *issuer.Manager) {}

func (g deviceGrant) issue(context.Context, *issuer.Manager, *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	*g.issued++
	return &models.Token{Access: "a device's token"}, nil
}

// TestIssue_OwnGrant: a grant that go-oauth2 does not know works once it is in the list: it is found, the metadata names it, and its
// permit is called before it issues anything.
func TestIssue_OwnGrant(t *testing.T) {
	t.Parallel()
	issued := 0
	device := deviceGrant{&issued}
	h := New(nil, nil, issuer.New(nil, scope.Default(), secret.Format{}, issuer.Options{}), nil, nil, scope.Default(), "https://auth.test")
	if _, err := h.findGrant(string(device.name())); code(err) != issuer.UnsupportedGrantType {
		t.Fatalf("before it is in the list: %v", err)
	}
	h.setGrants(append(grants(), device))
	g, err := h.findGrant(string(device.name()))
	if err != nil || !slices.Contains(h.grantTypes(), string(device.name())) {
		t.Fatalf("grant %v, error %v, grant types %v", g, err, h.grantTypes())
	}
	issue := func(app store.App, clientID string) (oauth2.TokenInfo, error) {
		p := issuer.GrantParams{Client: store.Client{ID: app.ID, App: &app, Live: true}}
		return h.issue(t.Context(), g, p, &oauth2.TokenGenerateRequest{ClientID: clientID})
	}
	public, confidential := store.App{ID: "app_public"}, store.App{ID: "app_confidential", Confidential: true}
	if _, err := issue(confidential, confidential.ID); code(err) != issuer.UnauthorizedClient {
		t.Errorf("for a client that may not use it: %v", err)
	}
	if _, err := issue(public, confidential.ID); code(err) != issuer.InvalidClient {
		t.Errorf("for a client that has not authenticated: %v", err)
	}
	if issued != 0 {
		t.Fatal("a refused request was issued a token")
	}
	if token, err := issue(public, public.ID); err != nil || token.GetAccess() != "a device's token" {
		t.Errorf("token %v, error %v", token, err)
	}
}

// TestIssue_ClientAuthorizedHook: go-oauth2 calls permit of each grant that it knows, for the authenticated client only.
func TestIssue_ClientAuthorizedHook(t *testing.T) {
	t.Parallel()
	h := New(nil, nil, issuer.New(nil, scope.Default(), secret.Format{}, issuer.Options{}), nil, nil, scope.Default(), "https://auth.test")
	public := store.App{ID: "app_public"}
	p := issuer.GrantParams{Client: store.Client{ID: public.ID, App: &public, Live: true}}
	if _, err := h.issue(t.Context(), clientGrant{}, p, &oauth2.TokenGenerateRequest{ClientID: public.ID}); code(err) != issuer.UnauthorizedClient {
		t.Errorf("client_credentials of a public app: %v", err)
	}
	for _, g := range grants() {
		if _, err := h.issue(t.Context(), g, p, &oauth2.TokenGenerateRequest{ClientID: "app_other"}); code(err) != issuer.InvalidClient {
			t.Errorf("%s for a client that has not authenticated: %v", g.name(), err)
		}
	}
}

// code returns the protocol error code of err.
func code(err error) string {
	var fault *issuer.Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	return ""
}
