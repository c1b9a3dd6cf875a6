package bearer

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestCacheFresh: an entry is used only if it is fresh by both clocks.
func TestCacheFresh(t *testing.T) {
	c := newCache(10*time.Second, 1)
	sent := time.Now()
	wall := func(d time.Duration) time.Time { return sent.Round(0).Add(d) } // without the monotonic reading
	for name, at := range map[string]struct {
		now   time.Time
		fresh bool
	}{
		"at once":                            {sent, true},
		"soon":                               {sent.Add(9 * time.Second), true},
		"too late":                           {sent.Add(10 * time.Second), false},
		"after a sleep of the whole machine": {wall(time.Hour), false},
		"the clock was set back":             {wall(-time.Second), false},
	} {
		if got := c.fresh(kept{sent: sent}, at.now); got != at.fresh {
			t.Errorf("%s: fresh = %v", name, got)
		}
	}
}

// TestParseHeader_Long: parsing does not allocate, whatever the length of the header (CVE-2025-30204).
func TestParseHeader_Long(t *testing.T) {
	for name, header := range map[string]string{
		"dots":   "Bearer " + strings.Repeat(".", 100<<10),
		"spaces": "Bearer " + strings.Repeat(" ", 100<<10),
		"pads":   "Bearer " + strings.Repeat("=", 100<<10),
		"scheme": strings.Repeat("Bearer", 20<<10),
		"token":  "Bearer " + strings.Repeat("x", maxToken),
	} {
		if n := testing.AllocsPerRun(100, func() { parseHeader(header) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if _, ok := parseHeader("Bearer " + strings.Repeat("x", maxToken)); !ok {
		t.Error("a token of maxToken characters is refused")
	}
	if _, ok := parseHeader("Bearer " + strings.Repeat("x", maxToken+1)); ok {
		t.Error("a longer token is accepted")
	}
}

// TestQueue_Empty: the queue keeps nothing for a token without a call.
func TestQueue_Empty(t *testing.T) {
	v, err := New(Config{Issuer: "http://127.0.0.1:1", ClientID: "a", ClientSecret: "b", CacheFor: time.Hour, OnTrouble: func(context.Context, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := v.Verify(t.Context(), "x"); err == nil {
			t.Fatal("verified without a server")
		}
	}
	if len(v.queue.next) > 0 || len(v.cache.answers) > 0 {
		t.Errorf("%d entries in the queue, %d in the cache", len(v.queue.next), len(v.cache.answers))
	}
}

// header is the grammar that parseHeader accepts (RFC 6750 §2.1, RFC 9110 §11.1).
var header = regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"Bearer x", "bearer x==", "Bearer  x", "Bearer\tx", "Bearer ", "Bearer", "", " Bearer x", "Bearer x y", "Bearer =", "Bearer x=y", "Basic eDp5",
		"Bearer x\x00", "Bearer \xff", "BEARER a.b-c_d~e+f/g", "Bearer x\n", "Ｂearer x", "Bearer x,Bearer y", "Bearer " + strings.Repeat(".", 9000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := parseHeader(s)
		m := header.FindStringSubmatch(s)
		if want := m != nil && len(m[1]) <= maxToken; ok != want || ok && token != m[1] {
			t.Errorf("parseHeader(%q) = %q, %v", s, token, ok)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"active":true}`, `{"active":false}`, `{"active":null}`, `{"active":true,"active":false}`, `{"ACTIVE":true}`, `{"active":true}}`, `[]`, ``, `{`, `{"a"`,
		`{"active":true,"scope":"a b","sub":"u","aud":"x","permissions":["contact:list"],"iat":1,"exp":2,"token_type":"Bearer"}`,
		`{"active":true,"aud":["x","y"],"exp":0}`, `{"active":true,"exp":1e3}`, `{"active":true,"exp":99999999999999999999}`, "\xef\xbb\xbf{}", `{"active":true,"x":[[[[]]]]}`,
		"{\"active\":true,\"sub\":\"\\ud800\"}", "{\"active\":true,\"sub\":\"\xff\"}", `{"\u0061ctive":true}`, strings.Repeat("[", 20000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := readAnswer(200, "application/json; charset=utf-8", body)
		if err != nil {
			if a.active || a.identity.Subject != "" {
				t.Errorf("%q: an error and an answer", body)
			}
			return
		}
		// Another JSON decoder must get the same result.
		var other map[string]any
		if err := json.Unmarshal(body, &other); err != nil {
			t.Fatalf("%q was read, but is %v", body, err)
		}
		if active, ok := other["active"].(bool); !ok || active != a.active {
			t.Errorf("%q: active = %v", body, a.active)
		}
		if sub, _ := other["sub"].(string); a.active && sub != a.identity.Subject {
			t.Errorf("%q: subject = %q", body, a.identity.Subject)
		}
		if _, expires := other["exp"].(float64); a.active && expires == a.identity.ExpiresAt.IsZero() {
			t.Errorf("%q: expires at %v", body, a.identity.ExpiresAt)
		}
	})
}
