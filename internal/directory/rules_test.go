package directory

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"xenoauth/store"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	accepted := map[string]string{
		"ada@example.org":              "ada@example.org",
		"  Ada.L@Example.ORG\n":        "ada.l@example.org",
		"a+b_c%d@sub.example.org":      "a+b_c%d@sub.example.org",
		"root@localhost":               "root@localhost",
		"ada@Bücher.example":           "ada@xn--bcher-kva.example",
		"ada@bu\u0308cher.example":     "ada@xn--bcher-kva.example",
		"ada@XN--Bcher-KVA.example":    "ada@xn--bcher-kva.example",
		"ada@\u212Aexample.org":        "ada@kexample.org",
		"\uff41da@exa\u2024mple.org":   "ada@exa.mple.org",
		"ada@\u4f8b\u3002\u6d4b\u8bd5": "ada@xn--fsq.xn--0zwm56d",
		"ada@xn--a.example":            "ada@xn--a.example", // no A-label
		"ada@xn--bcher-kva.example":    "ada@xn--bcher-kva.example",
		strings.Repeat("a", 64) + "@b": strings.Repeat("a", 64) + "@b",
	}
	for in, want := range accepted {
		if got, err := NormalizeEmail(in); err != nil || got != want {
			t.Errorf("NormalizeEmail(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := NormalizeEmail(want); err != nil || again != want {
			t.Errorf("NormalizeEmail(%q) is not stable: %q, %v", want, again, err)
		}
	}
	refused := []string{
		"", " ", "ada", "@example.org", "ada@", "a@b@c", "ada lovelace@example.org", "ada@exam ple.org", "ada@example..org",
		"ada@-example.org", "ada@example.org.", ".ada@example.org", "ada.@example.org", `"a b"@example.org`, "ada@[127.0.0.1]",
		"ada\x00@example.org", "ada@example.org\x00", "ada@exa\nmple.org", "ad\u00e4@example.org", "ad\u202ea@example.org",
		"ada@ex\u200bample.org", "ada@exa\xffmple.org", "ada@" + strings.Repeat("b", 58) + "\u00fc.org",
		strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("b.", 126) + "bb", "ada@exam_ple.org",
	}
	for _, in := range refused {
		if got, err := NormalizeEmail(in); err == nil {
			t.Errorf("NormalizeEmail(%q) = %q, want a refusal", in, got)
		}
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, s := range []string{"ada@example.org", " A@B ", "ada@Bücher.example", "a@\u212A", "@", "a@İ.org"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := NormalizeEmail(s)
		if err != nil {
			return
		}
		if again, err := NormalizeEmail(got); err != nil || again != got {
			t.Errorf("NormalizeEmail(%q) = %q, and that gives %q, %v", s, got, again, err)
		}
		if len(got) > maxEmail || strings.Count(got, "@") != 1 || strings.ContainsAny(got, " \x00\r\n\t") {
			t.Errorf("NormalizeEmail(%q) = %q", s, got)
		}
	})
}

func TestAppName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Widgets & Co.", "日本語アプリ", "Ünïcode 7", "  trimmed  ", "Xeno client", "OAuth tester", strings.Repeat("é", 60)} {
		if got, fault := checkAppName(name); fault != "" || got != strings.TrimSpace(name) {
			t.Errorf("checkAppName(%q) = %q, %q; want it accepted", name, got, fault)
		}
	}
	refused := []string{
		"", "   ", "!!!", strings.Repeat("a", 61), strings.Repeat("a", 10000), "evil\u202Emoc.app", "zero\u200Bwidth", "zero\u200Dwidth",
		"soft\u00ADhyphen", "line\nbreak", "nul\x00", "bell\a", "no\u00A0break", "\u3164", "blank\u2800", "mark\uFE0F", "bad\xff", "\u2066isolate",
		"Xenoauth", "xenoauth official", "X e n o a u t h", "The XENO-AUTH app", "Xen0auth", "Хеnоаuth", "Ｘｅｎｏａｕｔｈ", "Xénoäuth",
	}
	for _, name := range refused {
		if got, fault := checkAppName(name); fault == "" {
			t.Errorf("checkAppName(%q) = %q, want a refusal", name, got)
		}
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	const persian = "می\u200Cخواهم"
	for in, want := range map[string]string{"": "", " two\r\nlines ": "two\nlines", persian: persian} {
		if got, fault := cleanDescription(in); fault != "" || got != want {
			t.Errorf("cleanDescription(%q) = %q, %q; want %q", in, got, fault, want)
		}
	}
	for _, in := range []string{strings.Repeat("a", 501), "back\u202Ewards", "tab\there", "nul\x00", "bad\xff"} {
		if _, fault := cleanDescription(in); fault == "" {
			t.Errorf("cleanDescription(%q) was accepted", in)
		}
	}
}

