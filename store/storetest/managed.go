package storetest

import (
	"errors"
	"testing"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// managed holds one object of each kind in an account, with an operation on each that takes a Principal.
type managed struct {
	world
	key    store.APIKey
	bot    store.Bot
	change map[string]func(by store.Principal) error
}

func newManaged(t *testing.T, st store.Store) managed {
	t.Helper()
	m := managed{world: newWorld(t, st)}
	ctx := t.Context()
	m.key, _ = NewAPIKey(t, st, m.account.ID, "")
	bot, botSecret := NewBot(t, st, m.account.ID)
	m.bot = bot
	stored, err := st.AppByID(ctx, m.app.ID)
	no(t, err)
	another := stored
	another.ID, another.Confidential = secret.NewPublicID("app_"), false
	anotherKey, anotherBot := m.key, bot
	anotherKey.ID, anotherBot.ID, anotherBot.APIKey = secret.NewPublicID("key_"), secret.NewUserID(), secret.NewPublicID("bot_")
	anotherBot.Email = anotherBot.ID + "@example.org"
	m.change = map[string]func(by store.Principal) error{
		"read the app": func(by store.Principal) error { _, err := st.ManagedApp(ctx, by, m.app.ID); return err },
		"read the key": func(by store.Principal) error { _, err := st.ManagedAPIKey(ctx, by, m.key.ID); return err },
		"read the bot": func(by store.Principal) error { _, err := st.ManagedBot(ctx, by, bot.ID); return err },

		"create an app": func(by store.Principal) error { return st.CreateAppWithin(ctx, by, another, nil, 10) },
		"create a key": func(by store.Principal) error {
			return st.CreateAPIKey(ctx, by, anotherKey, NewSecret(st, anotherKey.ID))
		},
		"create a bot": func(by store.Principal) error {
			return st.CreateBot(ctx, by, anotherBot, NewSecret(st, anotherBot.APIKey))
		},

		"add a secret to the app":    func(by store.Principal) error { return st.AddSecret(ctx, by, NewSecret(st, m.app.ID), time.Time{}) },
		"add a secret to the key":    func(by store.Principal) error { return st.AddSecret(ctx, by, NewSecret(st, m.key.ID), time.Time{}) },
		"add a secret to the bot":    func(by store.Principal) error { return st.AddSecret(ctx, by, NewSecret(st, bot.APIKey), time.Time{}) },
		"revoke a secret of the app": func(by store.Principal) error { return st.RevokeSecret(ctx, by, m.app.ID, m.secret.ID) },
		"revoke a secret of the bot": func(by store.Principal) error { return st.RevokeSecret(ctx, by, bot.APIKey, botSecret.ID) },
		"update the app":             func(by store.Principal) error { return st.UpdateApp(ctx, by, stored, "") },
	}
	return m
}

// testManaged: only its admins and the operator can read and change the objects of an account.
func testManaged(t *testing.T, st store.Store) {
	stranger, _ := NewUser(t, st)
	agent, _ := NewUser(t, st)
	m := newManaged(t, st)
	no(t, st.AddMember(t.Context(), operator, m.account.ID, agent.ID, scope.RoleAgent))
	events := func() int {
		list, err := st.Events(t.Context(), store.EventFilter{AccountID: m.account.ID, Limit: 500})
		no(t, err)
		return len(list)
	}
	before := events()
	for name, by := range map[string]store.Principal{
		"stranger": as(stranger), "member": as(agent), "visitor": store.VisitorPrincipal("192.0.2.7"), "app": store.AppPrincipal(m.app.ID, ""), "system": system,
	} {
		for what, change := range m.change {
			if err := change(by); !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrEnded) {
				t.Errorf("%s: %s: got error %v, want ErrNotFound or ErrEnded", name, what, err)
			}
		}
		for what, err := range map[string]error{
			"delete the app": st.DeleteApp(t.Context(), by, m.app.ID), "revoke the key": st.RevokeAPIKey(t.Context(), by, m.key.ID),
			"remove the bot": st.RemoveBot(t.Context(), by, m.bot.ID),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %s: got error %v, want ErrNotFound", name, what, err)
			}
		}
	}
	equal(t, "events of the account", events(), before)
	for name, by := range map[string]store.Principal{"admin": as(m.user), "operator": operator} {
		t.Run(name, func(t *testing.T) {
			m := m
			if name == "operator" {
				m = newManaged(t, st)
			}
			for what, change := range m.change {
				if err := change(by); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			no(t, st.DeleteApp(t.Context(), by, m.app.ID))
			no(t, st.RevokeAPIKey(t.Context(), by, m.key.ID))
			no(t, st.RemoveBot(t.Context(), by, m.bot.ID))
		})
	}
}
