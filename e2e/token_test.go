package e2e

import (
	"context"
	"hash/crc32"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// send asks the token endpoint in any way.
func send(t *testing.T, e *harness.Env, method, contentType, body string) harness.Answer {
	t.Helper()
	request, err := http.NewRequest(method, e.URL+"/oauth/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Origin", "https://app.test")
	return e.Do(request)
}

const formType = "application/x-www-form-urlencoded"

// TestTokenHeaders_T1: Every answer of the token endpoint, 200 of each grant and every refusal (400, 401, 405, 413, 415): JSON,
// Cache-Control: no-store and Pragma: no-cache, readable by scripts of any site but without credentials, no redirect and
// no cookie; a success has token_type Bearer. A preflight allows POST and no credentials; revocation's does so too, and
// GET that of /api/me, of the metadata, of the keys and of every other address below /.well-known/, where a 404 and a 405 are as
// readable as a success. Introspection, authorization and pages are for no other site's scripts.
func TestTokenHeaders_T1(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		form := func(app harness.App, parameters ...string) string { return app.As(parameters...).Encode() }
		public := e.Grant(b, e.P)
		for name, c := range map[string]struct {
			status                    int
			method, contentType, body string
		}{
			"code, without grant_type": {200, "POST", formType, form(e.A, "code", b.Code(e.A), "redirect_uri", harness.CB)},
			"code":                     {200, "POST", formType, form(e.A, "grant_type", "authorization_code", "code", b.Code(e.A), "redirect_uri", harness.CB)},
			"public":                   {200, "POST", formType, form(e.P, "code", b.Code(e.P), "redirect_uri", harness.CB, "code_verifier", harness.Verifier)},
			"refresh":                  {200, "POST", formType, form(e.P, "grant_type", "refresh_token", "refresh_token", public.String(t, "refresh_token"))},
			"client credentials":       {200, "POST", formType, form(e.A, "grant_type", "client_credentials")},
			"JSON":                     {200, "POST", "application/json; charset=utf-8", `{"grant_type":"client_credentials","client_id":"` + e.A.ID + `","client_secret":"` + e.A.Secret + `"}`},
			"invalid_grant":            {400, "POST", formType, form(e.A, "code", "x")},
			"invalid_request":          {400, "POST", formType, form(e.A)},
			"invalid_scope":            {400, "POST", formType, form(e.A, "grant_type", "client_credentials", "scope", "bogus")},
			"unsupported_grant_type":   {400, "POST", formType, form(e.A, "grant_type", "password")},
			"unauthorized_client":      {400, "POST", formType, form(e.P, "grant_type", "client_credentials")},
			"malformed":                {400, "POST", formType, "code=%zz"},
			"malformed JSON":           {400, "POST", "application/json", `{"code":1}`},
			"invalid_client":           {401, "POST", formType, form(harness.App{ID: e.A.ID, Secret: "x"}, "code", "x")},
			"empty":                    {401, "POST", formType, ""},
			"GET":                      {405, "GET", "", ""},
			"PUT":                      {405, "PUT", formType, form(e.A, "code", "x")},
			"DELETE":                   {405, "DELETE", "", ""},
			"PATCH":                    {405, "PATCH", formType, form(e.A, "code", "x")},
			"too large":                {413, "POST", formType, form(e.A, "code", strings.Repeat("x", 64<<10))},
			"text":                     {415, "POST", "text/plain", form(e.A, "code", "x")},
			"no content type":          {415, "POST", "", form(e.A, "code", "x")},
			"multipart":                {415, "POST", "multipart/form-data; boundary=x", "--x--"},
		} {
			t.Run(name, func(t *testing.T) {
				a := send(t, e.With(t), c.method, c.contentType, c.body)
				if a.Status != c.status {
					t.Fatalf("status = %d, want %d: %.300s", a.Status, c.status, a.Body)
				}
				if a.Status == http.StatusOK {
					e.With(t).WantLive(a.WantToken(t), true)
				} else {
					a.WantRefused(t, c.status, a.String(t, "error"))
					if d := a.String(t, "error_description"); d == "" {
						t.Error("no error_description")
					}
				}
				wantHeaders(t, a, map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "Access-Control-Allow-Origin": "*",
					"Access-Control-Allow-Credentials": "", "X-Content-Type-Options": "nosniff", "Set-Cookie": "", "Location": ""})
			})
		}
		for path, methods := range map[string]string{
			"/oauth/token": "POST", "/oauth/revoke": "POST", "/.well-known/oauth-authorization-server": "GET", "/.well-known/jwks.json": "GET",
			"/.well-known/openid-configuration": "GET", "/.well-known/oauth-protected-resource/mcp": "GET", "/.well-known/": "GET", "/.well-known//x": "GET", "/api/me": "GET",
			"/oauth/introspect": "", "/oauth/authorize": "", "/oauth/consent": "", "/login": "", "/account/apps": "",
		} {
			t.Run("preflight of "+path, func(t *testing.T) { wantPreflight(t, e.With(t), path, methods) })
		}
		wantReadable(t, e)
	})
}

