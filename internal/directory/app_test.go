package directory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func goodForm() directory.AppForm {
	return directory.AppForm{
		Name: "Widget Wizard", Homepage: "https://wizard.example", RedirectURIs: []string{"https://wizard.example/cb"},
		Scopes: []string{"widgets", "contacts"}, Confidential: true,
	}
}

func TestCreateApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		u, account := person(t, d, "ada@example.org")
		f := goodForm()
		f.Scopes = []string{"widget", "brands", "contacts"}
		f.RedirectURIs = []string{"", " https://wizard.example/cb ", "http://127.0.0.1/cb"}
		a, c, err := d.CreateApp(ctx, store.UserPrincipal(u.ID, ""), account.ID, f)
		if err != nil || c == nil {
			t.Fatalf("create: %v", err)
		}
		got, err := d.App(ctx, store.UserPrincipal(u.ID, ""), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Scopes.String() != "contacts widgets" || strings.Join(got.RedirectURIs, " ") != "https://wizard.example/cb http://127.0.0.1/cb" {
			t.Errorf("stored scopes %q, redirect URIs %q", got.Scopes, got.RedirectURIs)
		}
		if got.CreatedBy != u.ID || !got.VerifiedAt.IsZero() || got.PKCERequired || got.Expiring || !secret.ValidPublicID("app_", got.ID) {
			t.Errorf("stored %+v", got)
		}
		client, err := st.ClientByID(ctx, a.ID, store.LookupID(c.ID))
		if err != nil || !c.Matches(client.Secret) || c.Kind != secret.Client {
			t.Errorf("the secret that was returned does not open the app: %v", err)
		}
	})
}

func TestCreateAppKinds(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	ctx, d := context.Background(), rules(st)
	_, account := person(t, d, "ada@example.org")
	f := goodForm()
	f.Confidential = false
	public, c, err := d.CreateApp(ctx, operator, account.ID, f)
	if err != nil || c != nil || !public.PKCERequired || !public.Expiring {
		t.Errorf("public app %+v with secret %v, %v; want PKCE, expiring tokens and no secret", public, c != nil, err)
	}
	if public.VerifiedAt.IsZero() || public.CreatedBy != "" {
		t.Errorf("the operator's app is not verified: %+v", public)
	}
	if _, secrets, err := d.Secrets(ctx, operator, public.ID); err != nil || len(secrets) != 0 {
		t.Errorf("a public app has secrets: %v, %v", secrets, err)
	}
	if _, err := d.RotateSecret(ctx, operator, public.ID, time.Time{}); !errors.Is(err, directory.ErrPublicApp) {
		t.Errorf("secret for a public app: %v, want ErrPublicApp", err)
	}
}

func TestAppFormFaults(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	ctx, d := context.Background(), rules(st)
	_, account := person(t, d, "ada@example.org")
	_, _, err := d.CreateApp(ctx, operator, account.ID, directory.AppForm{
		Name: "Xenoauth Official", Description: strings.Repeat("a", 501), Homepage: "javascript:alert(1)", LogoURL: "https://auth.example/logo.png",
		RedirectURIs: []string{"ftp://x"}, Scopes: []string{"widgets", "admin"},
	})
	wantFaults(t, err, "name", "description", "homepage", "logo_url", "redirect_uris", "scopes")
	if !strings.Contains(err.Error(), "Unknown scope: admin") {
		t.Errorf("the fault does not name the unknown scope: %v", err)
	}
	_, _, err = d.CreateApp(ctx, operator, account.ID, directory.AppForm{})
	wantFaults(t, err, "name", "redirect_uris", "scopes")
	bad := goodForm()
	bad.Scopes = []string{`wid"gets`}
	_, _, err = d.CreateApp(ctx, operator, account.ID, bad)
	wantFaults(t, err, "scopes")
	if apps, err := st.ListApps(ctx, store.Page{}); err != nil || len(apps) != 0 {
		t.Errorf("a refused form left apps behind: %v, %v", apps, err)
	}
}

