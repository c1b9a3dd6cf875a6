package main

import (
	"fmt"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
)

func TestRevokeSecretCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		addUser(t, l, "ada@example.org")
		for _, c := range []struct {
			group, missing string
			add            []string
		}{
			{"app", "there is no app", []string{"app", "add", "Widget Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb"}},
			{"resource", "there is no resource server", []string{"resource", "add", "Widgets API"}},
		} {
			var first, second, done object
			l.ok(t, &first, c.add...)
			id, old := fmt.Sprint(first["client_id"]), fmt.Sprint(first["secret_id"])
			l.ok(t, &second, c.group, "rotate-secret", id)
			wantSecrets(t, l, c.group, id, fmt.Sprint(second["secret_id"]), old)
			l.fails(t, exitRefused, `revoke one first with "xenoauth `+c.group+` revoke-secret", or add --old-until now`, c.group, "rotate-secret", id)

			l.ok(t, &done, c.group, "revoke-secret", id, old, "--yes")
			if done["id"] != old || done["done"] != "secret revoked" {
				t.Errorf("revoked %v", done)
			}
			wantSecrets(t, l, c.group, id, fmt.Sprint(second["secret_id"]))
			l.fails(t, exitRefused, "there is no live secret of "+id, c.group, "revoke-secret", id, old)
			l.ok(t, nil, c.group, "revoke-secret", id, fmt.Sprint(second["secret_id"]))
			wantSecrets(t, l, c.group, id)
			l.ok(t, &second, c.group, "rotate-secret", id)

			l.ok(t, nil, c.group, "remove", id)
			l.fails(t, exitRefused, c.missing, c.group, "revoke-secret", id, fmt.Sprint(second["secret_id"]))
			l.fails(t, exitRefused, c.missing, c.group, "show", id)
		}
	})
}

// TestRevokeOneCredential: two active credentials of an API key or a bot are both listed, the old one with its expiry, and each can be
// revoked separately.
func TestRevokeOneCredential(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		addUser(t, l, "ada@example.org")
		for _, c := range []struct{ group, text, missing, end string }{
			{"key", "key", "there is no API key", "revoke"}, {"bot", "api_secret", "there is no bot", "remove"},
		} {
			var first, second object
			l.ok(t, &first, c.group, "add", "Nightly export", "--account", "ada@example.org")
			id, old := fmt.Sprint(first["id"]), fmt.Sprint(first["secret_id"])
			l.ok(t, &second, c.group, "rotate", id, "--old-until", "24h")
			next := fmt.Sprint(second["secret_id"])
			wantSecrets(t, l, c.group, id, next, old)
			for _, command := range [][]string{{c.group, "list"}, {c.group, "show", id}} {
				r := l.ok(t, nil, command...)
				for _, text := range []object{first, second} {
					if end := fmt.Sprint(text[c.text]); !strings.Contains(r.stdout, "…"+end[len(end)-4:]) {
						t.Errorf("%v does not show how %s ends:\n%s", command, text["secret_id"], r.stdout)
					}
				}
				if !strings.Contains(r.stdout, "until 2") {
					t.Errorf("%v does not show when the old one ends:\n%s", command, r.stdout)
				}
			}
			l.fails(t, exitRefused, "revoke one with revoke-secret", c.group, "rotate", id, "--old-until", "24h")
			l.ok(t, nil, c.group, "revoke-secret", id, old, "--yes")
			wantSecrets(t, l, c.group, id, next)
			l.fails(t, exitRefused, "there is no live secret of "+id, c.group, "revoke-secret", id, old)
			l.fails(t, exitUsage, "not a secret id", c.group, "revoke-secret", id, fmt.Sprint(second[c.text]))
			l.ok(t, nil, c.group, "revoke-secret", id, next, "--yes")
			wantSecrets(t, l, c.group, id)
			if r := l.ok(t, nil, c.group, "list"); !strings.Contains(r.stdout, "  none  ") {
				t.Errorf("a %s without a credential is listed as\n%s", c.group, r.stdout)
			}
			l.ok(t, nil, c.group, c.end, id)
			l.fails(t, exitRefused, c.missing, c.group, "revoke-secret", id, next)
		}
	})
}

// wantSecrets asserts the secrets of a client, newest first, in every list.
func wantSecrets(t *testing.T, l line, group, id string, want ...string) {
	t.Helper()
	check := func(o object) {
		t.Helper()
		got := []string{}
		for _, s := range o["secrets"].([]any) {
			wantNames(t, s.(object), "secret_id", "hint", "created_at", "last_used_at", "expires_at")
			got = append(got, fmt.Sprint(s.(object)["secret_id"]))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has the secrets %v, want %v", id, got, want)
		}
	}
	var shown object
	l.ok(t, &shown, group, "show", id)
	check(shown)
	if group != "app" {
		var list []object
		l.ok(t, &list, group, "list")
		check(list[0])
	}
	r := l.ok(t, nil, group, "show", id)
	for _, secretID := range want {
		if !strings.Contains(r.stdout, secretID) {
			t.Errorf("shown to people without %s:\n%s", secretID, r.stdout)
		}
	}
}
