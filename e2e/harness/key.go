package harness

import (
	"context"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"xenoauth/internal/directory"
	"xenoauth/store"
)

// Key is an API key with its text.
type Key struct {
	store.APIKey
	Text string
}

// Bot is a bot with its secret.
type Bot struct {
	store.Bot
	Secret string
}

// AddKey creates an account API key, or with scopes an API key that acts for a user or bot ("": the account's first admin).
func (e *Env) AddKey(accountID, userID string, scopes ...string) Key {
	e.t.Helper()
	k, c, err := e.Rules.CreateKey(context.Background(), Operator, accountID, directory.KeyForm{Name: "A key", Scopes: scopes, UserID: userID})
	if err != nil {
		e.t.Fatalf("create key: %v", err)
	}
	return Key{k, c.Reveal()}
}

// AddBot creates a bot of the account.
func (e *Env) AddBot(accountID, name string) Bot {
	e.t.Helper()
	b, c, err := e.Rules.CreateBot(context.Background(), Operator, accountID, name)
	if err != nil {
		e.t.Fatalf("create bot: %v", err)
	}
	return Bot{b, c.Reveal()}
}

// Keys is the request body for an integration token: AccountAPIKey, and for a bot BotAPIKey and BotAPISecret.
func Keys(key Key, bots ...Bot) string {
	body := map[string]string{"AccountAPIKey": key.Text}
	for _, b := range bots {
		body["BotAPIKey"], body["BotAPISecret"] = b.APIKey, b.Secret
	}
	text, _ := json.Marshal(body) // strings always encode
	return string(text)
}

// Integrate posts JSON to the integration endpoint, with further headers given as name, value, …
func (e *Env) Integrate(body string, headers ...string) Answer {
	e.t.Helper()
	return e.IntegrateAt("/authorization/integration", body, headers...)
}

// IntegrateAt is Integrate at another path, such as a bot's service endpoint. An empty Content-Type is not sent.
func (e *Env) IntegrateAt(path, body string, headers ...string) Answer {
	e.t.Helper()
	request, err := http.NewRequest(http.MethodPost, e.URL+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		}
	}
	return e.Do(request)
}

// WantIntegration asserts an answer with an integration token, to the byte, and returns the token.
func (a Answer) WantIntegration(t testing.TB) string {
	t.Helper()
	token := a.String(t, "token")
	if want := `{"token":"` + token + `","expires":60}` + "\n"; a.Status != http.StatusOK || token == "" || a.Body != want {
		t.Fatalf("got %d %s, want 200 with a token that expires in 60 minutes", a.Status, a.Body)
	}
	a.wantAPIHeaders(t)
	return token
}

// WantMessage asserts an error of the integration endpoint: the status, and a body with one message.
func (a Answer) WantMessage(t testing.TB, status int) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status = %d, want %d: %.300s", a.Status, status, a.Body)
	}
	if body := a.JSON(t); len(body) != 1 || a.String(t, "message") == "" {
		t.Errorf("body = %s, want one message", a.Body)
	}
	a.wantAPIHeaders(t)
}

// Loopback are the networks of the tests' requests, for tests that are their own proxy.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// SwapSecret is a credential with the secret part of another: its lookup id exists, and its checksum is right.
func SwapSecret(credential, other string) string {
	const prefix, id, sum = len("xnok_"), 22, 6
	text := credential[:prefix+id] + other[prefix+id:len(other)-sum]
	n := crc32.ChecksumIEEE([]byte(text))
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var tail [sum]byte
	for i := sum - 1; i >= 0; i-- {
		tail[i] = digits[n%62]
		n /= 62
	}
	return text + string(tail[:])
}
