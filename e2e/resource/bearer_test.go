package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"xenoauth/bearer"
	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/store"
)

// protect is an API whose routes need what bearer is told, over a real server.
func (w *world) protect(t *testing.T, needs ...bearer.Requirement) program {
	t.Helper()
	v, err := bearer.New(bearer.Config{
		Issuer: w.env.URL, ClientID: w.id, ClientSecret: w.secret, OnTrouble: func(context.Context, error) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(v.Require(needs...)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	t.Cleanup(api.Close)
	return program{env: w.env.With(t), url: api.URL}
}

// TestIdentityOfRealTokens: what the server tells is what the handler sees, for a user's token and for an app's own.
func TestIdentityOfRealTokens(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWorld(t, e)
		v, err := bearer.New(bearer.Config{Issuer: e.URL, ClientID: w.id, ClientSecret: w.secret})
		if err != nil {
			t.Fatal(err)
		}
		id, err := v.Verify(t.Context(), w.token(t, "contacts"))
		if err != nil || id.Subject != e.U.ID || id.Username != e.U.Email || id.Account != e.U.Account.ID || id.ClientID != w.app.ID ||
			id.Installation == "" || !id.HasScope("contacts") || id.HasScope("faqs") || !id.HasPermission("contact:list") ||
			id.IssuedAt.IsZero() || !id.ExpiresAt.IsZero() {
			t.Errorf("a user's token: %+v, %v", id, err)
		}
		own := e.Token(w.app, "grant_type", "client_credentials", "scope", "contacts").WantToken(t)
		id, err = v.Verify(t.Context(), own)
		if err != nil || id.Subject != w.app.ID || id.Username != "" || id.Account != "" || len(id.Permissions) > 0 || id.ExpiresAt.IsZero() {
			t.Errorf("an app's own token: %+v, %v", id, err)
		}
	}, withCatalogue(t))
}

// TestEveryKindOfToken: for each kind of token that there is, bearer tells the identity that forward-auth tells, and asks for
// scopes, roles and permissions with the same result; once it is revoked, by the operator, it is invalid.
func TestEveryKindOfToken(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWorld(t, e)
		v, err := bearer.New(bearer.Config{Issuer: e.URL, ClientID: w.id, ClientSecret: w.secret})
		if err != nil {
			t.Fatal(err)
		}
		bearers := e.Bearers()
		for _, b := range bearers {
			id, err := v.Verify(t.Context(), b.Token)
			if err != nil {
				t.Fatalf("%s: %v", b.Kind, err)
			}
			subject, app := b.Subject, ""
			if b.OfApp {
				app = id.ClientID
			}
			if subject == "" {
				subject = id.ClientID
			}
			told := harness.Identity{"User": b.Subject, "Account": id.Account, "App": app, "Bot": id.Bot, "Installation": id.Installation, "Scope": strings.Join(id.Scopes, " ")}
			if !maps.Equal(told, b.Identity) || id.Subject != subject || (id.Username == "") != (b.Subject == "") {
				t.Errorf("%s: %+v, want %v", b.Kind, id, b.Identity)
			}
			for query, has := range map[string]bool{
				"scope=contacts": id.HasScope("contacts"), "scope=faqs": id.HasScope("faqs"), "scope=guest": id.HasScope("guest"), "scope=agent": id.HasScope("agent"),
				"scope=bot": id.HasScope("bot"), "scope=admin": id.HasScope("admin"), "permission=conversation:list": id.HasPermission("conversation:list"),
				"permission=message:list": id.HasPermission("message:list"), "permission=form:fetch": id.HasPermission("form:fetch"),
			} {
				if a := e.Verify(b.Token, query); (a.Status == http.StatusOK) != has {
					t.Errorf("%s: %s: bearer says %v, forward-auth %d", b.Kind, query, has, a.Status)
				}
			}
			e.Revoke(b.Token)
			if _, err := v.Verify(t.Context(), b.Token); !errors.Is(err, bearer.ErrInvalid) {
				t.Errorf("%s, revoked: %v", b.Kind, err)
			}
		}
		if len(bearers) != 7 {
			t.Errorf("%d kinds of token", len(bearers))
		}
	}, withCatalogue(t))
}

