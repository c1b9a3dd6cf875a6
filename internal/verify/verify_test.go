package verify_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/store"
)

var operator = store.OperatorPrincipal("test")

// fixture is a verifier over SQLite, with an app and a token of one installation of the app. That both databases behave the
// same is proven by storetest and by the tests through the routes.
type fixture struct {
	*verify.Verifier
	t            *testing.T
	store        store.Store
	app          store.App
	secret       secret.Credential
	user         store.User
	installation store.Installation
	token        string
	refresh      string // of a family of its own
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	st := dbtest.Open(t, dbtest.SQLite(t))
	f := &fixture{Verifier: verify.New(st, secret.Format{}, scope.Default()), t: t, store: st}
	t.Cleanup(func() { f.must(f.Close(context.Background())) })
	now := st.Now()
	f.user = store.User{ID: secret.NewUserID(), Email: "ursula@users.test", Name: "Ursula", CreatedAt: now, EmailVerifiedAt: now}
	account := store.Account{ID: secret.NewPublicID("acc_"), Name: "Ursula", Plan: "standard", CreatedAt: now}
	f.must(st.CreateUser(t.Context(), operator, f.user, account))
	f.app, f.secret = f.addApp(account.ID, true)
	var err error
	f.installation, err = f.install(account.ID)
	f.must(err)
	f.token = f.grant(store.Grant{})
	family := store.Family{ID: secret.NewID(), Scope: f.app.Scopes, CreatedAt: now}
	refresh := secret.Format{}.New(secret.Refresh)
	hash := refresh.Hash()
	f.grant(store.Grant{Family: &family, Refresh: &store.Refresh{ID: refresh.ID, Hash: hash[:], Family: family.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}})
	f.refresh = refresh.Reveal()
	return f
}

