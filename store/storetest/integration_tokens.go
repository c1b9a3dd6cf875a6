package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// exchange is an account with a key, a bot, and a token of each.
type exchange struct {
	store        store.Store
	user         store.User
	account      store.Account
	key          store.APIKey
	keySecret    store.Secret
	bot          store.Bot
	botSecret    store.Secret
	wide, ofABot store.IntegrationToken
}

func newExchange(t *testing.T, st store.Store) exchange {
	t.Helper()
	e := exchange{store: st}
	e.user, e.account = NewUser(t, st)
	e.key, e.keySecret = NewAPIKey(t, st, e.account.ID, "")
	e.bot, e.botSecret = NewBot(t, st, e.account.ID)
	e.wide, e.ofABot = e.token(nil), e.token(&e.bot)
	no(t, st.CreateIntegrationToken(t.Context(), e.wide, apiPlans))
	no(t, st.CreateIntegrationToken(t.Context(), e.ofABot, apiPlans))
	return e
}

func (e exchange) token(b *store.Bot) store.IntegrationToken {
	return IntegrationToken(e.store, e.key, e.keySecret, b, e.botSecret)
}

// live returns which of the tokens are valid: "", "wide", "bot" or both.
func (e exchange) live(t *testing.T) (which string) {
	t.Helper()
	if integrationLive(t, e.store, e.wide.ID) {
		which += "wide"
	}
	if integrationLive(t, e.store, e.ofABot.ID) {
		which += "bot"
	}
	return which
}

func testIntegrations(t *testing.T, st store.Store) {
	t.Run("stored and read", func(t *testing.T) { testIntegrationRead(t, st) })
	t.Run("refused", func(t *testing.T) { testIntegrationRefused(t, st) })
	t.Run("end with their roots", func(t *testing.T) { testIntegrationRoots(t, st) })
	t.Run("revoked", func(t *testing.T) {
		e := newExchange(t, st)
		no(t, st.RevokeIntegrationToken(t.Context(), operator, e.wide.ID))
		no(t, st.RevokeIntegrationToken(t.Context(), operator, e.wide.ID)) // again leaves no event
		wants(t, st.RevokeIntegrationToken(t.Context(), operator, secret.NewID()), store.ErrNotFound)
		equal(t, "live", e.live(t), "bot")
		events, err := st.Events(t.Context(), store.EventFilter{AccountID: e.account.ID, Kind: store.EventTokenRevoked})
		no(t, err)
		equal(t, "events", len(events), 1)
		equal(t, "which", events[0].Subject+events[0].Detail, secret.ID(e.wide.ID).String()+e.key.ID)
	})
	t.Run("swept", func(t *testing.T) {
		e := newExchange(t, st)
		old := e.token(nil)
		old.ExpiresAt = st.Now().Add(-2 * time.Hour)
		no(t, st.CreateIntegrationToken(t.Context(), old, apiPlans))
		no(t, st.RecordUse(t.Context(), map[store.LookupID]time.Time{old.ID: st.Now()}))
		sameSweep(t, "an expired token", sweepAll(t, st, retention, 100), map[string]int64{"integration_tokens": 1, "last_used": 1})
		_, err := st.IntegrationByID(t.Context(), old.ID)
		wants(t, err, store.ErrNotFound)
		equal(t, "live", e.live(t), "widebot")
	})
}

func testIntegrationRead(t *testing.T, st store.Store) {
	e := newExchange(t, st)
	got, err := st.IntegrationByID(t.Context(), e.wide.ID)
	no(t, err)
	want := store.IntegrationAccess{
		IntegrationToken: e.wide, KeyLive: true, Key: store.Secret{CreatedAt: e.keySecret.CreatedAt}, Account: e.account, AccountLive: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("account-wide token (-want +got):\n%s", diff)
	}
	got, err = st.IntegrationByID(t.Context(), e.ofABot.ID)
	no(t, err)
	want.IntegrationToken, want.Bot, want.BotLive, want.Role = e.ofABot, store.Secret{CreatedAt: e.botSecret.CreatedAt}, true, scope.RoleBot
	want.User = store.User{ID: e.bot.ID, Email: e.bot.Email, Name: e.bot.Name, Bot: true, CreatedAt: e.bot.CreatedAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("bot's token (-want +got):\n%s", diff)
	}
	_, err = st.IntegrationByID(t.Context(), secret.NewID())
	wants(t, err, store.ErrNotFound)
	wants(t, st.CreateIntegrationToken(t.Context(), e.wide, apiPlans), store.ErrConflict)
	eternal := e.token(nil)
	eternal.ExpiresAt = time.Time{}
	wants(t, st.CreateIntegrationToken(t.Context(), eternal, apiPlans), store.ErrInvalid)
}