func TestRedirectURIAccepted(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://app.test/cb", "https://app.test", "https://app.test:8443/cb", "https://app.test/cb?t=1&next=a%26b", "https://10.0.0.7/cb",
		"https://[2001:db8::1]/cb", "https://xn--bcher-kva.example/cb", "https://app.test/a%20b;v=1/c", "https://app.test/.well-known/cb",
		"http://localhost/cb", "http://localhost:3000", "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "http://[::1]/cb", "http://[::1]:7/cb",
		"com.example.app:/cb", "com.example.app://cb", "com.example.app://host/cb?a=b", "org.some-app.v2:/cb",
		"https://app.test/" + strings.Repeat("a", 2000-len("https://app.test/")),
	} {
		if got, fault := new(Directory).checkRedirectURIs([]string{uri}, true); fault != "" || len(got) != 1 || got[0] != uri {
			t.Errorf("redirect URI %q: got %q, fault %q; want it accepted", uri, got, fault)
		}
	}
}

// TestRedirectURIRefused holds the shapes of docs/battery.md, A5, A6 and A12, with the advice that each gets.
func TestRedirectURIRefused(t *testing.T) {
	t.Parallel()
	for uri, advice := range map[string]string{
		"https://app.test/cb#x":                         "fragment",
		"https://app.test/cb#":                          "fragment",
		"https://u@app.test/cb":                         "user name",
		"https://u:p@app.test/cb":                       "user name",
		"https://app.test:443@evil.test/cb":             "user name",
		`https://app.test\@evil.test/cb`:                "backslash",
		"https://*.app.test/cb":                         "wildcards",
		"https://app.test/*":                            "wildcards",
		"https://app.test/cb/../x":                      "segments",
		"https://app.test/./cb":                         "segments",
		"https://app.test/cb/..":                        "segments",
		"https://app.test/cb/..;/x":                     "segments",
		"https://app.test/cb/..%2Fx":                    "do not percent-encode",
		"https://app.test/cb/%2e%2e/x":                  "do not percent-encode",
		"https://app.test/cb/..%252Fx":                  "do not percent-encode",
		"https://app.test/cb/%25%32%65%25%32e/x":        "do not percent-encode",
		"https://app.test/cb/..%25%32Fx":                "do not percent-encode",
		"https://app.test/cb%5C..":                      "do not percent-encode",
		"https://app.test/cb%00":                        "control",
		"https://app.test/cb%0A%0D/x":                   "control",
		"https://app.test/cb%zz":                        "percent sign",
		"https://app.test/cb\x00":                       "control",
		"https://app.test/c b":                          "space",
		"https://app.test/cb\u00e9":                     "percent-encode",
		"https://b\u00fccher.example/cb":                "punycode",
		"https://\u0430pp.test/cb":                      "punycode",
		"https://app.test/<cb>":                         "percent-encode",
		"https:///cb":                                   "the host is missing",
		"https://:443/cb":                               "the host is missing",
		"https:app.test/cb":                             "https://",
		"https://app.test./cb":                          "domain name",
		"https://app..test/cb":                          "domain name",
		"https://a%70p.test/cb":                         "domain name",
		"https://127.1/cb":                              "domain name",
		"https://2130706433/cb":                         "domain name",
		"https://0x7f000001/cb":                         "domain name",
		"https://127.000.000.001/cb":                    "domain name",
		"https://[::ffff:127.0.0.1]/cb":                 "domain name",
		"https://[fe80::1%25lo]/cb":                     "domain name",
		"https://app.test:/cb":                          "port",
		"https://app.test:0/cb":                         "port",
		"https://app.test:99999/cb":                     "port",
		"https://app.test:0443/cb":                      "port",
		"http://app.test/cb":                            "use https",
		"http://127.0.0.2/cb":                           "use https",
		"http://localhost.evil.test/cb":                 "use https",
		"http://LOCALHOST/cb":                           "use https",
		"HTTPS://app.test/cb":                           "lower-case",
		"//app.test/cb":                                 "the scheme is missing",
		"/cb":                                           "the scheme is missing",
		"app.test/cb":                                   "the scheme is missing",
		"/cb:x":                                         "the scheme is missing",
		"javascript://app.test/%0aalert(1)":             "reverse",
		"data:text/html,x":                              "reverse",
		"vbscript:x":                                    "reverse",
		"blob:https://app.test/x":                       "reverse",
		"file:///etc/passwd":                            "reverse",
		"about:blank":                                   "reverse",
		"ftp://app.test/cb":                             "reverse",
		"ws://app.test/cb":                              "reverse",
		"myapp:/cb":                                     "reverse",
		"com.example.:/cb":                              "reverse",
		"com.example.app:cb":                            "slash",
		"com.example.app:":                              "slash",
		"com.example.app://u@host/cb":                   "only letters",
		"com.example.app:/a/../b":                       "segments",
		"https://app.test/cb?code=1":                    `"code"`,
		"https://app.test/cb?a=1&state=2":               `"state"`,
		"https://app.test/cb?ERROR=1":                   `"error"`,
		"https://app.test/cb?iss=1":                     `"iss"`,
		"https://app.test/cb?respons%65=1":              `"response"`,
		"https://app.test/cb?error_description":         `"error_description"`,
		"https://app.test/cb?":                          "question mark",
		"https://app.test/cb?a=%zz":                     "malformed",
		"https://app.test/cb?a=1;code=2":                "malformed",
		"https://app.test/" + strings.Repeat("a", 1984): "too long",
	} {
		_, fault := new(Directory).checkRedirectURIs([]string{"", uri}, true)
		if !strings.HasPrefix(fault, "Redirect URI 2: ") || !strings.Contains(fault, advice) {
			t.Errorf("redirect URI %q: fault %q, want one of redirect URI 2 with %q", uri, fault, advice)
		}
	}
}

