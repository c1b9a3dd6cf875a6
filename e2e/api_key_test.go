package e2e

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// shiftIntegrations lets integration tokens be older by d.
func shiftIntegrations(r *harness.Env, d time.Duration) {
	r.Exec(`UPDATE integration_tokens SET created_at = created_at - $1, expires_at = expires_at - $1`, d.Microseconds())
}

// TestIntegrationToken_J6: Exchanges at /authorization/integration. An account key that is unknown, or was revoked or rotated away:
// 404. A wrong bot key, a wrong bot secret, another account's bot: 403, all with the same bytes. A key in the query only:
// 400. 50 exchanges at once: 50 tokens that work. A token works for 3,660 s by the database's clock and then answers 401;
// it ends at once when its key is revoked or rotated, its bot removed, disabled or rotated, or its account disabled or
// without a plan for the API, and returns only with what is reversible of these.
func TestIntegrationToken_J6(t *testing.T) {
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		t.Run("keys", func(t *testing.T) { j6Keys(t, r.With(t)) })
		t.Run("at once", func(t *testing.T) {
			key, bot := r.AddKey(r.U.Account.ID, ""), r.AddBot(r.U.Account.ID, "Bot")
			seen := map[string]bool{}
			for _, a := range harness.Race(t, 50, func(int) harness.Answer {
				return patiently(func() harness.Answer { return r.Integrate(harness.Keys(key, bot)) })
			}) {
				token := a.WantIntegration(t)
				seen[token] = true
				r.With(t).WantLive(token, true)
			}
			if len(seen) != 50 {
				t.Errorf("50 exchanges gave %d tokens", len(seen))
			}
		})
		t.Run("time", func(t *testing.T) {
			r := r.With(t)
			token := r.Integrate(harness.Keys(r.AddKey(r.U.Account.ID, ""))).WantIntegration(t)
			shiftIntegrations(r, 3630*time.Second)
			r.WantLive(token, true)
			shiftIntegrations(r, 30*time.Second)
			r.WantLive(token, false)

			fresh := r.Integrate(harness.Keys(r.AddKey(r.U.Account.ID, ""))).WantIntegration(t)
			for ahead, live := range map[time.Duration]bool{3630 * time.Second: true, 3660 * time.Second: false} {
				later := r.With(t)
				later.Store = fast{r.Store, ahead}
				later.Sibling().WantLive(fresh, live)
			}
		})
		t.Run("ends", func(t *testing.T) { j6Ends(t, r.With(t)) })
	})
}

// fast is a store whose database's clock is ahead of the server's.
type fast struct {
	store.Store
	by time.Duration
}

// Now is the database's time.
func (a fast) Now() time.Time { return a.Store.Now().Add(a.by) }