// TestForeignApp: apps that a user does not manage give store.ErrNotFound (docs/battery.md, D8).
func TestForeignApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		owner, account := person(t, d, "ada@example.org")
		eve, _ := person(t, d, "eve@example.org")
		agent, _ := person(t, d, "agent@example.org")
		if err := st.AddMember(ctx, operator, account.ID, agent.ID, scope.RoleAgent); err != nil {
			t.Fatal(err)
		}
		a, c, err := d.CreateApp(ctx, store.UserPrincipal(owner.ID, ""), account.ID, goodForm())
		if err != nil {
			t.Fatal(err)
		}
		_, unknown := d.App(ctx, store.UserPrincipal(owner.ID, ""), secret.NewPublicID("app_"))
		if !errors.Is(unknown, store.ErrNotFound) {
			t.Fatalf("unknown app: %v", unknown)
		}
		for name, who := range map[string]store.User{"a stranger": eve, "a member who is no admin": agent} {
			by := store.UserPrincipal(who.ID, "")
			_, errApp := d.App(ctx, store.UserPrincipal(who.ID, ""), a.ID)
			_, errUpdate := d.UpdateApp(ctx, by, a, a.Version, goodForm())
			_, _, errSecrets := d.Secrets(ctx, store.UserPrincipal(who.ID, ""), a.ID)
			_, errRotate := d.RotateSecret(ctx, by, a.ID, time.Time{})
			errRevoke := d.RevokeSecret(ctx, by, a.ID, c.ID)
			errDelete := d.DeleteApp(ctx, by, a.ID)
			_, _, errCreate := d.CreateApp(ctx, by, account.ID, goodForm())
			for i, err := range []error{errApp, errUpdate, errSecrets, errRotate, errRevoke, errDelete, errCreate} {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s, operation %d: %v, want ErrNotFound", name, i, err)
				}
			}
			if apps, err := d.Apps(ctx, store.UserPrincipal(who.ID, "")); err != nil || len(apps) != 0 {
				t.Errorf("%s sees apps %v, %v", name, apps, err)
			}
		}
		if apps, err := d.Apps(ctx, store.UserPrincipal(owner.ID, "")); err != nil || len(apps) != 1 {
			t.Errorf("the owner sees %v, %v", apps, err)
		}
	})
}

func TestUpdateApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		u, account := person(t, d, "ada@example.org")
		by := store.UserPrincipal(u.ID, "")
		a, _, err := d.CreateApp(ctx, by, account.ID, goodForm())
		if err != nil {
			t.Fatal(err)
		}
		f := goodForm()
		f.Name, f.Confidential, f.RedirectURIs = "Renamed", false, []string{"https://wizard.example/new"}
		shown, err := d.App(ctx, store.UserPrincipal(u.ID, ""), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := d.UpdateApp(ctx, by, shown, shown.Version, f)
		if err != nil {
			t.Fatal(err)
		}
		if changed.Name != "Renamed" || !changed.Confidential || changed.PKCERequired || changed.RedirectURIs[0] != "https://wizard.example/new" {
			t.Errorf("changed to %+v; want a new name, and still confidential", changed)
		}
		if _, err := d.UpdateApp(ctx, by, shown, shown.Version, f); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second change of the same version: %v, want ErrConflict", err)
		}
		_, err = d.UpdateApp(ctx, by, changed, changed.Version, directory.AppForm{})
		wantFaults(t, err, "name", "redirect_uris", "scopes")
		if err := d.DeleteApp(ctx, by, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := d.App(ctx, operator, a.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleted app: %v, want ErrNotFound", err)
		}
	})
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		_, account := person(t, d, "ada@example.org")
		a, first, err := d.CreateApp(ctx, operator, account.ID, goodForm())
		if err != nil {
			t.Fatal(err)
		}
		live := func(c secret.Credential) bool {
			client, err := st.ClientByID(ctx, a.ID, store.LookupID(c.ID))
			if err != nil {
				t.Fatal(err)
			}
			return c.Matches(client.Secret)
		}
		second, err := d.RotateSecret(ctx, operator, a.ID, time.Time{})
		if err != nil || !live(*first) || !live(second) {
			t.Fatalf("after rotation (%v) both secrets must work", err)
		}
		_, err = d.RotateSecret(ctx, operator, a.ID, time.Time{})
		var limit *directory.SecretLimitError
		if !errors.As(err, &limit) || !errors.Is(err, store.ErrLimit) || !strings.Contains(err.Error(), "revoke one first") {
			t.Errorf("a third secret: %v, want a refusal with the fix", err)
		}
		if err := d.RevokeSecret(ctx, operator, a.ID, first.ID); err != nil || live(*first) {
			t.Errorf("revoke the first: %v", err)
		}
		if err := d.RevokeSecret(ctx, operator, a.ID, first.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("revoke it again: %v, want ErrNotFound", err)
		}
		third, err := d.RotateSecret(ctx, operator, a.ID, st.Now().Add(time.Hour))
		if err != nil || !live(second) || !live(third) {
			t.Fatalf("with an hour of overlap (%v) both must work", err)
		}
		_, secrets, err := d.Secrets(ctx, operator, a.ID)
		if err != nil || len(secrets) != 2 || secrets[0].Hint != third.Hint() || secrets[1].ExpiresAt.IsZero() {
			t.Errorf("secrets %+v, %v; want the newest first and an end of the other", secrets, err)
		}
		fourth, err := d.RotateSecret(ctx, operator, a.ID, st.Now().Add(-time.Hour))
		if err != nil || live(second) || live(third) || !live(fourth) {
			t.Errorf("old secrets ending now (%v): only the new one must work", err)
		}
	})
}