// wantReadable asserts that scripts of every site can read what programs get, refusals included, and that addresses and
// methods are answered as they are without CORS.
func wantReadable(t *testing.T, e *harness.Env) {
	t.Helper()
	token := e.Grant(e.LoggedIn(e.U), e.A).WantToken(t)
	metadata := e.Browser().Get("/.well-known/oauth-authorization-server")
	for what, want := range map[string]int{
		"GET /api/me": 401, "GET /api/me Bearer " + token: 200, "HEAD /api/me Bearer " + token: 200, "POST /api/me": 405, "DELETE /api/me": 405,
		"GET /.well-known/oauth-authorization-server": 200, "GET /.well-known/openid-configuration": 200, "HEAD /.well-known/openid-configuration": 200,
		"POST /.well-known/openid-configuration": 405, "POST /.well-known/jwks.json": 405, "GET /.well-known/oauth-authorization-server/mcp": 404,
		"GET /.well-known/oauth-protected-resource": 404, "POST /.well-known/oauth-protected-resource": 404, "GET /.well-known/": 404,
		"GET /.well-known/jwks.json/": 404, "GET /.well-known/%6awks.json": 404,
	} {
		method, rest, _ := strings.Cut(what, " ")
		path, authorization, _ := strings.Cut(rest, " ")
		lines := []string{"Origin: https://app.test", "Accept: text/html"}
		if authorization != "" {
			lines = append(lines, "Authorization: "+authorization)
		}
		a := e.Browser().Visit(method, path, lines...)
		if a.Status != want {
			t.Errorf("%s: %d, want %d", what, a.Status, want)
		}
		wantHeaders(t, a, map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "", "Access-Control-Expose-Headers": "WWW-Authenticate, DPoP-Nonce, Retry-After"})
		if allow := a.Header.Get("Allow"); (allow == "") != (want != 405) || want == 405 && allow != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: Allow %q", what, allow)
		}
		if path == "/.well-known/openid-configuration" && method == "GET" && a.Body != metadata.Body {
			t.Errorf("OpenID's address answers with another document: %s", a.Body)
		}
	}
}

// wantPreflight asserts what a browser is told before a script of another site may ask; methods "": nothing, so it may not.
func wantPreflight(t *testing.T, e *harness.Env, path, methods string) {
	preflight, err := http.NewRequest(http.MethodOptions, e.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	preflight.Header.Set("Origin", "https://app.test")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	a := e.Do(preflight)
	status, want := http.StatusNoContent, map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": methods,
		"Access-Control-Allow-Credentials": "", "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version, X-Requested-With, traceparent, tracestate, baggage",
		"Access-Control-Expose-Headers": "WWW-Authenticate, DPoP-Nonce, Retry-After"}
	if methods == "" {
		status = http.StatusMethodNotAllowed
		for name := range want {
			want[name] = ""
		}
	}
	if a.Status != status {
		t.Errorf("status = %d, want %d", a.Status, status)
	}
	wantHeaders(t, a, want)
}

func wantHeaders(t *testing.T, a harness.Answer, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := strings.Join(a.Header.Values(name), "; "); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
}

