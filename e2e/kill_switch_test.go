package e2e

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/scope"
)

// killWorld is an account with a token of every kind that there is, and every way to get another one.
type killWorld struct {
	*harness.Env
	other       *harness.Env // a second server
	api         harness.App
	agent       harness.User
	bot         harness.Bot
	account     harness.Key // of the account
	key, botKey harness.Key // with scopes
	tokens      map[string]string
	ways        map[string]func() int
}

func newKillWorld(t *testing.T, e *harness.Env) *killWorld {
	t.Helper()
	w := &killWorld{Env: e, other: e.Sibling(), api: e.AddResource("API"), agent: e.AddAgent("agatha@users.test"), bot: e.AddBot(e.U.Account.ID, "Bot")}
	w.account = e.AddKey(e.U.Account.ID, "")
	w.key, w.botKey = e.AddKey(e.U.Account.ID, w.agent.ID, "agent"), e.AddKey(e.U.Account.ID, w.bot.ID, "bot")
	browser := e.LoggedIn(e.U)
	w.tokens = map[string]string{
		"app": e.Grant(browser, e.A).WantToken(t), "expiring": e.Grant(browser, e.P).WantToken(t),
		"app's own":  e.Token(e.A, "grant_type", "client_credentials").WantToken(t),
		"user token": e.UserTokens(w.agent).Token, "bot's user token": e.LogInProgram(w.bot.Email, w.bot.Secret).WantUserPair(e).Token,
		"key": w.key.Text, "bot's key": w.botKey.Text,
		"integration": e.Integrate(harness.Keys(w.account)).WantIntegration(t), "bot's integration": e.Integrate(harness.Keys(w.account, w.bot)).WantIntegration(t),
	}
	w.ways = map[string]func() int{
		"integration":       func() int { return e.Integrate(harness.Keys(w.account)).Status },
		"bot's integration": func() int { return e.Integrate(harness.Keys(w.account, w.bot)).Status },
		"user token":        func() int { return e.LogInProgram(w.agent.Email, harness.Password).Status },
		"bot's user token":  func() int { return e.LogInProgram(w.bot.Email, w.bot.Secret).Status },
	}
	return w
}

// dead lists the kinds that are refused, in their order, and fails unless every place on both servers agrees about each.
func (w *killWorld) dead(t *testing.T) []string {
	t.Helper()
	var dead []string
	for kind, token := range w.tokens {
		live := w.Me(token).Status == http.StatusOK
		if got := w.other.Verify(token, ""); (got.Status == http.StatusOK) != live || !live && got.Status != http.StatusUnauthorized {
			t.Errorf("%s: live at /api/me: %v, and forward-auth answers %d", kind, live, got.Status)
		}
		if got := w.other.Introspect(w.api, token).JSON(t)["active"]; got != live {
			t.Errorf("%s: live at /api/me: %v, and introspection says active: %v", kind, live, got)
		}
		if !live {
			dead = append(dead, kind)
		}
	}
	slices.Sort(dead)
	return dead
}

// shut is how the ways to a new token that do not answer 200 are answered.
func (w *killWorld) shut() map[string]int {
	shut := map[string]int{}
	for kind, ask := range w.ways {
		if status := ask(); status != http.StatusOK {
			shut[kind] = status
		}
	}
	return shut
}

