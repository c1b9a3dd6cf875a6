package e2e

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

const (
	bareChallenge    = `Bearer realm="xenoauth"`
	invalidChallenge = `Bearer realm="xenoauth", error="invalid_token"`
)

// ask asks /api/me in any way: headers are given as name, value, …, and may repeat.
func askBearer(t *testing.T, e *harness.Env, target, contentType, body string, headers ...string) harness.Answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequest(http.MethodGet, e.URL+target, reader)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return e.With(t).Do(request)
}

// wantChallenge asserts a 401 with exactly this challenge, and a body without data of any user.
func wantChallenge(t *testing.T, a harness.Answer, challenge string) {
	t.Helper()
	a.WantError(t, http.StatusUnauthorized, "invalid_token")
	wantMembers(t, a, "error", "error_description")
	if got := a.Header.Values("WWW-Authenticate"); !slices.Equal(got, []string{challenge}) {
		t.Errorf("WWW-Authenticate = %q, want %q", got, challenge)
	}
	wantHeaders(t, a, map[string]string{"Location": "", "Set-Cookie": ""})
}

// TestBearerChallenge_B1: GET /api/me and /oauth/verify without an Authorization header: 401 with a bare challenge. With a malformed
// header, an empty one, another scheme, two of them, a credential of another kind, a token that is unknown, forged, revoked
// or expired: 401 with error="invalid_token", never a 400, and the same answer to the byte.
func TestBearerChallenge_B1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		token := e.Grant(b, e.A).WantToken(t)
		me := func(t *testing.T, headers ...string) harness.Answer {
			return askBearer(t, e, "/api/me", "", "", headers...)
		}
		forward := func(t *testing.T, headers ...string) harness.Answer {
			return askBearer(t, e, "/oauth/verify?scope=contacts", "", "", headers...)
		}
		for _, on := range []func(*testing.T, ...string) harness.Answer{me, forward} {
			wantChallenge(t, on(t), bareChallenge)
			wantChallenge(t, on(t, "Cookie", "xenoauth=x"), bareChallenge)
		}

		revoked := e.Grant(b, e.A).WantToken(t)
		wantRevoked(t, revoke(e, e.A, revoked))
		expired := e.Grant(b, e.P).WantToken(t)
		id := e.Parse(expired).ID
		e.Exec(`UPDATE expiring_tokens SET expires_at = created_at WHERE id = $1`, id[:])
		mint := secret.Format{}
		first, firstForward := me(t, "Authorization", "Bearer x"), forward(t, "Authorization", "Bearer x")
		for name, header := range map[string]string{
			"empty": "", "scheme alone": "Bearer", "scheme and space": "Bearer ", "no scheme": token, "Basic": "Basic " + token, "Basic of the app": harness.Basic(e.A.ID, e.A.Secret),
			"Digest": "Digest username=x", "Token": "Token " + token, "MAC": "MAC " + token, "DPoP": "DPoP " + token, "Bearer with a colon": "Bearer: " + token,
			"quoted": `Bearer "` + token + `"`, "parameter": "Bearer token=" + token, "two tokens": "Bearer " + token + " " + token, "list": "Bearer " + token + ", Bearer " + token,
			"equals": "Bearer " + token + "=", "garbage": "Bearer x", "not ASCII": "Bearer tökén", "bytes": "Bearer \xff\xfe", "quotes": `Bearer '"--`,
			"revoked": "Bearer " + revoked, "expired": "Bearer " + expired, "forged": "Bearer " + forged(token), "cut": "Bearer " + token[:75],
			"unknown": "Bearer " + mint.New(secret.Access).Reveal(), "code": "Bearer " + b.Code(e.A), "refresh": "Bearer " + newFamily(t, e, b, e.P).refresh,
			"client secret": "Bearer " + e.A.Secret, "API key": "Bearer " + mint.New(secret.APIKey).Reveal(), "bot secret": "Bearer " + mint.New(secret.Bot).Reveal(),
			"integration token": "Bearer " + mint.New(secret.Integration).Reveal(), "request": "Bearer " + b.Get(address(request(e.B))).Hidden("request_id"),
		} {
			t.Run(name, func(t *testing.T) {
				a := me(t, "Authorization", header)
				wantChallenge(t, a, invalidChallenge)
				wantSameAnswer(t, a, first)
				a = forward(t, "Authorization", header)
				wantChallenge(t, a, invalidChallenge)
				wantSameAnswer(t, a, firstForward)
			})
		}
		for _, on := range []func(*testing.T, ...string) harness.Answer{me, forward} {
			wantChallenge(t, on(t, "Authorization", "Bearer "+token, "Authorization", "Bearer "+token), invalidChallenge)
			wantChallenge(t, on(t, "Authorization", "Bearer "+token, "Authorization", "Basic x"), invalidChallenge)
		}
		e.WantLive(token, true)
	})
}

