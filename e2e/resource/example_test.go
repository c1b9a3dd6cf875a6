package resource

import (
	"encoding/base64"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
)

const (
	bare        = `Bearer realm="xenoauth"`
	invalid     = `Bearer realm="xenoauth", error="invalid_token"`
	twice       = `Bearer realm="xenoauth", error="invalid_request"`
	noScope     = `Bearer realm="xenoauth", error="insufficient_scope"`
	needContact = noScope + `, scope="contacts"`
)

// TestExamples: the example in each language answers alike: to good tokens, to none, to malformed and dead ones, to those
// that may not; to a revoked one from the next request on; and with 503 when Xenoauth cannot be asked. A user token that has
// expired is 403, as everywhere.
func TestExamples(t *testing.T) {
	t.Parallel()
	for language, command := range examples {
		t.Run(language, func(t *testing.T) {
			harness.Each(t, func(t *testing.T, e *harness.Env) {
				w := newWorld(t, e)
				testExample(t, w, w.start(t, command(t)))
				w = newWorld(t, e)
				testExampleAudience(t, w, command(t))
				// When Xenoauth refuses the API itself, no client's token is called bad for it.
				w.secret = "wrong"
				if a := w.start(t, command(t)).get("/contacts", "Bearer "+w.token(t, "contacts")); a.Status != http.StatusServiceUnavailable {
					t.Errorf("an API with a wrong secret answers %d, want 503: %s", a.Status, a.Body)
				}
			}, withCatalogue(t))
		})
	}
}

// TestExamplesNeedAnOwner: a permission on oneself that is asked for without saying whose data it is about is refused by the
// JavaScript example when the server starts; in Python it lets only those through who have the permission on everybody.
func TestExamplesNeedAnOwner(t *testing.T) {
	t.Parallel()
	program := `import { permission } from "./bearer.mjs"; try { permission("user:fetch:self"); } catch (e) { console.log(e.name); }`
	cmd := exec.Command(need(t, "node"), "--input-type=module", "--eval", program)
	cmd.Dir = "../../docs/examples/javascript"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "TypeError\n" {
		t.Errorf("JavaScript says %q, %v; want a TypeError", out, err)
	}
	program = `import bearer
v = bearer.Verifier("a", "b", "https://issuer.test")
v.introspect = lambda token: {"active": True, "token_type": "Bearer", "sub": "u", "permissions": ["user:fetch:self"]}
try:
    v.require(["Bearer x"], "/", permission="user:fetch:self")
except bearer.Refusal as r:
    print(r.status)`
	cmd = exec.Command(need(t, "python3"), "-B", "-c", program)
	cmd.Dir = "../../docs/examples/python"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "403\n" {
		t.Errorf("Python says %q, %v; want 403", out, err)
	}
}

// TestExamplesAnswerRequirements: in JavaScript and Python, a 403 names the scopes that are missing and none that the token has;
// a route for one bot takes that bot's token, and not one without a bot.
func TestExamplesAnswerRequirements(t *testing.T) {
	t.Parallel()
	program := `import { bot, permission, scope, verifier } from "./bearer.mjs";
const ask = async (needs, more) => {
  globalThis.fetch = async () => Response.json({ active: true, token_type: "Bearer", sub: "u", scope: "contacts", permissions: ["contact:list"], ...more });
  let said = "passes";
  const response = { writeHead: (status, headers) => { said = status + " " + headers["www-authenticate"]; }, end() {} };
  const protect = verifier({ endpoint: "http://x.test", clientId: "a", clientSecret: "b" });
  await protect(needs, () => {})({ url: "/", headersDistinct: { authorization: ["Bearer x"] } }, response);
  console.log(said);
};
await ask([scope("contacts"), permission("contact:fetch")]);
await ask([scope("contacts"), scope("faqs"), scope("faqs")]);
await ask([bot("b1")], { bot: "b1" });
await ask([bot("b2")], { bot: "b1" });
await ask([bot("b1")]);
await ask([bot(undefined)]);
await ask([scope("contacts")], { aud: "https://api.test" });`
	const denied = "403 " + noScope + "\n"
	want := denied + "403 " + noScope + ", scope=\"faqs\"\npasses\n" + denied + denied + denied + denied
	cmd := exec.Command(need(t, "node"), "--input-type=module", "--eval", program)
	cmd.Dir = "../../docs/examples/javascript"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("JavaScript answers %s, %v; want %s", out, err, want)
	}
	program = `import bearer
def ask(needs, **more):
    v = bearer.Verifier("a", "b", "https://issuer.test")
    v.introspect = lambda token: {"active": True, "token_type": "Bearer", "sub": "u", "scope": "contacts", "permissions": ["contact:list"], **more}
    try:
        v.require(["Bearer x"], "/", **needs)
        print("passes")
    except bearer.Refusal as r:
        print(r.status, r.headers["WWW-Authenticate"])
ask({"scope": "contacts", "permission": "contact:fetch"})
ask({"scope": "faqs", "permission": "contact:list"})
ask({"bot": "b1"}, bot="b1")
ask({"bot": "b2"}, bot="b1")
ask({"bot": "b1"})
ask({"bot": ""})
ask({"scope": "contacts"}, aud="https://api.test")`
	cmd = exec.Command(need(t, "python3"), "-B", "-c", program)
	cmd.Dir = "../../docs/examples/python"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("Python answers %s, %v; want %s", out, err, want)
	}
}