// TestImpliedScopes: a token has the scopes that its own imply, whoever asks: introspection, forward-auth and /api/me agree.
func TestImpliedScopes(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWorld(t, e)
		token := w.token(t, "crm")
		if a := w.protect(t, bearer.Scope("crm"), bearer.Scope("contacts"), bearer.Permission("contact:list")).get("/", "Bearer "+token); a.Status != http.StatusOK {
			t.Errorf("bearer answers %d: %s", a.Status, a.Body)
		}
		if a := e.Verify(token, "scope=crm+contacts+faqs"); a.Status != http.StatusOK || a.Header.Get("X-Xenoauth-Scope") != "contacts crm faqs" {
			t.Errorf("forward-auth: %d, X-Xenoauth-Scope %q", a.Status, a.Header.Get("X-Xenoauth-Scope"))
		}
		if got := fmt.Sprint(e.Me(token).JSON(t)["scopes"]); got != "[contacts crm faqs]" {
			t.Errorf("/api/me says %s", got)
		}
	}, withCatalogue(t))
}

// TestEndsAtOnce: the next request after each way to end or narrow a token is refused.
func TestEndsAtOnce(t *testing.T) {
	contacts := []bearer.Requirement{bearer.Scope("contacts"), bearer.Permission("contact:list")}
	for name, c := range map[string]struct {
		end    func(t *testing.T, w *world, token string) error
		status int
	}{
		"the app revokes its token": {func(t *testing.T, w *world, token string) error { w.revoke(t, token); return nil }, 401},
		"the user removes the app": {func(t *testing.T, w *world, token string) error {
			installation := w.env.Introspect(harness.App{ID: w.id, Secret: w.secret}, token).String(t, "installation")
			return w.env.Store.RemoveInstallation(t.Context(), harness.Operator, installation)
		}, 401},
		"the user is disabled": {func(t *testing.T, w *world, _ string) error {
			return w.env.Store.SetUserDisabled(t.Context(), harness.Operator, w.env.U.ID, true)
		}, 401},
		"the user's role falls": {func(t *testing.T, w *world, _ string) error {
			other := w.env.AddUser("olga@users.test")
			if err := w.env.Store.AddMember(t.Context(), harness.Operator, w.env.U.Account.ID, other.ID, scope.RoleAdmin); err != nil {
				return err
			}
			return w.env.Store.SetMemberRole(t.Context(), harness.Operator, w.env.U.Account.ID, w.env.U.ID, scope.RoleGuest)
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			harness.Each(t, func(t *testing.T, e *harness.Env) {
				w := newWorld(t, e)
				api, token := w.protect(t, contacts...), w.token(t, "contacts")
				if a := api.get("/", "Bearer "+token); a.Status != http.StatusOK {
					t.Fatalf("a live token answers %d: %s", a.Status, a.Body)
				}
				if err := c.end(t, w, token); err != nil {
					t.Fatal(err)
				}
				if a := api.get("/", "Bearer "+token); a.Status != c.status {
					t.Errorf("the next request answers %d, want %d: %s", a.Status, c.status, a.Body)
				}
			}, withCatalogue(t))
		})
	}
}

// TestRevocationUnderLoad: 20 clients use one token without pause while it is revoked, so that calls are always in flight
// and shared. No request that starts after the acknowledgement passes, and none from before is refused.
func TestRevocationUnderLoad(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWorld(t, e)
		api, token := w.protect(t, bearer.Scope("contacts")), w.token(t, "contacts")
		var begun, acknowledged atomic.Bool
		var passed atomic.Int32
		enough := make(chan struct{})
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				for refused := 0; refused < 3; {
					late := acknowledged.Load()
					status := api.get("/", "Bearer "+token).Status
					early := !begun.Load()
					switch {
					case status != http.StatusOK && status != http.StatusUnauthorized, late && status == http.StatusOK, early && status != http.StatusOK:
						t.Errorf("a request answers %d; before the revocation: %v, after it: %v", status, early, late)
						return
					case status == http.StatusUnauthorized:
						refused++
					case passed.Add(1) == 200:
						close(enough)
					}
				}
			})
		}
		gone := make(chan struct{})
		go func() {
			clients.Wait()
			close(gone)
		}()
		select {
		case <-enough:
		case <-gone:
			t.Fatal("no client was served long enough")
		}
		begun.Store(true)
		w.revoke(t, token)
		acknowledged.Store(true)
		<-gone
	}, withCatalogue(t))
}

// TestDatabaseTrouble: when Xenoauth answers but cannot look, the API answers 503, and works again when it can.
func TestDatabaseTrouble(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		w := newWorld(t, harness.New(t, st, withCatalogue(t)))
		api, token := w.protect(t), w.token(t, "contacts")
		for _, want := range []int{200, 503, 503, 200} {
			w.env.Faults.Heal()
			if want == 503 {
				w.env.Faults.Fail(store.ErrUnavailable, "AccessByID")
			}
			if a := api.get("/", "Bearer "+token); a.Status != want {
				t.Errorf("status %d, want %d: %s", a.Status, want, a.Body)
			}
		}
	})
}
