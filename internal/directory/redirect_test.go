package directory

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"xenoauth/store"
)

const registeredCB = "https://app.test/cb"

// TestMatchRedirectRefused holds the shapes of docs/battery.md, A3 to A12: each is near enough to a registered address to be
// taken for it by a matcher that parses, normalises or compares a part.
func TestMatchRedirectRefused(t *testing.T) {
	t.Parallel()
	near := map[string][]string{
		registeredCB: {
			"https://evil.test/cb", "https://evilapp.test/cb", "https://app.test.evil.test/cb", "https://sub.app.test/cb",
			"https://app.test./cb", "https://\u0430pp.test/cb", "https://xn--pp-6kc.test/cb", "https://appxtest/cb",
			"https://app.test/cb/", "https://app.test/cb/x", "https://app.test/cb/../x", "https://app.test/cb/..%2Fx",
			"https://app.test/cb/%2e%2e%2fx", "https://app.test/cb/..%252Fx", "https://app.test/cb/;/../x",
			"https://app.test/cb%3B%2F..%2Fx", "https://app.test/cb%0A%0D/../x", "https://app.test/CB", "https://app.test/cb%00",
			"https://app.test/cb\x00", "https://app.test/c%62", "https://app.test/./cb", "https://app.test//cb",
			"https://app.test@evil.test/cb", "https://app.test:443@evil.test/cb", "https://u@app.test/cb", "https://@app.test/cb",
			`https://app.test\@evil.test/cb`, "https://app.test/cb#x", "https://app.test/cb#", "https://app.test/cb?x=1",
			"https://app.test/cb?", "https://app.test:443/cb", "https://app.test:8443/cb", "https://app.test:/cb", "HTTPS://app.test/cb",
			"http://app.test/cb", "https://APP.TEST/cb", "//app.test/cb", "https:app.test/cb", "https:/app.test/cb",
			" https://app.test/cb", "https://app.test/cb ", "https://app.test/cb\n", "https://app.test/c", "https://app.test", "app.test/cb", "/cb",
			"javascript://app.test/%0aalert(1)", "data:text/html,x", "vbscript:x", "blob:https://app.test/cb", "file:///cb", "about:blank", "myapp:/cb",
		},
		"https://app.test/cb?a=1&b=2": {"https://app.test/cb?b=2&a=1", registeredCB, "https://app.test/cb?a=1", "https://app.test/cb?a=1&b=2&", "https://app.test/cb?a=1&b=2&c=3"},
		"http://127.0.0.1/cb": {
			"http://localhost/cb", "http://localhost:9/cb", "http://127.1/cb", "http://2130706433/cb", "http://[::ffff:127.0.0.1]/cb", "http://[::1]/cb",
			"http://127.000.000.001/cb", "http://u@127.0.0.1:9/cb", "http://127.0.0.1:9@evil.test/cb", "http://127.0.0.1:0x50/cb", "http://127.0.0.1:99999/cb",
			"http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:+9/cb",
			"http://127.0.0.1:-9/cb", "http://127.0.0.1:9 /cb", "http://127.0.0.1:\u0669/cb", "http://127.0.0.1:9", "http://127.0.0.1:9/cb/",
			"http://127.0.0.1:9/cb/../cb", "http://127.0.0.1:9/cb?q=1", "http://127.0.0.1:9/cb#x", "http://127.0.0.1.evil.test/cb",
			"http://127.0.0.19/cb", "https://127.0.0.1:9/cb", "https://127.0.0.1/cb", "http://127.0.0.1:9:9/cb", "http://127.0.0.1:9\x00/cb", "http://127.0.0.1:9./cb", "http://127.0.0.1:9//cb", "http://127.0.0.1:9%2fcb",
		},
		"http://localhost/cb":       {"http://127.0.0.1/cb", "http://localhost.evil.test/cb", "http://localhostevil.test/cb", "http://LOCALHOST:9/cb", "http://localhost:9@evil.test/cb"},
		"http://[::1]/cb":           {"http://[::1]:0/cb", "http://[::1]9/cb", "http://::1/cb", "http://[0:0:0:0:0:0:0:1]/cb", "http://[::1]@evil.test/cb", "http://[::1%25lo]/cb"},
		"http://127.0.0.1":          {"http://127.0.0.1/", "http://127.0.0.1:9/", "http://127.0.0.1.evil.test", "http://127.0.0.1@evil.test", "http://127.0.0.1:9.evil.test"},
		"https://127.0.0.1/cb":      {"https://127.0.0.1:9/cb", "http://127.0.0.1/cb"}, // the port is free over http only
		"https://[::1]/cb":          {"https://[::1]:9/cb"},
		"com.example.app:/cb":       {"com.example.app:/cb/", "com.example.app://cb", "COM.example.app:/cb", "com.example.app:cb", "com.example.app:9/cb"},
		"com.example.app://host/cb": {"com.example.app://host:9/cb", "com.example.app://u@host/cb"},
	}
	for registered, shapes := range near {
		if fault := redirectFault(registered, true); fault != "" {
			t.Errorf("%q cannot be registered: %s", registered, fault)
		}
		app := store.App{RedirectURIs: []string{"https://other.test/cb", registered}}
		for _, sent := range shapes {
			if v, err := MatchRedirect(app, sent); !errors.Is(err, ErrRedirectMismatch) || v != (ValidatedRedirect{}) {
				t.Errorf("%q was taken for the registered %q: %+v, %v", sent, registered, v, err)
			}
		}
	}
}