func testExample(t *testing.T, w *world, api program) {
	all := w.token(t, "contacts conversations me")
	faqs := w.token(t, "faqs")
	narrowed := w.narrowed(t, "https://api.test")
	refresh := w.env.Grant(w.user, w.env.AddExpiring("Expiring")).String(t, "refresh_token")
	oneself, another := "/users/"+w.env.U.ID, "/users/000000000000000000000000"
	for name, c := range map[string]struct {
		path          string
		authorization []string
		status        int
		challenge     string
	}{
		"a scope":                {"/contacts", []string{"Bearer " + all}, 200, ""},
		"the scheme in capitals": {"/contacts", []string{"BEARER " + all}, 200, ""},
		"a permission":           {"/conversations", []string{"bearer " + all}, 200, ""},
		"oneself":                {oneself, []string{"Bearer " + all}, 200, ""},
		"somebody else":          {another, []string{"Bearer " + all}, 403, noScope},
		"no scope":               {"/contacts", []string{"Bearer " + faqs}, 403, needContact},
		"no permission":          {"/conversations", []string{"Bearer " + faqs}, 403, noScope},
		"not even oneself":       {oneself, []string{"Bearer " + faqs}, 403, noScope},
		"no token":               {"/contacts", nil, 401, bare},
		"a token in the URL":     {"/contacts?access_token=" + all, nil, 401, bare},
		"two tokens":             {"/contacts?access_token=" + all, []string{"Bearer " + all}, 400, twice},
		"two headers":            {"/contacts", []string{"Bearer " + all, "Bearer " + all}, 401, invalid},
		"an empty header":        {"/contacts", []string{""}, 401, invalid},
		"two spaces":             {"/contacts", []string{"Bearer  " + all}, 200, ""},
		"spaces and a tab":       {"/contacts", []string{"Bearer  \t" + all}, 401, invalid},
		"for another API":        {"/contacts", []string{"Bearer " + narrowed}, 403, noScope},
		"a tab":                  {"/contacts", []string{"Bearer\t" + all}, 401, invalid},
		"more than a token":      {"/contacts", []string{"Bearer " + all + " x"}, 401, invalid},
		"another scheme":         {"/contacts", []string{harness.Basic(all, "")}, 401, invalid},
		"dots":                   {"/contacts", []string{"Bearer " + strings.Repeat(".", 9000)}, 401, invalid},
		"an unknown token":       {"/contacts", []string{"Bearer " + all[:len(all)-1] + "_"}, 401, invalid},
		"a refresh token":        {"/contacts", []string{"Bearer " + refresh}, 401, invalid},
		"an expired user token":  {"/contacts", []string{"Bearer " + jwt(`{"exp":1700000000}`)}, 403, invalid},
		"a dead user token":      {"/contacts", []string{"Bearer " + jwt(`{"exp":4000000000}`)}, 401, invalid},
		"a JWT without an end":   {"/contacts", []string{"Bearer " + jwt(`{"iat":1}`)}, 401, invalid},
		"a JWT about nothing":    {"/contacts", []string{"Bearer " + jwt(`[1]`)}, 401, invalid},
		"a JWT of another kind":  {"/contacts", []string{"Bearer " + jwt(`{"exp":"1700000000x"}`)}, 401, invalid},
		"less than a JWT":        {"/contacts", []string{"Bearer x." + encoded(`{"exp":1700000000}`)}, 401, invalid},
		"no claims":              {"/contacts", []string{"Bearer x.y.z"}, 401, invalid},
	} {
		a := api.get(c.path, c.authorization...)
		if a.Status != c.status || a.Header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d %q, want %d %q: %s", name, a.Status, a.Header.Get("WWW-Authenticate"), c.status, c.challenge, a.Body)
			continue
		}
		if c.status == http.StatusOK && (a.String(t, "sub") != w.env.U.ID || a.String(t, "account") != w.env.U.Account.ID) {
			t.Errorf("%s: the API sees %s, want the user and the account", name, a.Body)
		}
		if c.status != http.StatusOK {
			wantRefusal(t, a)
		}
	}

	testExampleKinds(t, w, api)
	w.revoke(t, faqs)
	if a := api.get("/contacts", "Bearer "+faqs); a.Status != http.StatusUnauthorized {
		t.Errorf("a revoked token answers %d, want 401", a.Status)
	}
	w.front.Close()
	a := api.get("/contacts", "Bearer "+all)
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("without Xenoauth: %d with Retry-After %q, want 503 with one", a.Status, a.Header.Get("Retry-After"))
	}
	wantRefusal(t, a)
	// The line is written by another process and may arrive after its answer.
	for end := time.Now().Add(10 * time.Second); !strings.Contains(api.told.String(), "cannot be verified") && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if told := api.told.String(); !strings.Contains(told, "cannot be verified") || strings.Contains(told, all) || strings.Contains(told, w.secret) {
		t.Errorf("the operator of the API was told %q, want the trouble and no secret", told)
	}
}

