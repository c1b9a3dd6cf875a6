package browser

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
	"xenoauth/store"
)

const (
	allow = "button[value=allow]"
	deny  = "button[value=deny]"
)

// TestWholeStory: a person signs up, registers an app, connects it, uses it, removes it and is asked again, all of it in
// a browser that runs no JavaScript.
func TestWholeStory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		e := harness.Bare(t, st)
		b := openTab(t)
		b.withoutScripts()
		app := startApp(t, e.URL, "127.0.0.1:0", false)

		b.signUp(e.URL)
		b.registerApp(app)

		b.open(app.url)
		b.press("#connect")
		b.wantHeading("Brightdesk Reports wants to connect to your account")
		b.wantText("main", "Published by an unverified account that calls itself “Grace Hopper”", "Contacts", "Conversations", "Unverified")
		b.press(allow)
		b.wantHeading("Connected")
		token := app.token()
		if token.Type() != "Bearer" || !token.Expiry.IsZero() || token.RefreshToken != "" {
			t.Errorf("token is %s, expires %v, refresh token %q; want a Bearer token that never expires", token.Type(), token.Expiry, token.RefreshToken)
		}
		if got := token.Extra("scope"); got != "contacts conversations" {
			t.Errorf("scope = %v, want what was asked for", got)
		}

		b.open(e.URL + "/account/apps")
		b.wantText("article", "Brightdesk Reports", "Contacts", "Conversations", "Installed by\nyou", "Last used\nnever")
		if status := app.use(token, e.URL+"/api/me"); status != http.StatusOK {
			t.Errorf("GET /api/me answers %d, want 200", status)
		}
		b.reloadUntil("article", "Last used\njust now")

		b.press("article a[href$='/remove']")
		b.wantHeading("Remove Brightdesk Reports?")
		b.press("main button[type=submit]")
		b.wantText("main", "Brightdesk Reports was removed", "No apps yet")
		if status := app.use(token, e.URL+"/api/me"); status != http.StatusUnauthorized {
			t.Errorf("the removed app's token answers %d, want 401", status)
		}

		b.open(app.url)
		b.press("#connect")
		b.wantHeading("Brightdesk Reports wants to connect to your account")
		b.wantQuiet()
	})
}

// signUp makes Grace's account by the pages.
func (b *tab) signUp(server string) {
	b.t.Helper()
	b.open(server)
	b.press("main a[href='/signup']")
	b.fill("#name", "Grace Hopper", "#email", "grace@example.org", "#password", harness.Password)
	b.press("main button[type=submit]")
	b.wantHeading("Installed apps")
	b.wantText("main", "No apps yet")
}

// registerApp makes an app by the pages and tells it its credentials, which are shown this once.
func (b *tab) registerApp(app *thirdParty) {
	b.t.Helper()
	b.press("nav a[href='/developer/apps']")
	b.press("main a[href='/developer/apps/new']")
	b.fill("#name", "Brightdesk Reports", "#homepage", "https://brightdesk.example",
		"#description", "Weekly reports on how quickly your team answers, by e-mail.",
		"[name=redirect_uris]", app.callback)
	b.tick("[name=scopes][value=contacts]")
	b.tick("[name=scopes][value=conversations]")
	b.press("main .actions button[type=submit]")
	b.wantHeading("Brightdesk Reports registered")
	id, secret := b.value("#client_id"), b.value("#client_secret")
	app.register(id, secret, "contacts", "conversations")

	b.press("main a.button")
	b.wantHeading("Brightdesk Reports Unverified")
	if page := b.html(); strings.Contains(page, secret) || !strings.Contains(page, id) {
		b.t.Errorf("the app's page shows the secret again, or not the client id")
	}
}
