package e2e

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/store"
)

// mounted reads server/routes.go: the paths that a browser may ask with a method, pages and what redirects to them.
func mounted(t *testing.T, method string) []string {
	t.Helper()
	source, err := os.ReadFile("../server/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	route := regexp.MustCompile(`\b(?:page|private|ending|mux\.Handle)\("([A-Z]+) (/[^"]*)", h\.(?:web\.(?:Open|Ending)|oauth|account|portal)`)
	for _, m := range route.FindAllStringSubmatch(string(source), -1) {
		if m[1] == method {
			paths = append(paths, m[2])
		}
	}
	if want := strings.Count(string(source), `page("`+method+" ") + strings.Count(string(source), `private("`+method+" ") + strings.Count(string(source), `ending("`+method+" "); len(paths) < want || want < 10 {
		t.Fatalf("%d %s routes of %d found; the test reads server/routes.go wrongly", len(paths), method, want)
	}
	return paths
}

// place fills the wildcards of a path with what the fixtures have: the installation and the secret of an app.
func place(t *testing.T, e *harness.Env, app harness.App, path string) string {
	t.Helper()
	if strings.Contains(path, "{installation}") {
		installed, _, err := e.Store.InstalledApps(t.Context(), e.U.ID, store.InstalledQuery{})
		if err != nil || len(installed) == 0 {
			t.Fatalf("no installation: %v", err)
		}
		path = strings.ReplaceAll(path, "{installation}", installed[0].ID)
	}
	secretOf := app.Secret
	if strings.Contains(path, "{key}") {
		key := e.AddKey(e.U.Account.ID, "")
		path, secretOf = strings.ReplaceAll(path, "{key}", key.ID), key.Text
	}
	if strings.Contains(path, "{bot}") {
		bot := e.AddBot(e.U.Account.ID, "Bot")
		path, secretOf = strings.ReplaceAll(path, "{bot}", bot.ID), bot.Secret
	}
	if strings.Contains(path, "{secret}") {
		path = strings.ReplaceAll(path, "{secret}", e.Parse(secretOf).ID.String())
	}
	if strings.Contains(path, "{session}") {
		sessions, err := e.Store.SessionsByUser(t.Context(), e.U.ID)
		if err != nil || len(sessions) == 0 {
			t.Fatalf("no session: %v", err)
		}
		path = strings.ReplaceAll(path, "{session}", hex.EncodeToString(sessions[0].ID))
	}
	if strings.Contains(path, "{program}") {
		path = strings.ReplaceAll(path, "{program}", familyOf(e, e.UserTokens(e.U)))
	}
	path = strings.ReplaceAll(path, "{form}", strings.Repeat("x", 43))
	path = strings.ReplaceAll(path, "{id}", app.ID)
	return strings.ReplaceAll(path, "{$}", "")
}

// changes are the paths whose POST changes something, what a GET of each is answered with, and what the POST would take.
var changes = map[string]struct {
	status int
	form   url.Values
}{
	"/oauth/authorize":                    {http.StatusOK, url.Values{"decision": {"allow"}, "prompt": {"consent"}}}, // asks
	"/oauth/consent":                      {http.StatusBadRequest, url.Values{"decision": {"allow"}}},                // a page's id opens nothing
	"/signup":                             {http.StatusSeeOther, url.Values{"name": {"X"}, "email": {"x@users.test"}, "password": {harness.Password}}},
	"/login":                              {http.StatusSeeOther, url.Values{"email": {"olga@users.test"}, "password": {harness.Password}}},
	"/logout":                             {http.StatusOK, nil}, // asks
	"/account":                            {http.StatusOK, url.Values{"name": {"Mallory"}}},
	"/account/apps/{installation}/remove": {http.StatusOK, nil}, // asks
	"/account/security":                   {http.StatusOK, url.Values{"current_password": {harness.Password}, "password": {"another horse battery"}}},
	"/account/security/sessions":          {http.StatusMethodNotAllowed, nil},
	"/account/security/sessions/{session}/end":    {http.StatusMethodNotAllowed, nil},
	"/account/security/programs/{program}/end":    {http.StatusMethodNotAllowed, nil},
	"/account/keys/{key}/secrets/{secret}/revoke": {http.StatusOK, nil}, // asks
	"/account/bots/{bot}/secrets/{secret}/revoke": {http.StatusOK, nil}, // asks
	"/account/keys":                                {http.StatusOK, url.Values{"name": {"X"}, "kind": {"account"}}},
	"/account/keys/{key}/rotate":                   {http.StatusOK, url.Values{"keep": {"now"}}}, // asks
	"/account/keys/{key}/revoke":                   {http.StatusOK, nil},                         // asks
	"/account/bots":                                {http.StatusOK, url.Values{"name": {"X"}}},
	"/account/bots/{bot}/rotate":                   {http.StatusOK, url.Values{"keep": {"now"}}}, // asks
	"/account/bots/{bot}/remove":                   {http.StatusOK, nil},                         // asks
	"/developer/apps":                              {http.StatusOK, url.Values{"name": {"X"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}}},
	"/developer/apps/{id}/edit":                    {http.StatusOK, url.Values{"name": {"X"}, "redirect_uris": {"https://evil.test"}, "scopes": {"faqs"}, "version": {"1"}}},
	"/developer/apps/{id}/secrets":                 {http.StatusMethodNotAllowed, url.Values{"keep": {"now"}}},
	"/developer/apps/{id}/secrets/{secret}/revoke": {http.StatusOK, nil},                              // asks
	"/developer/apps/{id}/delete":                  {http.StatusOK, url.Values{"confirm": {"Alpha"}}}, // asks
}

// TestGetChangesNothing_W4: GET and HEAD, with all that the POST would take in the query, of every path that changes something (log
// in and out, sign up, consent, remove an app, rotate or revoke a secret or an API key, make a key or a bot, remove a bot,
// edit or delete an app, change the password): 405 or
// a page that asks, and nothing has changed.
func TestGetChangesNothing_W4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		in, twin := e.LoggedIn(e.U), e.LoggedIn(e.U)
		e.AddUser("olga@users.test")
		token := e.Grant(in, e.A).WantToken(t)
		shown := in.Get(address(request(e.B)))
		state := func() int {
			return e.Count(`SELECT (SELECT COUNT(*) FROM audit_events) + 1000 * (SELECT COUNT(*) FROM sessions)
				+ 1000000 * ((SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM apps) + (SELECT COUNT(*) FROM client_secrets))`) + 1000000000*e.CountGrants()
		}
		seen := 0
		for _, path := range mounted(t, http.MethodPost) {
			change, known := changes[path]
			if !known {
				t.Errorf("POST %s is mounted, and this test does not know what a GET of it must do", path)
				continue
			}
			seen++
			query := request(e.A)
			query.Set("request_id", shown.Hidden("request_id"))
			for name, values := range change.form {
				query[name] = values
			}
			target := place(t, e, e.A, path) + "?" + query.Encode()
			before := state() // a key or bot may have been made for the path
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := in.Visit(method, target)
				if a.Status != change.status || strings.HasPrefix(a.Header.Get("Location"), "http") || a.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s %s: status %d, Location %q, want %d: %.500s", method, path, a.Status, a.Header.Get("Location"), change.status, a.Body)
				}
				if change.status == http.StatusMethodNotAllowed && a.Header.Get("Allow") != "POST" {
					t.Errorf("%s %s: Allow = %q", method, path, a.Header.Get("Allow"))
				}
				if n := state(); n != before {
					t.Errorf("%s %s has changed something: %d, was %d", method, path, n, before)
					before = n
				}
			}
		}
		if seen != len(changes) {
			t.Errorf("%d paths asked, %d known: one of them is no longer mounted", seen, len(changes))
		}
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			a := e.Browser().Visit(http.MethodGet, path+"?"+e.A.As("token", token, "code", "x").Encode())
			if allow := a.Header.Get("Allow"); a.Status != http.StatusMethodNotAllowed || !strings.Contains(allow, "POST") || strings.Contains(allow, "GET") {
				t.Errorf("GET %s: status %d, Allow %q", path, a.Status, allow)
			}
		}
		e.WantLive(token, true)
		twin.Get("/account").WantPage(t, http.StatusOK)
		e.LoggedIn(e.U)
		e.WantCode(in.Decide(shown, "allow"), harness.CB, "xyz")
	})
}
