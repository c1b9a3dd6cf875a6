package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server"
)

// withImplied is a catalogue in which notes bring chats along, which are sensitive.
func withImplied(t *testing.T) *scope.Catalogue {
	t.Helper()
	text := `{"scopes": [
		{"name": "notes", "title": "Notes", "description": "Read notes.", "sensitivity": "low", "aliases": [], "implies": ["chats"], "needs_user": false, "permissions": []},
		{"name": "chats", "title": "Chats", "description": "Read and delete all chats.", "sensitivity": "high", "aliases": [], "implies": [], "needs_user": false,
			"permissions": ["conversation:list", "conversation:delete"]},
		{"name": "calls", "title": "Calls", "description": "Hear all calls.", "sensitivity": "low", "aliases": [], "implies": [], "needs_user": false, "permissions": []}`
	for _, name := range []string{"widgets", "faqs", "contacts", "conversations"} { // of the fixtures
		text += fmt.Sprintf(`, {"name": %q, "title": %[1]q, "description": %[1]q, "sensitivity": "low", "aliases": [], "implies": [], "needs_user": false, "permissions": []}`, name)
	}
	text += "]}"
	c, err := scope.LoadCatalogue(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConsentPageScopes: the page lists all scopes that a token will have, including implied ones, and so does the list of installed
// apps. A request for more scopes has the title "wants more access" and marks only those as new; a request for the same scopes, or
// one whose account is not chosen yet, looks like the first one.
func TestConsentPageScopes(t *testing.T) {
	catalogue := withImplied(t)
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		app := e.AddApp("Diary", true, harness.CB, func(f *directory.AppForm) { f.Scopes = []string{"notes", "calls"} })
		u := e.AddUser("dora@users.test")
		b := e.LoggedIn(u)
		page := func(parameters ...string) string {
			t.Helper()
			a := b.Authorize(append([]string{"client_id", app.ID, "redirect_uri", harness.CB}, parameters...)...)
			a.WantPage(t, http.StatusOK)
			return a.Body
		}
		says := func(what, page string, words ...string) {
			t.Helper()
			for _, w := range words {
				with, not := strings.CutPrefix(w, "not ")
				if strings.Contains(page, with) == not {
					t.Errorf("%s: want %q on the page", what, w)
				}
			}
		}
		says("first", page("scope", "notes"), "Diary wants to connect", "It will have access to", "Read notes.", "Read and delete all chats.", "Sensitive", "not Hear all calls.")
		token := e.Grant(b, app, "scope", "notes").WantToken(t)
		if a := e.Me(token); !strings.Contains(a.Body, `"chats"`) || !strings.Contains(a.Body, "conversation:list") {
			t.Errorf("the token is good for %s", a.Body)
		}
		says("installed apps", b.Get("/account/apps").Body, "Notes", "Chats", "not Calls")
		says("nothing new", page("scope", "notes", "prompt", "consent"), "Diary wants to reconnect", "You have already allowed this app on", "Read notes.", "Read and delete all chats.", "not wants more access")
		says("more", page("scope", "notes calls"), "Diary wants more access", "It also asks for access to", "Hear all calls.", "not Read notes.", "Already allowed: Notes, Chats, and your name and e-mail address")
		says("other", page("scope", "calls"), "Diary wants more access", "Hear all calls.", "Already allowed: Notes, Chats, and your name and e-mail address")

		second := e.AddUser("second@users.test")
		if err := e.Store.AddMember(t.Context(), harness.Operator, second.Account.ID, u.ID, scope.RoleAgent); err != nil {
			t.Fatal(err)
		}
		says("a choice of accounts", page("scope", "notes"), "Diary wants to connect", "You have already allowed this app on", "Choose an account", "Read and delete all chats.", "not wants more access")
	}, func(o *server.Options) { o.Catalogue = catalogue })
}

// TestLogInHint: the e-mail address that an app expects stands in the log-in form; what is none is ignored.
func TestLogInHint(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for hint, want := range map[string]string{
			"Dora@Users.Test": `value="dora@users.test"`, "": `value=""`, "dora": `value=""`, `"><svg onload=x>@users.test`: `value=""`, strings.Repeat("x", 2000) + "@users.test": `value=""`,
		} {
			b := e.Browser()
			form := b.Follow(b.Authorize("client_id", e.A.ID, "redirect_uri", harness.CB, "scope", "contacts", "login_hint", hint))
			form.WantPage(t, http.StatusOK)
			_, field, _ := strings.Cut(form.Body, `<input id="email"`)
			field, _, _ = strings.Cut(field, ">")
			if !strings.Contains(field, want) {
				t.Errorf("hint %.40q: the field is %s, want %s", hint, field, want)
			}
		}
	})
}
