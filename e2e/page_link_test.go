package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// fieldValue matches the values of form fields and links, which are not sentences.
var fieldValue = regexp.MustCompile(`\s(?:value|href|action)="[^"]*"`)

// TestTextFromLink_N11: a stranger makes a link whose parameter names, values, path or host are a sentence of their own: on no page
// does it stand beside ours, logged in or not, in an error or not, and neither does it in the description of a JSON error or
// of one that an app is sent. A login_hint that is an e-mail address is the value of its form field, and nothing else.
func TestTextFromLink_N11(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		const phrase, host = "Your account is locked: call 555-0100", "call-555-0100.example"
		in, out := e.LoggedIn(e.U), e.Browser()
		see := func(what string, a harness.Answer) {
			t.Helper()
			shown := strings.ToLower(fieldValue.ReplaceAllString(a.Body, " "))
			if strings.Contains(shown, "555-0100") {
				t.Errorf("%s: %.2500s", what, a.Body)
			}
			if to, err := url.Parse(a.Header.Get("Location")); err != nil || to.Host != "" && strings.Contains(to.Query().Get("error_description"), "555-0100") {
				t.Errorf("%s: Location %s, %v", what, a.Header.Get("Location"), err)
			}
		}
		evil := url.QueryEscape(phrase)
		queries := []string{
			evil + "=1&" + evil + "=2", evil + "=%zz", evil + "=%ff", evil + ";x=1", evil, evil + "[]=1",
			"scope=" + evil, "scope[" + evil + "]=1", "state=1&state=" + evil, "error=" + evil + "&error_description=" + evil,
		}
		for name := range request(e.P, "prompt", "x", "login_hint", "x", "resource", "x", "response_mode", "x") {
			queries = append(queries, name+"="+evil, name+"=a&"+name+"="+evil)
		}
		for _, name := range []string{"next", "request_id", "account", "decision", "message", "error", "email", "name", "code", "token", "permission", "q", "page", "cursor"} {
			queries = append(queries, name+"="+evil)
		}
		sound := request(e.P)
		for _, b := range []*harness.Browser{in, out} {
			for _, path := range mounted(t, http.MethodGet) {
				target := strings.NewReplacer("{$}", "", "{", "", "}", "").Replace(path)
				for _, query := range queries {
					see(target+"?"+query, b.Get(target+"?"+query))
				}
			}
			for _, query := range queries {
				name, _, _ := strings.Cut(query, "=")
				rest := url.Values{}
				for n, values := range sound {
					if n != name {
						rest[n] = values
					}
				}
				see("authorize with "+query, b.Get("/oauth/authorize?"+rest.Encode()+"&"+query))
			}
			for _, target := range []string{"/" + url.PathEscape(phrase), "/account/" + url.PathEscape(phrase), "/developer/apps/" + url.PathEscape(phrase), "/oauth/" + url.PathEscape(phrase)} {
				see(target, b.Get(target))
			}
			for _, target := range []string{"/", "/login", "/nowhere", "/account/apps", "/oauth/authorize", address(sound)} {
				see("Host on "+target, b.VisitHost(host, http.MethodGet, target))
			}
		}
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/login", "/signup", "/oauth/consent", "/oauth/authorize"} {
			for _, query := range queries {
				see("POST "+path+" "+query, e.Raw(path, query))
			}
		}
		for _, query := range queries {
			see("the log-in", out.Get("/login?next=apps&"+query))
		}
		hint := "ada+555-0100@users.test"
		parked := out.Get(address(request(e.A, "login_hint", hint)))
		form := out.Get(parked.Header.Get("Location"))
		if got := form.Form("/login").Get("email"); got != hint {
			t.Errorf("the form holds %q, want the hint", got)
		}
		see("login_hint", form)
	})
}
