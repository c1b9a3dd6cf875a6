package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// shiftIntegrations lets integration tokens be older by d.
func shiftIntegrations(e *harness.Env, d time.Duration) {
	e.Exec(`UPDATE integration_tokens SET created_at = created_at - $1, expires_at = expires_at - $1`, d.Microseconds())
}

// TestIntegrationToken_J6: Exchanges at /authorization/integration. An account key that is unknown, or was revoked or rotated away:
// 404. A wrong bot key, a wrong bot secret, another account's bot: 403, all with the same bytes. A key in the query only:
// 400. 50 exchanges at once: 50 tokens that work. A token works for 3,660 s by the database's clock and then answers 401;
// it ends at once when its key is revoked or rotated, its bot removed, disabled or rotated, or its account disabled or
// without a plan for the API, and returns only with what is reversible of these.
func TestIntegrationToken_J6(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		t.Run("keys", func(t *testing.T) { j6Keys(t, e.With(t)) })
		t.Run("at once", func(t *testing.T) {
			key, bot := e.AddKey(e.U.Account.ID, ""), e.AddBot(e.U.Account.ID, "Bot")
			seen := map[string]bool{}
			for _, a := range harness.Race(t, 50, func(int) harness.Answer {
				return patiently(func() harness.Answer { return e.Integrate(harness.Keys(key, bot)) })
			}) {
				token := a.WantIntegration(t)
				seen[token] = true
				e.With(t).WantLive(token, true)
			}
			if len(seen) != 50 {
				t.Errorf("50 exchanges gave %d tokens", len(seen))
			}
		})
		t.Run("time", func(t *testing.T) {
			e := e.With(t)
			token := e.Integrate(harness.Keys(e.AddKey(e.U.Account.ID, ""))).WantIntegration(t)
			shiftIntegrations(e, 3630*time.Second)
			e.WantLive(token, true)
			shiftIntegrations(e, 30*time.Second)
			e.WantLive(token, false)

			fresh := e.Integrate(harness.Keys(e.AddKey(e.U.Account.ID, ""))).WantIntegration(t)
			for ahead, live := range map[time.Duration]bool{3630 * time.Second: true, 3660 * time.Second: false} {
				later := e.Sibling()
				later.Faults.SetAhead(ahead)
				later.WantLive(fresh, live)
			}
		})
		t.Run("ends", func(t *testing.T) { j6Ends(t, e.With(t)) })
	})
}