// TestKillSwitch: disabling an account, a person, a bot or an app, another plan, a member who leaves, a revoked key and a
// removed bot end each token of every kind that depends on it, and no other, from the next request on and on every server; no
// new token can be obtained; and undoing a reversible change makes the tokens valid again.
func TestKillSwitch(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		w := newKillWorld(t, e)
		if dead, shut := w.dead(t), w.shut(); len(dead) > 0 || len(shut) > 0 || len(w.tokens) != 9 {
			t.Fatalf("of %d tokens these are dead at the start: %v; shut: %v", len(w.tokens), dead, shut)
		}
		ctx, account := context.Background(), e.U.Account.ID
		disable := func(id string) func(bool) error {
			return func(on bool) error { return e.Store.SetUserDisabled(ctx, harness.Operator, id, on) }
		}
		for _, c := range []struct {
			what string
			turn func(on bool) error
			dead string
			shut map[string]int
		}{
			{"account disabled", func(on bool) error { return e.Store.SetAccountDisabled(ctx, harness.Operator, account, on) },
				"app, bot's integration, bot's key, bot's user token, expiring, integration, key, user token",
				map[string]int{"integration": 403, "bot's integration": 403, "user token": 401, "bot's user token": 401}},
			{"plan without API", func(on bool) error {
				return e.Store.SetAccountPlan(ctx, harness.Operator, account, map[bool]string{true: "free", false: "standard"}[on])
			}, "bot's integration, bot's key, integration, key", map[string]int{"integration": 403, "bot's integration": 403}},
			{"person disabled", disable(w.agent.ID), "key, user token", map[string]int{"user token": 401}},
			{"person with apps disabled", disable(e.U.ID), "app, expiring", nil},
			{"bot disabled", disable(w.bot.ID), "bot's integration, bot's key, bot's user token", map[string]int{"bot's integration": 403, "bot's user token": 401}},
			{"app suspended", func(on bool) error { return e.Store.SetAppSuspended(ctx, harness.Operator, e.A.ID, on) }, "app, app's own", nil},
			{"member gone, and back", func(on bool) error {
				if on {
					return e.Store.RemoveMember(ctx, harness.Operator, account, w.agent.ID)
				}
				return e.Store.AddMember(ctx, harness.Operator, account, w.agent.ID, scope.RoleAgent)
			}, "key, user token", nil},
		} {
			if err := c.turn(true); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if dead := strings.Join(w.dead(t), ", "); dead != c.dead {
				t.Errorf("%s: dead are %q, want %q", c.what, dead, c.dead)
			}
			if shut := w.shut(); !maps.Equal(shut, c.shut) {
				t.Errorf("%s: shut are %v, want %v", c.what, shut, c.shut)
			}
			if err := c.turn(false); err != nil {
				t.Fatalf("%s, undone: %v", c.what, err)
			}
			if dead, shut := w.dead(t), w.shut(); len(dead) > 0 || len(shut) > 0 {
				t.Errorf("%s, undone: still dead are %v, shut %v", c.what, dead, shut)
			}
		}
		// What is final comes one after the other: all that ended before stays dead.
		for _, c := range []struct {
			what string
			end  func() error
			dead string
			shut map[string]int
		}{
			{"key revoked", func() error { return e.Rules.RevokeKey(ctx, harness.Operator, w.key.ID) }, "key", nil},
			{"app deleted", func() error { return e.Store.DeleteApp(ctx, harness.Operator, e.A.ID) }, "app, app's own, key", nil},
			{"bot removed", func() error { return e.Rules.RemoveBot(ctx, harness.Operator, w.bot.ID) },
				"app, app's own, bot's integration, bot's key, bot's user token, key", map[string]int{"bot's integration": 403, "bot's user token": 401}},
			{"account API key revoked", func() error { return e.Rules.RevokeKey(ctx, harness.Operator, w.account.ID) },
				"app, app's own, bot's integration, bot's key, bot's user token, integration, key",
				map[string]int{"integration": 404, "bot's integration": 404, "bot's user token": 401}},
			{"person deleted", func() error { return e.Store.DeleteUser(ctx, harness.Operator, w.agent.ID) },
				"app, app's own, bot's integration, bot's key, bot's user token, integration, key, user token",
				map[string]int{"integration": 404, "bot's integration": 404, "bot's user token": 401, "user token": 401}},
		} {
			if err := c.end(); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if dead, shut := strings.Join(w.dead(t), ", "), w.shut(); dead != c.dead || !maps.Equal(shut, c.shut) {
				t.Errorf("%s: dead are %q and shut %v, want %q and %v", c.what, dead, shut, c.dead, c.shut)
			}
		}
	})
}

// TestDisabledAccountIsNotOffered: who allows an app is asked about accounts that work. Without one, nothing is granted.
func TestDisabledAccountIsNotOffered(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		disable := func(account string, on bool) {
			t.Helper()
			if err := e.Store.SetAccountDisabled(t.Context(), harness.Operator, account, on); err != nil {
				t.Fatal(err)
			}
		}
		agent := e.AddAgent("agatha@users.test") // of U's account, and of one of her own
		members, err := e.Store.MembersByUser(t.Context(), agent.ID)
		if err != nil || len(members) != 2 {
			t.Fatalf("accounts %v, %v", members, err)
		}
		b := e.LoggedIn(agent)
		disable(e.U.Account.ID, true)
		token := e.Grant(b, e.A).WantToken(t)
		if got := e.Me(token).JSON(t)["account"].(map[string]any)["id"]; got != members[1].AccountID {
			t.Errorf("the token is for account %v, want the one that works, %s", got, members[1].AccountID)
		}
		disable(members[1].AccountID, true)
		page := b.Get("/oauth/authorize?client_id=" + e.B.ID + "&scope=contacts&redirect_uri=" + harness.CB)
		if page.Status != http.StatusOK || !strings.Contains(page.Body, "You have no active account") || strings.Contains(page.Body, members[1].AccountID) {
			t.Errorf("the consent page, %d: %.3000s", page.Status, page.Body)
		}
		if a := b.Post("/oauth/consent", harness.Pairs("request_id", page.Hidden("request_id"), "decision", "allow", "account", members[1].AccountID)); a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("allowed all the same: %d to %q", a.Status, a.Header.Get("Location"))
		}
	})
}