// TestBearerScope_B2: a token has the approved scopes that its app still has. /api/me and introspection return the same scopes,
// and only permissions that the scopes cover. When the app loses one of two scopes, its tokens lose it at once; when it loses all
// scopes of a token, the token is invalid (401 invalid_token). Forward-auth with a scope that the token does not have, has no
// longer, or that does not exist: 403 insufficient_scope with scope=, and no identity.
func TestBearerScope_B2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		a := e.Grant(b, e.A, "scope", "faqs contacts")
		wantScopes(t, e, e.A, a, "faqs contacts")
		token := a.WantToken(t)
		if got, want := e.Me(token).JSON(t)["permissions"], e.Introspect(e.A, token).JSON(t)["permissions"]; !slices.Equal(got.([]any), want.([]any)) || len(got.([]any)) == 0 {
			t.Errorf("permissions: %v, and introspection says %v", got, want)
		}
		forward := func(scope string, status int) {
			t.Helper()
			a := e.Verify(token, "scope="+scope)
			if a.Status != status || len(harness.IdentityOf(a.Header)) != map[int]int{http.StatusOK: 6}[status] {
				t.Errorf("forward-auth for %s: %d %v, want %d: %s", scope, a.Status, harness.IdentityOf(a.Header), status, a.Body)
			}
			if status == http.StatusForbidden {
				a.WantError(t, status, "insufficient_scope")
				wantHeaders(t, a, map[string]string{"WWW-Authenticate": `Bearer realm="xenoauth", error="insufficient_scope", scope="` + scope + `"`})
			}
		}
		forward("faqs", http.StatusOK)
		forward("widgets", http.StatusForbidden)
		forward("bogus", http.StatusForbidden)
		forward("admin", http.StatusForbidden)
		shrink := func(names ...string) {
			t.Helper()
			app, err := e.Rules.App(t.Context(), harness.Operator, e.A.ID)
			if err != nil {
				t.Fatal(err)
			}
			form := directory.AppForm{Name: app.Name, RedirectURIs: app.RedirectURIs, Scopes: names}
			if _, err := e.Rules.UpdateApp(t.Context(), harness.Operator, app, app.Version, form); err != nil {
				t.Fatal(err)
			}
		}
		shrink("widgets", "contacts")
		forward("faqs", http.StatusForbidden)
		forward("contacts", http.StatusOK)
		me := e.Me(token)
		if scopes := me.JSON(t)["scopes"].([]any); len(scopes) != 1 || scopes[0] != "contacts" {
			t.Errorf("scopes = %v, want contacts alone", scopes)
		}
		for _, permission := range me.JSON(t)["permissions"].([]any) {
			if !strings.HasPrefix(permission.(string), "contact:") {
				t.Errorf("the token may %s", permission)
			}
		}
		shrink("widgets")
		wantChallenge(t, e.Me(token), invalidChallenge)
		forward("widgets", http.StatusUnauthorized)
		e.WantActive(e.A, token, false)
		shrink("widgets", "faqs")
		if scopes := e.Me(token).JSON(t)["scopes"].([]any); len(scopes) != 1 || scopes[0] != "faqs" {
			t.Errorf("scopes = %v, want faqs alone", scopes)
		}
	})
}

