package harness

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// With is the same browser reporting to a subtest.
func (b *Browser) With(t testing.TB) *Browser {
	c := *b
	c.t = t
	return &c
}

// AddExpiring registers a confidential app with expiring tokens and refresh tokens.
func (e *Env) AddExpiring(name string) App {
	e.t.Helper()
	return e.AddApp(name, true, CB, func(f *directory.AppForm) { f.Expiring = true })
}

// Register changes the scopes of an app.
func (e *Env) Register(app App, scopes ...string) {
	e.t.Helper()
	a, err := e.Rules.App(context.Background(), Operator, app.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	form := directory.AppForm{Name: a.Name, RedirectURIs: a.RedirectURIs, Scopes: scopes, Expiring: a.Expiring, PKCERequired: a.PKCERequired}
	if _, err := e.Rules.UpdateApp(context.Background(), Operator, a, a.Version, form); err != nil {
		e.t.Fatal(err)
	}
}

// WantToken asserts a token answer (RFC 6749 §5.1) and returns the access token.
func (a Answer) WantToken(t testing.TB) string {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("status = %d, want 200: %.300s", a.Status, a.Body)
	}
	a.wantTokenHeaders(t)
	if got := a.String(t, "token_type"); got != "Bearer" {
		t.Errorf("token_type = %q, want Bearer", got)
	}
	if a.String(t, "access_token") == "" || a.String(t, "scope") == "" {
		t.Fatalf("access_token or scope is missing: %.300s", a.Body)
	}
	return a.String(t, "access_token")
}

// WantRefused asserts an error of the token endpoint or a similar one: nothing is granted, no redirect, and a challenge
// exactly where RFC 6749 §5.2 requires one.
func (a Answer) WantRefused(t testing.TB, status int, code string) {
	t.Helper()
	a.WantError(t, status, code)
	a.wantAPIHeaders(t)
	challenge := ""
	if status == http.StatusUnauthorized {
		challenge = `Basic realm="xenoauth"`
	}
	if got := a.Header.Get("WWW-Authenticate"); got != challenge {
		t.Errorf("WWW-Authenticate = %q, want %q", got, challenge)
	}
	for _, member := range []string{"access_token", "refresh_token", "active"} {
		if _, there := a.JSON(t)[member]; there {
			t.Errorf("the error has member %s: %.300s", member, a.Body)
		}
	}
}

// WantGrantRefused is WantRefused with 400 invalid_grant, from the token endpoint.
func (a Answer) WantGrantRefused(t testing.TB) {
	t.Helper()
	a.WantRefused(t, http.StatusBadRequest, "invalid_grant")
	a.wantTokenHeaders(t)
}

func (a Answer) wantTokenHeaders(t testing.TB) {
	t.Helper()
	a.wantAPIHeaders(t)
	if got := a.Header.Get("Pragma"); got != "no-cache" {
		t.Errorf("Pragma = %q, want no-cache", got)
	}
}

func (a Answer) wantAPIHeaders(t testing.TB) {
	t.Helper()
	if ct := a.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", ct)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	for _, name := range []string{"Location", "Set-Cookie", "Access-Control-Allow-Credentials"} {
		if got := a.Header.Get(name); got != "" {
			t.Errorf("%s = %q, want none", name, got)
		}
	}
}

// Parse parses a credential that the server issued.
func (e *Env) Parse(text string) secret.Credential {
	e.t.Helper()
	c, ok := secret.Format{}.Parse(text)
	if !ok {
		e.t.Fatalf("%.8s… is not a credential", text)
	}
	return c
}

// CodeRow is a code's row of the database.
func (e *Env) CodeRow(code string) store.Code {
	e.t.Helper()
	row, err := e.Store.CodeByID(context.Background(), e.Parse(code).ID)
	if err != nil {
		e.t.Fatalf("look up code: %v", err)
	}
	return row
}

// WantUnspent asserts that a code is not consumed and has seen that many failed attempts.
func (e *Env) WantUnspent(code string, tries int) {
	e.t.Helper()
	row := e.CodeRow(code)
	if !row.ConsumedAt.IsZero() {
		e.t.Errorf("the code is consumed")
	}
	if row.FailedAttempts != tries {
		e.t.Errorf("the code has %d failed attempts, want %d", row.FailedAttempts, tries)
	}
}

// LiveGrants is how many valid access tokens and refresh families the user's installation of the app has.
func (e *Env) LiveGrants(u User, app App) int {
	e.t.Helper()
	installed, _, err := e.Store.InstalledApps(context.Background(), u.ID, store.InstalledQuery{})
	if err != nil {
		e.t.Fatal(err)
	}
	for _, i := range installed {
		if i.AppID == app.ID {
			return i.Tokens
		}
	}
	return 0
}

// WantEvents asserts how many audit events of a kind the app has.
func (e *Env) WantEvents(app App, kind string, want int) {
	e.t.Helper()
	events, err := e.Store.Events(context.Background(), store.EventFilter{AppID: app.ID, Kind: kind})
	if err != nil {
		e.t.Fatal(err)
	}
	if len(events) != want {
		e.t.Errorf("the app has %[2]d audit events %[1]s, want %[3]d", kind, len(events), want)
	}
}

// Introspect introspects a token as an app or resource server.
func (e *Env) Introspect(app App, token string) Answer {
	e.t.Helper()
	return e.Post("/oauth/introspect", app.As("token", token))
}

// WantActive asserts the app's introspection of a token: active, or exactly {"active":false}.
func (e *Env) WantActive(app App, token string, active bool) {
	e.t.Helper()
	a := e.Introspect(app, token)
	if a.Status != http.StatusOK {
		e.t.Fatalf("introspection: %d: %s", a.Status, a.Body)
	}
	if !active && strings.TrimSpace(a.Body) != `{"active":false}` {
		e.t.Errorf("introspection: %s, want exactly inactive", a.Body)
	}
	if active && a.JSON(e.t)["active"] != true {
		e.t.Errorf("introspection: %s, want active", a.Body)
	}
}

// Count runs a SELECT COUNT that both databases accept.
func (e *Env) Count(sql string, args ...any) int {
	e.t.Helper()
	db := dbtest.DB(e.t, e.Store)
	defer db.Close()
	var n int
	if err := db.QueryRowContext(context.Background(), sql, args...).Scan(&n); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Uninstall presses Remove for an app on the user's page of installed apps.
func (e *Env) Uninstall(b *Browser, u User, app App) {
	e.t.Helper()
	installed, _, err := e.Store.InstalledApps(context.Background(), u.ID, store.InstalledQuery{})
	e.Must(err)
	for _, i := range installed {
		if i.AppID == app.ID {
			if a := b.Post("/account/apps/"+i.ID+"/remove", url.Values{}); a.Status != http.StatusSeeOther {
				e.t.Fatalf("remove app: %d: %.300s", a.Status, a.Body)
			}
			return
		}
	}
	e.t.Fatalf("%s is not among the %d installed apps", app.ID, len(installed))
}