// install has the user approve the app on an account.
func (f *fixture) install(accountID string) (store.Installation, error) {
	f.t.Helper()
	now := f.store.Now()
	request := store.Request{ID: secret.NewID(), Hash: make([]byte, 32), Session: []byte("s"), AppID: f.app.ID, RedirectURI: "https://app.test/cb",
		Scope: f.app.Scopes, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	f.must(f.store.CreateRequest(f.t.Context(), request, 0))
	return f.store.Install(f.t.Context(), operator, store.Approval{Request: request.ID, Session: request.Session, RedirectURI: request.RedirectURI,
		Installation: store.Installation{ID: secret.NewPublicID("ins_"), UserID: f.user.ID, AccountID: accountID, AppID: f.app.ID, Scopes: f.app.Scopes}})
}

// addApp registers an app with the scopes contacts and widgets.
func (f *fixture) addApp(accountID string, confidential bool) (store.App, secret.Credential) {
	f.t.Helper()
	now := f.store.Now()
	scopes, err := scope.ParseSet("contacts widgets")
	f.must(err)
	app := store.App{ID: secret.NewPublicID("app_"), AccountID: accountID, Name: "Alpha", RedirectURIs: []string{"https://app.test/cb"},
		Scopes: scopes, Confidential: confidential, Expiring: !confidential, CreatedAt: now, UpdatedAt: now}
	var first *store.Secret
	var c secret.Credential
	if confidential {
		c = secret.Format{}.New(secret.Client)
		row := f.secretRow(app.ID, c)
		first = &row
	}
	f.must(f.store.CreateApp(f.t.Context(), operator, app, first))
	return app, c
}

func (f *fixture) secretRow(clientID string, c secret.Credential) store.Secret {
	hash := c.Hash()
	return store.Secret{ID: c.ID, ClientID: clientID, Hash: hash[:], CreatedAt: f.store.Now()}
}

// grant redeems a code for g and returns the access token.
func (f *fixture) grant(g store.Grant) string {
	f.t.Helper()
	now, kind := f.store.Now(), secret.Access
	if g.Family != nil {
		kind = secret.Expiring
		g.Token.Family, g.Token.ExpiresAt = g.Family.ID, now.Add(time.Hour)
	}
	access := secret.Format{}.New(kind)
	hash := access.Hash()
	g.Token.ID, g.Token.Hash, g.Token.Scope, g.Token.CreatedAt = access.ID, hash[:], f.app.Scopes, now
	code := store.Code{ID: secret.NewID(), Hash: make([]byte, 32), AppID: f.app.ID, UserID: f.user.ID, AccountID: f.installation.AccountID,
		InstallationID: f.installation.ID, RedirectURI: "https://app.test/cb", Scope: f.app.Scopes, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	f.must(f.store.CreateCode(f.t.Context(), code))
	f.must(f.store.Redeem(f.t.Context(), code.ID, g, 25))
	return access.Reveal()
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestClient: a client is authenticated by its id and one live secret of its own, or as a public app by its id alone. Every refusal
// is ErrClient.
func TestClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	account := f.installation.AccountID
	public, _ := f.addApp(account, false)
	other, otherSecret := f.addApp(account, true)
	suspended, suspendedSecret := f.addApp(account, true)
	f.must(f.store.SetAppSuspended(t.Context(), operator, suspended.ID, true))
	deleted, deletedSecret := f.addApp(account, true)
	f.must(f.store.DeleteApp(t.Context(), operator, deleted.ID))
	removed, removedSecret := f.addResource(), secret.Format{}.New(secret.Client)
	resource, resourceSecret := f.addResource(), secret.Format{}.New(secret.Client)
	f.must(f.store.AddSecret(t.Context(), operator, f.secretRow(resource, resourceSecret), time.Time{}))
	f.must(f.store.AddSecret(t.Context(), operator, f.secretRow(removed, removedSecret), time.Time{}))
	f.must(f.store.RemoveResource(t.Context(), operator, removed))
	second, revoked := secret.Format{}.New(secret.Client), secret.Format{}.New(secret.Client)
	f.must(f.store.AddSecret(t.Context(), operator, f.secretRow(f.app.ID, revoked), time.Time{}))
	f.must(f.store.RevokeSecret(t.Context(), operator, f.app.ID, revoked.ID))
	f.must(f.store.AddSecret(t.Context(), operator, f.secretRow(f.app.ID, second), time.Time{}))

	good := f.secret.Reveal()
	for name, c := range map[string]struct {
		id      string
		secrets []string
		ok      bool
	}{
		"right secret":                 {f.app.ID, []string{good}, true},
		"another live secret":          {f.app.ID, []string{second.Reveal()}, true},
		"right in the second reading":  {f.app.ID, []string{"%x", good}, true},
		"right in the first reading":   {f.app.ID, []string{good, "%x"}, true},
		"public, no secret":            {public.ID, nil, true},
		"resource server":              {resource, []string{resourceSecret.Reveal()}, true},
		"no secret":                    {f.app.ID, nil, false},
		"garbage":                      {f.app.ID, []string{"x", "y"}, false},
		"empty":                        {f.app.ID, []string{""}, false},
		"well-formed but wrong":        {f.app.ID, []string{secret.Format{}.New(secret.Client).Reveal()}, false},
		"another app's":                {f.app.ID, []string{otherSecret.Reveal()}, false},
		"a resource server's":          {f.app.ID, []string{resourceSecret.Reveal()}, false},
		"an app's for another app":     {other.ID, []string{good}, false},
		"revoked":                      {f.app.ID, []string{revoked.Reveal()}, false},
		"access token":                 {f.app.ID, []string{f.token}, false},
		"refresh token":                {f.app.ID, []string{f.refresh}, false},
		"public with a secret":         {public.ID, []string{good}, false},
		"public with garbage":          {public.ID, []string{"x"}, false},
		"public with an empty secret":  {public.ID, []string{""}, false},
		"suspended":                    {suspended.ID, []string{suspendedSecret.Reveal()}, false},
		"deleted":                      {deleted.ID, []string{deletedSecret.Reveal()}, false},
		"resource server, no secret":   {resource, nil, false},
		"resource server, app secret":  {resource, []string{good}, false},
		"removed resource server":      {removed, []string{removedSecret.Reveal()}, false},
		"unknown app":                  {secret.NewPublicID("app_"), []string{good}, false},
		"unknown app, no secret":       {secret.NewPublicID("app_"), nil, false},
		"unknown resource, no secret":  {secret.NewPublicID("rs_"), nil, false},
		"no id":                        {"", []string{good}, false},
		"neither id nor secret":        {"", nil, false},
		"id of a user":                 {f.user.ID, []string{good}, false},
		"id with a trailing space":     {f.app.ID + " ", []string{good}, false},
		"secret with a trailing space": {f.app.ID, []string{good + " "}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var readings []secret.Text
			for _, s := range c.secrets {
				readings = append(readings, secret.Text(s))
			}
			client, err := f.Client(t.Context(), verify.ClientCredentials{ID: c.id, Secrets: readings})
			switch {
			case !c.ok && (!errors.Is(err, verify.ErrClient) || client.ID != "" || client.App != nil || client.Resource != nil):
				t.Errorf("Client = %+v, %v; want ErrClient", client, err)
			case c.ok && (err != nil || client.ID != c.id || (client.App == nil) == (client.Resource == nil)):
				t.Errorf("Client = %+v, %v; want %s", client, err, c.id)
			case client.Secret != nil:
				t.Error("the hash of a secret is returned")
			}
		})
	}
}

func (f *fixture) addResource() string {
	f.t.Helper()
	r := store.ResourceServer{ID: secret.NewPublicID("rs_"), Name: "API", CreatedAt: f.store.Now()}
	f.must(f.store.CreateResource(f.t.Context(), operator, r, f.secretRow(r.ID, secret.Format{}.New(secret.Client))))
	return r.ID
}

// TestIdentity: a token stands for the user in the account, with the scopes that the app still has and the permissions of
// the user's current role.
func TestIdentity(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, account := t.Context(), f.installation.AccountID
	look := func() verify.Identity {
		t.Helper()
		id, err := f.Lookup(ctx, f.token)
		f.must(err)
		return id
	}
	id := look()
	if id.Subject != f.user.ID || id.ClientID != f.app.ID || id.Account.ID != account || id.Installation != f.installation.ID ||
		id.User.Email != f.user.Email || id.User.Password != "" || id.Role != scope.RoleAdmin || !id.ExpiresAt.IsZero() {
		t.Errorf("Lookup = %+v", id)
	}
	want := scope.Default().Effective(f.app.Scopes, scope.RoleAdmin)
	if !slices.Equal(id.Permissions, want) || !id.Scopes.Equal(f.app.Scopes) {
		t.Errorf("scopes %v, permissions %v; want %v", id.Scopes, id.Permissions, want)
	}

	f.must(f.store.SetMemberRole(ctx, operator, account, f.user.ID, scope.RoleAgent))
	if got, want := look().Permissions, scope.Default().Effective(f.app.Scopes, scope.RoleAgent); !slices.Equal(got, want) || len(got) >= len(id.Permissions) {
		t.Errorf("an agent's permissions = %v, want %v", got, want)
	}
	app, err := f.store.AppByID(ctx, f.app.ID)
	f.must(err)
	app.Scopes, err = scope.ParseSet("contacts faqs")
	f.must(err)
	f.must(f.store.UpdateApp(ctx, operator, app, ""))
	if got := look().Scopes.String(); got != "contacts" {
		t.Errorf("scopes = %q, want those of both app and token", got)
	}
	app, err = f.store.AppByID(ctx, f.app.ID)
	f.must(err)
	app.Scopes, err = scope.ParseSet("faqs")
	f.must(err)
	f.must(f.store.UpdateApp(ctx, operator, app, ""))
	if _, err := f.Lookup(ctx, f.token); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("a token without a scope left: %v, want ErrInvalid", err)
	}
}