// TestMatchRedirectAccepted: the registered address itself, and any port of a loopback one (RFC 8252 §7.3, docs/battery.md, A10).
func TestMatchRedirectAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ registered, sent string }{
		{registeredCB, registeredCB},
		{"https://app.test/cb?a=1&b=2", "https://app.test/cb?a=1&b=2"},
		{"com.example.app:/cb", "com.example.app:/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65535/cb"},
		{"http://127.0.0.1:3000/cb", "http://127.0.0.1:51004/cb"},
		{"http://127.0.0.1:3000/cb", "http://127.0.0.1/cb"},
		{"http://127.0.0.1/cb?t=1", "http://127.0.0.1:9/cb?t=1"},
		{"http://127.0.0.1", "http://127.0.0.1:9"},
		{"http://localhost/cb", "http://localhost:51004/cb"},
		{"http://[::1]/cb", "http://[::1]:51004/cb"},
	} {
		v, err := MatchRedirect(store.App{RedirectURIs: []string{"https://other.test/cb", c.registered}}, c.sent)
		if err != nil || v.URI() != c.sent || v.Registered() != c.registered || !v.Sent() || v.Exact() != (c.sent == c.registered) {
			t.Errorf("%q for the registered %q: %+v, %v", c.sent, c.registered, v, err)
		}
	}
}

// TestMatchRedirectPrefersExact: of two rows that differ only in the port, the one with the same bytes matches.
func TestMatchRedirectPrefersExact(t *testing.T) {
	t.Parallel()
	app := store.App{RedirectURIs: []string{"http://127.0.0.1/cb", "http://127.0.0.1:3000/cb"}}
	if v, err := MatchRedirect(app, "http://127.0.0.1:3000/cb"); err != nil || !v.Exact() {
		t.Errorf("got %+v, %v; want the second row", v, err)
	}
}

// TestMatchRedirectAbsent is docs/battery.md, A13.
func TestMatchRedirectAbsent(t *testing.T) {
	t.Parallel()
	v, err := MatchRedirect(store.App{RedirectURIs: []string{registeredCB}}, "")
	if err != nil || v.URI() != registeredCB || v.Sent() {
		t.Errorf("one registered address: %+v, %v", v, err)
	}
	for _, uris := range [][]string{nil, {registeredCB, "https://app.test/other"}} {
		if v, err := MatchRedirect(store.App{RedirectURIs: uris}, ""); !errors.Is(err, ErrRedirectMissing) || v != (ValidatedRedirect{}) {
			t.Errorf("%d registered addresses: %+v, %v; want a refusal", len(uris), v, err)
		}
	}
}

// TestRedirectWith: the registered URI stays unchanged byte by byte, and parameters follow it (RFC 6749 §3.1.2).
func TestRedirectWith(t *testing.T) {
	t.Parallel()
	params := url.Values{"state": {"a&code=x #\r\n"}, "iss": {"https://auth.test"}}
	const added = "iss=https%3A%2F%2Fauth.test&state=a%26code%3Dx+%23%0D%0A"
	for registered, want := range map[string]string{
		registeredCB:                       registeredCB + "?" + added,
		"https://app.test":                 "https://app.test?" + added,
		"https://app.test/cb?t=1&u=%2f":    "https://app.test/cb?t=1&u=%2f&" + added,
		"https://app.test/cb?t=1&":         "https://app.test/cb?t=1&" + added,
		"https://app.test/cb?t=1?":         "https://app.test/cb?t=1?&" + added,
		"com.example.app:/cb":              "com.example.app:/cb?" + added,
		"http://[::1]:3000/cb?nonsense=%2": "http://[::1]:3000/cb?nonsense=%2&" + added,
	} {
		v, err := MatchRedirect(store.App{RedirectURIs: []string{registered}}, registered)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.With(params); got != want {
			t.Errorf("%q with parameters = %q, want %q", registered, got, want)
		}
		if got := v.With(nil); got != registered {
			t.Errorf("%q without parameters = %q", registered, got)
		}
	}
}