func j6Keys(t *testing.T, e *harness.Env) {
	key, revoked, rotated := e.AddKey(e.U.Account.ID, ""), e.AddKey(e.U.Account.ID, ""), e.AddKey(e.U.Account.ID, "")
	bot, other := e.AddBot(e.U.Account.ID, "One"), e.AddBot(e.U.Account.ID, "Two")
	stranger := e.AddUser("stranger@users.test")
	theirs := e.AddBot(stranger.Account.ID, "Theirs")
	must(t, e.Rules.RevokeKey(t.Context(), harness.Operator, revoked.ID))
	_, err := e.Rules.RotateKey(t.Context(), harness.Operator, rotated.APIKey, e.Store.Now())
	must(t, err)
	unknown := e.Integrate(harness.Keys(harness.Key{Text: secret.Format{}.New(secret.APIKey).Reveal()}))
	unknown.WantMessage(t, http.StatusNotFound)
	for says, gone := range map[string]harness.Key{"revoked": revoked, "rotated": rotated, "guessed": {Text: harness.SwapSecret(key.Text, revoked.Text)}} {
		if a := e.Integrate(harness.Keys(gone)); a.Status != unknown.Status || a.Body != unknown.Body {
			t.Errorf("%s: %d %s, want what an unknown one gets", says, a.Status, a.Body)
		}
	}
	wrong := e.Integrate(harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: other.Secret}))
	wrong.WantMessage(t, http.StatusForbidden)
	for says, body := range map[string]string{
		"wrong key": harness.Keys(key, harness.Bot{Bot: other.Bot, Secret: bot.Secret}), "another account's": harness.Keys(key, theirs),
		"guessed": harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: harness.SwapSecret(bot.Secret, other.Secret)}),
	} {
		if a := e.Integrate(body); a.Status != http.StatusForbidden || a.Body != wrong.Body {
			t.Errorf("%s: %d %s, want what a wrong secret gets", says, a.Status, a.Body)
		}
	}
	e.IntegrateAt("/authorization/integration?AccountAPIKey="+key.Text, `{}`).WantMessage(t, http.StatusBadRequest)
	e.IntegrateAt("/authorization/integration?AccountAPIKey="+key.Text, ``, "Content-Type", "").WantMessage(t, http.StatusBadRequest)
	e.Integrate(harness.Keys(key, bot)).WantIntegration(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// j6Ends ends one root after the other, each on an account of its own.
func j6Ends(t *testing.T, e *harness.Env) {
	ctx := t.Context()
	type world struct {
		user harness.User
		key  harness.Key
		bot  harness.Bot
	}
	for says, c := range map[string]struct {
		end     func(e *harness.Env, w world) error
		undo    func(e *harness.Env, w world) error
		wideToo bool
	}{
		"key revoked": {func(e *harness.Env, w world) error { return e.Rules.RevokeKey(ctx, harness.Operator, w.key.ID) }, nil, true},
		"key rotated": {func(e *harness.Env, w world) error {
			_, err := e.Rules.RotateKey(ctx, harness.Operator, w.key.APIKey, e.Store.Now())
			return err
		}, nil, true},
		"bot removed": {func(e *harness.Env, w world) error { return e.Rules.RemoveBot(ctx, harness.Operator, w.bot.ID) }, nil, false},
		"bot rotated": {func(e *harness.Env, w world) error {
			_, err := e.Rules.RotateBot(ctx, harness.Operator, w.bot.Bot, e.Store.Now())
			return err
		}, nil, false},
		"bot disabled": {
			func(e *harness.Env, w world) error {
				return e.Store.SetUserDisabled(ctx, harness.Operator, w.bot.ID, true)
			},
			func(e *harness.Env, w world) error {
				return e.Store.SetUserDisabled(ctx, harness.Operator, w.bot.ID, false)
			}, false,
		},
		"account on the free plan": {
			func(e *harness.Env, w world) error {
				return e.Store.SetAccountPlan(ctx, harness.Operator, w.user.Account.ID, "free")
			},
			func(e *harness.Env, w world) error {
				return e.Store.SetAccountPlan(ctx, harness.Operator, w.user.Account.ID, "standard")
			}, true,
		},
		"account disabled": {
			func(e *harness.Env, w world) error {
				return e.Store.SetAccountDisabled(ctx, harness.Operator, w.user.Account.ID, true)
			},
			func(e *harness.Env, w world) error {
				return e.Store.SetAccountDisabled(ctx, harness.Operator, w.user.Account.ID, false)
			}, true,
		},
		"account deleted": {func(e *harness.Env, w world) error {
			e.Exec(`UPDATE accounts SET deleted_at = 1 WHERE id = $1`, w.user.Account.ID)
			return nil
		}, nil, true},
		"token revoked by the operator": {nil, nil, false},
	} {
		t.Run(says, func(t *testing.T) {
			e := e.With(t)
			w := world{user: e.AddUser(strings.ReplaceAll(says, " ", "-") + "@users.test")}
			w.key, w.bot = e.AddKey(w.user.Account.ID, ""), e.AddBot(w.user.Account.ID, "Bot")
			wide, own := e.Integrate(harness.Keys(w.key)).WantIntegration(t), e.Integrate(harness.Keys(w.key, w.bot)).WantIntegration(t)
			if c.end == nil {
				must(t, e.Rules.RevokeToken(ctx, harness.Operator, own))
			} else {
				must(t, c.end(e, w))
			}
			e.WantLive(wide, !c.wideToo)
			e.WantLive(own, false)
			if c.undo != nil {
				must(t, c.undo(e, w))
				e.WantLive(wide, true)
				e.WantLive(own, true)
			}
		})
	}
}

var keyShape = regexp.MustCompile(`^xnok_[0-9A-Za-z]{71}$`)

// TestAPIKey_J7: An API key, made on a page: it has prefix, letter and checksum; the page that makes it shows it, with
// no-store, and no other page ever does; the database holds its hash alone. As a Bearer token a key with scopes does what
// its highest scope and its member's role today both allow, is noted as used, and ends (401) at once with itself, its
// account, its bot or its member; one without scopes is no token. An admin may revoke a key that acts for another person, and
// is never shown one. One changed character, another kind's letter, or surrounding space: 401 without a look-up.
func TestAPIKey_J7(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		t.Run("made and shown once", func(t *testing.T) { j7Made(t, e.With(t)) })
		t.Run("scoped", func(t *testing.T) { j7Scoped(t, e.With(t)) })
		t.Run("another person's", func(t *testing.T) { j7Others(t, e.With(t)) })
		t.Run("ends", func(t *testing.T) { j7Ends(t, e.With(t)) })
	})
}

