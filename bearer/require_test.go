package bearer_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xenoauth/bearer"
)

const (
	bare    = `Bearer realm="xenoauth"`
	invalid = `Bearer realm="xenoauth", error="invalid_token"`
	twice   = `Bearer realm="xenoauth", error="invalid_request"`
)

// TestRequire_Carriers: each way to send a token, the response, and the number of calls to Xenoauth.
func TestRequire_Carriers(t *testing.T) {
	query := func(r *http.Request) *http.Request { r.URL.RawQuery = "access_token=" + token; return r }
	form := func(r *http.Request, body string) *http.Request {
		n := httptest.NewRequest(http.MethodPost, "/contacts", strings.NewReader(body))
		n.Header["Authorization"] = r.Header["Authorization"]
		n.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return n
	}
	none := httptest.NewRequest(http.MethodGet, "/contacts", nil)
	cookie := httptest.NewRequest(http.MethodGet, "/contacts", nil)
	cookie.AddCookie(&http.Cookie{Name: "access_token", Value: token})
	for name, c := range map[string]struct {
		request   *http.Request
		status    int
		challenge string
		asked     int
	}{
		"as it should be":           {with("Bearer " + token), 200, "", 1},
		"bearer in lower case":      {with("bearer " + token), 200, "", 1},
		"BEARER in upper case":      {with("BEARER " + token), 200, "", 1},
		"a token with padding":      {with("Bearer " + token + "=="), 200, "", 1},
		"nothing":                   {none, 401, bare, 0},
		"an empty header":           {with(""), 401, invalid, 0},
		"the scheme alone":          {with("Bearer"), 401, invalid, 0},
		"the scheme and a space":    {with("Bearer "), 401, invalid, 0},
		"two spaces":                {with("Bearer  " + token), 200, "", 1},
		"a space and a tab":         {with("Bearer \t" + token), 401, invalid, 0},
		"spaces alone":              {with("Bearer   "), 401, invalid, 0},
		"a tab":                     {with("Bearer\t" + token), 401, invalid, 0},
		"a space after it":          {with("Bearer " + token + " "), 401, invalid, 0},
		"two tokens in a header":    {with("Bearer " + token + ", Bearer " + token), 401, invalid, 0},
		"two headers":               {with("Bearer "+token, "Bearer "+token), 401, invalid, 0},
		"only padding":              {with("Bearer =="), 401, invalid, 0},
		"padding in the middle":     {with("Bearer x=y"), 401, invalid, 0},
		"bytes outside ASCII":       {with("Bearer tök\xff"), 401, invalid, 0},
		"a NUL":                     {with("Bearer x\x00"), 401, invalid, 0},
		"a line break":              {with("Bearer x\r\nX: y"), 401, invalid, 0},
		"100 kB of dots":            {with("Bearer " + strings.Repeat(".", 100<<10)), 401, invalid, 0},
		"as a password":             {with("Basic dTp4bm9h"), 401, invalid, 0},
		"without a scheme":          {with(token), 401, invalid, 0},
		"another scheme":            {with("DPoP " + token), 401, invalid, 0},
		"as a cookie":               {cookie, 401, bare, 0},
		"in the URL":                {query(httptest.NewRequest(http.MethodGet, "/", nil)), 401, bare, 0},
		"in the URL, too":           {query(with("Bearer " + token)), 400, twice, 0},
		"in the URL beside rubbish": {query(with("Basic x")), 400, twice, 0},
		"in a form":                 {form(none, "access_token="+token), 401, bare, 0},
		"in a form, too":            {form(with("Bearer "+token), "a=b&access_token="+token), 400, twice, 1},
		"beside another form":       {form(with("Bearer "+token), "a=b"), 200, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			x := answers(active)
			v, _ := verifier(t, x)
			w, passed := serve(v, c.request)
			if w.Code != c.status || passed != (c.status == 200) {
				t.Errorf("status = %d, passed = %v, want %d: %s", w.Code, passed, c.status, w.Body)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != c.challenge {
				t.Errorf("WWW-Authenticate = %q, want %q", got, c.challenge)
			}
			if x.calls() != c.asked {
				t.Errorf("%d calls to Xenoauth, want %d", x.calls(), c.asked)
			}
			if c.status != 200 {
				wantRefusal(t, w)
			}
		})
	}
}