// TestLookup_EndedRoots: while something that a token depends on is disabled, the token is refused; it returns when that is
// enabled, and never after a removal.
func TestLookup_EndedRoots(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, c := range map[string]struct {
		end, back func(f *fixture) error
		final     bool // back is still called, and must not restore the token
	}{
		"user disabled": {
			func(f *fixture) error { return f.store.SetUserDisabled(ctx, operator, f.user.ID, true) },
			func(f *fixture) error { return f.store.SetUserDisabled(ctx, operator, f.user.ID, false) }, false},
		"app suspended": {
			func(f *fixture) error { return f.store.SetAppSuspended(ctx, operator, f.app.ID, true) },
			func(f *fixture) error { return f.store.SetAppSuspended(ctx, operator, f.app.ID, false) }, false},
		"user left the account": {
			func(f *fixture) error {
				return f.store.RemoveMember(ctx, operator, f.installation.AccountID, f.user.ID)
			},
			func(f *fixture) error {
				return f.store.AddMember(ctx, operator, f.installation.AccountID, f.user.ID, scope.RoleAdmin)
			}, false},
		"app deleted": {
			func(f *fixture) error { return f.store.DeleteApp(ctx, operator, f.app.ID) },
			func(f *fixture) error { return f.store.SetAppSuspended(ctx, operator, f.app.ID, false) }, true},
		"user deleted": {
			func(f *fixture) error { return f.store.DeleteUser(ctx, operator, f.user.ID) },
			func(f *fixture) error { return f.store.SetUserDisabled(ctx, operator, f.user.ID, false) }, true},
		"app removed": {
			func(f *fixture) error { return f.store.RemoveInstallation(ctx, operator, f.installation.ID) },
			func(f *fixture) error {
				_, err := f.install(f.installation.AccountID)
				return err
			}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			want := func(live bool) {
				t.Helper()
				for what, look := range map[string]func() (verify.Identity, error){
					"Lookup":         func() (verify.Identity, error) { return f.Lookup(t.Context(), f.token) },
					"Inspect":        func() (verify.Identity, error) { return f.Inspect(t.Context(), f.token) },
					"InspectRefresh": func() (verify.Identity, error) { return f.InspectRefresh(t.Context(), f.refresh) },
				} {
					id, err := look()
					if live && err != nil || !live && (!errors.Is(err, verify.ErrInvalid) || id.Subject != "") {
						t.Errorf("%s: %v, want live %t", what, err, live)
					}
				}
			}
			want(true)
			f.must(c.end(f))
			want(false)
			if err := c.back(f); err != nil && (!c.final || !errors.Is(err, store.ErrNotFound)) {
				t.Fatal(err)
			}
			want(!c.final)
		})
	}
}

