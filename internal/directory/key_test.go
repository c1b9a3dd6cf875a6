package directory

import (
	"errors"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// keyFixture is a directory over SQLite with an admin, another admin of the same account, and a user of another account.
type keyFixture struct {
	*Directory
	t                      *testing.T
	admin, other, stranger store.User
	account                store.Account
}

func newKeyFixture(t *testing.T, issuer string) keyFixture {
	t.Helper()
	st := dbtest.Open(t, dbtest.SQLite(t))
	passwords := secret.NewPasswords(secret.PasswordOptions{Params: secret.Params{Memory: 64, Time: 1, Threads: 1}})
	k := keyFixture{Directory: New(st, scope.Default(), passwords, secret.Format{}, Options{PublicURL: issuer}), t: t}
	add := func(name string) (store.User, store.Account) {
		u, a, err := k.AddUser(t.Context(), store.OperatorPrincipal("test"), NewUser{Email: name + "@example.org", Password: "correct horse battery"})
		k.no(err)
		return u, a
	}
	k.admin, k.account = add("ada")
	k.other, _ = add("bob")
	k.stranger, _ = add("eve")
	k.no(st.AddMember(t.Context(), store.OperatorPrincipal("test"), k.account.ID, k.other.ID, scope.RoleAdmin))
	return k
}

func (k keyFixture) no(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func by(u store.User) store.Principal { return store.UserPrincipal(u.ID, "") }

// wantFault asserts that err is a fault of that one field.
func wantFault(t *testing.T, err error, field string) {
	t.Helper()
	var faults FieldErrors
	if !errors.As(err, &faults) || len(faults) != 1 || faults[field] == "" {
		t.Errorf("got %v, want a fault of %s", err, field)
	}
}

func TestCreateKey(t *testing.T) {
	t.Parallel()
	k := newKeyFixture(t, "https://auth.example.com")
	ctx := t.Context()
	bot, _, err := k.CreateBot(ctx, by(k.admin), k.account.ID, "Bot")
	k.no(err)
	for name, c := range map[string]struct {
		by    store.Principal
		form  KeyForm
		fault string
	}{
		"no name":                       {by(k.admin), KeyForm{}, "name"},
		"a name that runs backwards":    {by(k.admin), KeyForm{Name: "a\u202eb"}, "name"},
		"an empty list of scopes":       {by(k.admin), KeyForm{Name: "K", Scopes: []string{}}, "scopes"},
		"an unknown scope":              {by(k.admin), KeyForm{Name: "K", Scopes: []string{"agent", "widgets"}}, "scopes"},
		"a scope in capitals":           {by(k.admin), KeyForm{Name: "K", Scopes: []string{"Admin"}}, "scopes"},
		"in another admin's name":       {by(k.admin), KeyForm{Name: "K", Scopes: []string{"agent"}, UserID: k.other.ID}, "user"},
		"in the name of a non-member":   {store.OperatorPrincipal("test"), KeyForm{Name: "K", Scopes: []string{"agent"}, UserID: k.stranger.ID}, "user"},
		"an account API key for a user": {by(k.admin), KeyForm{Name: "K", UserID: k.admin.ID}, "user"},
	} {
		_, _, err := k.CreateKey(ctx, c.by, k.account.ID, c.form)
		t.Run(name, func(t *testing.T) { wantFault(t, err, c.fault) })
	}
	made, credential, err := k.CreateKey(ctx, by(k.admin), k.account.ID, KeyForm{Name: " Chat ", Scopes: []string{"bot", "agent", "bot"}, UserID: bot.ID})
	k.no(err)
	if made.Name != "Chat" || RoleNames(made.Roles) != "agent bot" || made.UserID != bot.ID || made.CreatedBy != k.admin.ID || credential.Kind != secret.APIKey {
		t.Errorf("made %+v", made)
	}
	for name, c := range map[string]struct {
		by   store.Principal
		user string
		want string
	}{
		"one's own":                            {by(k.other), "", k.other.ID},
		"by the operator, for the first admin": {store.OperatorPrincipal("test"), "", k.admin.ID},
		"by the operator, for any member":      {store.OperatorPrincipal("test"), k.other.ID, k.other.ID},
	} {
		made, _, err := k.CreateKey(ctx, c.by, k.account.ID, KeyForm{Name: "K", Scopes: []string{"agent"}, UserID: c.user})
		k.no(err)
		if made.UserID != c.want {
			t.Errorf("%s: acts for %s, want %s", name, made.UserID, c.want)
		}
	}
}

// TestKeysAndBotsOfOthers: every rule answers store.ErrNotFound for keys and bots that the user does not manage.
func TestKeysAndBotsOfOthers(t *testing.T) {
	t.Parallel()
	k := newKeyFixture(t, "https://auth.example.com")
	ctx, eve, now := t.Context(), k.stranger, k.store.Now()
	key, _, err := k.CreateKey(ctx, by(k.admin), k.account.ID, KeyForm{Name: "K"})
	k.no(err)
	bot, _, err := k.CreateBot(ctx, by(k.admin), k.account.ID, "B")
	k.no(err)
	k.no(k.store.AddMember(ctx, store.SystemPrincipal(), k.account.ID, eve.ID, scope.RoleBot)) // a member, but no admin
	refused := map[string]error{}
	_, _, refused["create a key"] = k.CreateKey(ctx, by(eve), k.account.ID, KeyForm{Name: "K"})
	_, refused["see a key"] = k.Key(ctx, by(eve), key.ID)
	_, _, refused["its credentials"] = k.KeySecrets(ctx, by(eve), key.ID)
	_, refused["rotate a key"] = k.RotateKey(ctx, by(eve), key, now)
	refused["revoke a key"] = k.RevokeKey(ctx, by(eve), key.ID)
	_, _, refused["create a bot"] = k.CreateBot(ctx, by(eve), k.account.ID, "B")
	_, refused["see a bot"] = k.Bot(ctx, by(eve), bot.ID)
	_, refused["see it by its address"] = k.Bot(ctx, by(eve), bot.Email)
	_, _, refused["its secrets"] = k.BotSecrets(ctx, by(eve), bot.ID)
	_, refused["rotate a bot"] = k.RotateBot(ctx, by(eve), bot, now)
	refused["remove a bot"] = k.RemoveBot(ctx, by(eve), bot.ID)
	_, refused["a person as a bot"] = k.Bot(ctx, store.OperatorPrincipal("test"), k.admin.ID)
	for what, err := range refused {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: got %v, want that it does not exist", what, err)
		}
	}
	keys, err := k.Keys(ctx, by(eve))
	k.no(err)
	bots, err := k.Bots(ctx, by(eve))
	k.no(err)
	if len(keys)+len(bots) != 0 {
		t.Errorf("listed %v and %v", keys, bots)
	}
	k.no(k.RevokeKey(ctx, by(k.other), key.ID)) // another admin may
}

func TestBotAddresses(t *testing.T) {
	t.Parallel()
	for issuer, domain := range map[string]string{
		"https://auth.example.com": "auth.example.com", "https://AUTH.example.com:8443": "auth.example.com", "http://localhost:8080": "localhost",
		"http://127.0.0.1:8080": "localhost", "http://[::1]:8080": "localhost", "": "localhost", "://": "localhost",
	} {
		k := newKeyFixture(t, issuer)
		b, c, err := k.CreateBot(t.Context(), by(k.admin), k.account.ID, "Bot")
		k.no(err)
		if b.Email != "bot+"+b.ID+"@"+domain || !secret.ValidUserID(b.ID) || !isBotEmail(b.Email) || c.Kind != secret.Bot {
			t.Errorf("issuer %q: %+v, want a bot @%s", issuer, b, domain)
		}
		if normal, err := NormalizeEmail(b.Email); err != nil || normal != b.Email {
			t.Errorf("the address %q is not in its normal form: %q, %v", b.Email, normal, err)
		}
		found, err := k.Bot(t.Context(), store.OperatorPrincipal("test"), strings.ToLower(b.Email))
		k.no(err)
		_, err = k.LogIn(t.Context(), b.Email, c.Reveal())
		if found.ID != b.ID || !errors.Is(err, ErrCredentials) {
			t.Errorf("a bot logs in: %v", err)
		}
	}
	k := newKeyFixture(t, "https://auth.example.com")
	_, _, err := k.AddUser(t.Context(), store.SystemPrincipal(), NewUser{Email: "BOT+0123456789abcdef01234567@example.org", Password: "correct horse battery"})
	wantFault(t, err, "email")
	_, _, err = k.AddUser(t.Context(), store.SystemPrincipal(), NewUser{Email: "bot+news@example.org", Password: "correct horse battery"})
	k.no(err)
}