func testIntegrationRefused(t *testing.T, st store.Store) {
	ctx := t.Context()
	e, other := newExchange(t, st), newExchange(t, st)
	scoped, scopedSecret := NewAPIKey(t, st, e.account.ID, e.user.ID, scope.RoleAdmin)
	for name, token := range map[string]store.IntegrationToken{
		"another account's bot":        IntegrationToken(st, e.key, e.keySecret, &other.bot, other.botSecret),
		"another bot's secret":         IntegrationToken(st, e.key, e.keySecret, &e.bot, other.botSecret),
		"a key's secret for a bot's":   IntegrationToken(st, e.key, e.keySecret, &e.bot, e.keySecret),
		"another key's secret":         IntegrationToken(st, e.key, other.keySecret, nil, store.Secret{}),
		"a key with roles":             IntegrationToken(st, scoped, scopedSecret, nil, store.Secret{}),
		"no key":                       IntegrationToken(st, store.APIKey{ID: "key_none"}, e.keySecret, nil, store.Secret{}),
		"a secret that does not exist": IntegrationToken(st, e.key, store.Secret{ID: secret.NewID()}, nil, store.Secret{}),
	} {
		if err := st.CreateIntegrationToken(ctx, token, apiPlans); err == nil {
			t.Errorf("%s: a token was stored", name)
		} else {
			wants(t, err, store.ErrEnded)
		}
	}
	for _, plans := range [][]string{nil, {"pro"}, {"standard2", "tandard"}} {
		wants(t, st.CreateIntegrationToken(ctx, e.token(nil), plans), store.ErrEnded)
	}
	no(t, st.CreateIntegrationToken(ctx, e.token(nil), []string{"standard"}))
	no(t, st.SetAccountPlan(ctx, operator, e.account.ID, "free"))
	wants(t, st.CreateIntegrationToken(ctx, e.token(nil), apiPlans), store.ErrEnded)
	no(t, st.SetAccountPlan(ctx, operator, e.account.ID, "pro"))
	no(t, st.CreateIntegrationToken(ctx, e.token(&e.bot), apiPlans))
}

// testIntegrationRoots ends each root: the tokens that depend on it are no longer valid, and no new ones can be issued.
func testIntegrationRoots(t *testing.T, st store.Store) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		end  func(e exchange) error
		left string // which tokens live on
	}{
		"key":              {func(e exchange) error { return st.RevokeAPIKey(ctx, operator, e.key.ID) }, ""},
		"key's secret":     {func(e exchange) error { return st.RevokeSecret(ctx, operator, e.key.ID, e.keySecret.ID) }, ""},
		"key's rotation":   {func(e exchange) error { return st.AddSecret(ctx, operator, NewSecret(st, e.key.ID), st.Now()) }, ""},
		"bot":              {func(e exchange) error { return st.RemoveBot(ctx, operator, e.bot.ID) }, "wide"},
		"bot, disabled":    {func(e exchange) error { return st.SetUserDisabled(ctx, operator, e.bot.ID, true) }, "wide"},
		"bot's rotation":   {func(e exchange) error { return st.AddSecret(ctx, operator, NewSecret(st, e.bot.APIKey), st.Now()) }, "wide"},
		"who made the key": {func(e exchange) error { return st.DeleteUser(ctx, operator, e.user.ID) }, "widebot"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExchange(t, st)
			no(t, c.end(e))
			equal(t, "live", e.live(t), c.left)
			for which, err := range map[string]error{
				"wide": st.CreateIntegrationToken(ctx, e.token(nil), apiPlans), "bot": st.CreateIntegrationToken(ctx, e.token(&e.bot), apiPlans),
			} {
				if c.left == "widebot" || c.left == which {
					no(t, err)
				} else {
					wants(t, err, store.ErrEnded)
				}
			}
		})
	}
}

// raceIntegrations: 50 exchanges of one key and bot at the same moment all succeed.
func raceIntegrations(t *testing.T, st store.Store) {
	e := newExchange(t, st)
	tokens := make([]store.IntegrationToken, contenders)
	for i := range tokens {
		tokens[i] = e.token(&e.bot)
	}
	for i, err := range race(contenders, func(i int) error { return st.CreateIntegrationToken(t.Context(), tokens[i], apiPlans) }) {
		no(t, err)
		equal(t, "live", integrationLive(t, st, tokens[i].ID), true)
	}
}

// raceKeyEnd: a key ends while tokens are issued for it. In any order, none is live afterwards.
func raceKeyEnd(t *testing.T, st store.Store) {
	for range meetings {
		e := newExchange(t, st)
		token := e.token(&e.bot)
		errs := race(3, func(i int) error {
			switch i {
			case 0:
				return st.CreateIntegrationToken(t.Context(), token, apiPlans)
			case 1:
				return st.RevokeAPIKey(t.Context(), operator, e.key.ID)
			}
			return st.RemoveBot(t.Context(), operator, e.bot.ID)
		})
		no(t, errs[1])
		no(t, errs[2])
		if errs[0] != nil {
			wants(t, errs[0], store.ErrEnded)
		}
		equal(t, "live", integrationLive(t, st, token.ID), false)
		equal(t, "live", e.live(t), "")
	}
}

// raceKeyRotation: 50 concurrent rotations that end the previous credential leave one credential.
func raceKeyRotation(t *testing.T, st store.Store) {
	_, a := NewUser(t, st)
	k, _ := NewAPIKey(t, st, a.ID, "")
	for _, err := range race(contenders, func(int) error {
		return st.AddSecret(t.Context(), operator, NewSecret(st, k.ID), time.UnixMicro(1))
	}) {
		no(t, err)
	}
	list, err := st.SecretsByClient(t.Context(), k.ID)
	no(t, err)
	equal(t, "credentials that work", len(list), 1)
}
