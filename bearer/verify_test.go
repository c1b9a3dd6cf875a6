package bearer_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xenoauth/bearer"
)

// TestVerify_Identity: every member of the response is in the identity, and the field of an absent member is empty.
func TestVerify_Identity(t *testing.T) {
	full := `{"active":true,"scope":"a  b","client_id":"app_1","sub":"u1","account":"acc_1","bot":"b1","installation":"ins_1",
		"username":"u@users.test","token_type":"Bearer","iat":1700000000,"exp":1700000060,"iss":"https://auth.test",
		"aud":["https://one.test","https://two.test"],"permissions":["contact:list","contact:fetch"],"unknown":{"a":[1]}}`
	for name, c := range map[string]struct {
		answer string
		want   bearer.Identity
	}{
		"everything": {full, bearer.Identity{
			Subject: "u1", Username: "u@users.test", Account: "acc_1", Bot: "b1", ClientID: "app_1", Installation: "ins_1",
			Scopes: []string{"a", "b"}, Permissions: []string{"contact:list", "contact:fetch"},
			Audience: []string{"https://one.test", "https://two.test"}, IssuedAt: time.Unix(1700000000, 0), ExpiresAt: time.Unix(1700000060, 0),
		}},
		"next to nothing": {`{"active":true,"token_type":"Bearer","exp":null,"scope":null}`, bearer.Identity{Scopes: []string{}}},
		"one audience":    {`{"active":true,"token_type":"Bearer","aud":"x"}`, bearer.Identity{Scopes: []string{}, Audience: []string{"x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := verifier(t, answers(c.answer))
			got, err := v.Verify(t.Context(), token)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

// TestFromContext: the handler gets the identity, and none without the middleware.
func TestFromContext(t *testing.T) {
	if _, ok := bearer.FromContext(t.Context()); ok {
		t.Error("an identity without Require")
	}
	v, _ := verifier(t, answers(active))
	w := httptest.NewRecorder()
	v.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := bearer.FromContext(r.Context())
		fmt.Fprint(w, id.Subject, id.HasScope("contacts"), id.HasPermission("contact:list"), ok)
	})).ServeHTTP(w, with("Bearer "+token))
	if got := w.Body.String(); got != "u1true true true" {
		t.Errorf("the handler got %s", got)
	}
}

// TestRequire_InvalidToken: a token that is not an active bearer token for this API is a 401, and OnTrouble is not called.
func TestRequire_InvalidToken(t *testing.T) {
	elsewhere := strings.Replace(active, "{", `{"aud":"https://other.test",`, 1)
	for name, c := range map[string]struct{ answer, audience string }{
		"inactive":               {dead, ""},
		"inactive with more":     {`{"active":false,"token_type":"Bearer","sub":"u1"}`, ""},
		"a refresh token":        {`{"active":true,"scope":"contacts","client_id":"app_1","sub":"u1","iat":1}`, ""},
		"a token bound to a key": {strings.Replace(active, `"Bearer"`, `"DPoP"`, 1), ""},
		"for no audience":        {active, "https://api.test"},
		"for another audience":   {elsewhere, "https://api.test"},
		"for a similar audience": {elsewhere, "https://other.test/x"},
	} {
		t.Run(name, func(t *testing.T) {
			v, reported := verifier(t, answers(c.answer), func(s *bearer.Config) { s.Audience = c.audience })
			w, passed := serve(v, with("Bearer "+token))
			if w.Code != http.StatusUnauthorized || passed || w.Header().Get("WWW-Authenticate") != invalid {
				t.Errorf("status = %d, passed = %v, want 401", w.Code, passed)
			}
			if len(reported.all()) > 0 {
				t.Errorf("OnTrouble was called with %v", reported.all())
			}
		})
	}
	v, _ := verifier(t, answers(elsewhere), func(s *bearer.Config) { s.Audience = "https://other.test" })
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the right audience: %v", err)
	}
}

// TestRequire_Unavailable: a failed verification is a 503, reported once, without the token or the secret.
func TestRequire_Unavailable(t *testing.T) {
	long := `{"active":true,"token_type":"Bearer","x":"` + strings.Repeat("x", 64<<10) + `"}`
	for name, x := range map[string]*xeno{
		"a 500":                      {status: 500, media: "application/json", answer: active},
		"a 503":                      {status: 503, media: "application/json", answer: `{"error":"temporarily_unavailable"}`},
		"a 400":                      {status: 400, media: "application/json", answer: dead},
		"a 404":                      {status: 404, media: "application/json", answer: dead},
		"a 429":                      {status: 429, media: "application/json", answer: dead},
		"a 201":                      {status: 201, media: "application/json", answer: active},
		"its own credentials wrong":  {status: 401, media: "application/json", answer: dead},
		"a page":                     {status: 200, media: "text/html", answer: active},
		"no content type":            {status: 200, media: "", answer: active},
		"two content types":          {status: 200, media: "application/json, text/html", answer: active},
		"nothing":                    answers(""),
		"half an answer":             answers(`{"active":true`),
		"a list":                     answers(`[{"active":true}]`),
		"null":                       answers(`null`),
		"true":                       answers(`true`),
		"not a word about activity":  answers(`{"token_type":"Bearer","sub":"u1"}`),
		"active in capitals":         answers(`{"ACTIVE":true,"token_type":"Bearer"}`),
		"active as text":             answers(`{"active":"true","token_type":"Bearer"}`),
		"active as a number":         answers(`{"active":1,"token_type":"Bearer"}`),
		"active without a value":     answers(`{"active":null,"token_type":"Bearer"}`),
		"active and not":             answers(`{"active":false,"active":true,"token_type":"Bearer"}`),
		"two answers":                answers(active + active),
		"something after it":         answers(active + "x"),
		"a scope list":               answers(`{"active":true,"token_type":"Bearer","scope":["contacts"]}`),
		"permissions as text":        answers(`{"active":true,"token_type":"Bearer","permissions":"contact:list"}`),
		"an end that is not a time":  answers(`{"active":true,"token_type":"Bearer","exp":"tomorrow"}`),
		"an audience of numbers":     answers(`{"active":true,"token_type":"Bearer","aud":[1]}`),
		"an answer without end":      answers(long),
		"a subject that is a number": answers(`{"active":true,"token_type":"Bearer","sub":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			v, reported := verifier(t, x)
			wantUnavailable(t, v, reported)
		})
	}
}

// TestVerify_Issuer: if Issuer is set, only its responses are accepted.
func TestVerify_Issuer(t *testing.T) {
	from := func(issuer string) *xeno { return answers(strings.Replace(active, "{", `{"iss":"`+issuer+`",`, 1)) }
	for name, x := range map[string]*xeno{
		"of another issuer": from("https://evil.test"), "of a similar issuer": from("https://auth.test.evil.test"), "of no issuer": answers(active),
	} {
		t.Run(name, func(t *testing.T) {
			v, reported := verifier(t, x, func(c *bearer.Config) { c.Issuer = "https://auth.test" })
			wantUnavailable(t, v, reported)
		})
	}
	v, _ := verifier(t, from("https://auth.test"), func(c *bearer.Config) { c.Issuer = "https://auth.test/" })
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the right issuer: %v", err)
	}
	v, _ = verifier(t, answers(dead), func(c *bearer.Config) { c.Issuer = "https://auth.test" })
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalid) {
		t.Errorf("an inactive token, whose response has no issuer: %v", err)
	}
}

func wantUnavailable(t *testing.T, v *bearer.Verifier, reported *troubles) {
	t.Helper()
	w, passed := serve(v, with("Bearer "+token))
	if w.Code != http.StatusServiceUnavailable || passed || w.Header().Get("Retry-After") == "" {
		t.Errorf("status = %d, passed = %v, Retry-After %q, want 503 with one", w.Code, passed, w.Header().Get("Retry-After"))
	}
	if got := w.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("WWW-Authenticate = %q: want none, because the token may be valid", got)
	}
	wantRefusal(t, w)
	if len(reported.all()) != 1 || !errors.Is(reported.all()[0], bearer.ErrUnavailable) {
		t.Fatalf("OnTrouble was called with %v, want one ErrUnavailable", reported.all())
	}
	for _, hidden := range []string{token, secret, "xnos_"} {
		if strings.Contains(reported.all()[0].Error(), hidden) {
			t.Errorf("the error %q contains %q", reported.all()[0], hidden)
		}
	}
}

// TestVerify_Connection: no connection, a cut connection, no response, and a redirect, which would send the token on.
func TestVerify_Connection(t *testing.T) {
	elsewhere := answers(active)
	tempting := httptest.NewServer(elsewhere)
	defer tempting.Close()
	release := make(chan struct{})
	defer close(release)
	for name, handler := range map[string]http.HandlerFunc{
		"nobody listens": nil,
		"cut off":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut in the middle": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, active)
		},
		"silent": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, tempting.URL+"/oauth/introspect", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			if handler == nil {
				server.Close()
			}
			defer server.Close()
			v, reported := verifier(t, nil, func(c *bearer.Config) {
				c.Endpoint, c.HTTPClient, c.Timeout = server.URL+"/oauth/introspect", nil, 250*time.Millisecond
			})
			wantUnavailable(t, v, reported)
		})
	}
	if elsewhere.calls() > 0 {
		t.Error("a redirect was followed")
	}
}

// TestVerify_IdleConnection: a connection that Xenoauth closed while it was idle, as in a restart, causes no error.
func TestVerify_IdleConnection(t *testing.T) {
	x := answers(active)
	server := httptest.NewServer(x)
	defer server.Close()
	v, _ := verifier(t, nil, func(c *bearer.Config) { c.Endpoint, c.HTTPClient = server.URL+"/oauth/introspect", nil })
	for range 20 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		server.CloseClientConnections()
	}
}

// TestVerify_Cancelled: a request whose client has gone is not reported.
func TestVerify_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := answers(active)
		x.hold = func(_ int, r *http.Request) { <-r.Context().Done() }
		v, reported := verifier(t, x)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := v.Verify(ctx, token); !errors.Is(err, bearer.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if len(reported.all()) > 0 {
			t.Errorf("OnTrouble was called with %v", reported.all())
		}
	})
}

// TestNew_Settings: the error lists every invalid setting.
func TestNew_Settings(t *testing.T) {
	good := bearer.Config{Issuer: "https://auth.test", ClientID: id, ClientSecret: secret}
	for name, c := range map[string]struct {
		change func(*bearer.Config)
		want   string // "": accepted
	}{
		"as they should be":           {func(*bearer.Config) {}, ""},
		"an issuer with a slash":      {func(c *bearer.Config) { c.Issuer += "/" }, ""},
		"an endpoint alone":           {func(c *bearer.Config) { c.Issuer, c.Endpoint = "", "http://xenoauth:8080/oauth/introspect" }, ""},
		"neither issuer nor endpoint": {func(c *bearer.Config) { c.Issuer = "" }, "Issuer or Endpoint"},
		"an issuer without scheme":    {func(c *bearer.Config) { c.Issuer = "auth.test" }, "Issuer or Endpoint"},
		"another scheme":              {func(c *bearer.Config) { c.Endpoint = "ftp://auth.test" }, "Issuer or Endpoint"},
		"credentials in the address":  {func(c *bearer.Config) { c.Endpoint = "https://u:p@auth.test" }, "Issuer or Endpoint"},
		"a query":                     {func(c *bearer.Config) { c.Endpoint = "https://auth.test/?a" }, "Issuer or Endpoint"},
		"no secret":                   {func(c *bearer.Config) { c.ClientSecret = "" }, "ClientID and ClientSecret"},
		"no id":                       {func(c *bearer.Config) { c.ClientID = "" }, "ClientID and ClientSecret"},
		"a time-out before it starts": {func(c *bearer.Config) { c.Timeout = -1 }, "negative"},
		"a cache that owes":           {func(c *bearer.Config) { c.CacheSize = -1 }, "negative"},
		"a realm with a quote":        {func(c *bearer.Config) { c.Realm = `a", error="x` }, "Realm"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := good
			c.change(&settings)
			_, err := bearer.New(settings)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the error contains the secret")
			}
		})
	}
	_, err := bearer.New(bearer.Config{Realm: `"`, Timeout: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four invalid settings give %v", err)
	}
}

// TestConfig_Format: no verb prints the secret of a Config or a Verifier.
func TestConfig_Format(t *testing.T) {
	c := bearer.Config{Issuer: "https://auth.test", ClientID: id, ClientSecret: secret, CacheFor: time.Second}
	v, err := bearer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", c, &c, v, struct{ Nested bearer.Config }{c})
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("settings", "config", c, "verifier", v)
	}
	// Also in hexadecimal, and as a header.
	for _, hidden := range []string{"s3cret", fmt.Sprintf("%x", "s3cret"), "cnNfY29udGFjdHM6"} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("%q is in %s", hidden, out.String())
		}
	}
	if !strings.Contains(out.String(), "[redacted]") || !strings.Contains(out.String(), id) {
		t.Errorf("the settings do not print: %s", out.String())
	}
}