func j6Keys(t *testing.T, r *harness.Env) {
	key, revoked, rotated := r.AddKey(r.U.Account.ID, ""), r.AddKey(r.U.Account.ID, ""), r.AddKey(r.U.Account.ID, "")
	bot, other := r.AddBot(r.U.Account.ID, "One"), r.AddBot(r.U.Account.ID, "Two")
	stranger := r.AddUser("stranger@users.test")
	theirs := r.AddBot(stranger.Account.ID, "Theirs")
	must(t, r.Rules.RevokeKey(t.Context(), harness.Operator, "", revoked.ID))
	_, err := r.Rules.RotateKey(t.Context(), harness.Operator, "", rotated.ID, r.Store.Now())
	must(t, err)
	unknown := r.Integrate(harness.Keys(harness.Key{Text: secret.Format{}.New(secret.APIKey).Reveal()}))
	unknown.WantMessage(t, http.StatusNotFound)
	for says, gone := range map[string]harness.Key{"revoked": revoked, "rotated": rotated, "guessed": {Text: harness.Graft(key.Text, revoked.Text)}} {
		if a := r.Integrate(harness.Keys(gone)); a.Status != unknown.Status || a.Body != unknown.Body {
			t.Errorf("%s: %d %s, want what an unknown one gets", says, a.Status, a.Body)
		}
	}
	wrong := r.Integrate(harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: other.Secret}))
	wrong.WantMessage(t, http.StatusForbidden)
	for says, body := range map[string]string{
		"wrong key": harness.Keys(key, harness.Bot{Bot: other.Bot, Secret: bot.Secret}), "another account's": harness.Keys(key, theirs),
		"guessed": harness.Keys(key, harness.Bot{Bot: bot.Bot, Secret: harness.Graft(bot.Secret, other.Secret)}),
	} {
		if a := r.Integrate(body); a.Status != http.StatusForbidden || a.Body != wrong.Body {
			t.Errorf("%s: %d %s, want what a wrong secret gets", says, a.Status, a.Body)
		}
	}
	r.IntegrateAt("/authorization/integration?AccountAPIKey="+key.Text, `{}`).WantMessage(t, http.StatusBadRequest)
	r.IntegrateAt("/authorization/integration?AccountAPIKey="+key.Text, ``, "Content-Type", "").WantMessage(t, http.StatusBadRequest)
	r.Integrate(harness.Keys(key, bot)).WantIntegration(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// j6Ends ends one root after the other, each on an account of its own.
func j6Ends(t *testing.T, r *harness.Env) {
	ctx := t.Context()
	type world struct {
		user harness.User
		key  harness.Key
		bot  harness.Bot
	}
	for says, c := range map[string]struct {
		end     func(r *harness.Env, w world) error
		undo    func(r *harness.Env, w world) error
		wideToo bool
	}{
		"key revoked": {func(r *harness.Env, w world) error { return r.Rules.RevokeKey(ctx, harness.Operator, "", w.key.ID) }, nil, true},
		"key rotated": {func(r *harness.Env, w world) error {
			_, err := r.Rules.RotateKey(ctx, harness.Operator, "", w.key.ID, r.Store.Now())
			return err
		}, nil, true},
		"bot removed": {func(r *harness.Env, w world) error { return r.Rules.RemoveBot(ctx, harness.Operator, "", w.bot.ID) }, nil, false},
		"bot rotated": {func(r *harness.Env, w world) error {
			_, err := r.Rules.RotateBot(ctx, harness.Operator, "", w.bot.ID, r.Store.Now())
			return err
		}, nil, false},
		"bot disabled": {
			func(r *harness.Env, w world) error {
				return r.Store.SetUserDisabled(ctx, harness.Operator, w.bot.ID, true)
			},
			func(r *harness.Env, w world) error {
				return r.Store.SetUserDisabled(ctx, harness.Operator, w.bot.ID, false)
			}, false,
		},
		"account on the free plan": {
			func(r *harness.Env, w world) error {
				return r.Store.SetAccountPlan(ctx, harness.Operator, w.user.Account.ID, "free")
			},
			func(r *harness.Env, w world) error {
				return r.Store.SetAccountPlan(ctx, harness.Operator, w.user.Account.ID, "standard")
			}, true,
		},
		"account disabled": {
			func(r *harness.Env, w world) error {
				return r.Store.SetAccountDisabled(ctx, harness.Operator, w.user.Account.ID, true)
			},
			func(r *harness.Env, w world) error {
				return r.Store.SetAccountDisabled(ctx, harness.Operator, w.user.Account.ID, false)
			}, true,
		},
		"account deleted": {func(r *harness.Env, w world) error {
			r.Exec(`UPDATE accounts SET deleted_at = 1 WHERE id = $1`, w.user.Account.ID)
			return nil
		}, nil, true},
		"token revoked by the operator": {nil, nil, false},
	} {
		t.Run(says, func(t *testing.T) {
			r := r.With(t)
			w := world{user: r.AddUser(strings.ReplaceAll(says, " ", "-") + "@users.test")}
			w.key, w.bot = r.AddKey(w.user.Account.ID, ""), r.AddBot(w.user.Account.ID, "Bot")
			wide, own := r.Integrate(harness.Keys(w.key)).WantIntegration(t), r.Integrate(harness.Keys(w.key, w.bot)).WantIntegration(t)
			if c.end == nil {
				must(t, r.Rules.RevokeToken(ctx, harness.Operator, own))
			} else {
				must(t, c.end(r, w))
			}
			r.WantLive(wide, !c.wideToo)
			r.WantLive(own, false)
			if c.undo != nil {
				must(t, c.undo(r, w))
				r.WantLive(wide, true)
				r.WantLive(own, true)
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
	harness.Each(t, func(t *testing.T, r *harness.Env) {
		t.Run("made and shown once", func(t *testing.T) { j7Made(t, r.With(t)) })
		t.Run("scoped", func(t *testing.T) { j7Scoped(t, r.With(t)) })
		t.Run("another person's", func(t *testing.T) { j7Others(t, r.With(t)) })
		t.Run("ends", func(t *testing.T) { j7Ends(t, r.With(t)) })
	})
}

// j7Others: an admin gets no key that acts for another person, neither a new one nor an old one's successor.
func j7Others(t *testing.T, r *harness.Env) {
	admin, bot := r.AddUser("admin@users.test"), r.AddBot(r.U.Account.ID, "Others' bot")
	must(t, r.Store.AddMember(t.Context(), harness.Operator, r.U.Account.ID, admin.ID, "admin"))
	b := r.LoggedIn(admin)
	key, bots, account := r.AddKey(r.U.Account.ID, r.U.ID, "agent"), r.AddKey(r.U.Account.ID, bot.ID, "bot"), r.AddKey(r.U.Account.ID, "")
	made := b.Make("/account/keys", harness.Pairs("name", "Name", "kind", "token", "scopes", "agent", "account", r.U.Account.ID, "user", r.U.ID))
	if made.Status != http.StatusUnprocessableEntity || len(credentials(made.Body, secret.APIKey)) > 0 {
		t.Errorf("a key for another person: %d", made.Status)
	}
	path := "/account/keys/" + key.ID
	for says, a := range map[string]harness.Answer{"asked": b.Get(path + "/rotate"), "rotated": b.Make(path+"/rotate", harness.Pairs("keep", "24h"))} {
		if a.Status != http.StatusForbidden || len(credentials(a.Body, secret.APIKey)) > 0 || !strings.Contains(a.Body, r.U.Email) {
			t.Errorf("another person's key, %s: %d: %.1500s", says, a.Status, a.Body)
		}
	}
	r.WantLive(key.Text, true)
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
	r.WantLive(key.Text, false)
}

func j7Made(t *testing.T, r *harness.Env) {
	b := r.LoggedIn(r.U)
	b.Get("/account/keys").WantPage(t, http.StatusOK)
	made := b.Make("/account/keys", harness.Pairs("name", "Export", "kind", "token", "scopes", "agent", "scopes", "admin"))
	made.WantPage(t, http.StatusOK)
	text := regexp.MustCompile(`value="(xnok_[^"]+)"`).FindStringSubmatch(made.Body)
	if text == nil || !keyShape.MatchString(text[1]) {
		t.Fatalf("the page shows no key: %.500s", made.Body)
	}
	key := text[1]
	r.WantLive(key, true)
	id := r.Me(key).String(t, "client_id")
	for _, path := range []string{"/account/keys", "/account/keys/" + id + "/rotate", "/account/keys/" + id + "/revoke", "/account"} {
		if page := b.Get(path); page.Status != http.StatusOK || strings.Contains(page.Body, key[27:]) {
			t.Errorf("%s: %d, or it shows the key again", path, page.Status)
		}
	}
	if secretPart := key[27:70]; strings.Contains(r.Dump(), secretPart) || strings.Contains(r.Log.String(), secretPart) {
		t.Error("the key is in the database or in the log")
	}
	hash := r.Parse(key).Hash()
	row, err := r.Store.KeyBySecret(t.Context(), store.LookupID(r.Parse(key).ID))
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
		"somebody for an account API key": {harness.Pairs("name", "Mixed", "kind", "account", "user", r.U.ID), http.StatusUnprocessableEntity},
		"no kind":                         {harness.Pairs("name", "Mixed", "scopes", "guest"), http.StatusBadRequest},
		"an unknown kind":                 {harness.Pairs("name", "Mixed", "kind", "Token"), http.StatusBadRequest},
	} {
		if a := b.Make("/account/keys", c.form); a.Status != c.status || len(credentials(a.Body, secret.APIKey)) > 0 {
			t.Errorf("%s: %d, want %d", says, a.Status, c.status)
		}
	}
	last := key[len(key)-1]
	unasked := &unasked{Store: r.Store}
	deaf := r.With(t)
	deaf.Store = unasked
	front := deaf.Sibling()
	for _, wrong := range []string{key[:75] + string(last^1), "xnoa" + key[4:], strings.ToUpper(key), key + "0", key[:40], key + " x", "\t" + key, key + "\t,"} {
		front.WantLive(wrong, false)
	}
	if n := unasked.questions.Load(); n != 0 {
		t.Errorf("%d malformed keys were looked up", n)
	}
	front.Me(key)
	if n := unasked.questions.Load(); n != 1 {
		t.Errorf("the key itself was looked up %d times, want 1", n)
	}
	rotated := b.Make("/account/keys/"+id+"/rotate", harness.Pairs("keep", "now"))
	rotated.WantPage(t, http.StatusOK)
	r.WantLive(key, false)
	next := regexp.MustCompile(`value="(xnok_[^"]+)"`).FindStringSubmatch(rotated.Body)[1]
	r.WantLive(next, true)
	if a := b.Post("/account/keys/"+id+"/revoke", harness.Pairs()); a.Status != http.StatusSeeOther {
		t.Errorf("revoke: %d", a.Status)
	}
	r.WantLive(next, false)
}

// unasked counts the look-ups of keys and app tokens in front of a real store.
type unasked struct {
	store.Store
	questions atomic.Int64
}

// KeyBySecret counts.
func (u *unasked) KeyBySecret(ctx context.Context, id store.LookupID) (store.KeyAccess, error) {
	u.questions.Add(1)
	return u.Store.KeyBySecret(ctx, id)
}

// AccessByID counts.
func (u *unasked) AccessByID(ctx context.Context, kind store.TokenKind, id store.LookupID) (store.Access, error) {
	u.questions.Add(1)
	return u.Store.AccessByID(ctx, kind, id)
}

func j7Scoped(t *testing.T, r *harness.Env) {
	agent := r.AddUser("agent@users.test")
	must(t, r.Store.AddMember(t.Context(), harness.Operator, r.U.Account.ID, agent.ID, "agent"))
	bot := r.AddBot(r.U.Account.ID, "Bot")
	for says, c := range map[string]struct {
		key    harness.Key
		scopes string
		may    string
		mayNot string
	}{
		"admin's, for everything":    {r.AddKey(r.U.Account.ID, "", "guest", "admin"), "admin guest", "service:list", ""},
		"admin's, for agents":        {r.AddKey(r.U.Account.ID, "", "agent"), "agent", "conversation:list", "message:list"},
		"agent's, for everything":    {r.AddKey(r.U.Account.ID, agent.ID, "admin", "guest"), "agent guest", "conversation:list", "message:list"},
		"a bot's, for everything":    {r.AddKey(r.U.Account.ID, bot.ID, "admin"), "bot", "message:list", "form:fetch"},
		"a bot's, for what bots may": {r.AddKey(r.U.Account.ID, bot.ID, "bot"), "bot", "message:list", "form:fetch"},
	} {
		t.Run(says, func(t *testing.T) {
			me := r.With(t).Me(c.key.Text)
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
	account := r.AddKey(r.U.Account.ID, "")
	r.WantLive(account.Text, false)
	used := r.AddKey(r.U.Account.ID, "", "agent")
	r.WantLive(used.Text, true)
	deadline := time.Now().Add(10 * time.Second)
	for {
		k, err := r.Rules.Key(t.Context(), "", used.ID)
		must(t, err)
		if !k.LastUsedAt.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the use was not noted")
		}
	}
}

func j7Ends(t *testing.T, r *harness.Env) {
	ctx := t.Context()
	member, bot := r.AddUser("member@users.test"), r.AddBot(r.U.Account.ID, "Bot")
	must(t, r.Store.AddMember(ctx, harness.Operator, r.U.Account.ID, member.ID, "agent"))
	theirs, bots, own := r.AddKey(r.U.Account.ID, member.ID, "agent"), r.AddKey(r.U.Account.ID, bot.ID, "bot"), r.AddKey(r.U.Account.ID, "", "admin")
	for _, k := range []harness.Key{theirs, bots, own} {
		r.WantLive(k.Text, true)
	}
	must(t, r.Store.RemoveMember(ctx, harness.Operator, r.U.Account.ID, member.ID))
	r.WantLive(theirs.Text, false)
	must(t, r.Rules.RemoveBot(ctx, harness.Operator, "", bot.ID))
	r.WantLive(bots.Text, false)
	must(t, r.Store.SetUserDisabled(ctx, harness.Operator, r.U.ID, true))
	r.WantLive(own.Text, false)
	must(t, r.Store.SetUserDisabled(ctx, harness.Operator, r.U.ID, false))
	r.WantLive(own.Text, true)
	must(t, r.Store.SetAccountDisabled(ctx, harness.Operator, r.U.Account.ID, true))
	r.WantLive(own.Text, false)
	must(t, r.Store.SetAccountDisabled(ctx, harness.Operator, r.U.Account.ID, false))
	r.WantLive(own.Text, true)
	must(t, r.Rules.RevokeToken(ctx, harness.Operator, own.Text))
	r.WantLive(own.Text, false)
}
