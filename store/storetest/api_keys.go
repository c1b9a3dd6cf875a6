package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// apiPlans are the plans that may use the API in tests.
var apiPlans = []string{"pro", "standard"}

// NewAPIKey stores a key of the account, which acts for the user if roles are given, and returns it with its first secret.
func NewAPIKey(t testing.TB, st store.Store, accountID, userID string, roles ...scope.Role) (store.APIKey, store.Secret) {
	t.Helper()
	k := store.APIKey{ID: secret.NewPublicID("key_"), AccountID: accountID, UserID: userID, Roles: roles, Name: "A key", CreatedAt: st.Now()}
	first := NewSecret(st, k.ID)
	if err := st.CreateAPIKey(t.Context(), operator, k, first); err != nil {
		t.Fatalf("create API key: %v", err)
	}
	return k, first
}

// NewBot stores a bot of the account and returns it with its first secret.
func NewBot(t testing.TB, st store.Store, accountID string) (store.Bot, store.Secret) {
	t.Helper()
	id := secret.NewUserID()
	b := store.Bot{ID: id, AccountID: accountID, Email: "bot+" + id + "@example.org", Name: "A bot", APIKey: secret.NewPublicID("bot_"), CreatedAt: st.Now()}
	first := NewSecret(st, b.APIKey)
	if err := st.CreateBot(t.Context(), operator, b, first); err != nil {
		t.Fatalf("create bot: %v", err)
	}
	return b, first
}

// IntegrationToken is a token that is not stored yet, of the key and, unless it is nil, of the bot.
func IntegrationToken(st store.Store, k store.APIKey, keySecret store.Secret, b *store.Bot, botSecret store.Secret) store.IntegrationToken {
	id, now := secret.NewID(), st.Now()
	t := store.IntegrationToken{ID: id, Hash: hash(id), KeyID: k.ID, KeySecret: keySecret.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	if b != nil {
		t.BotID, t.BotSecret = b.ID, botSecret.ID
	}
	return t
}

// integrationLive reports whether an integration token is valid now, as a verifier would.
func integrationLive(t testing.TB, st store.Store, id store.LookupID) bool {
	t.Helper()
	a, err := st.IntegrationByID(t.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	no(t.(*testing.T), err)
	now := st.Now()
	good := a.RevokedAt.IsZero() && now.Before(a.ExpiresAt) && a.KeyLive && a.Key.LiveAt(now) && a.AccountLive
	return good && (a.BotID == "" || a.BotLive && a.Bot.LiveAt(now) && a.Role != "")
}

func testAPIKeys(t *testing.T, st store.Store) {
	t.Run("created, listed, revoked", func(t *testing.T) { testKeyLife(t, st) })
	t.Run("refused", func(t *testing.T) { testKeyRefused(t, st) })
	t.Run("rotated", func(t *testing.T) { testKeyRotated(t, st) })
	t.Run("looked up", func(t *testing.T) { testKeyLookUp(t, st) })
	t.Run("limited", func(t *testing.T) {
		_, a := NewUser(t, st)
		for range store.MaxAPIKeys {
			NewAPIKey(t, st, a.ID, "")
		}
		k := store.APIKey{ID: secret.NewPublicID("key_"), AccountID: a.ID, Name: "One too many", CreatedAt: st.Now()}
		wants(t, st.CreateAPIKey(t.Context(), operator, k, NewSecret(st, k.ID)), store.ErrLimit)
	})
}

func keyID(k store.APIKey) string { return k.ID }

func testKeyLife(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	account, first := NewAPIKey(t, st, a.ID, "")
	token, _ := NewAPIKey(t, st, a.ID, u.ID, scope.RoleAgent, scope.RoleAdmin)
	got, err := st.ManagedAPIKey(ctx, operator, token.ID)
	no(t, err)
	want := token
	want.AccountName, want.UserEmail, want.UserName, want.Hint = a.Name, u.Email, u.Name, "abcd"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("key (-want +got):\n%s", diff)
	}
	used := st.Now()
	no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{first.ID: used}))
	list, err := st.APIKeysByUser(ctx, u.ID)
	no(t, err)
	sameList(t, "keys", ids(list, keyID), []string{token.ID, account.ID})
	equal(t, "last used", list[1].LastUsedAt, used)
	equal(t, "roles of an account API key", len(list[1].Roles), 0)

	other, _ := NewUser(t, st)
	no(t, st.AddMember(ctx, operator, a.ID, other.ID, scope.RoleBot))
	list, err = st.APIKeysByUser(ctx, other.ID)
	no(t, err)
	equal(t, "keys that a member who is no admin sees", len(list), 0)
	all := pages(t, keyID, func(p store.Page) ([]store.APIKey, error) { return st.ListAPIKeys(ctx, p) })
	equal(t, "all keys", len(all), 2)

	no(t, st.RevokeAPIKey(ctx, as(u), token.ID))
	wants(t, st.RevokeAPIKey(ctx, as(u), token.ID), store.ErrNotFound)
	_, err = st.ManagedAPIKey(ctx, operator, token.ID)
	wants(t, err, store.ErrNotFound)
	wants(t, st.AddSecret(ctx, as(u), NewSecret(st, token.ID), time.Time{}), store.ErrEnded)
	events, err := st.Events(ctx, store.EventFilter{AccountID: a.ID})
	no(t, err)
	sameList(t, "events", ids(events, func(e store.Event) string { return e.Kind })[:4],
		[]string{store.EventKeyRevoked, store.EventMemberAdded, store.EventKeyCreated, store.EventKeyCreated})
	equal(t, "which", events[0].Subject, token.ID)
	equal(t, "what for", events[2].Detail, "agent admin for "+u.ID)
}

