package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/server"
)

// input is one request of the walk.
type input struct {
	to                   route
	path, query          string
	contentType, body    string
	what, authorization  string
	wantStatus, outsider int // 0: any below 500; outsider instead of wantStatus for the logged-out
}

// walker sends requests to every route from a browser that is logged in and from one that is not.
type walker struct {
	t       *testing.T
	r       *harness.Env
	in      *harness.Browser
	out     *harness.Browser
	secrets harness.SecretScanner
	asked   int
	slowest time.Duration
	olga    harness.User // on whom the log-in is tried
	desk    harness.App  // whom the portal's routes are tried on
	token   string
	paths   *strings.Replacer
	hostile map[string]value // on Postgres those that a database could mind: what is before it is the same
}

func newWalker(t *testing.T, e *harness.Env) *walker {
	w := &walker{t: t, r: e, out: e.Browser(), olga: e.AddUser("olga@users.test"), desk: e.AddApp("Desk", true, harness.CB), hostile: maps.Clone(hostile)}
	if e.Postgres() {
		maps.DeleteFunc(w.hostile, func(_ string, v value) bool { return !v.database })
	}
	w.logIn()
	w.token = e.Grant(w.in, e.A).WantToken(t)
	w.in.Code(e.B)
	for name, s := range map[string]string{"client secret": e.A.Secret, "another secret": w.desk.Secret, "token": w.token} {
		w.secrets.AddCredential(name, s)
	}
	w.secrets.Add("password", harness.Password)
	installation := e.Strings(`SELECT id FROM installations WHERE app_id = $1`, e.B.ID)[0]
	w.paths = strings.NewReplacer("{installation}", installation, "{id}", w.desk.ID, "{secret}", e.Parse(w.desk.Secret).ID.String(), "{$}", "", "{hash}", "0", "{file}", "xenoauth.css",
		"{key}", e.AddKey(e.U.Account.ID, "").ID, "{bot}", e.AddBot(e.U.Account.ID, "Bot").ID, "{program}", familyOf(e, e.UserTokens(e.U)), "{session}", "00")
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

// ask sends it for both; API routes know no cookies, so once. Who is logged out gets to see nothing of a private page, so
// that some of it is enough.
func (w *walker) ask(i input) {
	w.t.Helper()
	want := i.wantStatus
	if i.to.kind != "api" {
		w.send(w.in, i, want)
		if i.outsider != 0 {
			want = i.outsider
		}
		if i.to.kind == "private" && w.asked%4 != 0 {
			return
		}
	}
	w.send(w.out, i, want)
}

func (w *walker) send(b *harness.Browser, i input, want int) {
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
	if took > 15*time.Second { // far above what a busy machine needs for one of them
		w.t.Errorf("%s: took %s", i.what, took)
	}
	if a.Status >= 500 || want != 0 && a.Status != want {
		w.t.Errorf("%s: status %d, want %d: %.300s", i.what, a.Status, want, a.Body)
	}
	if a.Header.Get("X-Evil") != "" {
		w.t.Errorf("%s: a header was injected", i.what)
	}
	if found := w.secrets.Find(a.Body + a.Header.Get("Location")); found != nil {
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

// TestHostileInput_G4: every route of server/routes.go, every parameter that its handler reads (found in the source) and every
// wildcard of its path, filled with NUL, 0xff, 0xC0AF, lone surrogates (as bytes and as \ud800 in JSON), overlong and cut
// UTF-8, bare bytes and bad escapes, U+202E, 10 kB, '--, $1, $$, %s, line breaks, JSON, list form a[]=, the same name twice,
// and an empty value; and with such names; in the query of a GET and the form of a POST, logged in and logged out. A malformed value is
// a 400 (a private page may redirect to the log-in first), any other is plain data: never a 500, no answer takes 5 seconds, no
// header is injected, and no answer contains a secret, a token or a cookie. SQLite gets all of the requests, and Postgres those that
// could matter to a database.
func TestHostileInput_G4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newWalker(t, e)
		routes := routesOf(t)
		for _, to := range routes {
			w.parameters(to)
			w.wildcards(to)
		}
		w.objects()
		w.headers()
		e.With(t).WantLive(w.token, true)
		if n := e.Count(`SELECT COUNT(*) FROM users WHERE operator = 1`); n != 0 {
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
			if status, otherwise := answersFirst[to.method+" "+to.path]; otherwise {
				i.wantStatus = status
			}
		}
		if to.path == "/api/me" || to.path == "/oauth/verify" {
			beside := i
			if beside.authorization = "Bearer " + w.token; malformed {
				beside.wantStatus = map[string]int{"/api/me": http.StatusBadRequest, "/oauth/verify": http.StatusForbidden}[to.path]
			}
			w.ask(beside)
		}
		w.ask(i)
	}
	for _, name := range to.parameters {
		without := func() url.Values {
			v := w.sound(to, name)
			v.Del(name)
			return v
		}
		for _, value := range w.hostile {
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
	for _, value := range w.hostile {
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
		for name, value := range w.hostile {
			raw := value.raw
			if raw == "" || strings.Trim(raw, "%") == "" || strings.Contains(raw, "\xff") || raw == "%s" {
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

// objects fills the members of JSON objects, where they are taken. Only a member that nobody reads may be anything.
func (w *walker) objects() {
	code := map[string]string{"code": "x", "redirect_uri": harness.CB, "client_id": w.r.A.ID, "client_secret": w.r.A.Secret}
	for path, members := range map[string]map[string]string{
		"/oauth/token":               code,
		"/oauth/token ":              {"grant_type": "refresh_token", "refresh_token": "x", "scope": "faqs", "client_id": w.r.A.ID, "client_secret": w.r.A.Secret},
		"/oauth/token  ":             {"grant_type": "", "code_verifier": "x", "resource": "https://x.test", "code": "x", "client_id": w.r.A.ID, "client_secret": w.r.A.Secret},
		"/v2/auth/token":             {"email": w.olga.Email, "password": harness.Password},
		"/v2/auth/token ":            {"refreshToken": "x", "clientId": w.olga.Email},
		"/authorization/integration": {"AccountAPIKey": "x", "BotAPIKey": "y", "BotAPISecret": "z"},
		"/bots/" + w.olga.ID + "/authorization/integration": {"AccountAPIKey": "x"},
	} {
		to := route{method: http.MethodPost, path: strings.TrimSpace(path), kind: "api"}
		for name := range members {
			for raw, malformed := range hostileJSON {
				rest := maps.Clone(members)
				delete(rest, name)
				others, err := json.Marshal(rest)
				if err != nil {
					w.t.Fatal(err)
				}
				body := strings.Replace(fmt.Sprintf(`{%q:%s,%s`, name, raw, others[1:]), ",}", "}", 1)
				i := input{to: to, path: to.path, contentType: "application/json", body: body, what: fmt.Sprintf("JSON %s of %s: %.40q", name, path, raw)}
				if malformed {
					i.wantStatus = http.StatusBadRequest
				}
				w.ask(i)
			}
		}
		for raw := range hostileJSON {
			w.ask(input{to: to, path: to.path, contentType: "application/json", body: fmt.Sprintf(`{%s:%s}`, raw, raw), what: fmt.Sprintf("JSON name of %s: %.40q", path, raw)})
		}
	}
}

// headers are what the server reads of a request beside its parameters, as bytes that HTTP clients do not send.
func (w *walker) headers() {
	form := url.Values{"email": {w.olga.Email}, "password": {harness.Password}}.Encode()
	for name, value := range w.hostile {
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
