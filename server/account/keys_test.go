package account_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

var operator = store.OperatorPrincipal("test")

// shown returns the value of the input with that id, which the page offers for copying.
func shown(t *testing.T, a answer, id string) string {
	t.Helper()
	m := regexp.MustCompile(`id="` + id + `"[^>]* value="([^"]+)"`).FindStringSubmatch(a.text)
	if m == nil {
		t.Fatalf("nothing is shown as %s: %d %s", id, a.status, a.text)
	}
	return m[1]
}

func TestKeyPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, true)
		b := s.signedUp("ada@example.org")
		b.want(s.browser().get("/account/keys"), http.StatusSeeOther, "/login?next=keys")
		b.want(b.get("/account"), http.StatusOK, "", `href="/account/keys"`, `href="/account/bots"`)
		b.want(b.get("/account/keys"), http.StatusOK, "", "Create your first key")
		b.want(b.get("/account/keys/new"), http.StatusOK, "", `name="kind"`, `value="guest"`, `value="admin"`)

		b.want(b.post("/account/keys", "kind", "token"), http.StatusUnprocessableEntity, "", "There are 2 problems", `id="name-fault"`, `id="scopes-fault"`)
		b.want(b.post("/account/keys", "name", "Export", "kind", "token", "scopes", "king"), http.StatusUnprocessableEntity, "", "guest, agent, bot, admin")
		b.want(b.post("/account/keys", "name", "Export", "name", "Import"), http.StatusBadRequest, "", "<code>name</code>")
		a := b.post("/account/keys", "name", `"><svg onload=alert(1)>`, "kind", "account")
		b.want(a, http.StatusOK, "", "Copy the key now", "/authorization/integration", "&lt;svg")
		if a.header.Get("Cache-Control") != "no-store" || strings.Contains(a.text, "<svg") {
			t.Errorf("Cache-Control %q; the page: %s", a.header.Get("Cache-Control"), a.text)
		}
		key := shown(t, a, "key")
		c, ok := secret.Format{}.Parse(key)
		if !ok || c.Kind != secret.APIKey {
			t.Fatalf("%q is no API key", key)
		}
		list := b.get("/account/keys")
		b.want(list, http.StatusOK, "", "Account API key", "…"+c.Hint(), "never", "Create a key")
		if strings.Contains(list.text, key[30:]) {
			t.Error("the list shows the key")
		}
		id := regexp.MustCompile(`key_[0-9A-Za-z]{22}`).FindString(list.text)
		path := "/account/keys/" + id

		b.want(b.get(path+"/rotate"), http.StatusOK, "", "Expire in 24 hours", `action="`+path+`/rotate"`)
		b.want(b.post(path+"/rotate", "keep", "forever"), http.StatusBadRequest, "", "<code>keep</code>")
		second := shown(t, b.post(path+"/rotate", "keep", "1h"), "key")
		b.want(b.get(path+"/rotate"), http.StatusOK, "", "two active keys")
		b.want(b.post(path+"/rotate", "keep", "24h"), http.StatusConflict, "", "replace both now")
		a = b.post(path+"/rotate", "keep", "now")
		b.want(a, http.StatusOK, "", "The previous key has expired")
		third := shown(t, a, "key")
		if key == second || second == third {
			t.Error("a rotated key is the old one")
		}
		b.want(b.get(path+"/revoke"), http.StatusOK, "", "at once and cannot be restored", "including tokens of bots")
		b.want(b.get("/account/keys"), http.StatusOK, "", id) // GET revokes nothing
		b.want(b.post(path+"/revoke"), http.StatusSeeOther, "/account/keys")
		b.want(b.get("/account/keys"), http.StatusOK, "", "was revoked and no longer works", "Create your first key")
		b.want(b.post(path+"/revoke"), http.StatusSeeOther, "/account/keys")
	})
}

func TestBotPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st store.Store) {
		s := newSite(t, st, true)
		b := s.signedUp("ada@example.org")
		b.want(s.browser().get("/account/bots"), http.StatusSeeOther, "/login?next=bots")
		b.want(b.get("/account/bots"), http.StatusOK, "", "Create your first bot")
		b.want(b.get("/account/bots/new"), http.StatusOK, "", `name="name"`)
		b.want(b.post("/account/bots", "name", " "), http.StatusUnprocessableEntity, "", "Enter a name for the bot.")
		a := b.post("/account/bots", "name", "Order <b>bot")
		b.want(a, http.StatusOK, "", "Copy the secret now", "Order &lt;b&gt;bot")
		first, name, endpoint := shown(t, a, "api_secret"), shown(t, a, "api_key"), shown(t, a, "endpoint")
		id := strings.TrimPrefix(endpoint, s.url+"/bots/")
		if c, ok := (secret.Format{}).Parse(first); !ok || c.Kind != secret.Bot || !secret.ValidPublicID("bot_", name) || !secret.ValidUserID(id) ||
			!strings.HasPrefix(strings.ReplaceAll(shown(t, a, "email"), "&#43;", "+"), "bot+"+id+"@") {
			t.Errorf("the page shows key %q, endpoint %q", name, endpoint)
		}
		path := "/account/bots/" + id
		b.want(b.get("/account/bots"), http.StatusOK, "", path, "never used")
		page := b.get(path)
		b.want(page, http.StatusOK, "", name, endpoint, "/authorization/integration", "never")
		if strings.Contains(page.text, first[30:]) {
			t.Error("the bot's page shows its secret")
		}
		b.want(b.get(path+"/rotate"), http.StatusOK, "", `action="`+path+`/rotate"`)
		if second := shown(t, b.post(path+"/rotate", "keep", "7d"), "api_secret"); second == first {
			t.Error("the rotated secret is the old one")
		}
		b.want(b.get("/account/keys/new"), http.StatusOK, "", "Bot Order &lt;b&gt;bot", `value="`+id+`"`)
		b.want(b.post("/account/keys", "name", "Chat", "kind", "token", "scopes", "bot", "user", id), http.StatusOK, "", "It acts for the bot Order")
		b.want(b.get(path+"/remove"), http.StatusOK, "", "API keys that act for it stop working")
		b.want(b.post(path+"/remove"), http.StatusSeeOther, "/account/bots")
		b.want(b.get("/account/bots"), http.StatusOK, "", "was removed and no longer has access", "Create your first bot")
		b.want(b.get(path), http.StatusNotFound, "")
	})
}

