package e2e

import (
	"net/http"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestIntegrationSeed replays docs/dialects.md, Integration tokens, line by line.
func TestIntegrationSeed(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key := e.AddKey(e.U.Account.ID, "")
		bot := e.AddBot(e.U.Account.ID, "Order bot")
		unknown := harness.Key{Text: secret.Format{}.New(secret.APIKey).Reveal()}
		stranger := e.AddUser("stranger@users.test")
		theirs := e.AddBot(stranger.Account.ID, "Not yours")
		free := e.AddUser("free@users.test")
		freeKey := e.AddKey(free.Account.ID, "")
		if err := e.Store.SetAccountPlan(t.Context(), harness.Operator, free.Account.ID, "free"); err != nil {
			t.Fatal(err)
		}
		gone := e.AddUser("disabled@users.test")
		goneKey := e.AddKey(gone.Account.ID, "")
		if err := e.Store.SetAccountDisabled(t.Context(), harness.Operator, gone.Account.ID, true); err != nil {
			t.Fatal(err)
		}
		scoped := e.AddKey(e.U.Account.ID, "", "admin")

		for _, line := range []struct {
			says   string
			body   string
			status int
		}{
			{"account-wide", `{"AccountAPIKey": "` + key.Text + `"}`, 200},
			{"bot-level", `{"AccountAPIKey": "` + key.Text + `", "BotAPIKey": "` + bot.APIKey + `", "BotAPISecret": "` + bot.Secret + `"}`, 200},
			{"members may be more, and null is as good as absent", `{"AccountAPIKey": "` + key.Text + `", "BotAPIKey": null, "BotAPISecret": "", "other": [1, {}]}`, 200},
			{"no data", ``, 400},
			{"an empty object", `{}`, 400},
			{"an empty key", `{"AccountAPIKey": ""}`, 400},
			{"another spelling of the name", `{"accountApiKey": "` + key.Text + `"}`, 400},
			{"a bot's key without its secret", `{"AccountAPIKey": "` + key.Text + `", "BotAPIKey": "` + bot.APIKey + `"}`, 400},
			{"a bot's secret without its key", `{"AccountAPIKey": "` + key.Text + `", "BotAPISecret": "` + bot.Secret + `"}`, 400},
			{"a bot alone", `{"BotAPIKey": "` + bot.APIKey + `", "BotAPISecret": "` + bot.Secret + `"}`, 400},
			{"a key that is no string", `{"AccountAPIKey": 1}`, 400},
			{"a key given twice", `{"AccountAPIKey": "x", "AccountAPIKey": "` + key.Text + `"}`, 400},
			{"a list", `["` + key.Text + `"]`, 400},
			{"half an object", `{"AccountAPIKey": "` + key.Text, 400},
			{"two objects", `{"AccountAPIKey": "` + key.Text + `"} {}`, 400},
			{"a form", `AccountAPIKey=` + key.Text, 400},
			{"NUL", `{"AccountAPIKey": "a\u0000"}`, 400},
			{"not UTF-8", "{\"AccountAPIKey\": \"\xff\"}", 400},
			{"too much", `{"AccountAPIKey": "` + strings.Repeat("x", 70_000) + `"}`, 400},
			{"too deep", `{"AccountAPIKey": ` + strings.Repeat("[", 20_000), 400},
			{"an account API key that was not found", harness.Keys(unknown), 404},
			{"any text that is no key", `{"AccountAPIKey": "secret"}`, 404},
			{"any text at all", `{"AccountAPIKey": " "}`, 404},
			{"a bot's secret for a key", `{"AccountAPIKey": "` + bot.Secret + `"}`, 404},
			{"a key with scopes, which is a token itself", harness.Keys(scoped), 404},
			{"an unknown key with a right bot", harness.Keys(unknown, bot), 404},
			{"a free account", harness.Keys(freeKey), 403},
			{"a disabled account", harness.Keys(goneKey), 403},
			{"a free account with a wrong bot", harness.Keys(freeKey, theirs), 403},
			{"a wrong bot key", harness.Keys(key, harness.Bot{Bot: theirs.Bot, Secret: bot.Secret}), 403},
			{"a wrong bot secret", harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: theirs.Secret}), 403},
			{"another account's bot", harness.Keys(key, theirs), 403},
			{"any texts for a bot", `{"AccountAPIKey": "` + key.Text + `", "BotAPIKey": "a", "BotAPISecret": "b"}`, 403},
		} {
			t.Run(line.says, func(t *testing.T) {
				a := e.With(t).Integrate(line.body)
				if line.status == http.StatusOK {
					a.WantIntegration(t)
				} else {
					a.WantMessage(t, line.status)
				}
			})
		}
	})
}

