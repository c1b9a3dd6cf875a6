package battery

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/rig"
	"xenoauth/server"
)

// hostile are values as they travel in a query or form. Those that are malformed are refused with 400 wherever the parameter
// is one that the route reads; the others are plain data.
var hostile = map[string]struct {
	raw       string
	malformed bool
}{
	"NUL":                {"%00", true},
	"NUL in it":          {"a%00b", true},
	"0xff":               {"%ff", true},
	"0xff, bare":         {"\xff", true},
	"0xC0AF":             {"%c0%af", true},
	"high surrogate":     {"%ed%a0%80", true},
	"surrogate pair":     {"%ed%a0%bd%ed%b8%80", true},
	"cut UTF-8":          {"%f0%9f%98", true},
	"bad escape":         {"%s", true},
	"escape cut off":     {"%", true},
	"semicolon":          {"a;b=c", true},
	"U+202E":             {"%e2%80%ae", false},
	"U+FEFF":             {"%ef%bb%bf", false},
	"U+FFFF":             {"%ef%bf%bf", false},
	"10 kB":              {strings.Repeat("a", 10<<10), false},
	"10 kB of emoji":     {strings.Repeat("%f0%9f%98%80", 2560), false},
	"quotes and dashes":  {"'--", false},
	"escaped quote":      {"%5c'%20OR%201%3d1", false},
	"parameter":          {"$1", false},
	"dollar quotes":      {"$$", false},
	"format":             {"%25s%25n%25d", false},
	"line break":         {"a%0d%0aX-Evil:%201", false},
	"tab and DEL":        {"%09%7f", false},
	"list":               {"%5b%22a%22%5d", false},
	"object":             {"%7b%22%24ne%22%3anull%7d", false},
	"number":             {"99999999999999999999999999", false},
	"negative":           {"-1", false},
	"empty":              {"", false},
	"glob and backslash": {"%25_*%5c", false},
}

// input is one request of the walk.
type input struct {
	to                   route
	path, query          string
	contentType, body    string
	what, authorization  string
	wantStatus, outsider int // 0: any below 500; outsider instead of wantStatus for the logged-out
}

// walker asks every route in the name of somebody who is logged in and of somebody who is not.
type walker struct {
	t       *testing.T
	r       *rig.Rig
	in      *rig.Browser
	out     *rig.Browser
	secrets rig.Canaries
	asked   int
	slowest time.Duration
	olga    rig.User // on whom the log-in is tried
	desk    rig.App  // whom the portal's routes are tried on
	token   string
	paths   *strings.Replacer
}

func newWalker(t *testing.T, r *rig.Rig) *walker {
	w := &walker{t: t, r: r, out: r.Browser(), olga: r.AddUser("olga@users.test"), desk: r.AddApp("Desk", true, rig.CB)}
	w.logIn()
	w.token = r.Grant(w.in, r.A).WantToken(t)
	w.in.Code(r.B)
	for name, s := range map[string]string{"client secret": r.A.Secret, "another secret": w.desk.Secret, "token": w.token} {
		w.secrets.AddCredential(name, s)
	}
	w.secrets.Add("password", rig.Password)
	installation := r.Strings(`SELECT id FROM installations WHERE app_id = $1`, r.B.ID)[0]
	w.paths = strings.NewReplacer("{installation}", installation, "{id}", w.desk.ID, "{secret}", r.Parse(w.desk.Secret).ID.String(), "{$}", "", "{hash}", "0", "{file}", "xenoauth.css",
		"{key}", r.AddKey(r.U.Account.ID, "").ID, "{bot}", r.AddBot(r.U.Account.ID, "Bot").ID)
	return w
}