// testExampleAudience: an API that names itself takes tokens for it, with the slash of an origin or without, and no others.
func testExampleAudience(t *testing.T, w *world, command []string) {
	api := w.start(t, command, "AUDIENCE=https://api.test")
	for token, status := range map[string]int{
		w.narrowed(t, "https://api.test"): 200, w.narrowed(t, "https://api.test/"): 200, w.narrowed(t, "https://other.test"): 401,
		w.narrowed(t, "https://api.test/x"): 401, w.narrowed(t, "https://other.test", "https://api.test"): 200, w.token(t, "contacts"): 401,
	} {
		if a := api.get("/contacts", "Bearer "+token); a.Status != status {
			t.Errorf("an API for https://api.test answers %d to aud %v, want %d: %s", a.Status, w.env.Introspect(w.app, token).JSON(t)["aud"], status, a.Body)
		}
	}
}

// testExampleKinds asks with each kind of token that there is: an app's for its scopes, the others for roles, which cascade.
func testExampleKinds(t *testing.T, w *world, api program) {
	opens := map[string]string{
		"app": "/contacts /conversations", "expiring": "/contacts /conversations", "client credentials": "/contacts", "user token": "/conversations /desk self",
		"API key": "/conversations /desk self", "integration, account": "/conversations /desk", "integration, bot": "/conversations /desk self",
	}
	for _, b := range w.env.Bearers() {
		for _, name := range []string{"/contacts", "/conversations", "/desk", "self"} {
			path, want := name, http.StatusForbidden
			if name == "self" {
				path = "/users/" + b.Subject
			}
			if slices.Contains(strings.Fields(opens[b.Kind]), name) {
				want = http.StatusOK
			}
			if path == "/users/" {
				continue // nobody's
			}
			a := api.get(path, "Bearer "+b.Token)
			if a.Status != want || want == http.StatusOK && b.Identity["Account"] != "" && a.String(t, "account") != b.Identity["Account"] {
				t.Errorf("%s: %s answers %d, want %d: %s", b.Kind, path, a.Status, want, a.Body)
			}
		}
		w.env.Revoke(b.Token)
		if a := api.get("/conversations", "Bearer "+b.Token); a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != invalid {
			t.Errorf("%s, revoked: %d %q", b.Kind, a.Status, a.Header.Get("WWW-Authenticate"))
		}
	}
}

// jwt is a token with these claims that nobody signed.
func jwt(claims string) string { return encoded(`{"alg":"ES256"}`) + "." + encoded(claims) + ".c2ln" }

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func wantRefusal(t *testing.T, a harness.Answer) {
	t.Helper()
	if a.String(t, "error") == "" || a.String(t, "error_description") == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d is answered with %s, Cache-Control %q", a.Status, a.Body, a.Header.Get("Cache-Control"))
	}
}