// TestBearerInQueryOrBody_B3: a live token in the query of /api/me, in a form or JSON body, or in both, without an Authorization header:
// refused as no token (401, bare challenge). Beside an Authorization header, good or bad, whatever its spelling, even empty
// or malformed: 400 invalid_request. A POST: 405.
func TestBearerInQueryOrBody_B3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
		form := url.Values{"access_token": {token}}.Encode()
		good, bad := []string{"Authorization", "Bearer " + token}, []string{"Authorization", "Bearer x"}
		for name, c := range map[string]struct{ target, contentType, body string }{
			"query":                 {"/api/me?" + form, "", ""},
			"query, twice":          {"/api/me?" + form + "&" + form, "", ""},
			"query, encoded name":   {"/api/me?%61ccess_token=" + token, "", ""},
			"query, empty":          {"/api/me?access_token=", "", ""},
			"query, no value":       {"/api/me?access_token", "", ""},
			"query, malformed":      {"/api/me?access_token=%zz", "", ""},
			"query, with semicolon": {"/api/me?access_token=" + token + ";x=y", "", ""},
			"form":                  {"/api/me", formType, form},
			"form with charset":     {"/api/me", formType + "; charset=UTF-8", form},
			"form and query":        {"/api/me?" + form, formType, form},
		} {
			t.Run(name, func(t *testing.T) {
				wantChallenge(t, askBearer(t, e, c.target, c.contentType, c.body), bareChallenge)
				for _, header := range [][]string{good, bad} {
					a := askBearer(t, e, c.target, c.contentType, c.body, header...)
					a.WantError(t, http.StatusBadRequest, "invalid_request")
					if got := a.Header.Get("WWW-Authenticate"); got != "" {
						t.Errorf("WWW-Authenticate = %q, want none", got)
					}
				}
			})
		}
		wantChallenge(t, askBearer(t, e, "/api/me", "application/json", `{"access_token":"`+token+`"}`), bareChallenge)
		for _, other := range []string{"?token=", "?bearer_token=", "?authorization=Bearer%20", "?api_key="} {
			wantChallenge(t, askBearer(t, e, "/api/me"+other+token, "", ""), bareChallenge)
		}
		post := e.Post("/api/me", url.Values{"access_token": {token}})
		if post.Status != http.StatusMethodNotAllowed || !strings.Contains(post.Header.Get("Allow"), "GET") {
			t.Errorf("POST: status %d, Allow %q", post.Status, post.Header.Get("Allow"))
		}
		e.WantLive(token, true)
	})
}

// TestBearerHeaderForm_B4: at /api/me and /oauth/verify, the scheme in lower, upper and mixed case works, and so do several spaces
// between scheme and token (RFC 9110 §11.4). A tab there, a tab or space in the token: 401 invalid_token. 40 kB of dots, of base64, of spaces: 401; 100 kB: 431 from the HTTP server; and the next request
// is answered as ever. (That reading such a header allocates nothing is TestBearerTokenAllocatesNothing of server/web.)
func TestBearerHeaderForm_B4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
		browser := e.Browser()
		me := func(t *testing.T, value string) harness.Answer {
			// A connection of its own: HTTP clients tidy up white space.
			return browser.With(t).Visit(http.MethodGet, "/api/me", "Authorization: "+value)
		}
		forward := func(t *testing.T, value string) harness.Answer {
			return browser.With(t).Visit(http.MethodGet, "/oauth/verify", "Authorization: "+value)
		}
		for _, scheme := range []string{"bearer", "BEARER", "bEaReR", "Bearer"} {
			if a := me(t, scheme+" "+token); a.Status != http.StatusOK || a.String(t, "sub") != e.U.ID {
				t.Errorf("%s: status %d: %s", scheme, a.Status, a.Body)
			}
			if a := forward(t, scheme+" "+token); a.Status != http.StatusOK || a.Header.Get("X-Xenoauth-User") != e.U.ID {
				t.Errorf("%s, forward-auth: status %d: %s", scheme, a.Status, a.Body)
			}
		}
		for _, spaces := range []string{"  ", strings.Repeat(" ", 40)} {
			if a := me(t, "Bearer"+spaces+token); a.Status != http.StatusOK || a.String(t, "sub") != e.U.ID {
				t.Errorf("%d spaces: status %d: %s", len(spaces), a.Status, a.Body)
			}
			if a := forward(t, "Bearer"+spaces+token); a.Status != http.StatusOK || a.Header.Get("X-Xenoauth-User") != e.U.ID {
				t.Errorf("%d spaces, forward-auth: status %d: %s", len(spaces), a.Status, a.Body)
			}
		}
		for name, value := range map[string]string{
			"spaces and a tab": "Bearer  \t" + token, "spaces alone": "Bearer   ", "tab": "Bearer\t" + token, "space and tab": "Bearer \t" + token, "tab in it": "Bearer " + token[:30] + "\t" + token[30:],
			"space in it": "Bearer " + token[:30] + " " + token[30:], "vertical tab": "Bearer\v" + token, "no-break space": "Bearer\u00a0" + token,
			"dots": "Bearer " + strings.Repeat(".", 40<<10), "dots alone": strings.Repeat(".", 40<<10), "base64": "Bearer " + strings.Repeat("QUJD", 10<<10),
			"spaces": "Bearer x" + strings.Repeat(" ", 40<<10) + "x", "commas": "Bearer " + strings.Repeat(",", 40<<10), "long token": "Bearer " + strings.Repeat(token, 500),
		} {
			t.Run(name, func(t *testing.T) {
				a := me(t, value)
				if name == "vertical tab" { // no byte of a header: refused by the HTTP server itself
					if a.Status != http.StatusBadRequest {
						t.Errorf("status = %d, want 400", a.Status)
					}
					return
				}
				wantChallenge(t, a, invalidChallenge)
				wantChallenge(t, forward(t, value), invalidChallenge)
			})
		}
		for _, filler := range []string{".", " ", token} {
			value := "Bearer x" + strings.Repeat(filler, 100<<10/len(filler)) + "x"
			if a := me(t, value); a.Status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("100 kB: status %d, want 431", a.Status)
			}
		}
		e.WantLive(token, true)
	})
}

