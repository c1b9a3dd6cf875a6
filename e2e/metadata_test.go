package e2e

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
)

// lies are ways in which a request claims to have come to another host.
var lies = map[string]struct {
	host   string
	lines  []string
	prefix string // of the request target: its absolute form
}{
	"Host":                     {host: "evil.test"},
	"Host with a port":         {host: "evil.test:8443"},
	"Host of the app":          {host: "app.test"},
	"X-Forwarded-Host":         {lines: []string{"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443", "X-Forwarded-For: 10.9.8.7"}},
	"Forwarded":                {lines: []string{"Forwarded: for=10.9.8.7;host=evil.test;proto=https"}},
	"other headers":            {lines: []string{"X-Host: evil.test", "X-Original-Host: evil.test", "X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil.test", "Referer: https://evil.test/"}},
	"absolute form":            {host: "evil.test", prefix: "http://evil.test"},
	"absolute form, https":     {host: "evil.test", prefix: "https://evil.test"},
	"absolute form, other two": {host: "app.test", prefix: "http://evil.test", lines: []string{"X-Forwarded-Host: third.test"}},
}

// TestMetadata_D10: metadata, log-in redirects, redirects to the app, challenges, the pages with the app's addresses and error
// pages are asked for with another Host, X-Forwarded-Host and its kin, Forwarded, and an absolute-form target: status,
// body and headers are those of the honest request, to the byte. The metadata lists S256 only, response type code, the
// endpoints that are mounted, each of which answers, and the client authentication methods that work; nothing that is
// listed is missing, and nothing that works is unlisted. OpenID's address has the same document; registration is 404 until it exists.
// (Mails come with them.)
func TestMetadata_D10(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		b.Code(e.A) // approved before, so that asking again ends at the app
		out := e.Browser()
		for name, c := range map[string]struct {
			b              *harness.Browser
			method, target string
		}{
			"metadata":         {out, http.MethodGet, "/.well-known/oauth-authorization-server"},
			"to the log-in":    {out, http.MethodGet, "/account/apps"},
			"refusal":          {b, http.MethodGet, address(request(e.A, "scope", "bogus"))},
			"prompt none":      {out, http.MethodGet, address(request(e.A, "prompt", "none"))},
			"bad link":         {out, http.MethodGet, "/oauth/authorize?client_id=nope"},
			"app":              {b, http.MethodGet, "/developer/apps/" + e.A.ID},
			"front page":       {out, http.MethodGet, "/"},
			"log-in":           {out, http.MethodGet, "/login?next=security"},
			"bearer challenge": {out, http.MethodGet, "/api/me"},
			"not found":        {out, http.MethodGet, "/nowhere"},
			"wrong method":     {out, http.MethodGet, "/oauth/token"},
		} {
			honest := c.b.Visit(c.method, c.target)
			for how, lie := range lies {
				t.Run(name+", "+how, func(t *testing.T) {
					a := c.b.With(t).VisitHost(lie.host, c.method, lie.prefix+c.target, lie.lines...)
					wantSameAnswer(t, a, honest)
					if text := a.Header.Get("Location") + a.Body; strings.Contains(text, "evil") || strings.Contains(text, "third.test") {
						t.Errorf("the answer repeats the lie: %.300s", text)
					}
				})
			}
		}
		for how, lie := range lies {
			t.Run("code, "+how, func(t *testing.T) {
				a := b.With(t).VisitHost(lie.host, http.MethodGet, lie.prefix+address(request(e.A)), lie.lines...)
				code := e.With(t).WantCode(a, harness.CB, "xyz") // iss is the issuer
				e.With(t).WantLive(e.With(t).Exchange(e.A, code).WantToken(t), true)
			})
		}
		metadata(t, e, out)
	})
}

func metadata(t *testing.T, e *harness.Env, out *harness.Browser) {
	a := out.Get("/.well-known/oauth-authorization-server")
	m := a.JSON(t)
	list := func(member string) []string {
		var all []string
		for _, v := range m[member].([]any) {
			all = append(all, v.(string))
		}
		return all
	}
	for member, want := range map[string][]string{
		"code_challenge_methods_supported": {"S256"}, "response_types_supported": {"code"}, "response_modes_supported": {"query"},
		"grant_types_supported":                         {"authorization_code", "client_credentials", "refresh_token"},
		"token_endpoint_auth_methods_supported":         {"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":    {"client_secret_basic", "client_secret_post", "none"},
		"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post"},
	} {
		if got := list(member); !slices.Equal(got, want) {
			t.Errorf("%s = %v, want %v", member, got, want)
		}
	}
	if m["issuer"] != e.URL || m["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("issuer %v, iss parameter %v", m["issuer"], m["authorization_response_iss_parameter_supported"])
	}

	// Endpoints: each that is listed is mounted, each that is mounted under /oauth/ is listed, but for the page that only
	// the authorization endpoint leads to, and forward-auth, for which RFC 8414 has no member.
	source, err := os.ReadFile("../server/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	mountedAt := map[string]bool{}
	for _, path := range regexp.MustCompile(`"(?:[A-Z]+ )?(/oauth/[a-z/]+)`).FindAllStringSubmatch(string(source), -1) {
		mountedAt[path[1]] = true
	}
	delete(mountedAt, "/oauth/consent")
	delete(mountedAt, "/oauth/verify")
	for member, value := range m {
		if !strings.HasSuffix(member, "_endpoint") {
			continue
		}
		path, ours := strings.CutPrefix(value.(string), e.URL)
		if !ours || !mountedAt[path] {
			t.Errorf("%s = %v, which is not mounted", member, value)
		}
		delete(mountedAt, path)
		if a := out.Visit(http.MethodPost, path, "Content-Length: 0"); a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed || a.Status >= 500 {
			t.Errorf("%s answers %d to POST", path, a.Status)
		}
	}
	if len(mountedAt) > 0 {
		t.Errorf("mounted, but not in the metadata: %v", mountedAt)
	}
	if a := out.Get("/.well-known/jwks.json"); m["jwks_uri"] != e.URL+"/.well-known/jwks.json" || a.Status != http.StatusOK {
		t.Errorf("jwks_uri = %v; the key set answers %d", m["jwks_uri"], a.Status)
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server/x", "/oauth/register", "/oauth/userinfo", "/oauth/par"} {
		if a := out.Get(path); a.Status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, a.Status)
		}
	}

	// Methods: those listed work, others do not.
	for path, own := range protected {
		form, err := url.ParseQuery(own)
		if err != nil {
			t.Fatal(err)
		}
		wantOK(t, e.Post(path, form, "Authorization", harness.Basic(e.A.ID, e.A.Secret)))
		withAssertion := url.Values{"client_id": {e.A.ID}, "client_assertion": {"e30.e30.e30"}, "client_assertion_type": {bearerAssertion}}
		for name, values := range form {
			withAssertion[name] = values
		}
		wantInvalidClient(t, e.Post(path, withAssertion))
		form.Set("client_id", e.A.ID)
		form.Set("client_secret", e.A.Secret)
		wantOK(t, e.Post(path, form))
	}
	wantRevoked(t, e.Post("/oauth/revoke", e.P.As("token", "x")))
	// Scopes: each that is listed can be asked for.
	for _, name := range list("scopes_supported") {
		if a := out.Get(address(request(e.A, "scope", name))); a.Status != http.StatusSeeOther {
			t.Errorf("scope %s: status %d", name, a.Status)
		}
	}
}