func (w *walker) logIn() {
	w.in = w.r.LoggedIn(w.r.U)
	address, err := url.Parse(w.r.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.in.Client().Jar.Cookies(address) {
		w.secrets.Add("cookie "+c.Name, c.Value)
	}
}

// ask sends it for both; API routes know no cookies, so once.
func (w *walker) ask(i input) {
	w.t.Helper()
	want := i.wantStatus
	if i.to.kind != "api" {
		w.send(w.in, i, want)
		if i.outsider != 0 {
			want = i.outsider
		}
	}
	w.send(w.out, i, want)
}

func (w *walker) send(b *rig.Browser, i input, want int) {
	w.t.Helper()
	w.asked++
	request, err := http.NewRequest(i.to.method, w.r.URL+i.path, nil)
	if err != nil {
		w.t.Fatalf("%s: %v", i.what, err)
	}
	request.URL.RawQuery = i.query
	if i.to.method == http.MethodPost {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(i.body)), int64(len(i.body))
		request.Header.Set("Content-Type", i.contentType)
		request.Header.Set("Origin", w.r.URL)
	}
	request.Header.Set("Accept", "text/html")
	if i.authorization != "" {
		request.Header.Set("Authorization", i.authorization)
	}
	// Each comes from an address of its own, so that what fails is not counted together.
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", w.asked>>16&0xff, w.asked>>8&0xff, w.asked&0xff))
	start := time.Now()
	a := b.Do(request)
	took := time.Since(start)
	w.slowest = max(w.slowest, took)
	if took > 5*time.Second {
		w.t.Errorf("%s: took %s", i.what, took)
	}
	if a.Status >= 500 || want != 0 && a.Status != want {
		w.t.Errorf("%s: status %d, want %d: %.300s", i.what, a.Status, want, a.Body)
	}
	if a.Header.Get("X-Evil") != "" {
		w.t.Errorf("%s: a header was injected", i.what)
	}
	if found := w.secrets.In(a.Body + a.Header.Get("Location")); found != nil {
		w.t.Errorf("%s: the answer holds %v", i.what, found)
	}
	if a.Header.Get("Set-Cookie") != "" { // logged in as somebody else, or out
		if b == w.in {
			w.logIn()
		} else {
			w.out = w.r.Browser()
		}
	}
}