func testKeyRefused(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	stranger, _ := NewUser(t, st)
	create := func(change func(*store.APIKey)) error {
		k := store.APIKey{ID: secret.NewPublicID("key_"), AccountID: a.ID, UserID: u.ID, Roles: []scope.Role{scope.RoleBot}, Name: "K", CreatedAt: st.Now()}
		change(&k)
		return st.CreateAPIKey(ctx, operator, k, NewSecret(st, k.ID))
	}
	wants(t, create(func(k *store.APIKey) { k.UserID = stranger.ID }), store.ErrEnded)
	wants(t, create(func(k *store.APIKey) { k.AccountID = "acc_none" }), store.ErrEnded)
	wants(t, create(func(k *store.APIKey) { k.Roles = nil }), store.ErrInvalid)
	wants(t, create(func(k *store.APIKey) { k.UserID = "" }), store.ErrInvalid)
	wants(t, create(func(k *store.APIKey) { k.Roles = []scope.Role{"king"} }), store.ErrInvalid)
	wants(t, create(func(k *store.APIKey) { k.ID = "app_x" }), store.ErrInvalid)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, true))
	wants(t, create(func(*store.APIKey) {}), store.ErrEnded)
	no(t, st.SetUserDisabled(ctx, operator, u.ID, false))
	no(t, create(func(*store.APIKey) {}))
}

func testKeyRotated(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, a := NewUser(t, st)
	k, first := NewAPIKey(t, st, a.ID, "")
	second, third := NewSecret(st, k.ID), NewSecret(st, k.ID)
	second.Hint = "2222"
	later := st.Now().Add(time.Hour)
	no(t, st.AddSecret(ctx, operator, second, later))
	wants(t, st.AddSecret(ctx, operator, third, later), store.ErrLimit)
	got, err := st.KeyBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "the old one works until", got.Secret.ExpiresAt, later)
	equal(t, "and now", got.Secret.LiveAt(st.Now()), true)
	shown, err := st.ManagedAPIKey(ctx, operator, k.ID)
	no(t, err)
	equal(t, "hint of the newest", shown.Hint, "2222")
	other, _ := NewAPIKey(t, st, a.ID, "")
	many := []string{k.ID, "key_none", other.ID}
	for len(many) < 120 { // more than one statement is about
		many = append(many, "key_none")
	}
	both, err := st.SecretsByClients(ctx, append(many, k.ID))
	no(t, err)
	list, err := st.SecretsByClient(ctx, k.ID)
	no(t, err)
	equal(t, "secrets of many clients", both[other.ID][0].ClientID, other.ID)
	equal(t, "clients that have secrets", len(both), 2)
	equal(t, "secrets by client, newest first", fmt.Sprint(both[k.ID][:2]), fmt.Sprint(list))
	equal(t, "and when the old one ends", both[k.ID][1].ExpiresAt, later)
	bySecret, err := st.SecretByID(ctx, first.ID)
	no(t, err)
	equal(t, "secret by its id", string(bySecret.Hash), string(first.Hash))
	_, err = st.SecretByID(ctx, store.LookupID(secret.NewID()))
	wants(t, err, store.ErrNotFound)
	no(t, st.AddSecret(ctx, operator, third, st.Now()))
	for _, ended := range []store.Secret{first, second} {
		got, err := st.KeyBySecret(ctx, ended.ID)
		no(t, err)
		equal(t, "works still", got.Secret.LiveAt(st.Now()), false)
	}
	events, err := st.Events(ctx, store.EventFilter{AccountID: a.ID, Kind: store.EventSecretCreated})
	no(t, err)
	equal(t, "rotations in the trail", len(events), 2)
	equal(t, "of what", events[0].Detail, k.ID)
}