func TestRedirectURIRows(t *testing.T) {
	t.Parallel()
	if _, fault := new(Directory).checkRedirectURIs([]string{"", " "}, true); !strings.Contains(fault, "at least one") {
		t.Errorf("no rows: %q", fault)
	}
	_, fault := new(Directory).checkRedirectURIs([]string{"https://a.test/cb", "ftp://b", "https://a.test/cb"}, true)
	if !strings.Contains(fault, "Redirect URI 2: ") || !strings.Contains(fault, "Redirect URI 3: this URI is listed twice") {
		t.Errorf("two faulty rows: %q", fault)
	}
	var many []string
	for i := range 11 {
		many = append(many, fmt.Sprintf("https://a.test/%d", i))
	}
	if _, fault := new(Directory).checkRedirectURIs(many[:10], true); fault != "" {
		t.Errorf("ten rows: %q", fault)
	}
	if _, fault := new(Directory).checkRedirectURIs(many, true); !strings.Contains(fault, "at most 10") {
		t.Errorf("eleven rows: %q", fault)
	}
}

func TestWebURL(t *testing.T) {
	t.Parallel()
	d := &Directory{own: newOwnAddress("https://auth.example")}
	for _, in := range []string{"", "https://app.test", "https://app.test/a?b=c#d", "http://localhost:3000/", " https://app.test/logo.png "} {
		if got, fault := d.checkWebURL("homepage", in); fault != "" || got != strings.TrimSpace(in) {
			t.Errorf("checkWebURL(%q) = %q, %q", in, got, fault)
		}
	}
	for _, in := range []string{
		"http://app.test", "javascript:alert(1)", "data:image/png;base64,AA", "//app.test", "app.test", "https://u:p@app.test/", "https://app.test/\nx",
		"https://\u0430pp.test", "https://app.test/" + strings.Repeat("a", 2000), "https://app.test/\"><svg onload=x>", "https://auth.example/login", "https://AUTH.example:443",
		"https:///x", "https://app.test/%zz",
	} {
		if got, fault := d.checkWebURL("homepage", in); fault == "" {
			t.Errorf("checkWebURL(%q) = %q, want a refusal", in, got)
		}
	}
}