// j7Others: an admin gets no key that acts for another person, neither a new one nor an old one's successor.
func j7Others(t *testing.T, e *harness.Env) {
	admin, bot := e.AddUser("admin@users.test"), e.AddBot(e.U.Account.ID, "Others' bot")
	must(t, e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, admin.ID, "admin"))
	b := e.LoggedIn(admin)
	key, bots, account := e.AddKey(e.U.Account.ID, e.U.ID, "agent"), e.AddKey(e.U.Account.ID, bot.ID, "bot"), e.AddKey(e.U.Account.ID, "")
	made := b.Make("/account/keys", harness.Pairs("name", "Name", "kind", "token", "scopes", "agent", "account", e.U.Account.ID, "user", e.U.ID))
	if made.Status != http.StatusUnprocessableEntity || len(credentials(made.Body, secret.APIKey)) > 0 {
		t.Errorf("a key for another person: %d", made.Status)
	}
	path := "/account/keys/" + key.ID
	for says, a := range map[string]harness.Answer{"asked": b.Get(path + "/rotate"), "rotated": b.Make(path+"/rotate", harness.Pairs("keep", "24h"))} {
		if a.Status != http.StatusForbidden || len(credentials(a.Body, secret.APIKey)) > 0 || !strings.Contains(a.Body, e.U.Email) {
			t.Errorf("another person's key, %s: %d: %.1500s", says, a.Status, a.Body)
		}
	}
	e.WantLive(key.Text, true)
	if list := b.Get("/account/keys").Body; strings.Contains(list, path+"/rotate") || !strings.Contains(list, path+"/revoke") || !strings.Contains(list, bots.ID+"/rotate") {
		t.Error("the list offers to rotate another person's key, or not to rotate a bot's, or not to revoke")
	}
	for _, own := range []harness.Key{bots, account} {
		if a := b.Make("/account/keys/"+own.ID+"/rotate", harness.Pairs("keep", "now")); a.Status != http.StatusOK || len(credentials(a.Body, secret.APIKey)) != 1 {
			t.Errorf("a key of the account or its bot: %d", a.Status)
		}
	}
	if a := b.Post(path+"/revoke", harness.Pairs()); a.Status != http.StatusSeeOther {
		t.Errorf("revoke: %d", a.Status)
	}
	e.WantLive(key.Text, false)
}

func j7Made(t *testing.T, e *harness.Env) {
	b := e.LoggedIn(e.U)
	b.Get("/account/keys").WantPage(t, http.StatusOK)
	made := b.Make("/account/keys", harness.Pairs("name", "Export", "kind", "token", "scopes", "agent", "scopes", "admin"))
	made.WantPage(t, http.StatusOK)
	text := regexp.MustCompile(`value="(xnok_[^"]+)"`).FindStringSubmatch(made.Body)
	if text == nil || !keyShape.MatchString(text[1]) {
		t.Fatalf("the page shows no key: %.500s", made.Body)
	}
	key := text[1]
	e.WantLive(key, true)
	id := e.Me(key).String(t, "client_id")
	for _, path := range []string{"/account/keys", "/account/keys/" + id + "/rotate", "/account/keys/" + id + "/revoke", "/account"} {
		if page := b.Get(path); page.Status != http.StatusOK || strings.Contains(page.Body, key[27:]) {
			t.Errorf("%s: %d, or it shows the key again", path, page.Status)
		}
	}
	if secretPart := key[27:70]; strings.Contains(e.Dump(), secretPart) || strings.Contains(e.Log.String(), secretPart) {
		t.Error("the key is in the database or in the log")
	}
	hash := e.Parse(key).Hash()
	row, err := e.Store.KeyBySecret(t.Context(), store.LookupID(e.Parse(key).ID))
	must(t, err)
	if string(row.Secret.Hash) != string(hash[:]) {
		t.Error("what is kept of the key is not its SHA-256")
	}
	if a := b.Make("/account/keys", harness.Pairs("name", "None", "kind", "token")); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "at least one scope") {
		t.Errorf("an empty list of scopes: %d", a.Status)
	}
	for says, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"scopes for an account API key":   {harness.Pairs("name", "Mixed", "kind", "account", "scopes", "guest"), http.StatusUnprocessableEntity},
		"somebody for an account API key": {harness.Pairs("name", "Mixed", "kind", "account", "user", e.U.ID), http.StatusUnprocessableEntity},
		"no kind":                         {harness.Pairs("name", "Mixed", "scopes", "guest"), http.StatusBadRequest},
		"an unknown kind":                 {harness.Pairs("name", "Mixed", "kind", "Token"), http.StatusBadRequest},
	} {
		if a := b.Make("/account/keys", c.form); a.Status != c.status || len(credentials(a.Body, secret.APIKey)) > 0 {
			t.Errorf("%s: %d, want %d", says, a.Status, c.status)
		}
	}
	last := key[len(key)-1]
	front := e.Sibling()
	lookUps := func() int { return front.Faults.Calls("KeyBySecret", "AccessByID") }
	for _, wrong := range []string{key[:75] + string(last^1), "xnoa" + key[4:], strings.ToUpper(key), key + "0", key[:40], key + " x", "\t" + key, key + "\t,"} {
		front.WantLive(wrong, false)
	}
	if n := lookUps(); n != 0 {
		t.Errorf("%d malformed keys were looked up", n)
	}
	front.Me(key)
	if n := lookUps(); n != 1 {
		t.Errorf("the key itself was looked up %d times, want 1", n)
	}
	rotated := b.Make("/account/keys/"+id+"/rotate", harness.Pairs("keep", "now"))
	rotated.WantPage(t, http.StatusOK)
	e.WantLive(key, false)
	next := regexp.MustCompile(`value="(xnok_[^"]+)"`).FindStringSubmatch(rotated.Body)[1]
	e.WantLive(next, true)
	if a := b.Post("/account/keys/"+id+"/revoke", harness.Pairs()); a.Status != http.StatusSeeOther {
		t.Errorf("revoke: %d", a.Status)
	}
	e.WantLive(next, false)
}