func testKeyLookUp(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	k, first := NewAPIKey(t, st, a.ID, u.ID, scope.RoleAdmin)
	got, err := st.KeyBySecret(ctx, first.ID)
	no(t, err)
	first.ClientID = k.ID
	u.Password = ""
	want := store.KeyAccess{Key: k, Secret: first, Account: a, AccountLive: true, User: u, UserLive: true, Role: scope.RoleAdmin}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("key (-want +got):\n%s", diff)
	}
	_, err = st.KeyBySecret(ctx, secret.NewID())
	wants(t, err, store.ErrNotFound)
	b, botSecret := NewBot(t, st, a.ID)
	_, err = st.KeyBySecret(ctx, botSecret.ID) // of a bot, not of a key
	wants(t, err, store.ErrNotFound)
	_, err = st.BotBySecret(ctx, first.ID)
	wants(t, err, store.ErrNotFound)
	_, err = st.ClientByID(ctx, k.ID, first.ID) // and no client of the protocol
	wants(t, err, store.ErrNotFound)
	_, err = st.ClientByID(ctx, b.APIKey, botSecret.ID)
	wants(t, err, store.ErrNotFound)
	no(t, st.RemoveMember(ctx, operator, a.ID, u.ID))
	got, err = st.KeyBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "role of who left", got.Role, "")
	no(t, st.DeleteUser(ctx, operator, u.ID))
	got, err = st.KeyBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "deleted user lives", got.UserLive, false)
	no(t, st.RevokeAPIKey(ctx, operator, k.ID))
	got, err = st.KeyBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "revoked", got.RevokedAt.IsZero(), false)
}

func testBots(t *testing.T, st store.Store) {
	t.Run("created, listed, removed", func(t *testing.T) { testBotLife(t, st) })
	t.Run("a user with a unique id", func(t *testing.T) { testBotUser(t, st) })
}

func botID(b store.Bot) string { return b.ID }