// TestKeysAndBotsOfOthers: keys and bots that the visitor does not manage are 404, and the visitor cannot create any there.
func TestKeysAndBotsOfOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	b, eve := s.signedUp("ada@example.org"), s.signedUp("eve@example.org")
	_, account := s.member("ada@example.org")
	mallory, _ := s.member("eve@example.org")
	dbtest.Exec(t, s.st, `UPDATE users SET email_verified_at = created_at`)
	if err := s.st.AddMember(t.Context(), operator, account, mallory.ID, scope.RoleBot); err != nil {
		t.Fatal(err)
	}
	shown(t, b.post("/account/keys", "name", "Export", "kind", "account"), "key")
	bot := strings.TrimPrefix(shown(t, b.post("/account/bots", "name", "Bot"), "endpoint"), s.url+"/bots/")
	key := regexp.MustCompile(`key_[0-9A-Za-z]{22}`).FindString(b.get("/account/keys").text)
	for _, path := range []string{"/account/keys/" + key, "/account/keys/" + secret.NewPublicID("key_"), "/account/keys/x", "/account/bots/" + bot, "/account/bots/" + secret.NewUserID(), "/account/bots/x"} {
		for _, action := range []string{"/rotate", "/revoke", "/remove"} {
			if strings.Contains(path, "keys") == (action == "/remove") || strings.Contains(path, "bots") == (action == "/revoke") {
				continue
			}
			eve.want(eve.get(path+action), http.StatusNotFound, "", "Page not found")
			eve.want(eve.post(path+action, "keep", "now"), http.StatusNotFound, "", "Page not found")
		}
	}
	eve.want(eve.get("/account/bots/"+bot), http.StatusNotFound, "")
	eve.want(eve.post("/account/keys", "name", "Mine", "account", account), http.StatusNotFound, "")
	eve.want(eve.post("/account/bots", "name", "Mine", "account", account), http.StatusNotFound, "")
	for _, path := range []string{"/account/keys", "/account/bots"} {
		if a := eve.get(path); strings.Contains(a.text, key) || strings.Contains(a.text, bot) {
			t.Errorf("%s shows what is not hers", path)
		}
	}
	// A user who manages no account gets an explanation.
	_, own := s.member("eve@example.org")
	if err := s.st.SetMemberRole(t.Context(), operator, own, mallory.ID, scope.RoleAgent); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/account/keys", "/account/bots"} {
		eve.want(eve.get(path), http.StatusOK, "", "You are not an admin of any account.")
		eve.want(eve.get(path+"/new"), http.StatusForbidden, "")
		eve.want(eve.post(path, "name", "Mine"), http.StatusNotFound, "")
	}
	if a := eve.get("/account"); strings.Contains(a.text, "/account/keys") {
		t.Error("the profile offers keys to who has none")
	}
}

// TestSeveralAccounts: a user who manages several accounts chooses one, and the lists name the account of each key.
func TestSeveralAccounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, dbtest.Open(t, dbtest.SQLite(t)), true)
	b := s.signedUp("ada@example.org")
	s.signedUp("bob@example.org")
	ada, mine := s.member("ada@example.org")
	_, other := s.member("bob@example.org")
	dbtest.Exec(t, s.st, `UPDATE users SET email_verified_at = created_at`)
	if err := s.st.AddMember(t.Context(), operator, other, ada.ID, scope.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/account/keys", "/account/bots"} {
		b.want(b.get(path+"/new"), http.StatusOK, "", `value="`+mine+`"`, `value="`+other+`"`)
		b.want(b.post(path, "name", "Export"), http.StatusNotFound, "") // no account was chosen
		b.want(b.post(path, "kind", "account", "name", "", "account", other), http.StatusUnprocessableEntity, "", `value="`+other+`" selected`)
		b.want(b.post(path, "kind", "account", "name", "Export", "account", other), http.StatusOK, "")
	}
	keys, err := s.st.APIKeysByUser(t.Context(), ada.ID)
	if err != nil || len(keys) != 1 || keys[0].AccountID != other || time.Since(keys[0].CreatedAt) > time.Hour {
		t.Errorf("keys %+v, %v", keys, err)
	}
	b.want(b.get("/account/keys"), http.StatusOK, "", "<dt>Account</dt>")
}