func j7Scoped(t *testing.T, e *harness.Env) {
	agent := e.AddUser("agent@users.test")
	must(t, e.Store.AddMember(t.Context(), harness.Operator, e.U.Account.ID, agent.ID, "agent"))
	bot := e.AddBot(e.U.Account.ID, "Bot")
	for says, c := range map[string]struct {
		key    harness.Key
		scopes string
		may    string
		mayNot string
	}{
		"admin's, for everything":    {e.AddKey(e.U.Account.ID, "", "guest", "admin"), "admin guest", "service:list", ""},
		"admin's, for agents":        {e.AddKey(e.U.Account.ID, "", "agent"), "agent", "conversation:list", "message:list"},
		"agent's, for everything":    {e.AddKey(e.U.Account.ID, agent.ID, "admin", "guest"), "agent guest", "conversation:list", "message:list"},
		"a bot's, for everything":    {e.AddKey(e.U.Account.ID, bot.ID, "admin"), "bot", "message:list", "form:fetch"},
		"a bot's, for what bots may": {e.AddKey(e.U.Account.ID, bot.ID, "bot"), "bot", "message:list", "form:fetch"},
	} {
		t.Run(says, func(t *testing.T) {
			me := e.With(t).Me(c.key.Text)
			body := me.JSON(t)
			got := map[string]bool{}
			for _, p := range body["permissions"].([]any) {
				got[p.(string)] = true
			}
			var scopes []string
			for _, s := range body["scopes"].([]any) {
				scopes = append(scopes, s.(string))
			}
			if strings.Join(scopes, " ") != c.scopes || !got[c.may] || got[c.mayNot] {
				t.Errorf("scopes %q, permissions %v; want %q, with %s and without %s", scopes, got, c.scopes, c.may, c.mayNot)
			}
			if body["client_id"] != c.key.ID || body["app"] != nil || (body["bot"] != nil) != (c.key.UserID == bot.ID) {
				t.Errorf("me says %s", me.Body)
			}
		})
	}
	account := e.AddKey(e.U.Account.ID, "")
	e.WantLive(account.Text, false)
	used := e.AddKey(e.U.Account.ID, "", "agent")
	e.WantLive(used.Text, true)
	deadline := time.Now().Add(10 * time.Second)
	for {
		k, err := e.Rules.Key(t.Context(), harness.Operator, used.ID)
		must(t, err)
		if !k.LastUsedAt.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the use was not noted")
		}
	}
}

func j7Ends(t *testing.T, e *harness.Env) {
	ctx := t.Context()
	member, bot := e.AddUser("member@users.test"), e.AddBot(e.U.Account.ID, "Bot")
	must(t, e.Store.AddMember(ctx, harness.Operator, e.U.Account.ID, member.ID, "agent"))
	theirs, bots, own := e.AddKey(e.U.Account.ID, member.ID, "agent"), e.AddKey(e.U.Account.ID, bot.ID, "bot"), e.AddKey(e.U.Account.ID, "", "admin")
	for _, k := range []harness.Key{theirs, bots, own} {
		e.WantLive(k.Text, true)
	}
	must(t, e.Store.RemoveMember(ctx, harness.Operator, e.U.Account.ID, member.ID))
	e.WantLive(theirs.Text, false)
	must(t, e.Rules.RemoveBot(ctx, harness.Operator, bot.ID))
	e.WantLive(bots.Text, false)
	must(t, e.Store.SetUserDisabled(ctx, harness.Operator, e.U.ID, true))
	e.WantLive(own.Text, false)
	must(t, e.Store.SetUserDisabled(ctx, harness.Operator, e.U.ID, false))
	e.WantLive(own.Text, true)
	must(t, e.Store.SetAccountDisabled(ctx, harness.Operator, e.U.Account.ID, true))
	e.WantLive(own.Text, false)
	must(t, e.Store.SetAccountDisabled(ctx, harness.Operator, e.U.Account.ID, false))
	e.WantLive(own.Text, true)
	must(t, e.Rules.RevokeToken(ctx, harness.Operator, own.Text))
	e.WantLive(own.Text, false)
}