func TestResourceServer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		_, _, err := d.CreateResource(ctx, operator, "a\u200Bb")
		wantFaults(t, err, "name")
		r, c, err := d.CreateResource(ctx, operator, " Widgets API ")
		if err != nil || r.Name != "Widgets API" || !secret.ValidPublicID("rs_", r.ID) {
			t.Fatalf("created %+v, %v", r, err)
		}
		next, err := d.RotateResourceSecret(ctx, operator, r.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []secret.Credential{c, next} {
			client, err := st.ClientByID(ctx, r.ID, store.LookupID(c.ID))
			if err != nil || !c.Matches(client.Secret) {
				t.Errorf("a secret of the resource server does not work: %v", err)
			}
		}
		if _, err := d.RotateResourceSecret(ctx, operator, secret.NewPublicID("rs_"), time.Time{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown resource server: %v, want ErrNotFound", err)
		}
	})
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		ctx, d := context.Background(), rules(st)
		_, account := person(t, d, "ada@example.org")
		a, _, err := d.CreateApp(ctx, operator, account.ID, goodForm())
		if err != nil {
			t.Fatal(err)
		}
		c := secret.Format{}.New(secret.Expiring)
		hash := c.Hash()
		token := store.Token{ID: store.LookupID(c.ID), Hash: hash[:], AppID: a.ID, Scope: a.Scopes, CreatedAt: st.Now(), ExpiresAt: st.Now().Add(time.Hour)}
		if err := st.CreateClientToken(ctx, token); err != nil {
			t.Fatal(err)
		}
		for _, not := range []string{"", "garbage", secret.Format{}.New(secret.Client).Reveal(), secret.Format{}.New(secret.Access).Reveal(), secret.Format{}.New(secret.Refresh).Reveal()} {
			if err := d.RevokeToken(ctx, operator, not); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("what is no token: %v, want ErrNotFound", err)
			} else if len(not) > 8 && strings.Contains(err.Error(), not) {
				t.Error("the error repeats what was presented")
			}
		}
		if err := st.SetAppSuspended(ctx, operator, a.ID, true); err != nil {
			t.Fatal(err)
		}
		if err := d.RevokeToken(ctx, operator, c.Reveal()); err != nil {
			t.Fatalf("revoke while the app is suspended: %v", err)
		}
		got, err := st.AccessByID(ctx, store.Expiring, store.LookupID(c.ID))
		if err != nil || got.RevokedAt.IsZero() {
			t.Errorf("the token is not revoked: %v", err)
		}
	})
}
