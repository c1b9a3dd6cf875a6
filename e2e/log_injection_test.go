package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/e2e/harness"
)

// value is one as it travels in a query or form. What is malformed is refused with 400 wherever the parameter is one that the
// route reads; the others are plain data. To databases some mean something else than to everything before them.
type value struct {
	raw                 string
	malformed, database bool
}

var hostile = map[string]value{
	"NUL":               {"%00", true, true},
	"NUL in it":         {"a%00b", true, true},
	"0xff":              {"%ff", true, true},
	"0xff, bare":        {"\xff", true, true},
	"0xC0AF":            {"%c0%af", true, true},
	"high surrogate":    {"%ed%a0%80", true, true},
	"cut UTF-8":         {"%f0%9f%98", true, true},
	"bad escape":        {"%s", true, false},
	"escape cut off":    {"%", true, false},
	"semicolon":         {"a;b=c", true, false},
	"U+202E":            {"%e2%80%ae", false, false},
	"U+FFFF":            {"%ef%bf%bf", false, false},
	"10 kB":             {strings.Repeat("a", 10<<10), false, true},
	"10 kB of emoji":    {strings.Repeat("%f0%9f%98%80", 2560), false, true},
	"quotes and dashes": {"'--", false, true},
	"escaped quote":     {"%5c'%20OR%201%3d1", false, true},
	"parameter":         {"$1", false, true},
	"dollar quotes":     {"$$", false, true},
	"format":            {"%25s%25n%25d", false, false},
	"line break":        {"a%0d%0aX-Evil:%201", false, false},
	"tab and DEL":       {"%09%7f", false, false},
	"number":            {"99999999999999999999999999", false, false},
	"empty":             {"", false, false},
}

// hostileJSON are values of a member, and whether they are malformed.
var hostileJSON = map[string]bool{
	`"\u0000"`: true, `"a\u0000b"`: true, `"\ud800"`: true, `"\ud83d\ud83d"`: true, `"\ufffd"`: true, "\"\xff\"": true, "\"\xc0\xaf\"": true, "\"\xed\xa0\x80\"": true,
	`1`: true, `["a"]`: true, `{"$ne":""}`: true, `"a`: true, strings.Repeat("[", 10_000): true, strings.Repeat(`{"a":`, 10_000): true, `null`: false,
	`"\u202e"`: false, `"'--"`: false, `"$1"`: false, `"$$"`: false, `"%s"`: false, `"\r\nX-Evil: 1"`: false, `""`: false, `"` + strings.Repeat("a", 10<<10) + `"`: false,
}

// sound is a request that the route would take, so that the hostile parameter alone is at fault.
func (w *walker) sound(to route, name string) url.Values {
	e := w.r
	switch to.method + " " + to.path {
	case "GET /oauth/authorize", "POST /oauth/authorize":
		return request(e.A)
	case "GET /oauth/consent":
		return url.Values{"request_id": {wantLogIn(w.t, e.Browser().Get(address(request(e.B))))}}
	case "POST /oauth/consent":
		page := w.in.Get(address(request(e.B, "scope", "faqs", "prompt", "consent")))
		return url.Values{"request_id": {page.Hidden("request_id")}, "decision": {"allow"}, "account": {page.Hidden("account")}}
	case "POST /oauth/token":
		form := e.A.As("code", "x", "redirect_uri", harness.CB)
		switch name {
		case "refresh_token":
			form.Set("grant_type", "refresh_token")
		case "scope":
			form.Set("grant_type", "client_credentials")
		}
		return form
	case "POST /oauth/revoke":
		return e.B.As("token", "x")
	case "POST /oauth/introspect":
		return e.A.As("token", w.token)
	case "POST /login":
		return url.Values{"email": {w.olga.Email}, "password": {harness.Password}}
	case "POST /signup":
		return url.Values{"name": {"N"}, "email": {fmt.Sprintf("n%d@users.test", w.asked)}, "password": {"a password of nobody's"}}
	case "POST /account":
		return url.Values{"name": {"Ursula"}}
	case "POST /account/security":
		return url.Values{"current_password": {"wrong one"}, "password": {"another horse battery"}}
	case "POST /account/keys":
		return url.Values{"name": {"Export"}, "kind": {"token"}, "scopes": {"agent"}}
	case "POST /account/bots":
		return url.Values{"name": {"Bot"}}
	case "POST /account/keys/{key}/rotate", "POST /account/bots/{bot}/rotate":
		return url.Values{"keep": {"now"}}
	case "POST /developer/apps", "POST /developer/apps/{id}/edit":
		app, err := e.Rules.App(w.t.Context(), harness.Operator, w.desk.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		return url.Values{"name": {"Desk"}, "redirect_uris": {harness.CB}, "scopes": {"faqs"}, "version": {fmt.Sprint(app.Version)}}
	}
	return url.Values{}
}

// answersFirst are routes that find something else to refuse before a malformed parameter of a form or query.
var answersFirst = map[string]int{
	"GET /api/me":          http.StatusUnauthorized, // no token
	"PATCH /oauth/verify":  http.StatusUnauthorized, // never a 400: gateways make a 500 of it
	"POST /v2/auth/token":  http.StatusUnsupportedMediaType,
	"HEAD /v2/auth/token":  http.StatusMethodNotAllowed,
	"PATCH /v2/auth/token": http.StatusMethodNotAllowed,
}