// TestRequire_ExpiredUserToken: an inactive JWT whose exp claim has passed is a 403, as at every endpoint, and an ErrInvalid like
// other invalid tokens. An active one is valid whatever its claims. Another token, or a JWT without exp, is a 401.
func TestRequire_ExpiredUserToken(t *testing.T) {
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	ago, soon := strconv.FormatInt(time.Now().Unix()-1, 10), strconv.FormatInt(time.Now().Unix()+3600, 10)
	for name, c := range map[string]struct {
		token, answer string
		status        int
	}{
		"expired":                 {jwt(`{"exp":` + ago + `}`), dead, http.StatusForbidden},
		"expired, in fractions":   {jwt(`{"exp":1.7e9}`), dead, http.StatusForbidden},
		"dead before its time":    {jwt(`{"exp":` + soon + `}`), dead, http.StatusUnauthorized},
		"active":                  {jwt(`{"exp":` + ago + `}`), active, http.StatusOK},
		"without an end":          {jwt(`{"iat":1}`), dead, http.StatusUnauthorized},
		"with an end as text":     {jwt(`{"exp":"1"}`), dead, http.StatusUnauthorized},
		"with an end before time": {jwt(`{"exp":-1}`), dead, http.StatusUnauthorized},
		"with too great an end":   {jwt(`{"exp":1e999}`), dead, http.StatusUnauthorized},
		"two parts":               {"e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1}`)), dead, http.StatusUnauthorized},
		"not base64":              {"e30.+.c2ln", dead, http.StatusUnauthorized},
		"opaque":                  {token, dead, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := verifier(t, answers(c.answer))
			w, _ := serve(v, with("Bearer "+c.token))
			if w.Code != c.status || c.status != http.StatusOK && w.Header().Get("WWW-Authenticate") != invalid {
				t.Errorf("status = %d %s, want %d", w.Code, w.Body, c.status)
			}
			_, err := v.Verify(t.Context(), c.token)
			if errors.Is(err, bearer.ErrExpired) != (c.status == http.StatusForbidden) || errors.Is(err, bearer.ErrInvalid) != (c.status != http.StatusOK) {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}