// TestBearerElsewhere_B5: a live access token as user or password of Basic, as client secret, as a cookie of any name, the session's
// among them, as an API key in a header or the query: 401 at /api/me, 401 invalid_client at the token, revocation and
// introspection endpoints, and logged out on every page; as a Bearer header it opens no page either. The token is
// untouched. So with an API key, whose scopes are a token's. (Scopes that a route needs: B2 and TestForwardAuth.)
func TestBearerElsewhere_B5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for _, token := range []string{e.Grant(e.LoggedIn(e.U), e.A).WantToken(t), e.AddKey(e.U.Account.ID, "", "admin").Text} {
			b5Carriers(t, e, token)
		}
	})
}

func b5Carriers(t *testing.T, e *harness.Env, token string) {
	for _, basic := range []string{
		harness.Basic(token, ""), harness.Basic("", token), harness.Basic(token, "x-oauth-basic"), harness.Basic("x-access-token", token), harness.Basic(e.A.ID, token), harness.Basic(e.U.Email, token),
		harness.Basic(e.U.Email, harness.Password), harness.Basic(token, token),
	} {
		wantChallenge(t, askBearer(t, e, "/api/me", "", "", "Authorization", basic), invalidChallenge)
		eachProtected(t, e, nil, []string{"Authorization", basic}, wantInvalidClient)
	}
	for _, form := range []url.Values{
		{"client_id": {e.A.ID}, "client_secret": {token}}, {"client_id": {token}}, {"client_id": {token}, "client_secret": {token}}, {"access_token": {token}}, {"api_key": {token}},
	} {
		eachProtected(t, e, form, nil, wantInvalidClient)
	}
	for _, headers := range [][]string{
		{"X-Api-Key", token}, {"Api-Key", token}, {"X-Access-Token", token}, {"X-Auth-Token", token}, {"X-Authorization", "Bearer " + token}, {"Proxy-Authorization", "Bearer " + token},
		{"X-Xenoauth-User", e.U.ID}, {"X-Forwarded-User", e.U.ID}, {"Cookie", "access_token=" + token}, {"Cookie", "xenoauth=" + token}, {"Cookie", "token=" + token + "; Authorization=Bearer " + token},
	} {
		t.Run(headers[0], func(t *testing.T) {
			wantChallenge(t, askBearer(t, e, "/api/me", "", "", headers...), bareChallenge)
			eachProtected(t, e, nil, headers, wantInvalidClient)
			for _, path := range []string{"/account", "/account/apps", "/account/security", "/developer/apps", "/developer/apps/" + e.A.ID} {
				a := askBearer(t, e, path, "", "", headers...)
				if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login?next=") {
					t.Errorf("%s: status %d, Location %q, want the log-in page", path, a.Status, a.Header.Get("Location"))
				}
			}
		})
	}
	for _, header := range []string{"Bearer " + token, harness.Basic(e.U.Email, harness.Password)} {
		if a := askBearer(t, e, "/account", "", "", "Authorization", header); a.Status != http.StatusSeeOther {
			t.Errorf("a page is opened by Authorization: status %d", a.Status)
		}
	}
	e.WantLive(token, true)
}
