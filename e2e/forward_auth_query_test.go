package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestForwardAuthUnknownName: a query name that forward-auth does not know is named in the answer and in the log, as a
// warning; a value that may be a secret is not. A name that the operator lets through is not read, whatever its values.
func TestForwardAuthUnknownName(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
		leaked := secret.Format{}.New(secret.Access).Reveal()
		for query, named := range map[string]string{
			"permissions=contact:list": "permissions is not supported; use scope, permission, owner, bot, aud",
			"scop=admin":               "scop is not", leaked: "one parameter is not", leaked + "=": "one parameter is not", strings.Repeat("x", 33): "one parameter is not",
			"%3Cscript%3E=1": "one parameter is not", "=x": "one parameter is not", "scope=": "scope is empty", "bot=": "bot is empty",
		} {
			a := e.Verify(token, query)
			wantForward(t, query, a, http.StatusForbidden, lacksChallenge, nil)
			if d := a.String(t, "error_description"); !strings.HasPrefix(d, "invalid forward-auth query: "+named) {
				t.Errorf("%s: error_description = %q", query, d)
			}
			if text := warnings(e.Log.String()); !strings.Contains(text, named) || strings.Contains(text, leaked) {
				t.Errorf("%s: the log does not have the fault, or has a secret: %s", query, text)
			}
		}
		e = e.Sibling(func(o *server.Options) { o.VerifyIgnore = []string{"original", "uri"} })
		for query, status := range map[string]int{
			"scope=contacts&original=/x&uri=&uri=%20": 200, "original": 200, "scope=faqs&original=/x": 403, "Original=/x": 403, "originals=/x": 403,
		} {
			if a := e.Verify(token, query); a.Status != status {
				t.Errorf("%s: %d, want %d: %s", query, a.Status, status, a.Body)
			}
		}
	})
}

// warnings are the lines of a log at that level.
func warnings(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestForwardAuthAudience: a token that was narrowed to resources passes only where the gateway names one of them. An
// origin with and without its trailing slash is one resource: at authorize, at token, at refresh and at the gateway.
func TestForwardAuthAudience(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		expiring := e.AddExpiring("Expiring")
		narrowed := func(app harness.App, asked, narrow []string) harness.Answer {
			t.Helper()
			pairs := func(resources []string) (all []string) {
				for _, resource := range resources {
					all = append(all, "resource", resource)
				}
				return all
			}
			return e.Exchange(app, b.Code(app, pairs(asked)...), pairs(narrow)...)
		}
		for _, c := range []struct{ asked, narrow []string }{
			{[]string{"https://mcp.example.com/"}, []string{"https://mcp.example.com"}},
			{[]string{"https://mcp.example.com"}, []string{"https://mcp.example.com/"}},
			{[]string{"https://mcp.example.com", "https://mcp.example.com/"}, nil},
			{[]string{"https://other.test/x", "https://mcp.example.com/"}, []string{"https://mcp.example.com", "https://mcp.example.com/"}},
		} {
			a := narrowed(expiring, c.asked, c.narrow)
			refreshed := e.Token(expiring, "grant_type", "refresh_token", "refresh_token", a.String(t, "refresh_token"), "resource", "https://mcp.example.com/")
			for _, token := range []string{a.WantToken(t), refreshed.WantToken(t)} {
				if aud, one := e.Introspect(expiring, token).JSON(t)["aud"].(string); !one || strings.TrimSuffix(aud, "/") != "https://mcp.example.com" {
					t.Errorf("authorized for %v, narrowed to %v: aud %q", c.asked, c.narrow, aud)
				}
				for query, status := range map[string]int{
					"aud=https://mcp.example.com": 200, "aud=https://mcp.example.com/": 200, "scope=contacts&aud=https://mcp.example.com": 200,
					"": 403, "scope=contacts": 403, "permission=contact:list": 403, "aud=https://mcp.example.com/mcp": 403, "aud=https://other.test/x": 403,
					"aud=http://mcp.example.com": 403, "aud=https://mcp.example.com:443": 403, "aud=https://mcp.example.com//": 403, "aud=urn:x": 403,
				} {
					a := e.Verify(token, query)
					if a.Status != status || status == 403 && (a.Header.Get("WWW-Authenticate") != lacksChallenge || len(harness.IdentityOf(a.Header)) > 0) {
						t.Errorf("authorized for %v, narrowed to %v, asked for %q: %d %q: %s", c.asked, c.narrow, query, a.Status, a.Header.Get("WWW-Authenticate"), a.Body)
					}
				}
			}
		}
		narrowed(e.A, []string{"https://mcp.example.com/x"}, []string{"https://mcp.example.com/x/"}).WantRefused(t, http.StatusBadRequest, "invalid_target")
		narrowed(e.A, []string{"https://mcp.example.com/"}, []string{"https://mcp.example.com.evil.test"}).WantRefused(t, http.StatusBadRequest, "invalid_target")
		if a := e.Verify(narrowed(e.A, []string{"https://a.test", "https://b.test/y"}, nil).WantToken(t), "aud=https://b.test/y"); a.Status != http.StatusOK {
			t.Errorf("one of two resources: %d: %s", a.Status, a.Body)
		}
	})
}

// TestForwardAuthBot: the token that a bot's own endpoint gives to the account's key alone stands for the account: bot= of
// that bot refuses it, X-Xenoauth-Bot is empty, and introspection and /api/me know no bot. The bot's own passes.
func TestForwardAuthBot(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, bot, other := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "Order bot"), e.AddBot(e.U.Account.ID, "Other")
		api := e.AddResource("API")
		for _, c := range []struct {
			what, token, bot string
			passes           bool
		}{
			{"the account's key alone", e.IntegrateAt("/bots/"+bot.ID+"/authorization/integration", harness.Keys(key)).WantIntegration(t), "", false},
			{"the bot's keys", e.IntegrateAt("/bots/"+bot.ID+"/authorization/integration", harness.Keys(key, bot)).WantIntegration(t), bot.ID, true},
			{"another bot's keys", e.Integrate(harness.Keys(key, other)).WantIntegration(t), other.ID, false},
		} {
			a := e.Verify(c.token, "bot="+bot.ID)
			if (a.Status == http.StatusOK) != c.passes || !c.passes && (a.Status != http.StatusForbidden || a.Header.Get("WWW-Authenticate") != lacksChallenge) {
				t.Errorf("%s, bot= asked: %d: %s", c.what, a.Status, a.Body)
			}
			if got := e.Verify(c.token, "").Header.Values("X-Xenoauth-Bot"); len(got) != 1 || got[0] != c.bot {
				t.Errorf("%s: X-Xenoauth-Bot %q, want %q", c.what, got, c.bot)
			}
			if got, _ := e.Introspect(api, c.token).JSON(t)["bot"].(string); got != c.bot {
				t.Errorf("%s: introspection names bot %q, want %q", c.what, got, c.bot)
			}
			if got, _ := e.Me(c.token).JSON(t)["bot"].(map[string]any); (got == nil) != (c.bot == "") || got != nil && got["id"] != c.bot {
				t.Errorf("%s: /api/me has bot %v, want %q", c.what, got, c.bot)
			}
		}
	})
}
