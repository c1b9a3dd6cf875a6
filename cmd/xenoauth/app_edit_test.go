package main

import (
	"fmt"
	"maps"
	"testing"

	"xenoauth/internal/dbtest"
)

// TestAppEdit: each flag changes only the field that it names.
func TestAppEdit(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		addUser(t, l, "ada@example.org")
		var a, want object
		l.ok(t, &a, "app", "add", "Widget Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb", "--redirect-uri", "http://127.0.0.1/cb",
			"--scope", "widgets contacts", "--description", "Makes widgets.", "--homepage", "https://w.example/", "--logo-url", "https://w.example/logo.png")
		id := fmt.Sprint(a["id"])
		l.ok(t, &want, "app", "show", id)
		for _, c := range []struct {
			name string
			args []string
			want object
		}{
			{"name", []string{"--name", " Wizard 2 "}, object{"name": "Wizard 2"}},
			{"description", []string{"--description", "Makes better widgets."}, object{"description": "Makes better widgets."}},
			{"homepage", []string{"--homepage", "https://w2.example/"}, object{"homepage": "https://w2.example/"}},
			{"logo", []string{"--logo-url", "https://w2.example/l.png"}, object{"logo_url": "https://w2.example/l.png"}},
			{"what is taken away", []string{"--homepage", "", "--logo-url=", "--description", ""}, object{"homepage": "", "logo_url": "", "description": ""}},
			{"redirect URIs", []string{"--redirect-uri", "https://w2.example/cb"}, object{"redirect_uris": []any{"https://w2.example/cb"}}},
			{"scopes by an alias", []string{"--scope", "widget"}, object{"scopes": []any{"widgets"}}},
			{"scopes twice", []string{"--scope", "contacts", "--scope", "widgets"}, object{"scopes": []any{"contacts", "widgets"}}},
			{"expiring and PKCE", []string{"--expiring", "--pkce-required=true"}, object{"expiring": true, "pkce_required": true}},
			{"one of them back", []string{"--expiring=false"}, object{"expiring": false}},
		} {
			maps.Copy(want, c.want)
			var got object
			l.ok(t, &got, append([]string{"app", "edit", id}, c.args...)...)
			want["updated_at"], want["version"] = got["updated_at"], got["version"]
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: edited to\n%v, want\n%v", c.name, got, want)
			}
			var shown object
			if l.ok(t, &shown, "app", "show", id); fmt.Sprint(shown) != fmt.Sprint(want) {
				t.Errorf("%s: shown as\n%v, want\n%v", c.name, shown, want)
			}
		}
		l.fails(t, exitRefused, "--redirect-uri: Redirect URI 1: use https", "app", "edit", id, "--name", "Other", "--redirect-uri", "http://w.example/cb")
		l.fails(t, exitRefused, "--scope: Unknown scope: admin", "app", "edit", id, "--scope", "admin")
		l.fails(t, exitRefused, "at least one redirect URI", "app", "edit", id, "--redirect-uri", "")
		l.fails(t, exitRefused, "--name: ", "app", "edit", id, "--name", "")
		l.fails(t, exitRefused, "there is no app", "app", "edit", "app_x", "--name", "Other")
		var shown object
		if l.ok(t, &shown, "app", "show", id); fmt.Sprint(shown) != fmt.Sprint(want) {
			t.Errorf("refused edits changed it to\n%v, want\n%v", shown, want)
		}

		var public object
		l.ok(t, &public, "app", "add", "Cli", "--owner", "ada@example.org", "--public", "--redirect-uri", "http://127.0.0.1/cb")
		id = fmt.Sprint(public["id"])
		l.fails(t, exitRefused, "the app is public", "app", "edit", id, "--pkce-required=false")
		l.fails(t, exitRefused, "the app is public", "app", "edit", id, "--expiring=false")
		if l.ok(t, &public, "app", "edit", id, "--name", "Cli 2", "--expiring"); public["name"] != "Cli 2" || public["confidential"] != false || public["pkce_required"] != true {
			t.Errorf("edited public app %v", public)
		}
	})
}