var (
	// plainURI holds no byte that a URI may not (RFC 3986 §2), and no fragment, wildcard or backslash.
	plainURI = regexp.MustCompile(`^[!$&-)+-;=?-\[\]_a-z~%]+$`)
	// plainHost is a name, an address of four numbers or one in brackets, and a port.
	plainHost  = regexp.MustCompile(`^(?:(?i:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)|\[[0-9a-fA-F:.]+\])(?::[1-9][0-9]{0,4})?$`)
	dotSegment = regexp.MustCompile(`(?i)(?:^|[/\\])\.\.?(?:[/\\;]|$)`)
)

// FuzzRedirectFault: an accepted URI leads only to the host that it names, has one reading, matches itself, and gives the app its
// answer unchanged.
func FuzzRedirectFault(f *testing.F) {
	for _, s := range []string{
		"https://app.test/cb", "http://[::1]:7/cb?x=1", "com.example.app:/cb", "https://a@b/", "https://a:b:c/", "https://[::1]]/", "h.000://00:00A",
		"https://app.test/%25%32%65%25%32e/x", "https://app.test/..%252F", "https://app.test/cb?co%64e=1", "https://app.test?a=1&", "https://app.test/cb?a=%00",
	} {
		f.Add(s, "a&code=x #\r\n")
	}
	f.Fuzz(func(t *testing.T, s, state string) {
		if redirectFault(s, false) != "" {
			return
		}
		checkAcceptedRedirect(t, s)
		checkAnswer(t, s, state)
	})
}

// checkAcceptedRedirect asserts the properties of a registered address that other code relies on.
func checkAcceptedRedirect(t *testing.T, s string) {
	u, err := url.Parse(s)
	if err != nil || !plainURI.MatchString(s) || len(s) > 2000 {
		t.Fatalf("%q was accepted: %v", s, err)
	}
	if u.User != nil || u.Opaque != "" || strings.Contains(u.Host, "@") || u.Scheme == "" || !strings.HasPrefix(s, u.Scheme+":/") {
		t.Fatalf("%q was accepted: %+v", s, u)
	}
	switch u.Scheme {
	case "https", "http":
		if !plainHost.MatchString(u.Host) || !strings.HasPrefix(s, u.Scheme+"://"+u.Host) {
			t.Fatalf("%q was accepted with host %q", s, u.Host)
		}
		if port, _ := strconv.Atoi(u.Port()); port > 65535 {
			t.Fatalf("%q was accepted with port %d", s, port)
		}
	default:
		if !strings.Contains(u.Scheme, ".") {
			t.Fatalf("%q was accepted", s)
		}
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
		t.Fatalf("%q was accepted over http", s)
	}
	// A proxy may decode once and the program behind it once more.
	twice, err := url.PathUnescape(u.Path)
	if err != nil {
		twice = u.Path
	}
	if dotSegment.MatchString(u.Path) || dotSegment.MatchString(twice) || strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		t.Fatalf("%q was accepted with path %q, then %q", s, u.Path, twice)
	}
	v, err := MatchRedirect(store.App{RedirectURIs: []string{s}}, s)
	if err != nil || v.URI() != s || !v.Exact() {
		t.Fatalf("%q was accepted and does not match itself: %v", s, err)
	}
}

// checkAnswer asserts that an app that registered s reads the code and the state that were sent to it, and its own
// parameters as they were.
func checkAnswer(t *testing.T, s, state string) {
	v, err := MatchRedirect(store.App{RedirectURIs: []string{s}}, s)
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.Parse(v.With(url.Values{"code": {"c"}, "state": {state}}))
	if err != nil || got.Scheme != own.Scheme || got.Host != own.Host || got.EscapedPath() != own.EscapedPath() || got.Fragment != "" {
		t.Fatalf("%q with an answer: %v, %v", s, got, err)
	}
	want := own.Query()
	want.Add("code", "c")
	want.Add("state", state)
	if have, err := url.ParseQuery(got.RawQuery); err != nil || !reflect.DeepEqual(have, want) || len(have["code"]) != 1 || len(have["state"]) != 1 {
		t.Fatalf("%q with an answer is read as %q, %v", s, have, err)
	}
}
