package resource

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server"
)

// catalogue is an operator's own: the scope me is good for the user's own record, crm for what two others are.
const catalogue = `{"scopes": [
 {"name": "widgets", "title": "Widgets", "description": "See widgets.", "sensitivity": "low", "permissions": ["service:list"]},
 {"name": "faqs", "title": "FAQs", "description": "See FAQs.", "sensitivity": "low", "permissions": ["knowledge_item:list"]},
 {"name": "contacts", "title": "Contacts", "description": "See contacts.", "sensitivity": "low", "permissions": ["contact:list"]},
 {"name": "conversations", "title": "Conversations", "description": "See conversations.", "sensitivity": "low", "permissions": ["conversation:list"]},
 {"name": "crm", "title": "CRM", "description": "See contacts and FAQs.", "sensitivity": "low", "implies": ["contacts", "faqs"]},
 {"name": "me", "title": "You", "description": "See you.", "sensitivity": "low", "permissions": ["user:fetch:self"]}
]}`

func withCatalogue(t *testing.T) func(*server.Options) {
	t.Helper()
	c, err := scope.LoadCatalogue(strings.NewReader(catalogue))
	if err != nil {
		t.Fatal(err)
	}
	return func(o *server.Options) { o.Catalogue = c }
}

// world is a server with a front that can be stopped, an API's credentials, and an app with all scopes.
type world struct {
	env        *harness.Env
	front      *httptest.Server // the way that the API takes to Xenoauth
	id, secret string
	app        harness.App
	user       *harness.Browser
}

func newWorld(t *testing.T, e *harness.Env) *world {
	t.Helper()
	resource, secret, err := e.Rules.CreateResource(context.Background(), harness.Operator, "Contacts API")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{env: e, front: httptest.NewServer(e.Server.Handler()), id: resource.ID, secret: secret.Reveal()}
	t.Cleanup(w.front.Close)
	w.app = e.AddApp("Visitor", true, harness.CB, func(f *directory.AppForm) {
		f.Scopes = []string{"widgets", "faqs", "contacts", "conversations", "crm", "me"}
	})
	w.user = e.LoggedIn(e.U)
	return w
}

// token is a live one with these scopes.
func (w *world) token(t *testing.T, scopes string) string {
	t.Helper()
	return w.env.With(t).Grant(w.user.With(t), w.app, "scope", scopes).WantToken(t)
}

// narrowed is a live token with the scope contacts for these resources.
func (w *world) narrowed(t *testing.T, resources ...string) string {
	t.Helper()
	parameters := []string{"scope", "contacts"}
	for _, resource := range resources {
		parameters = append(parameters, "resource", resource)
	}
	return w.env.With(t).Grant(w.user.With(t), w.app, parameters...).WantToken(t)
}

// revoke returns when the revocation is acknowledged.
func (w *world) revoke(t *testing.T, token string) {
	t.Helper()
	if a := w.env.Post("/oauth/revoke", w.app.As("token", token)); a.Status != http.StatusOK {
		t.Fatalf("revoke: %d: %s", a.Status, a.Body)
	}
}
