package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/dbtest"
)

// takers are the paths that take a body, of an API and of pages.
var takers = []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/consent", "/oauth/authorize", "/login", "/signup", "/logout"}

// jsonTakers take JSON and nothing else, so that they answer some things otherwise than takers.
var jsonTakers = map[string]map[int]int{
	"/v2/auth/token":             {http.StatusBadRequest: http.StatusUnsupportedMediaType}, // parameters that would fit a form
	"/authorization/integration": {http.StatusRequestEntityTooLarge: http.StatusBadRequest, http.StatusUnsupportedMediaType: http.StatusBadRequest},
}

// body is a request body of a content type.
type body struct {
	status  int // what must be answered
	media   string
	content func() io.Reader
	length  int64 // -1: chunked
	headers []string
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// TestBodyTooLarge_H1: To every address that takes a body: 64 KB and one byte, 1 MB and one byte, and a chunked body without end
// are 413; 10⁵ parameters are 413, as many as fit 400, and 10⁵ in the query 431; multipart, a compressed body that unpacks
// to 100 MB, and another charset are 415 (413, if they are larger than 64 KB themselves). 64 KB are read. Where JSON alone
// is taken, a form is 415, and at /authorization/integration all of it is 400. Memory stays flat over 400 such requests.
func TestBodyTooLarge_H1(t *testing.T) {
	// Not parallel: it looks at the memory of the process.
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	var member bytes.Buffer // of a gzip file, which may have any number of them (RFC 1952 §2.2)
	z := gzip.NewWriter(&member)
	if _, err := io.CopyN(z, zeros{}, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := bytes.Repeat(member.Bytes(), 100)
	text := func(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }
	bodies := map[string]body{
		"64 KB + 1":         {413, formType, text("x=" + strings.Repeat("x", 64<<10-1)), 64<<10 + 1, nil},
		"1 MB + 1":          {413, formType, text("x=" + strings.Repeat("x", 1<<20-1)), 1<<20 + 1, nil},
		"chunked, no end":   {413, formType, func() io.Reader { return zeros{} }, -1, nil},
		"100,000 names":     {413, formType, text(strings.Repeat("a&", 100_000)), 200_000, nil},
		"as many as fit":    {400, formType, text(strings.Repeat("a&", 32_000)), 64_000, nil},
		"multipart":         {415, "multipart/form-data; boundary=x", text("--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n"), 57, nil},
		"multipart, 32 MB":  {413, "multipart/form-data; boundary=x", func() io.Reader { return zeros{} }, 32 << 20, nil},
		"gzip bomb":         {415, formType, func() io.Reader { return bytes.NewReader(bomb) }, int64(len(bomb)), []string{"Content-Encoding", "gzip"}},
		"gzip bomb as such": {413, "application/gzip", func() io.Reader { return bytes.NewReader(bomb) }, int64(len(bomb)), nil},
		"UTF-16":            {415, formType + "; charset=utf-16", text("a\x00=\x00"), 4, nil},
	}
	ask := func(t *testing.T, path string, b body) harness.Answer {
		request, err := http.NewRequest(http.MethodPost, e.URL+path, io.NopCloser(b.content()))
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = b.length
		request.Header.Set("Content-Type", b.media)
		for i := 0; i < len(b.headers); i += 2 {
			request.Header.Set(b.headers[i], b.headers[i+1])
		}
		return e.With(t).Do(request)
	}
	all := slices.AppendSeq(slices.Clone(takers), maps.Keys(jsonTakers))
	before := memoryInUse()
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			for _, path := range all {
				want := b.status
				if other, otherwise := jsonTakers[path][want]; otherwise {
					want = other
				}
				if a := ask(t, path, b); a.Status != want {
					t.Errorf("%s: status = %d, want %d: %.300s", path, a.Status, want, a.Body)
				}
			}
		})
	}
	requests := len(bodies) * len(all)
	for range 40 {
		for _, path := range all {
			ask(t, path, bodies["chunked, no end"])
			requests++
		}
	}
	after := memoryInUse()
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("%d bytes more are in use than before", grown)
	}
	// Bodies of 64 KB are read into buffers that grow to them, at both ends.
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(requests); each > 2<<20 {
		t.Errorf("%d bytes were allocated for each request", each)
	}

	tooLongForPages(t, e)
	whole := e.A.As("grant_type", "client_credentials")
	whole.Set("x", strings.Repeat("x", 64<<10-len(whole.Encode())-3))
	if n := len(whole.Encode()); n != 64<<10 {
		t.Fatalf("the body has %d bytes", n)
	}
	e.Post("/oauth/token", whole).WantToken(t)
	for _, path := range append([]string{"/", "/api/me", "/oauth/authorize"}, takers...) {
		if a := e.Browser().Visit(http.MethodGet, path+"?"+strings.Repeat("a&", 100_000)); a.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("100,000 parameters in the query of %s: status = %d, want 431", path, a.Status)
		}
	}
}