// TestIntegrationRefusalsTellNothing: what is wrong with a bot is not told apart, not by one byte.
func TestIntegrationRefusalsTellNothing(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, bot, other := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "One"), e.AddBot(e.U.Account.ID, "Two")
		stranger := e.AddUser("stranger@users.test")
		theirs := e.AddBot(stranger.Account.ID, "Not yours")
		removed := e.AddBot(e.U.Account.ID, "Removed")
		if err := e.Rules.RemoveBot(t.Context(), harness.Operator, removed.ID); err != nil {
			t.Fatal(err)
		}
		wrongSecret := e.Integrate(harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: other.Secret}))
		for says, body := range map[string]string{
			"a wrong key": harness.Keys(key, harness.Bot{Bot: other.Bot, Secret: bot.Secret}), "another account's": harness.Keys(key, theirs), "a removed one": harness.Keys(key, removed),
			"nonsense": `{"AccountAPIKey":"` + key.Text + `","BotAPIKey":"a","BotAPISecret":"b"}`,
		} {
			if a := e.Integrate(body); a.Body != wrongSecret.Body || a.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s, want 403 %s", says, a.Status, a.Body, wrongSecret.Body)
			}
		}
	})
}

// TestIntegrationCarriers: any JSON content type or none will do; nothing but the body is read; only POST is answered.
func TestIntegrationCarriers(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key := e.AddKey(e.U.Account.ID, "")
		body := harness.Keys(key)
		for _, media := range []string{"", "application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "text/json", "application/vnd.x+json", "application/json;charset=utf8"} {
			e.Integrate(body, "Content-Type", media).WantIntegration(t)
		}
		for _, media := range []string{"application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "nonsense/", "application/json; charset=utf-16"} {
			e.Integrate(body, "Content-Type", media).WantMessage(t, http.StatusBadRequest)
		}
		e.Integrate(body, "Content-Encoding", "identity").WantIntegration(t)
		e.Integrate(body, "Content-Encoding", "gzip").WantMessage(t, http.StatusBadRequest)
		e.IntegrateAt("/authorization/integration?AccountAPIKey="+key.Text, `{}`).WantMessage(t, http.StatusBadRequest)
		e.Integrate(`{}`, "Authorization", "Bearer "+key.Text, "AccountAPIKey", key.Text).WantMessage(t, http.StatusBadRequest)
		request, err := http.NewRequest(http.MethodGet, e.URL+"/authorization/integration", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/html, */*")
		a := e.Do(request)
		a.WantMessage(t, http.StatusMethodNotAllowed)
		if a.Header.Get("Allow") != "POST" {
			t.Errorf("GET: Allow %q", a.Header.Get("Allow"))
		}
	})
}

// TestServiceEndpoint: a bot's own address answers like the general one, for this bot; that of a bot which is not there, or of
// another account's, is 404.
func TestServiceEndpoint(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, bot, other := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "One"), e.AddBot(e.U.Account.ID, "Two")
		address := "/bots/" + bot.ID + "/authorization/integration"
		token := e.IntegrateAt(address, harness.Keys(key, bot)).WantIntegration(t)
		if got := e.Introspect(e.AddResource("API"), token).JSON(t)["bot"]; got != bot.ID {
			t.Errorf("bot = %v, want %s", got, bot.ID)
		}
		e.IntegrateAt(address, harness.Keys(key)).WantIntegration(t)
		e.IntegrateAt(address, harness.Keys(key, other)).WantMessage(t, http.StatusForbidden)
		e.IntegrateAt(address, `{}`).WantMessage(t, http.StatusBadRequest)
		stranger := e.AddUser("stranger@users.test")
		theirs, gone := e.AddBot(stranger.Account.ID, "Theirs"), e.AddBot(e.U.Account.ID, "Gone")
		if err := e.Rules.RemoveBot(t.Context(), harness.Operator, gone.ID); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{theirs.ID, gone.ID, "0123456789abcdef01234567", "nobody"} {
			e.IntegrateAt("/bots/"+id+"/authorization/integration", harness.Keys(key)).WantMessage(t, http.StatusNotFound)
		}
		if page := e.LoggedIn(e.U).Get("/account/bots/" + bot.ID); !strings.Contains(page.Body, e.URL+"/bots/"+bot.ID) {
			t.Errorf("the bot's page does not show its service endpoint: %.500s", page.Body)
		}
	})
}

// TestIntegrationTokenSays: whoever verifies a token learns account and bot, and what it may do.
func TestIntegrationTokenSays(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, bot := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "Order bot")
		wide := e.Integrate(harness.Keys(key)).WantIntegration(t)
		own := e.Integrate(harness.Keys(key, bot)).WantIntegration(t)

		wantMeOf(t, e.Me(wide), map[string]any{"client_id": key.ID, "sub": key.ID, "user": nil, "bot": nil, "app": nil, "installation": nil}, "admin", scope.RoleAdmin)
		wantMeOf(t, e.Me(own), map[string]any{
			"client_id": key.ID, "sub": bot.ID, "app": nil, "bot": map[string]any{"id": bot.ID, "name": "Order bot"},
			"user": map[string]any{"id": bot.ID, "email": bot.Email, "email_verified": false, "name": "Order bot"},
		}, "bot", scope.RoleBot)

		api := e.AddResource("API")
		says := e.Introspect(api, wide).JSON(t)
		for name, want := range map[string]any{"active": true, "scope": "admin", "client_id": key.ID, "sub": key.ID, "account": e.U.Account.ID, "token_type": "Bearer", "iss": e.URL, "bot": nil, "username": nil} {
			if says[name] != want {
				t.Errorf("account-wide: %s = %v, want %v", name, says[name], want)
			}
		}
		if life := says["exp"].(float64) - says["iat"].(float64); life < 3659 || life > 3661 {
			t.Errorf("the token lives for %v s, want 3660", life)
		}
		says = e.Introspect(api, own).JSON(t)
		for name, want := range map[string]any{"active": true, "scope": "bot", "client_id": key.ID, "sub": bot.ID, "account": e.U.Account.ID, "bot": bot.ID, "username": bot.Email} {
			if says[name] != want {
				t.Errorf("bot: %s = %v, want %v", name, says[name], want)
			}
		}
		if a := e.Introspect(e.A, own); a.Body != "{\"active\":false}\n" {
			t.Errorf("an app learns of a token that is not its own: %s", a.Body)
		}
	})
}

// wantMeOf asserts members of an answer of /api/me, the scopes, and that the permissions are the role's, all of them.
func wantMeOf(t *testing.T, a harness.Answer, members map[string]any, scopes string, role scope.Role) {
	t.Helper()
	got := a.JSON(t)
	for name, want := range members {
		if !equalJSON(got[name], want) {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	var names []string
	for _, s := range got["scopes"].([]any) {
		names = append(names, s.(string))
	}
	if strings.Join(names, " ") != scopes {
		t.Errorf("scopes = %v, want %s", names, scopes)
	}
	var permissions []string
	for _, p := range got["permissions"].([]any) {
		permissions = append(permissions, p.(string))
	}
	var want []string
	for _, p := range scope.Default().RolePermissions(role) {
		want = append(want, string(p))
	}
	if strings.Join(permissions, " ") != strings.Join(want, " ") {
		t.Errorf("permissions = %v, want those of %s: %v", permissions, role, want)
	}
}

func equalJSON(a, b any) bool {
	x, isObject := a.(map[string]any)
	y, wantsObject := b.(map[string]any)
	if !isObject || !wantsObject {
		return a == b
	}
	for name := range y {
		if x[name] != y[name] {
			return false
		}
	}
	return len(x) == len(y)
}

// TestPlansAreData: the operator says which plans may use the API, and a change holds for the tokens there are.
func TestPlansAreData(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, token := e.AddKey(e.U.Account.ID, ""), e.AddKey(e.U.Account.ID, "", "agent")
		plan := func(plan string) {
			if err := e.Store.SetAccountPlan(t.Context(), harness.Operator, e.U.Account.ID, plan); err != nil {
				t.Fatal(err)
			}
		}
		e.Integrate(harness.Keys(key)).WantMessage(t, http.StatusForbidden) // standard is not among them here
		plan("pro")
		integration := e.Integrate(harness.Keys(key)).WantIntegration(t)
		e.WantLive(integration, true)
		e.WantLive(token.Text, true)
		plan("free")
		e.WantLive(integration, false)
		e.WantLive(token.Text, false)
		plan("gold")
		e.WantLive(integration, true)
		e.WantLive(token.Text, true)
	}, func(o *server.Options) { o.APIPlans = []string{"pro", "gold"} })
}

// TestGuessingKeysIsLimited: who guesses is told to wait after the documented codes have come often enough, and a right
// key is never refused for it.
func TestGuessingKeysIsLimited(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key, bot := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "One")
		for range 20 {
			e.Integrate(harness.Keys(harness.Key{Text: "guess"})).WantMessage(t, http.StatusNotFound)
		}
		for _, guess := range []string{harness.Keys(harness.Key{Text: "another"}), harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: "guess"})} {
			a := e.Integrate(guess)
			a.WantMessage(t, http.StatusForbidden)
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "Too many failed attempts") {
				t.Errorf("got %s, want to be told to wait", a.Body)
			}
		}
		e.Integrate(harness.Keys(key, bot)).WantIntegration(t)
	}, func(o *server.Options) { o.Limits.Client = 20 })
}

// TestGuessingOneKeyIsLimited: the tries at one key are counted together, wherever they come from.
func TestGuessingOneKeyIsLimited(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		key := e.AddKey(e.U.Account.ID, "")
		format := secret.Format{}
		other := format.New(secret.APIKey).Reveal()
		limited := 0
		for i := range 25 {
			// The lookup id is the key's, the secret is not, and the sum is right: only the secret is guessed.
			guess := harness.Key{Text: harness.SwapSecret(key.Text, format.New(secret.APIKey).Reveal())}
			if a := e.Integrate(harness.Keys(guess), "X-Forwarded-For", "203.0.113."+string(rune('0'+i%10))); a.Status == http.StatusForbidden {
				limited++
			}
		}
		if limited != 5 {
			t.Errorf("%d of 25 tries at one key from ten addresses were limited, want 5", limited)
		}
		e.WantLive(key.Text, false) // it is no token, which is no guess
		token := e.AddKey(e.U.Account.ID, "", "agent")
		for i := range 25 {
			guess := harness.SwapSecret(token.Text, format.New(secret.APIKey).Reveal())
			want := http.StatusUnauthorized
			if i >= 20 {
				want = http.StatusTooManyRequests
			}
			if a := e.Me(guess, "X-Forwarded-For", "203.0.114."+string(rune('0'+i%10))); a.Status != want {
				t.Errorf("guess %d at a key as a token: %d, want %d", i, a.Status, want)
			}
		}
		e.WantLive(token.Text, true)
		bot := e.AddBot(e.U.Account.ID, "One")
		for i := range 25 {
			e.Integrate(harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: format.New(secret.Bot).Reveal()}), "X-Forwarded-For", "203.0.115."+string(rune('0'+i%10))).WantMessage(t, http.StatusForbidden)
		}
		a := e.Integrate(harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: format.New(secret.Bot).Reveal()}), "X-Forwarded-For", "203.0.115.99")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("guesses at one bot's secret from ten addresses: %s, want to be told to wait", a.Body)
		}
		e.Integrate(harness.Keys(key, bot)).WantIntegration(t)
		e.Integrate(harness.Keys(harness.Key{Text: other}), "X-Forwarded-For", "203.0.113.77").WantMessage(t, http.StatusNotFound)
		e.Integrate(harness.Keys(key)).WantIntegration(t)
	}, func(o *server.Options) { o.Limits.Client = 20; o.TrustedProxies = harness.Loopback })
}