// TestLookup_OtherCredentials: Lookup accepts only a live access token, InspectRefresh only a current refresh token.
func TestLookup_OtherCredentials(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	for name, text := range map[string]string{
		"empty": "", "garbage": "x", "refresh token": f.refresh, "client secret": f.secret.Reveal(), "space": " " + f.token,
		"unknown": secret.Format{}.New(secret.Access).Reveal(), "unknown, expiring": secret.Format{}.New(secret.Expiring).Reveal(),
	} {
		if _, err := f.Lookup(ctx, text); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("Lookup of %s: %v", name, err)
		}
		if _, err := f.InspectRefresh(ctx, text); name != "refresh token" && !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("InspectRefresh of %s: %v", name, err)
		}
	}
	// The right lookup id with another secret part: the row is found, and does not match.
	id, err := f.Lookup(ctx, f.token)
	f.must(err)
	dbtest.Exec(t, f.store, `UPDATE tokens SET hash = $1 WHERE id = $2`, make([]byte, 32), id.TokenID[:])
	if _, err := f.Lookup(ctx, f.token); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("Lookup with another hash: %v", err)
	}

	refresh, err := f.InspectRefresh(ctx, f.refresh)
	f.must(err)
	if refresh.ClientID != f.app.ID || refresh.Subject != f.user.ID || refresh.Kind != secret.Refresh || !refresh.Scopes.Equal(f.app.Scopes) {
		t.Errorf("InspectRefresh = %+v", refresh)
	}
	dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = created_at`)
	if _, err := f.InspectRefresh(ctx, f.refresh); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("InspectRefresh of an expired one: %v", err)
	}
	dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = created_at + 3600000000, rotated_at = created_at`)
	if _, err := f.InspectRefresh(ctx, f.refresh); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("InspectRefresh of a rotated one: %v", err)
	}
}

// TestLookup_DatabaseUnavailable: without an answer of the database the error is store.ErrUnavailable, never ErrInvalid or
// ErrClient.
func TestLookup_DatabaseUnavailable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, looked := f.Lookup(ctx, f.token)
	_, refreshed := f.InspectRefresh(ctx, f.refresh)
	_, client := f.Client(ctx, verify.ClientCredentials{ID: f.app.ID, Secrets: []secret.Text{secret.Text(f.secret.Reveal())}})
	for what, err := range map[string]error{"Lookup": looked, "InspectRefresh": refreshed, "Client": client} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, verify.ErrInvalid) || errors.Is(err, verify.ErrClient) {
			t.Errorf("%s without a database: %v, want store.ErrUnavailable", what, err)
		}
	}
}