// TestTokenExpiry_T2: The token of a confidential app never expires: its answer has exactly access_token, token_type and
// scope, no expires_in (0 would mean dead already, null is no number) and no refresh_token; /api/me says expires_at null,
// introspection has no exp; and ten years after it was issued (the row is shifted) it still works. Tokens that do expire
// say expires_in 3600, with a refresh_token for an app with a user and none for an app by itself, and are dead an hour
// later.
func TestTokenExpiry_T2(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		echo := e.AddExpiring("Echo")
		a := e.Grant(b, e.A)
		token := a.WantToken(t)
		wantMembers(t, a, "access_token", "token_type", "scope")
		me := e.Me(token).JSON(t)
		if at, there := me["expires_at"]; !there || at != nil {
			t.Errorf("expires_at = %v, %t; want null", at, there)
		}
		if exp, there := e.Introspect(e.A, token).JSON(t)["exp"]; there {
			t.Errorf("introspection has exp %v", exp)
		}
		decade := (10 * 365 * 24 * time.Hour).Microseconds()
		id := e.Parse(token).ID
		e.Exec(`UPDATE tokens SET created_at = created_at - $1 WHERE id = $2`, decade, id[:])
		e.WantLive(token, true)

		expiring := map[string]harness.Answer{
			"public":                 e.Grant(b, e.P),
			"confidential, expiring": e.Grant(b, echo),
			"by itself":              e.Token(e.A, "grant_type", "client_credentials"),
		}
		expiring["refreshed"] = e.Token(e.P, "grant_type", "refresh_token", "refresh_token", expiring["public"].String(t, "refresh_token"))
		for name, a := range expiring {
			t.Run(name, func(t *testing.T) {
				e, token := e.With(t), a.WantToken(t)
				if name == "by itself" {
					wantMembers(t, a, "access_token", "token_type", "scope", "expires_in")
				} else {
					wantMembers(t, a, "access_token", "token_type", "scope", "expires_in", "refresh_token")
				}
				if in := a.JSON(t)["expires_in"]; in != 3600.0 {
					t.Errorf("expires_in = %v, want 3600", in)
				}
				e.WantLive(token, true)
				id := e.Parse(token).ID
				e.Exec(`UPDATE expiring_tokens SET expires_at = expires_at - $1 WHERE id = $2`, time.Hour.Microseconds(), id[:])
				e.WantLive(token, false)
			})
		}
	})
}

func wantMembers(t *testing.T, a harness.Answer, names ...string) {
	t.Helper()
	object := a.JSON(t)
	for _, name := range names {
		if _, there := object[name]; !there {
			t.Errorf("the answer has no %s: %s", name, a.Body)
		}
	}
	if len(object) != len(names) {
		t.Errorf("the answer has %d members, want %v: %s", len(object), names, a.Body)
	}
}