// wantRefusal asserts the form of an error response.
func wantRefusal(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body["error"] == "" || body["error_description"] == "" {
		t.Errorf("body = %s, want error and error_description", w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v, want JSON and no-store", w.Header())
	}
	if strings.Contains(w.Body.String(), token) {
		t.Errorf("the response contains the token: %s", w.Body)
	}
}

// TestRequire_Form: the handler can still read the whole form, whatever its length.
func TestRequire_Form(t *testing.T) {
	for _, length := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		v, _ := verifier(t, answers(active))
		body := strings.Repeat("x", length)
		r := httptest.NewRequest(http.MethodPost, "/contacts", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w, passed := serve(v, r)
		if got, want := w.Body.String(), body+" <nil>"; !passed || got != want {
			t.Errorf("a form of %d bytes: passed = %v, the handler read %d bytes", length, passed, len(got))
		}
	}
}

// TestRequire_RefusedBody: the body of a refused request is not read.
func TestRequire_RefusedBody(t *testing.T) {
	v, _ := verifier(t, answers(dead))
	r := httptest.NewRequest(http.MethodPost, "/contacts", unreadable{t})
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w, _ := serve(v, r); w.Code != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", w.Code)
	}
}

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("unreadable")
}

// TestRequire_Requirements: each requirement with a token that has the scope contacts and the permission contact:list, an
// admin's token, and a token with the permission on its own user only.
func TestRequire_Requirements(t *testing.T) {
	member := strings.Replace(active, `"contact:list"`, `"contact:list","user:fetch:self"`, 1)
	admin := `{"active":true,"scope":"admin","client_id":"","sub":"u2","token_type":"Bearer","permissions":["user:fetch","user:fetch:self"]}`
	guest := `{"active":true,"scope":"guest","sub":"u3","token_type":"bearer"}`
	nobody := `{"active":true,"token_type":"Bearer","permissions":["user:fetch:self"]}`
	bot := `{"active":true,"scope":"bot","sub":"b1","bot":"b1","token_type":"Bearer"}`
	narrowed := strings.Replace(active, "{", `{"aud":"https://api.test",`, 1)
	is := func(owner string) func(*http.Request) string { return func(*http.Request) string { return owner } }
	scope := func(s string) string { return `Bearer realm="xenoauth", error="insufficient_scope", scope="` + s + `"` }
	const noScope = `Bearer realm="xenoauth", error="insufficient_scope"`
	for name, c := range map[string]struct {
		answer    string
		needs     []bearer.Requirement
		challenge string // "": passes
	}{
		"nothing":                          {active, nil, ""},
		"the scope":                        {active, []bearer.Requirement{bearer.Scope("contacts")}, ""},
		"another scope":                    {active, []bearer.Requirement{bearer.Scope("faqs")}, scope("faqs")},
		"one scope of two":                 {active, []bearer.Requirement{bearer.Scope("contacts"), bearer.Scope("faqs"), bearer.Scope("faqs")}, scope("faqs")},
		"part of a scope's name":           {active, []bearer.Requirement{bearer.Scope("contact")}, scope("contact")},
		"the permission":                   {active, []bearer.Requirement{bearer.Permission("contact:list")}, ""},
		"another permission":               {active, []bearer.Requirement{bearer.Permission("contact:delete")}, noScope},
		"scope but not permission":         {active, []bearer.Requirement{bearer.Scope("contacts"), bearer.Permission("contact:delete")}, noScope},
		"one of two":                       {active, []bearer.Requirement{bearer.AnyOf(bearer.Scope("faqs"), bearer.Permission("contact:list"))}, ""},
		"none of two":                      {active, []bearer.Requirement{bearer.AnyOf(bearer.Permission("faq:x"), bearer.Scope("faqs"))}, scope("faqs")},
		"a role above":                     {admin, []bearer.Requirement{bearer.Scope("agent"), bearer.Scope("guest"), bearer.Scope("bot")}, ""},
		"a role below":                     {guest, []bearer.Requirement{bearer.Scope("agent")}, scope("agent")},
		"a role is no other scope":         {admin, []bearer.Requirement{bearer.Scope("contacts")}, scope("contacts")},
		"a scope is no role":               {active, []bearer.Requirement{bearer.Scope("guest")}, scope("guest")},
		"oneself":                          {member, []bearer.Requirement{bearer.Self(is("u1"), "user:fetch:self")}, ""},
		"oneself with another action":      {member, []bearer.Requirement{bearer.Self(is("u1"), "user:update:self")}, noScope},
		"somebody else":                    {member, []bearer.Requirement{bearer.Self(is("u2"), "user:fetch:self")}, noScope},
		"everybody":                        {admin, []bearer.Requirement{bearer.Self(is("u1"), "user:fetch:self")}, ""},
		"nobody is not oneself":            {nobody, []bearer.Requirement{bearer.Self(is(""), "user:fetch:self")}, noScope},
		"oneself without the permission":   {guest, []bearer.Requirement{bearer.Self(is("u3"), "user:fetch:self")}, noScope},
		"everybody needs more than self":   {member, []bearer.Requirement{bearer.Permission("user:fetch")}, noScope},
		"a role that it has, not allowed":  {guest, []bearer.Requirement{bearer.Scope("guest"), bearer.Permission("contact:list")}, noScope},
		"the bot":                          {bot, []bearer.Requirement{bearer.Bot("b1")}, ""},
		"another bot":                      {bot, []bearer.Requirement{bearer.Bot("b2")}, noScope},
		"the account, not the bot":         {admin, []bearer.Requirement{bearer.Bot("b1")}, noScope},
		"the resource":                     {narrowed, []bearer.Requirement{bearer.For("https://api.test/"), bearer.Scope("contacts")}, ""},
		"another resource":                 {narrowed, []bearer.Requirement{bearer.For("https://other.test")}, noScope},
		"no resource":                      {active, []bearer.Requirement{bearer.For("https://api.test")}, noScope},
		"narrowed, and none is named":      {narrowed, nil, noScope},
		"narrowed, and a scope is named":   {narrowed, []bearer.Requirement{bearer.Scope("faqs")}, noScope},
		"narrowed, and one may be named":   {narrowed, []bearer.Requirement{bearer.AnyOf(bearer.For("https://api.test"), bearer.Scope("contacts"))}, noScope},
		"one of two resources":             {narrowed, []bearer.Requirement{bearer.AnyOf(bearer.For("https://other.test"), bearer.For("https://api.test"))}, ""},
		"oneself or a scope, by the scope": {active, []bearer.Requirement{bearer.AnyOf(bearer.Self(is("u9"), "user:fetch:self"), bearer.Scope("contacts"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := verifier(t, answers(c.answer))
			w, passed := serve(v, with("Bearer "+token), c.needs...)
			if passed != (c.challenge == "") || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("passed = %v with %q, want %q", passed, w.Header().Get("WWW-Authenticate"), c.challenge)
			}
			if !passed {
				wantRefusal(t, w)
				if w.Code != http.StatusForbidden {
					t.Errorf("status = %d, want 403", w.Code)
				}
			}
		})
	}
}

// TestRequirement_Invalid: a requirement that no token could meet, or that any would meet by accident, panics at start-up.
func TestRequirement_Invalid(t *testing.T) {
	v, _ := verifier(t, answers(active))
	owner := func(*http.Request) string { return "" }
	for name, make := range map[string]func(){
		"no scope":                      func() { bearer.Scope("") },
		"two scopes in one":             func() { bearer.Scope("contacts faqs") },
		"a quote in a scope":            func() { bearer.Scope(`a"b`) },
		"a permission without action":   func() { bearer.Permission("contact") },
		"no bot":                        func() { bearer.Bot("") },
		"no resource":                   func() { bearer.For("") },
		"oneself without owner":         func() { bearer.Permission("user:fetch:self") },
		"oneself of nothing":            func() { bearer.Self(owner, ":self") },
		"oneself, said in short":        func() { bearer.Self(owner, "user:fetch") },
		"any of none":                   func() { bearer.AnyOf() },
		"an empty requirement":          func() { v.Require(bearer.Requirement{}) },
		"an empty one among several":    func() { bearer.AnyOf(bearer.Scope("a"), bearer.Requirement{}) },
		"a scope that is not even text": func() { bearer.Scope("\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make()
		})
	}
}