// sound is a request that the route would take, so that the hostile parameter alone is at fault.
func (w *walker) sound(to route, name string) url.Values {
	r := w.r
	switch to.method + " " + to.path {
	case "GET /oauth/authorize", "POST /oauth/authorize":
		return request(r.A)
	case "GET /oauth/consent":
		return url.Values{"request_id": {wantLogIn(w.t, r.Browser().Get(address(request(r.B))))}}
	case "POST /oauth/consent":
		page := w.in.Get(address(request(r.B, "scope", "faqs", "prompt", "consent")))
		return url.Values{"request_id": {page.Hidden("request_id")}, "decision": {"allow"}, "account": {page.Hidden("account")}}
	case "POST /oauth/token":
		form := r.A.As("code", "x", "redirect_uri", rig.CB)
		switch name {
		case "refresh_token":
			form.Set("grant_type", "refresh_token")
		case "scope":
			form.Set("grant_type", "client_credentials")
		}
		return form
	case "POST /oauth/revoke":
		return r.B.As("token", "x")
	case "POST /oauth/introspect":
		return r.A.As("token", w.token)
	case "POST /login":
		return url.Values{"email": {w.olga.Email}, "password": {rig.Password}}
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
		app, err := r.Rules.App(w.t.Context(), "", w.desk.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		return url.Values{"name": {"Desk"}, "redirect_uris": {rig.CB}, "scopes": {"faqs"}, "version": {fmt.Sprint(app.Version)}}
	}
	return url.Values{}
}

// TestBattery_G4: every route of server/routes.go, every parameter that its handler reads (found in the source) and every
// wildcard of its path, filled with NUL, 0xff, 0xC0AF, lone surrogates (as bytes and as \ud800 in JSON), overlong and cut
// UTF-8, bare bytes and bad escapes, U+202E, 10 kB, '--, $1, $$, %s, line breaks, JSON, list form a[]=, the same name twice,
// and nothing; and with such names; in the query of a GET and the form of a POST, logged in and logged out. What is
// malformed is 400 (a page for the logged-in may send others to the log-in first), what is not is plain data: never a 500,
// none takes 5 seconds, no header is injected, and no answer holds a secret, a token or a cookie.
func TestBattery_G4(t *testing.T) {
	rig.Each(t, func(t *testing.T, r *rig.Rig) {
		w := newWalker(t, r)
		routes := routesOf(t)
		for _, to := range routes {
			w.parameters(to)
			w.wildcards(to)
		}
		w.objects()
		w.headers()
		r.With(t).WantLive(w.token, true)
		if n := r.Count(`SELECT COUNT(*) FROM users WHERE operator = 1`); n != 0 {
			t.Errorf("somebody became an operator")
		}
		if w.asked < 2500 {
			t.Errorf("%d requests were made; the test reads the source wrongly", w.asked)
		}
		t.Logf("%d requests over %d routes, the slowest took %s", w.asked, len(routes), w.slowest)
	}, func(o *server.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
}

// parameters fills each parameter that a route reads, one at a time, beside sound ones.
func (w *walker) parameters(to route) {
	path := w.paths.Replace(to.path)
	send := func(name, raw string, rest url.Values, malformed bool) {
		i := input{to: to, path: path, what: fmt.Sprintf("%s %s: %s=%.40s", to.method, to.path, name, raw), contentType: formType}
		pairs := strings.Trim(rest.Encode()+"&"+raw, "&")
		if i.query = pairs; to.method == http.MethodPost {
			i.query, i.body = "", pairs
		}
		if malformed {
			i.wantStatus, i.outsider = http.StatusBadRequest, http.StatusBadRequest
			if to.kind == "private" {
				i.outsider = http.StatusSeeOther
			}
		}
		if to.path == "/api/me" { // without a token nothing else counts
			beside := i
			beside.authorization = "Bearer " + w.token
			w.ask(beside)
			i.wantStatus = http.StatusUnauthorized
		}
		w.ask(i)
	}
	for _, name := range to.parameters {
		without := func() url.Values {
			v := w.sound(to, name)
			v.Del(name)
			return v
		}
		for _, value := range hostile {
			send(name, name+"="+value.raw, without(), value.malformed)
		}
		send(name, name+"[]=a", without(), false)
		send(name, name+"[a]=b&"+name+"[0][$ne]=x", without(), false)
		sound := w.sound(to, name).Get(name)
		send(name, name+"="+url.QueryEscape(sound)+"&"+name+"="+url.QueryEscape(sound), without(), false)
		send(name, name+"=a&"+name+"=b", without(), false)
		send(name, name, without(), false)
	}
	// The names themselves; a form of which nothing is sound, so that nothing comes of it.
	for _, value := range hostile {
		send("name "+value.raw, value.raw+"=1", url.Values{}, value.malformed && len(to.parameters) > 0)
	}
	if to.method == http.MethodPost { // and in the query, which no POST reads but the one that passes it on
		for _, raw := range []string{"%00", "%ff", "%zz", "'--", "a;b"} {
			i := input{to: to, path: path, query: "x=" + raw, contentType: formType, what: fmt.Sprintf("%s %s?x=%s", to.method, to.path, raw)}
			if strings.Contains(to.path, "remove") || strings.Contains(to.path, "revoke") || strings.Contains(to.path, "logout") {
				i.contentType = "text/plain" // these need no parameter to do what they do
			}
			w.ask(i)
		}
	}
}

// wildcards fills the wildcards of a path: what is not an id of something of the visitor's is not there.
func (w *walker) wildcards(to route) {
	for _, part := range strings.Split(to.path, "/") {
		if !strings.HasPrefix(part, "{") || part == "{$}" {
			continue
		}
		for name, value := range hostile {
			raw := value.raw
			if raw == "" || strings.Trim(raw, "%") == "" || strings.ContainsAny(raw, "\xff") || raw == "%s" {
				continue // no path at all, which HTTP clients do not send
			}
			path := w.paths.Replace(strings.Replace(to.path, part, "\x01", 1))
			i := input{to: to, path: strings.Replace(path, "\x01", raw, 1), contentType: formType, what: to.method + " " + to.path + " with " + name, wantStatus: http.StatusNotFound}
			if to.kind == "private" && !strings.Contains(raw, "%") {
				i.outsider = http.StatusSeeOther
			}
			if strings.HasSuffix(to.path, "{file}") && part == "{hash}" && !strings.Contains(raw, "%") {
				i.wantStatus = http.StatusOK // any hash: it only says how long the file may be kept
			}
			w.ask(i)
		}
	}
}

// objects fills the members of a JSON object, where the token endpoint takes one.
func (w *walker) objects() {
	to := route{method: http.MethodPost, path: "/oauth/token", kind: "api"}
	for _, name := range []string{"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"} {
		for raw, status := range map[string]int{
			`"\u0000"`: 400, `"a\u0000b"`: 400, `"\ud800"`: 400, `"\udc00x"`: 400, `"\ud83d\ud83d"`: 400, "\"\xff\"": 400, "\"\xc0\xaf\"": 400, "\"\xed\xa0\x80\"": 400, `null`: 400, `1`: 400, `1e999`: 400, `true`: 400,
			`["a"]`: 400, `{"$ne":null}`: 400, `"a`: 400, `"\x"`: 400, `"\u202e"`: 0, `"'--"`: 0, `"$1"`: 0, `"$$"`: 0, `"%s"`: 0, `"` + strings.Repeat("a", 10<<10) + `"`: 0, `"\ufffd"`: 400, `"\r\nX-Evil: 1"`: 0, `""`: 0,
			strings.Repeat("[", 10_000): 400, strings.Repeat(`{"a":`, 10_000): 400,
		} {
			object := map[string]string{}
			for n := range w.r.A.As("code", "x", "redirect_uri", rig.CB) {
				object[n] = w.r.A.As("code", "x", "redirect_uri", rig.CB).Get(n)
			}
			delete(object, name)
			rest, err := json.Marshal(object)
			if err != nil {
				w.t.Fatal(err)
			}
			body := fmt.Sprintf(`{%q:%s,%s`, name, raw, rest[1:])
			w.ask(input{to: to, path: to.path, contentType: "application/json", body: body, what: fmt.Sprintf("JSON %s: %.40q", name, raw), wantStatus: status})
			if name == "code" {
				w.ask(input{to: to, path: to.path, contentType: "application/json", body: fmt.Sprintf(`{%s:%s}`, raw, raw), what: fmt.Sprintf("JSON name %.40q", raw)})
			}
		}
	}
}

// headers are what the server reads of a request beside its parameters, as bytes that HTTP clients do not send.
func (w *walker) headers() {
	form := url.Values{"email": {w.olga.Email}, "password": {rig.Password}}.Encode()
	for name, value := range hostile {
		decoded, err := url.PathUnescape(value.raw)
		if err != nil {
			decoded = value.raw
		}
		if strings.ContainsAny(decoded, "\x00\r\n\x7f") {
			continue // no header at all: net/http refuses it
		}
		for _, header := range []string{"User-Agent", "X-Forwarded-For", "Cookie", "Accept", "Authorization", "Referer", "X-Request-Id"} {
			line := header + ": " + decoded
			if header == "Cookie" {
				line = "Cookie: xenoauth=" + decoded + "; xenoauth-device=" + decoded
			}
			if a := w.r.Raw("/login", form, line, "Origin: "+w.r.URL); a.Status != http.StatusSeeOther {
				w.t.Errorf("%s with %s: log-in answers %d: %.300s", header, name, a.Status, a.Body)
			}
			if a := w.r.Raw("/oauth/token", w.r.A.As("grant_type", "client_credentials").Encode(), line); header != "Authorization" && a.Status != http.StatusOK || a.Status >= 500 {
				w.t.Errorf("%s with %s: the token endpoint answers %d: %.300s", header, name, a.Status, a.Body)
			}
			w.asked += 2
		}
		for _, scheme := range []string{"Bearer ", "Basic "} {
			a := w.out.Visit(http.MethodGet, "/api/me", "Authorization: "+scheme+decoded)
			if a.Status != http.StatusUnauthorized {
				w.t.Errorf("%s with %s: /api/me answers %d", scheme, name, a.Status)
			}
			if a := w.r.Raw("/oauth/token", "grant_type=client_credentials", "Authorization: "+scheme+decoded, "Authorization: x"); a.Status >= 500 {
				w.t.Errorf("%s with %s: status %d", scheme, name, a.Status)
			}
		}
	}
}
