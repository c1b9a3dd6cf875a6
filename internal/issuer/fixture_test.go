package issuer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

const (
	callback = "https://app.test/cb"
	apiOne   = "https://one.test/api"
	apiTwo   = "https://two.test/api"
)

// fixture is an issuer over SQLite with an app that a user has installed. That both databases behave the same is proven by
// storetest and by the tests through the routes.
type fixture struct {
	*issuer.Issuer
	t            *testing.T
	store        store.Store
	app          store.App
	user         store.User
	installation store.Installation
}

// newFixture installs an app with expiring tokens, unless change makes it another one.
func newFixture(t *testing.T, o issuer.Options, change ...func(*store.App)) fixture {
	t.Helper()
	st := dbtest.Open(t, dbtest.SQLite(t))
	o.Keys = signing.New(st, signing.Options{Issuer: "https://auth.test", SealingKey: []byte("a sealing key of 32 bytes or more")})
	f := fixture{Issuer: issuer.New(st, scope.Default(), secret.Format{}, o), t: t, store: st}
	now := st.Now()
	f.user = store.User{ID: secret.NewUserID(), Email: "ursula@users.test", Name: "Ursula", CreatedAt: now}
	account := store.Account{ID: secret.NewPublicID("acc_"), Name: "Ursula", Plan: "standard", CreatedAt: now}
	f.must(st.CreateUser(t.Context(), operator, f.user, account))
	f.app = f.addApp(account.ID, change...)
	session := []byte("a session")
	request := store.Request{
		ID: secret.NewID(), Hash: make([]byte, 32), Session: session, AppID: f.app.ID, RedirectURI: callback, Scope: f.app.Scopes,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	f.must(st.CreateRequest(t.Context(), request, 0))
	var err error
	f.installation, err = st.Install(t.Context(), operator, store.Approval{
		Request: request.ID, Session: session, RedirectURI: callback, Installation: store.Installation{
			ID: secret.NewPublicID("ins_"), UserID: f.user.ID, AccountID: account.ID, AppID: f.app.ID, Scopes: f.app.Scopes,
		},
	})
	f.must(err)
	return f
}

var operator = store.OperatorPrincipal("test")

func (f fixture) addApp(accountID string, change ...func(*store.App)) store.App {
	f.t.Helper()
	now := f.store.Now()
	app := store.App{
		ID: secret.NewPublicID("app_"), AccountID: accountID, Name: "Alpha", RedirectURIs: []string{callback},
		Scopes: f.set("contacts faqs widgets"), Confidential: true, Expiring: true, CreatedAt: now, UpdatedAt: now,
	}
	for _, c := range change {
		c(&app)
	}
	var first *store.Secret
	if app.Confidential {
		c := secret.Format{}.New(secret.Client)
		hash := c.Hash()
		first = &store.Secret{ID: c.ID, ClientID: app.ID, Hash: hash[:], CreatedAt: now}
	}
	f.must(f.store.CreateApp(f.t.Context(), operator, app, first))
	app, err := f.store.AppByID(f.t.Context(), app.ID)
	f.must(err)
	return app
}

func (f fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f fixture) set(names string) scope.Set {
	f.t.Helper()
	set, err := scope.ParseSet(names)
	f.must(err)
	return set
}

// as is a Manager for a request of the app that asks for resources.
func (f fixture) as(app store.App, resources ...string) *issuer.Manager {
	return f.Manager(params(app, "", resources...))
}

func params(app store.App, scopeAsked string, resources ...string) issuer.GrantParams {
	return issuer.GrantParams{
		By:     store.AppPrincipal(app.ID, ""),
		Client: store.Client{ID: app.ID, App: &app, Live: true}, ScopeAsked: scopeAsked, Resource: resources,
	}
}

// code is a code for the scopes asked, which the user approved.
func (f fixture) code(asked string, resources ...string) string {
	f.t.Helper()
	canonical, unknown := scope.Default().Canonical(f.set(asked))
	if len(unknown) > 0 {
		f.t.Fatalf("unknown scopes %v", unknown)
	}
	info, err := f.consented(asked, resources...).GenerateAuthToken(f.t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: f.app.ID, UserID: f.user.ID, RedirectURI: callback, Scope: canonical.String(),
	})
	f.must(err)
	return info.GetCode()
}

// consented is a Manager for a request that the user has approved.
func (f fixture) consented(asked string, resources ...string) *issuer.Manager {
	p := params(f.app, asked, resources...)
	p.Installation = f.installation
	return f.Manager(p)
}

func (f fixture) redeem(code string, resources ...string) (oauth2.TokenInfo, error) {
	return f.as(f.app, resources...).GenerateAccessToken(f.t.Context(), oauth2.AuthorizationCode, &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Code: code})
}

// grant redeems a new code for the scopes.
func (f fixture) grant(asked string, resources ...string) oauth2.TokenInfo {
	f.t.Helper()
	info, err := f.redeem(f.code(asked, resources...))
	f.must(err)
	return info
}

func (f fixture) refresh(token, asked string, resources ...string) (oauth2.TokenInfo, error) {
	m := f.Manager(params(f.app, asked, resources...))
	return m.RefreshAccessToken(f.t.Context(), &oauth2.TokenGenerateRequest{ClientID: f.app.ID, Refresh: token, Scope: asked})
}

// access reads an access token from the database.
func (f fixture) access(text string) store.Access {
	f.t.Helper()
	c, ok := secret.Format{}.Parse(text)
	if !ok {
		f.t.Fatalf("%.8s… is not a credential", text)
	}
	kind := store.NonExpiring
	if c.Kind == secret.Expiring {
		kind = store.Expiring
	}
	a, err := f.store.AccessByID(f.t.Context(), kind, c.ID)
	f.must(err)
	if !c.Matches(a.Hash) {
		f.t.Error("the token does not match its row")
	}
	return a
}

func (f fixture) wantLive(text string, live bool) {
	f.t.Helper()
	if got := f.access(text).RevokedAt.IsZero(); got != live {
		f.t.Errorf("token live = %t, want %t", got, live)
	}
}

// wantCode asserts a protocol error.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var fault *issuer.Error
	if !errors.As(err, &fault) || fault.Code != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
}