// tooLongForPages posts 64 KB and some to whatever a logged-in browser can.
func tooLongForPages(t *testing.T, e *harness.Env) {
	in := e.LoggedIn(e.U)
	in.Code(e.A) // an installation
	for _, path := range mounted(t, http.MethodPost) {
		long := url.Values{"x": {strings.Repeat("x", 64<<10)}}
		if a := in.Post(place(t, e, e.A, path), long); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s, logged in: status = %d, want 413", path, a.Status)
		}
	}
}

// memoryInUse is what the process uses once the garbage is gone.
func memoryInUse() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// TestMalformedHTTP_H3: A header of 1 MB, a request line of 1 MB, and 10,000 headers are 431; two different lengths, a length that is no
// number, an encoding that is not chunked, a broken chunk, a space or a control character in a header's name, a NUL in its
// value, no Host or two are 400 or 501, and the connection ends. A length beside chunked is answered as chunked and the
// connection ends, so that the body cannot contain another client's next request. Other deviations that net/http tolerates are recorded in
// docs/decisions.
func TestMalformedHTTP_H3(t *testing.T) {
	t.Parallel()
	e := harness.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	const post = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	many := func(line string) string {
		var b strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&b, line, i)
		}
		return "GET /login HTTP/1.1\r\nHost: x\r\n" + b.String() + "\r\n"
	}
	for name, c := range map[string]struct {
		text     string
		statuses []int
	}{
		"a header of 1 MB":            {"GET /login HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{431}},
		"a cookie of 1 MB":            {"GET /login HTTP/1.1\r\nHost: x\r\nCookie: xenoauth=" + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{431}},
		"a request line of 1 MB":      {"GET /login?x=" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431, 414}},
		"10,000 headers":              {many("X-%d: x\r\n"), []int{431}},
		"10,000 equal headers":        {many("X-Same: %d\r\n"), []int{431}},
		"a header's name of 1 MB":     {"GET /login HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("x", 1<<20) + ": x\r\n\r\n", []int{431}},
		"two lengths":                 {post + "Content-Length: 3\r\nContent-Length: 40\r\n\r\na=b" + smuggled, []int{400}},
		"two lengths in one":          {post + "Content-Length: 3, 40\r\n\r\na=b" + smuggled, []int{400}},
		"a signed length":             {post + "Content-Length: +3\r\n\r\na=b" + smuggled, []int{400}},
		"a negative length":           {post + "Content-Length: -3\r\n\r\na=b" + smuggled, []int{400}},
		"a length in hexadecimal":     {post + "Content-Length: 0x3\r\n\r\na=b" + smuggled, []int{400}},
		"a huge length":               {post + "Content-Length: 99999999999999999999\r\n\r\na=b" + smuggled, []int{400}},
		"length and chunked":          {post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{400, 401}},
		"chunked and length":          {post + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + smuggled, []int{400, 401}},
		"chunked, sent twice":         {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, []int{400, 501}},
		"chunked and identity":        {post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled, []int{400, 501}},
		"identity":                    {post + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400, 501}},
		"chunked, misspelt":           {post + "Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400, 501}},
		"chunked after a control":     {post + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400, 501}},
		"a chunk's length is none":    {post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\na=b\r\n0\r\n\r\n" + smuggled, []int{400}},
		"a chunk too long to be":      {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na=b\r\n0\r\n\r\n" + smuggled, []int{400}},
		"a chunk longer than it says": {post + "Transfer-Encoding: chunked\r\n\r\n1\r\na=b\r\n0\r\n\r\n" + smuggled, []int{400}},
		"space before the colon":      {post + "Content-Length : 3\r\n\r\na=b" + smuggled, []int{400}},
		"a control in a name":         {post + "X\x01Y: a\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400}},
		"NUL in a value":              {post + "X: a\x00b\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400}},
		"a header without a name":     {post + ": a\r\nContent-Length: 3\r\n\r\na=b" + smuggled, []int{400}},
		"no Host":                     {"GET /login HTTP/1.1\r\n\r\n" + smuggled, []int{400}},
		"two Hosts":                   {"GET /login HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + smuggled, []int{400}},
		"a Host that is none":         {"GET /login HTTP/1.1\r\nHost: x y\r\n\r\n" + smuggled, []int{400}},
		"no protocol":                 {"GET /login\r\n\r\n" + smuggled, []int{400}},
		"another protocol":            {"GET /login HTTP/3.0\r\nHost: x\r\n\r\n" + smuggled, []int{505}},
		"garbage":                     {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := e.With(t).Dial()
			conn.Send(c.text)
			a, answered := conn.Receive()
			if !answered {
				return // closed, which is as good
			}
			if !contains(c.statuses, a.Status) {
				t.Errorf("status = %d, want %v: %.200s", a.Status, c.statuses, a.Body)
			}
			if next, again := conn.Receive(); again {
				t.Errorf("what followed was read as a request of its own: %d %.200s", next.Status, next.Body)
			}
		})
	}
	for name, text := range map[string]string{
		"a bare line feed":        strings.ReplaceAll(post, "\r\n", "\n") + "Content-Length: 3\n\na=b",
		"a folded header":         post + "X: a\r\n b: c\r\nContent-Length: 3\r\n\r\na=b",
		"the same length twice":   post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
		"an empty line before":    "\r\n" + post + "Content-Length: 3\r\n\r\na=b",
		"chunked in another case": post + "Transfer-Encoding: Chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
	} {
		t.Run("tolerated: "+name, func(t *testing.T) {
			t.Parallel()
			conn := e.With(t).Dial()
			conn.Send(text)
			if a, answered := conn.Receive(); answered && a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
				t.Errorf("status = %d, want 401 or 400: %.200s", a.Status, a.Body)
			}
		})
	}
	e.LoggedIn(e.U)
}

func contains(list []int, n int) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}

// TestContentType_H4: What is sent as something else: text/plain, multipart, XML, no content type, a malformed one or two, form
// data in another charset, a UTF-16 body: 415 or 400 at every endpoint. JSON at revocation, introspection and on pages: 415, a
// form where JSON alone is taken: 415, or 400 at /authorization/integration, which has no 415. At
// the token endpoint JSON is taken, but with duplicate names (equal or not), null, numbers, truth values, lists or objects for values, an
// array or a bare value, two documents, a broken one, half a surrogate pair, bytes that are not UTF-8, or nested 10,000 deep: 400 invalid_request,
// nothing granted.
func TestContentType_H4(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		form := e.A.As("grant_type", "client_credentials", "token", "x").Encode()
		member := func(more string) string {
			return `{"grant_type":"client_credentials","client_id":"` + e.A.ID + `","client_secret":"` + e.A.Secret + `"` + more + `}`
		}
		ask := func(path, content string, types ...string) harness.Answer {
			request, err := http.NewRequest(http.MethodPost, e.URL+path, strings.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			request.Header["Content-Type"] = types
			return e.Do(request)
		}
		for _, path := range takers {
			for name, types := range map[string][]string{
				"none": nil, "empty": {""}, "text/plain": {"text/plain"}, "multipart": {"multipart/form-data; boundary=x"}, "XML": {"application/xml"},
				"malformed": {"application/x-www-form-urlencoded; charset"}, "another charset": {formType + "; charset=utf-16"}, "latin": {formType + "; charset=iso-8859-1"},
				"like it": {formType + "2"}, "list": {formType + ", text/plain"}, "JSON of a kind": {"application/json-seq"}, "JSON in UTF-16": {"application/json; charset=utf-16"},
			} {
				if a := ask(path, form, types...); a.Status != http.StatusUnsupportedMediaType {
					t.Errorf("%s, content type %s: status = %d, want 415: %.200s", path, name, a.Status, a.Body)
				}
			}
			if path != "/oauth/token" {
				if a := ask(path, member(`,"token":"x"`), "application/json"); a.Status != http.StatusUnsupportedMediaType {
					t.Errorf("%s, JSON: status = %d, want 415", path, a.Status)
				}
			}
			if a := ask(path, "\xff\xfec\x00o\x00d\x00e\x00=\x00x\x00", formType); a.Status != http.StatusBadRequest {
				t.Errorf("%s, UTF-16: status = %d, want 400", path, a.Status)
			}
		}
		onlyJSON(t, e, ask)
		ask("/oauth/token", member(""), "application/json").WantToken(t)
		ask("/oauth/token", member(""), "Application/JSON; charset=UTF-8").WantToken(t)
		before := e.Count(`SELECT COUNT(*) FROM expiring_tokens`)
		for name, content := range map[string]string{
			"equal names":    member(`,"grant_type":"client_credentials"`),
			"two ids":        member(`,"client_id":"` + e.B.ID + `"`),
			"escaped name":   member(`,"grant\u005ftype":"client_credentials"`),
			"null":           member(`,"scope":null`),
			"number":         member(`,"scope":1`),
			"float":          member(`,"scope":1e400`),
			"truth":          member(`,"scope":true`),
			"list":           member(`,"scope":["contacts"]`),
			"object":         member(`,"scope":{"a":"b"}`),
			"half a pair":    member(`,"scope":"\ud800"`),
			"NUL":            member(`,"scope":"a\u0000"`),
			"not UTF-8":      member(",\"scope\":\"\xff\""),
			"array":          "[" + member("") + "]",
			"bare value":     `"client_credentials"`,
			"bare null":      `null`,
			"two documents":  member("") + member(""),
			"text after it":  member("") + "x",
			"broken":         member("")[:40],
			"trailing comma": member(","),
			"a comment":      member("/* */"),
			"nothing":        "",
			"UTF-16":         "\xff\xfe{\x00}\x00",
			"byte order":     "\xef\xbb\xbf" + member(""),
			"deep lists":     member(`,"scope":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)),
			"deep objects":   strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
			"deep, open":     strings.Repeat("[", 60_000),
			"many names":     `{` + strings.Repeat(`"a":"",`, 8000) + `"b":""}`,
		} {
			t.Run(name, func(t *testing.T) {
				ask("/oauth/token", content, "application/json").WantRefused(t, http.StatusBadRequest, "invalid_request")
			})
		}
		if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens`); n != before {
			t.Errorf("%d tokens were granted", n-before)
		}
	})
}

// onlyJSON asks the endpoints that take nothing but a JSON object for what they do not take, and then for what they do.
func onlyJSON(t *testing.T, e *harness.Env, ask func(path, content string, types ...string) harness.Answer) {
	logIn := `{"email":"` + e.U.Email + `","password":"` + harness.Password + `"}`
	keys := harness.Keys(e.AddKey(e.U.Account.ID, ""))
	for name, types := range map[string][]string{
		"a form": {formType}, "text/plain": {"text/plain"}, "multipart": {"multipart/form-data; boundary=x"}, "another charset": {"application/json; charset=utf-16"},
		"like it": {"application/jsonp"}, "malformed": {"application/json; charset"},
	} {
		if a := ask("/v2/auth/token", logIn, types...); a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("/v2/auth/token, content type %s: status = %d, want 415: %.200s", name, a.Status, a.Body)
		}
		ask("/authorization/integration", keys, types...).WantMessage(t, http.StatusBadRequest)
	}
	for _, content := range []string{"\xff\xfe{\x00}\x00", "null", "[]", logIn + logIn, strings.Repeat(`{"email":`, 7_000), `{"email":"a","email":"b"}`, `{"AccountAPIKey":1}`, `{"email":{}}`} {
		ask("/v2/auth/token", content, "application/json").WantRefused(t, http.StatusBadRequest, "invalid_request")
		ask("/authorization/integration", content, "application/json").WantMessage(t, http.StatusBadRequest)
	}
	ask("/v2/auth/token", logIn, "application/json").WantUserPair(e)
	ask("/authorization/integration", keys, "application/json").WantIntegration(t)
}