// TestTokenMethodAndGrantType_T3: GET, HEAD, PUT, DELETE and PATCH with everything right: 405 with Allow: POST, and the code is not
// consumed. A missing or empty grant_type redeems a code. An unknown grant_type, password, implicit, another case or
// spelling: unsupported_grant_type, before the client is asked who it is. A repeated grant_type or code, equal or not:
// invalid_request. The code survives all of it.
func TestTokenMethodAndGrantType_T3(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		code := b.Code(e.A)
		sound := e.A.As("code", code, "redirect_uri", harness.CB)
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
			t.Run(method, func(t *testing.T) {
				request, err := http.NewRequest(method, e.URL+"/oauth/token?"+sound.Encode(), strings.NewReader(sound.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Content-Type", formType)
				a := e.With(t).Do(request)
				if a.Status != http.StatusMethodNotAllowed {
					t.Errorf("status = %d, want 405: %s", a.Status, a.Body)
				}
				wantHeaders(t, a, map[string]string{"Allow": "POST", "Cache-Control": "no-store", "Location": ""})
				if method != "HEAD" {
					a.WantRefused(t, http.StatusMethodNotAllowed, "invalid_request")
				}
			})
		}
		with := func(name string, values ...string) url.Values {
			v := url.Values{}
			for k := range sound {
				v[k] = sound[k]
			}
			v[name] = values
			return v
		}
		for _, g := range []string{
			"password", "implicit", "__implicit", "token", "code", "Authorization_Code", "AUTHORIZATION_CODE", "authorization-code",
			" authorization_code", "authorization_code refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
			"urn:ietf:params:oauth:grant-type:jwt-bearer", "bögus", strings.Repeat("x", 10_000),
		} {
			e.Post("/oauth/token", with("grant_type", g)).WantRefused(t, http.StatusBadRequest, "unsupported_grant_type")
		}
		password := url.Values{"grant_type": {"password"}, "username": {e.U.Email}, "password": {harness.Password}, "client_id": {e.P.ID}}
		e.Post("/oauth/token", password).WantRefused(t, http.StatusBadRequest, "unsupported_grant_type")
		for _, form := range []url.Values{
			with("grant_type", "authorization_code", "authorization_code"), with("grant_type", "authorization_code", "client_credentials"),
			with("grant_type", "", ""), with("code", code, code), with("redirect_uri", harness.CB, harness.CB), with("code_verifier", "", ""),
		} {
			e.Post("/oauth/token", form).WantRefused(t, http.StatusBadRequest, "invalid_request")
		}
		e.WantUnspent(code, 0)
		if n := e.LiveGrants(e.U, e.A); n != 0 {
			t.Errorf("%d grants were made", n)
		}
		e.WantLive(e.Post("/oauth/token", sound).WantToken(t), true)
		e.WantLive(e.Exchange(e.A, b.Code(e.A), "grant_type", "").WantToken(t), true)
		e.WantLive(e.Exchange(e.A, b.Code(e.A), "grant_type", "authorization_code").WantToken(t), true)
	})
}

// checksum is the end of a credential, made by other means than package secret: base62 of the CRC-32 of what stands
// before it.
func checksum(body string) string {
	text := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))).Text(62)
	// big.Int orders lower case before upper case; the format has it the other way round.
	swapped := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		}
		return c
	}, text)
	return strings.Repeat("0", 6-len(swapped)) + swapped
}

// TestTokenFormat_T5: Codes, tokens and client secrets as the routes and rules hand them out, 50 of each, and 10 refresh tokens:
// the documented form (prefix, letter, 22 characters of lookup id, 43 random characters, which hold 256 bits, checksum), and
// no id, no random part and no text twice. That 10⁵ of them are unique and uniformly drawn is TestEntropy of
// internal/secret: all these kinds are minted by the same function.
func TestTokenFormat_T5(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		minted := map[byte]int{}
		seen := map[string]bool{}
		check := func(text string, kind byte) {
			t.Helper()
			if len(text) != 76 || text[:3] != "xno" || text[3] != kind || text[4] != '_' || text[70:] != checksum(text[:70]) {
				t.Fatalf("a credential of kind %c has another form", kind)
			}
			if strings.Trim(text[5:], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
				t.Fatalf("a credential of kind %c has a character beyond base62", kind)
			}
			for _, part := range []string{text, text[5:27], text[27:70]} {
				if seen[part] {
					t.Fatalf("a part of a credential of kind %c occurred before", kind)
				}
				seen[part] = true
			}
			minted[kind]++
		}
		check(e.A.Secret, byte(secret.Client))
		for range 50 {
			code := b.Code(e.A)
			check(code, byte(secret.Code))
			check(e.Exchange(e.A, code).WantToken(t), byte(secret.Access))
			c, err := e.Rules.RotateSecret(context.Background(), harness.Operator, e.B.ID, e.Store.Now())
			if err != nil {
				t.Fatal(err)
			}
			check(c.Reveal(), byte(secret.Client))
			check(e.Token(e.A, "grant_type", "client_credentials").WantToken(t), byte(secret.Expiring))
		}
		for range 10 {
			a := e.Grant(b, e.P)
			check(a.WantToken(t), byte(secret.Expiring))
			check(a.String(t, "refresh_token"), byte(secret.Refresh))
		}
		for kind, n := range minted {
			if n < 50 && kind != byte(secret.Refresh) || n < 10 {
				t.Errorf("%d credentials of kind %c were minted", n, kind)
			}
		}
		if len(minted) != 5 {
			t.Errorf("%d kinds were minted, want 5", len(minted))
		}
	})
}