func testBotLife(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	b, first := NewBot(t, st, a.ID)
	if named, err := st.BotByID(ctx, b.APIKey); err != nil || named.ID != b.ID {
		t.Errorf("the bot by its API key: %+v, %v", named, err)
	}
	got, err := st.BotByID(ctx, b.ID)
	no(t, err)
	want := b
	want.AccountName, want.Hint = a.Name, "abcd"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("bot (-want +got):\n%s", diff)
	}
	second, _ := NewBot(t, st, a.ID)
	list, err := st.BotsByUser(ctx, u.ID)
	no(t, err)
	sameList(t, "bots", ids(list, botID), []string{second.ID, b.ID})
	equal(t, "all bots", len(pages(t, botID, func(p store.Page) ([]store.Bot, error) { return st.ListBots(ctx, p) })), 2)

	access, err := st.BotBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "found", access.Bot.APIKey+access.User.Email+string(access.Role), b.APIKey+b.Email+"bot")
	equal(t, "live", access.UserLive && access.AccountLive && access.User.Bot && access.Secret.LiveAt(st.Now()), true)
	equal(t, "hash", string(access.Secret.Hash), string(first.Hash))
	next := NewSecret(st, b.APIKey)
	no(t, st.AddSecret(ctx, as(u), next, st.Now()))
	access, err = st.BotBySecret(ctx, first.ID)
	no(t, err)
	equal(t, "the old secret works", access.Secret.LiveAt(st.Now()), false)

	no(t, st.RemoveBot(ctx, as(u), b.ID))
	wants(t, st.RemoveBot(ctx, as(u), b.ID), store.ErrNotFound)
	_, err = st.BotByID(ctx, b.ID)
	wants(t, err, store.ErrNotFound)
	access, err = st.BotBySecret(ctx, next.ID)
	no(t, err)
	equal(t, "a removed bot lives", access.UserLive, false)
	wants(t, st.AddSecret(ctx, as(u), NewSecret(st, b.APIKey), time.Time{}), store.ErrEnded)
	wants(t, st.CreateBot(ctx, as(u), b, NewSecret(st, b.APIKey)), store.ErrConflict) // neither id nor address is used again
	wants(t, st.RemoveBot(ctx, as(u), u.ID), store.ErrNotFound)                       // a person
	wants(t, st.CreateBot(ctx, as(u), store.Bot{ID: "x", AccountID: a.ID, APIKey: "key_x"}, first), store.ErrInvalid)
	wants(t, st.CreateBot(ctx, operator, store.Bot{ID: "x", AccountID: "acc_none", APIKey: "bot_x"}, first), store.ErrEnded)
	events, err := st.Events(ctx, store.EventFilter{AccountID: a.ID})
	no(t, err)
	sameList(t, "events", ids(events, func(e store.Event) string { return e.Kind })[:4],
		[]string{store.EventBotRemoved, store.EventSecretCreated, store.EventBotCreated, store.EventBotCreated})
}

func testBotUser(t *testing.T, st store.Store) {
	ctx := t.Context()
	person, a := NewUser(t, st)
	_, elsewhere := NewUser(t, st)
	b, _ := NewBot(t, st, a.ID)
	u, err := st.UserByEmail(ctx, b.Email)
	no(t, err)
	equal(t, "user", u.ID+u.Name+u.Password, b.ID+b.Name)
	equal(t, "is a bot", u.Bot, true)
	for _, id := range pages(t, func(u store.User) string { return u.ID }, func(p store.Page) ([]store.User, error) { return st.ListUsers(ctx, p) }) {
		if id == b.ID {
			t.Fatal("a bot is listed with the people")
		}
	}
	members, err := st.MembersByAccount(ctx, a.ID)
	no(t, err)
	equal(t, "members", len(members), 2)
	equal(t, "the bot's role", members[1].UserID+string(members[1].Role), b.ID+"bot")
	equal(t, "who is a bot", members[1].Bot && !members[0].Bot, true)

	now := st.Now()
	wants(t, createSession(t, st, operator, store.Session{ID: hash(secret.NewID()), UserID: b.ID, CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour)}), store.ErrEnded)
	wants(t, st.SetUserPassword(ctx, operator, b.ID, "", "$argon2id$", nil), store.ErrNotFound)
	wants(t, st.SetMemberRole(ctx, operator, a.ID, b.ID, scope.RoleAdmin), store.ErrNotFound)
	wants(t, st.RemoveMember(ctx, operator, a.ID, b.ID), store.ErrNotFound)
	wants(t, st.AddMember(ctx, operator, elsewhere.ID, b.ID, scope.RoleBot), store.ErrNotFound)
	no(t, st.SetUserDisabled(ctx, operator, b.ID, true))
	shown, err := st.BotByID(ctx, b.ID)
	no(t, err)
	equal(t, "disabled", shown.DisabledAt.IsZero(), false)
	no(t, st.DeleteUser(ctx, operator, b.ID)) // as good as RemoveBot
	_, err = st.BotByID(ctx, b.ID)
	wants(t, err, store.ErrNotFound)
	no(t, st.SetMemberRole(ctx, operator, a.ID, person.ID, scope.RoleAgent)) // people change as ever
}