// loopbackURI splits a loopback URI into origin, port and the rest, in another way than the matcher does.
var loopbackURI = regexp.MustCompile(`(?s)^(http://(?:localhost|127\.0\.0\.1|\[::1\]))(?::([0-9]+))?((?:[/?].*)?)$`)

// FuzzMatchRedirect: an address matches if and only if it equals a registered address byte by byte, or differs from it only in a
// valid port of a loopback http URI.
func FuzzMatchRedirect(f *testing.F) {
	for i, seed := range [][2]string{
		{registeredCB, registeredCB}, {registeredCB, "https://app.test/cb/"}, {registeredCB, "https://app.test:443@evil.test/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"}, {"http://127.0.0.1/cb", "http://127.0.0.1:9@evil.test/cb"},
		{"http://127.0.0.1:3000/cb", "http://127.0.0.1/cb"}, {"http://localhost", "http://localhost:9"}, {"http://localhost", "http://localhost:9.evil.test"},
		{"http://[::1]/cb?t=1", "http://[::1]:65535/cb?t=1"}, {"http://[::1]/cb", "http://[::1]:65536/cb"}, {"http://localhost?", "http://localhost:1?"},
		{"http://127.0.0.1:1/cb", "http://127.0.0.1:01/cb"}, {"com.example.app:/cb", "com.example.app:/cb"}, {registeredCB, ""},
		{"http://127.0.0.1/cb", "http://127.0.0.1:9./cb"}, {"http://localhost:7?a=b", "http://localhost:8;?a=b"},
	} {
		f.Add(seed[0], seed[1], uint16(i*5041), uint8(i*5), uint8("@.:/#?\\0%a1]\x00\n. "[i]))
	}
	f.Fuzz(func(t *testing.T, registered, sent string, port uint16, place, other uint8) {
		checkMatch(t, registered, sent)
		p := loopbackURI.FindStringSubmatch(registered)
		if p == nil {
			return
		}
		near := p[1] + ":" + strconv.Itoa(int(port)) + p[3]
		checkMatch(t, registered, near)
		changed := []byte(near)
		changed[int(place)%len(changed)] = other
		checkMatch(t, registered, string(changed))
	})
}

// checkMatch asserts that sent matches the registered address if and only if it may, alone and beside another row.
func checkMatch(t *testing.T, registered, sent string) {
	if redirectFault(registered, true) != "" {
		return // it cannot be registered
	}
	v, err := MatchRedirect(store.App{RedirectURIs: []string{registered}}, sent)
	if sent == "" {
		if err != nil || v.URI() != registered || v.Sent() || !v.Exact() {
			t.Fatalf("nothing for %q gives %+v, %v", registered, v, err)
		}
		return
	}
	if want := sent == registered || differInPort(sent, registered); want != (err == nil) {
		t.Fatalf("%q for the registered %q: %v", sent, registered, err)
	}
	if err != nil {
		if !errors.Is(err, ErrRedirectMismatch) || v != (ValidatedRedirect{}) {
			t.Fatalf("%q for the registered %q: %+v, %v", sent, registered, v, err)
		}
		return
	}
	if v.URI() != sent || v.Registered() != registered || !v.Sent() || v.Exact() != (sent == registered) {
		t.Fatalf("%q matched %q and gives %+v", sent, registered, v)
	}
	to, err := url.Parse(sent)
	from, _ := url.Parse(registered)
	if err != nil || to.User != nil || strings.Contains(sent, "#") || to.Scheme != from.Scheme || to.Hostname() != from.Hostname() ||
		to.EscapedPath() != from.EscapedPath() || to.RawQuery != from.RawQuery || to.ForceQuery != from.ForceQuery {
		t.Fatalf("%q was taken for %q: %v", sent, registered, err)
	}
	if v, err := MatchRedirect(store.App{RedirectURIs: []string{registered, sent}}, sent); err != nil || !v.Exact() {
		t.Fatalf("%q beside %q: %+v, %v", sent, registered, v, err)
	}
}

// differInPort reports whether both are the same loopback URI except for the port, by the expression above.
func differInPort(sent, registered string) bool {
	have, want := loopbackURI.FindStringSubmatch(sent), loopbackURI.FindStringSubmatch(registered)
	if have == nil || want == nil || have[1] != want[1] || have[3] != want[3] {
		return false
	}
	port, err := strconv.Atoi(have[2])
	return !strings.HasPrefix(sent[len(have[1]):], ":") || err == nil && 1 <= port && port <= 65535 && have[2] == strconv.Itoa(port)
}
