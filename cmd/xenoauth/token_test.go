package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/internal/verify"
)

// TestInspectEveryKind: token inspect recognises each kind of credential, active (exit 0) or not (exit 1, with the state), shows its
// owner, and never prints it; token revoke ends it.
func TestInspectEveryKind(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		user, account := addUser(t, l, "ada@example.org")
		var app, resource, key, token, bot object
		l.ok(t, &app, "app", "add", "Widget Wizard", "--owner", account, "--redirect-uri", "https://w.example/cb")
		l.ok(t, &resource, "resource", "add", "Widgets API")
		l.ok(t, &key, "key", "add", "Export", "--account", account)
		l.ok(t, &token, "key", "add", "Desk", "--account", account, "--scope", "agent")
		l.ok(t, &bot, "bot", "add", "Order bot", "--account", account)
		pair := userPair(t, dbtest.Open(t, database), "ada@example.org", signing.Options{})
		for _, c := range []struct{ text, kind, owner string }{
			{fmt.Sprint(app["client_secret"]), "client secret", fmt.Sprint(app["id"])},
			{fmt.Sprint(resource["client_secret"]), "secret of a resource server", fmt.Sprint(resource["id"])},
			{fmt.Sprint(key["key"]), "account API key", fmt.Sprint(key["id"])},
			{fmt.Sprint(token["key"]), "API key", fmt.Sprint(token["id"])},
			{fmt.Sprint(bot["api_secret"]), "bot secret", fmt.Sprint(bot["api_key"])},
			{pair.RefreshToken, "user refresh token", user},
		} {
			var v object
			l.with(c.text).ok(t, &v, "token", "inspect", "-")
			if v["active"] != true || v["state"] != "active" || v["kind"] != c.kind || !strings.Contains(fmt.Sprint(v), c.owner) {
				t.Errorf("%s: inspected %v", c.kind, v)
			}
			if r := l.with(c.text).ok(t, nil, "token", "inspect", "-"); strings.Contains(r.stdout+r.stderr, c.text) {
				t.Errorf("%s: the credential is repeated", c.kind)
			}
			l.with(c.text).ok(t, nil, "token", "revoke", "-")
			l.with(c.text).fails(t, exitRefused, "is not active: revoked", "token", "inspect", "-")
		}
		l.with(pair.Token).fails(t, exitRefused, "the user token is not active: revoked", "token", "inspect", "-")
		l.with("garbage").fails(t, exitRefused, "not active: this server knows no such credential", "token", "inspect", "-")
	})
}

// TestInspectRefreshNamesApp: the client of a refresh token is shown as an app, that of an integration token as an API key.
func TestInspectRefreshNamesApp(t *testing.T) {
	t.Parallel()
	for kind, want := range map[secret.Kind]field{
		secret.Refresh:     {"app", "app_0AbCdEfGhIjKlMnOpQrStU"},
		secret.Integration: {"API key", "app_0AbCdEfGhIjKlMnOpQrStU"},
	} {
		if fields := viewToken(verify.Identity{Kind: kind, ClientID: want.value}).fields(); !slices.Contains(fields, want) {
			t.Errorf("%s: %v, want %v", kind, fields, want)
		}
	}
}
