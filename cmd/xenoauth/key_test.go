package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
)

// acts returns the role of a bearer token, "" for one that is not valid.
func acts(t *testing.T, database, token string) string {
	t.Helper()
	v := verify.New(dbtest.Open(t, database), secret.Format{}, scope.Default(), verify.APIPlans("standard"))
	id, err := v.Inspect(t.Context(), token)
	if err := v.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		return ""
	}
	return string(id.Acts)
}

func TestKeyCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		user, account := addUser(t, l, "ada@example.org")
		addUser(t, l, "eve@example.org")

		var k object
		l.ok(t, &k, "key", "add", " Nightly export ", "--account", "ada@example.org")
		wantNames(t, k, "id", "key", "name", "account", "scopes", "created_at", "last_used_at")
		id, text := fmt.Sprint(k["id"]), fmt.Sprint(k["key"])
		if c, ok := (secret.Format{}).Parse(text); !ok || c.Kind != secret.APIKey || !secret.ValidPublicID("key_", id) || k["name"] != "Nightly export" || len(k["scopes"].([]any)) != 0 {
			t.Errorf("added %v", k)
		}
		var scoped object
		l.ok(t, &scoped, "key", "add", "Help desk", "--account", account, "--scope", "bot,agent")
		if scoped["user"] != user || fmt.Sprint(scoped["scopes"]) != "[agent bot]" {
			t.Errorf("added %v, want a key for the first admin", scoped)
		}
		if got := acts(t, database, fmt.Sprint(scoped["key"])); got != "bot" {
			t.Errorf("the key acts as %q, want bot", got)
		}

		l.fails(t, exitUsage, "--account", "key", "add", "x")
		l.fails(t, exitUsage, "at least one scope", "key", "add", "x", "--account", account, "--scope", "")
		l.fails(t, exitUsage, "guest, agent, bot, admin", "key", "add", "x", "--account", account, "--scope", "king")
		l.fails(t, exitRefused, "name", "key", "add", " ", "--account", account)
		l.fails(t, exitRefused, "not a member", "key", "add", "x", "--account", account, "--scope", "bot", "--user", "eve@example.org")
		l.fails(t, exitUsage, "acts for the account", "key", "add", "x", "--account", account, "--user", "ada@example.org")
		l.fails(t, exitRefused, "there is no account", "key", "add", "x", "--account", "acc_nothing")

		var list []object
		l.ok(t, &list, "key", "list")
		if len(list) != 2 || list[0]["key"] != nil {
			t.Errorf("listed %v, want two keys without the keys", list)
		}
		l.ok(t, &list, "key", "list", "--account", "eve@example.org")
		if len(list) != 0 {
			t.Errorf("listed %v of an account without keys", list)
		}
		if r := l.ok(t, nil, "key", "list"); !strings.Contains(r.stdout, "integration tokens") || !strings.Contains(r.stdout, "agent,bot for ada@example.org") {
			t.Errorf("table of keys:\n%s", r.stdout)
		}

		sid := fmt.Sprint(scoped["id"])
		var rotated object
		l.ok(t, &rotated, "key", "rotate", sid, "--old-until", "1h")
		wantNames(t, rotated, "id", "key", "old_until")
		for _, live := range []object{scoped, rotated} {
			if acts(t, database, fmt.Sprint(live["key"])) != "bot" {
				t.Error("within the hour both keys must work")
			}
		}
		l.fails(t, exitRefused, "--old-until now", "key", "rotate", sid, "--old-until", "1h")
		l.fails(t, exitUsage, "--old-until", "key", "rotate", sid, "--old-until", "keep")
		var last object
		l.ok(t, &last, "key", "rotate", sid)
		if acts(t, database, fmt.Sprint(rotated["key"])) != "" || acts(t, database, fmt.Sprint(last["key"])) != "bot" {
			t.Error("without more words the old key ends at once")
		}
		var inspected object
		l.with(fmt.Sprint(last["key"])).ok(t, &inspected, "token", "inspect", "-")
		if inspected["kind"] != "API key" || inspected["client_id"] != sid {
			t.Errorf("inspected %v", inspected)
		}
		l.with(fmt.Sprint(last["key"])).fails(t, exitRefused, "not active", "token", "inspect", "-", "--api-plans", "pro")

		l.ok(t, nil, "key", "revoke", sid)
		l.fails(t, exitRefused, "there is no API key", "key", "revoke", sid)
		l.fails(t, exitRefused, "there is no API key", "key", "rotate", sid)
		if acts(t, database, fmt.Sprint(last["key"])) != "" {
			t.Error("a revoked key works")
		}
		l.with(text).ok(t, nil, "token", "revoke", "-")
		l.fails(t, exitRefused, "there is no API key", "key", "revoke", id)
	})
}

func TestBotCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		_, account := addUser(t, l, "ada@example.org")
		var b object
		l.ok(t, &b, "bot", "add", "Order bot", "--account", "ada@example.org", "--issuer", "https://auth.example.com")
		wantNames(t, b, "id", "email", "api_key", "api_secret", "name", "account")
		id := fmt.Sprint(b["id"])
		if c, ok := (secret.Format{}).Parse(fmt.Sprint(b["api_secret"])); !ok || c.Kind != secret.Bot || !secret.ValidUserID(id) ||
			b["email"] != "bot+"+id+"@auth.example.com" || !secret.ValidPublicID("bot_", fmt.Sprint(b["api_key"])) {
			t.Errorf("added %v", b)
		}
		l.fails(t, exitUsage, "issuer", "bot", "add", "x", "--account", account, "--issuer", "auth.example.com")
		l.fails(t, exitUsage, "--account", "bot", "add", "x")
		l.fails(t, exitRefused, "name", "bot", "add", "", "--account", account)
		l.with("correct horse").fails(t, exitRefused, "reserved for bots", "user", "add", fmt.Sprint(b["email"]), "--password-stdin")

		var list []object
		l.ok(t, &list, "bot", "list", "--account", account)
		if len(list) != 1 || list[0]["api_secret"] != nil || list[0]["disabled"] != false {
			t.Errorf("listed %v, want one bot without its secret", list)
		}
		l.ok(t, &list, "user", "list")
		if len(list) != 1 {
			t.Errorf("the people are %v, want no bots among them", list)
		}
		var key object
		l.ok(t, &key, "key", "add", "Chat", "--account", account, "--scope", "admin", "--user", fmt.Sprint(b["email"]))
		if got := acts(t, database, fmt.Sprint(key["key"])); got != "bot" {
			t.Errorf("a key for a bot acts as %q, want bot", got)
		}
		var rotated object
		l.ok(t, &rotated, "bot", "rotate", fmt.Sprint(b["api_key"]))
		wantNames(t, rotated, "id", "email", "api_key", "api_secret", "old_until")
		if rotated["api_key"] != b["api_key"] || rotated["api_secret"] == b["api_secret"] {
			t.Errorf("rotated %v", rotated)
		}
		// A bot is a user, but some user commands refuse it.
		l.ok(t, nil, "user", "disable", id)
		l.ok(t, &list, "bot", "list")
		if list[0]["disabled"] != true {
			t.Errorf("listed %v, want it disabled", list)
		}
		l.ok(t, nil, "user", "enable", id)
		l.with("correct horse").fails(t, exitRefused, "bot rotate", "user", "set-password", id, "--password-stdin")
		l.fails(t, exitRefused, "bot remove", "account", "set-role", account, fmt.Sprint(b["email"]), "admin")
		l.fails(t, exitRefused, "bot remove", "account", "remove-member", account, fmt.Sprint(b["email"]))

		l.ok(t, nil, "bot", "remove", id)
		l.fails(t, exitRefused, "there is no bot", "bot", "remove", id)
		l.fails(t, exitRefused, "there is no user", "bot", "rotate", fmt.Sprint(b["email"]))
		if acts(t, database, fmt.Sprint(key["key"])) != "" {
			t.Error("a key for a removed bot works")
		}
	})
}

func TestPlanSettings(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		_, account := addUser(t, l, "ada@example.org")
		l.ok(t, nil, "account", "set-plan", account, "pro", "--api-plans", "pro, standard")
		l.fails(t, exitUsage, "invalid plan", "account", "set-plan", account, "pro")
		l.fails(t, exitUsage, "cannot include the API", "account", "list", "--api-plans", "standard,free")
		l.fails(t, exitUsage, "not the name of a plan", "account", "list", "--api-plans", "standard,,Pro")
	})
}
