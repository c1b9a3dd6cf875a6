package directory

import (
	"strings"
	"testing"
)

// TestPrivateSchemes: the schemes that a native app may use, public or confidential.
func TestPrivateSchemes(t *testing.T) {
	t.Parallel()
	d := &Directory{own: newOwnAddress("https://auth.example")}
	fault := func(uri string, confidential bool) string {
		_, fault := d.checkRedirectURIs([]string{uri}, confidential)
		return fault
	}
	for _, uri := range []string{
		"cursor://anysphere.cursor-retrieval/oauth/callback", "vscode://vscode.github-authentication/did-authenticate", "vscode-insiders://x/cb",
		"obsidian://auth", "chrome-extension://abcdefghijklmnopabcdefghijklmnop/cb", "moz-extension://0f0e/cb", "raycast://oauth", "myapp:/cb",
	} {
		if f := fault(uri, false); f != "" {
			t.Errorf("%s of a public app: %s", uri, f)
		}
		if f := fault(uri, true); !strings.Contains(f, "public apps") {
			t.Errorf("%s of a confidential app: %q, want a refusal that names public apps", uri, f)
		}
	}
	for _, uri := range []string{"com.example.app:/cb", "io.github.user://cb", "de.example:/cb", "msauth.com.example.app://auth", "com.example.net:/cb",
		"de.example.info:/cb", "app.example.io:/cb", "dev.example:/cb", "com.example.de:/cb"} {
		for _, confidential := range []bool{false, true} {
			if f := fault(uri, confidential); f != "" {
				t.Errorf("%s: %s", uri, f)
			}
		}
	}
	for uri, advice := range map[string]string{
		"www.paypal.com:/cb": "usual order", "www.paypal:/cb": "usual order", "paypal.com:/cb": "usual order",
		"paypal.de:/cb": "usual order", "paypal.co.uk:/cb": "usual order", "hp.com:/cb": "usual order", "paypal.app:/cb": "usual order",
		"accounts.google.com:/cb": "usual order", "com..app:/cb": "reverse", "com.-app:/cb": "reverse", "com.app-:/cb": "reverse",
		"com.xenoauth.app:/cb": "reserved", "xenoauth:/cb": "reserved", "c:/cb": "too short", "git+ssh:/cb": "reverse",
		"httpx:/cb": "already used", "http+unix:/cb": "already used", "web+app:/cb": "already used", "ms-settings:/cb": "already used",
	} {
		if f := fault(uri, false); !strings.Contains(f, advice) {
			t.Errorf("%s: fault %q, want one with %q", uri, f, advice)
		}
	}
	for _, scheme := range meantSchemes {
		for _, confidential := range []bool{false, true} {
			if f := fault(scheme+":/cb", confidential); f == "" {
				t.Errorf("%s: is accepted", scheme)
			}
		}
	}
}

// TestOwnAddress: an address on the issuer's host is no app's, by either scheme and any port. Programs on one machine
// share its host, so that there the port decides.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]map[string]bool{
		"https://auth.example": {
			"https://auth.example/cb": true, "https://AUTH.example:8443/cb": true, "http://auth.example/": true, "https://auth.example?x": true,
			"https://app.example/cb": false, "https://auth.example.org/cb": false, "https://x.auth.example/cb": false, "com.auth.example://auth.example/cb": false,
		},
		"http://localhost:8080": {
			"http://localhost:8080/cb": true, "http://127.0.0.1:8080/cb": true, "http://[::1]:8080/cb": true, "https://localhost:8080/cb": true,
			"http://localhost:3000/cb": false, "http://127.0.0.1/cb": false, "https://app.example:8080/cb": false,
		},
		"https://[2001:db8::1]": {"https://[2001:db8::1]:4/cb": true, "https://[2001:db8::2]/cb": false},
		"":                      {"https://app.example/cb": false, "https:///cb": false},
	} {
		own := newOwnAddress(address)
		for uri, want := range want {
			if got := own.holds(uri); got != want {
				t.Errorf("%q holds %s: %t, want %t", address, uri, got, want)
			}
		}
	}
}
