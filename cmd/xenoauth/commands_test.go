package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/server"
	"xenoauth/store"
)

// object is a JSON object with names on which scripts depend.
type object = map[string]any

// wantNames asserts that the object has all these names.
func wantNames(t *testing.T, o object, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, ok := o[name]; !ok {
			t.Errorf("no %q in %v", name, o)
		}
	}
}

// addUser adds a user by command and returns its account.
func addUser(t *testing.T, l line, email string) (id, account string) {
	t.Helper()
	var u object
	l.with("correct horse\n").ok(t, &u, "user", "add", email, "--password-stdin")
	return fmt.Sprint(u["id"]), fmt.Sprint(u["account"])
}

func TestUserCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		var u object
		l.with("correct horse").ok(t, &u, "user", "add", " Ada@Example.org", "--password-stdin", "--name", "Ada Lovelace", "--operator")
		wantNames(t, u, "id", "email", "account", "name", "operator", "disabled", "created_at")
		if u["email"] != "ada@example.org" || u["operator"] != true || !secret.ValidPublicID("acc_", fmt.Sprint(u["account"])) {
			t.Errorf("added %v", u)
		}
		addUser(t, l, "bob@example.org")
		l.with("correct horse").fails(t, exitRefused, "xenoauth: the e-mail address ada@example.org is already in use\n", "user", "add", "ADA@example.org", "--password-stdin")
		l.with("short").fails(t, exitRefused, "xenoauth: EMAIL: The e-mail address", "user", "add", "nobody", "--password-stdin")
		l.with("short").fails(t, exitRefused, "\npassword: ", "user", "add", "nobody", "--password-stdin")
		l.with("short").fails(t, exitRefused, "--name: ", "user", "add", "nobody", "--password-stdin", "--name", "a\x01b")
		l.with("").fails(t, exitUsage, "standard input is empty", "user", "add", "x@example.org", "--password-stdin")
		l.with("correct horse").fails(t, exitUsage, "default-plan", "user", "add", "x@example.org", "--password-stdin", "--default-plan", "gold")

		var list []object
		l.ok(t, &list, "user", "list")
		if len(list) != 2 {
			t.Errorf("listed %v, want two users", list)
		}
		var shown object
		l.ok(t, &shown, "user", "show", "ada@example.org")
		if accounts, ok := shown["accounts"].([]any); !ok || len(accounts) != 1 || accounts[0].(object)["role"] != "admin" {
			t.Errorf("shown %v, want one account as admin", shown)
		}
		l.fails(t, exitRefused, `there is no user "eve@example.org"`, "user", "show", "eve@example.org")

		l.ok(t, nil, "user", "disable", "ada@example.org")
		l.ok(t, &shown, "user", "show", fmt.Sprint(u["id"]))
		if shown["disabled"] != true {
			t.Errorf("disabled user is shown as %v", shown)
		}
		l.ok(t, nil, "user", "enable", "ada@example.org")
		testUnlock(t, l, database, "ada@example.org")
		l.with("another horse").ok(t, nil, "user", "set-password", "ada@example.org", "--password-stdin")
		l.with("short").fails(t, exitRefused, "too short", "user", "set-password", "ada@example.org", "--password-stdin")
		l.fails(t, exitUsage, "--password-stdin", "user", "set-password", "ada@example.org")

		var done object
		l.ok(t, &done, "user", "remove", "bob@example.org")
		wantNames(t, done, "id", "done")
		l.fails(t, exitRefused, "there is no user", "user", "remove", "bob@example.org")
		l.with("correct horse").fails(t, exitRefused, "xenoauth: the e-mail address bob@example.org belonged to a removed user and cannot be used again\n",
			"user", "add", "Bob@example.org", "--password-stdin")
		if r := l.ok(t, nil, "user", "list"); !strings.Contains(r.stdout, "ada@example.org") || strings.Contains(r.stdout, "bob@example.org") {
			t.Errorf("table of users:\n%s", r.stdout)
		}
	})
}

// testUnlock locks a user with wrong passwords in the database, and unlocks the user by command.
func testUnlock(t *testing.T, l line, database, email string) {
	t.Helper()
	var shown, done object
	l.ok(t, &shown, "user", "show", email)
	if _, locked := shown["locked_until"]; locked {
		t.Errorf("an open user is shown as %v", shown)
	}
	st := dbtest.Open(t, database)
	srv, err := server.New(t.Context(), st, server.Options{Issuer: "http://localhost:1", Limits: ratelimit.Limits{Account: 3}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r := httptest.NewRequest(http.MethodPost, "http://localhost:1/login", strings.NewReader("email="+email+"&password=wrong+horse"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusUnprocessableEntity {
			t.Fatalf("wrong password: %d", w.Code)
		}
	}
	if err := srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown = object{}
	l.ok(t, &shown, "user", "show", email, "--account-failures", "3")
	if until, err := time.Parse(time.RFC3339Nano, fmt.Sprint(shown["locked_until"])); err != nil || time.Until(until) < 23*time.Hour {
		t.Errorf("a locked user is shown as %v", shown)
	}
	if r := l.ok(t, nil, "user", "show", email, "--account-failures", "3"); !strings.Contains(r.stdout, "after 3 wrong passwords in a day") {
		t.Errorf("a locked user is shown as\n%s", r.stdout)
	}
	l.ok(t, &done, "user", "unlock", email)
	wantNames(t, done, "id", "done")
	if r := l.ok(t, nil, "user", "show", email, "--account-failures", "3"); !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), "locked no") {
		t.Errorf("after unlock:\n%s", r.stdout)
	}
	l.fails(t, exitRefused, `there is no user "eve@example.org"`, "user", "unlock", "eve@example.org")
}

func TestAccountCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		_, home := addUser(t, l, "ada@example.org")
		_, other := addUser(t, l, "bob@example.org")
		l.ok(t, nil, "account", "add-member", "bob@example.org", "ada@example.org")
		l.fails(t, exitRefused, "is a member of", "account", "add-member", other, "ada@example.org", "admin")
		l.fails(t, exitRefused, home, "account", "show", "ada@example.org") // two accounts: both are listed
		l.fails(t, exitRefused, other, "account", "set-plan", "ada@example.org", "free")
		l.fails(t, exitUsage, "guest, agent, bot, admin", "account", "set-role", other, "ada@example.org", "king")
		l.fails(t, exitUsage, "invalid plan", "account", "set-plan", other, "gold")
		l.fails(t, exitRefused, "there is no account", "account", "show", "acc_nothing")

		var a object
		l.ok(t, &a, "account", "show", other)
		// The order of joining depends on the clocks of two processes, so it is read from the database.
		role := func(email string) any {
			for _, m := range a["members"].([]any) {
				if m.(object)["email"] == email {
					return m.(object)["role"]
				}
			}
			return nil
		}
		if a["plan"] != "standard" || len(a["members"].([]any)) != 2 || role("ada@example.org") != "agent" || role("bob@example.org") != "admin" {
			t.Errorf("account %v", a)
		}
		l.ok(t, nil, "account", "set-role", other, "ada@example.org", "guest")
		l.ok(t, nil, "account", "set-plan", other, "free")
		l.ok(t, &a, "account", "show", other)
		if a["plan"] != "free" || role("ada@example.org") != "guest" {
			t.Errorf("changed account %v", a)
		}
		l.ok(t, nil, "account", "disable", other)
		l.ok(t, nil, "account", "disable", other)
		l.ok(t, &a, "account", "show", other)
		if a["disabled"] != true {
			t.Errorf("disabled account is shown as %v", a)
		}
		l.fails(t, exitRefused, "no longer live", "key", "add", "x", "--account", other)
		l.ok(t, nil, "account", "enable", "bob@example.org")
		l.ok(t, &a, "account", "show", other)
		if a["disabled"] != false {
			t.Errorf("enabled account is shown as %v", a)
		}
		l.fails(t, exitRefused, "there is no account", "account", "disable", "acc_nothing")
		l.ok(t, nil, "account", "remove-member", other, "ada@example.org")
		l.fails(t, exitRefused, "is not a member", "account", "remove-member", other, "ada@example.org")
		l.fails(t, exitRefused, "is not a member", "account", "set-role", other, "ada@example.org", "bot")
		// The operator may remove the last admin, which no page allows.
		l.ok(t, nil, "account", "remove-member", other, "bob@example.org")
		var list []object
		l.ok(t, &list, "account", "list")
		if len(list) != 2 {
			t.Errorf("listed %v, want both accounts", list)
		}
		wantNames(t, list[0], "id", "name", "plan", "disabled", "created_at")
	})
}

func TestAppCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		_, account := addUser(t, l, "ada@example.org")
		var a object
		l.ok(t, &a, "app", "add", "Widget Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb", "--redirect-uri", "http://127.0.0.1/cb", "--scope", "widget contacts")
		wantNames(t, a, "id", "client_id", "client_secret", "secret_id", "name", "account", "redirect_uris", "scopes", "confidential")
		id := fmt.Sprint(a["id"])
		if a["client_id"] != a["id"] || fmt.Sprint(a["scopes"]) != "[contacts widgets]" || a["verified"] != true || a["account"] != account || len(a["redirect_uris"].([]any)) != 2 {
			t.Errorf("added %v", a)
		}
		if !strings.HasPrefix(fmt.Sprint(a["client_secret"]), "xnos_") {
			t.Errorf("client_secret %v", a["client_secret"])
		}
		var public object
		l.ok(t, &public, "app", "add", "Cli", "--owner", account, "--public", "--redirect-uri", "http://127.0.0.1/cb")
		if public["client_secret"] != nil || public["pkce_required"] != true || len(public["scopes"].([]any)) != 4 {
			t.Errorf("public app %v; want no secret, PKCE, and the whole catalogue", public)
		}
		l.fails(t, exitUsage, "--owner and --redirect-uri are missing", "app", "add", "X")
		l.fails(t, exitUsage, "--owner is missing", "app", "add", "X", "--redirect-uri", "https://w.example/cb")
		l.fails(t, exitUsage, "--redirect-uri is missing", "app", "add", "X", "--owner", account)
		l.fails(t, exitRefused, "--redirect-uri: Redirect URI 1: use https", "app", "add", "X", "--owner", account, "--redirect-uri", "http://w.example/cb")
		l.fails(t, exitRefused, "--redirect-uri: Redirect URI 1", "app", "add", "X", "--owner", account, "--redirect-uri", "https://auth.example.com/cb", "--issuer", "https://auth.example.com")
		l.set("XENOAUTH_ISSUER", "http://localhost:8080").fails(t, exitRefused, "--redirect-uri: Redirect URI 1", "app", "add", "X", "--owner", account, "--redirect-uri", "http://127.0.0.1:8080/cb")
		l.fails(t, exitUsage, "issuer (from --issuer)", "app", "add", "X", "--owner", account, "--redirect-uri", "https://w.example/cb", "--issuer", "auth.example.com")
		l.fails(t, exitRefused, "NAME: ", "app", "add", "Xenoauth", "--owner", account, "--redirect-uri", "https://w.example/cb")
		l.fails(t, exitRefused, "--logo-url: ", "app", "add", "X", "--owner", account, "--redirect-uri", "https://w.example/cb", "--logo-url", "logo.png")
		l.fails(t, exitRefused, "there is no user", "app", "add", "X", "--owner", "eve@example.org", "--redirect-uri", "https://w.example/cb")
		l.fails(t, exitRefused, "--scope: Unknown scope: admin", "app", "add", "X", "--owner", account, "--redirect-uri", "https://w.example/cb", "--scope", "admin")
		l.fails(t, exitRefused, "Separate scopes with spaces", "app", "add", "X", "--owner", account, "--redirect-uri", "https://w.example/cb", "--scope", "widgets,contacts")

		var list []object
		l.ok(t, &list, "app", "list")
		if len(list) != 2 {
			t.Errorf("listed %v", list)
		}
		_, stranger := addUser(t, l, "bob@example.org")
		l.ok(t, &list, "app", "list", "--owner", stranger)
		if len(list) != 0 {
			t.Errorf("listed apps of a stranger: %v", list)
		}

		l.ok(t, nil, "app", "suspend", id)
		l.ok(t, nil, "app", "verify", id, "--undo")
		var shown object
		l.ok(t, &shown, "app", "show", id)
		wantNames(t, shown, "secrets", "installed_accounts", "installed_accounts_more", "version")
		if shown["suspended"] != true || shown["verified"] != false || shown["client_secret"] != nil {
			t.Errorf("shown %v", shown)
		}
		if r := l.ok(t, nil, "app", "show", id); !strings.Contains(r.stdout, "suspended") || strings.Contains(r.stdout, "disabled") {
			t.Errorf("the state has another name than the command:\n%s", r.stdout)
		}
		if r := l.ok(t, nil, "app", "list"); !strings.Contains(r.stdout, "SUSPENDED") || strings.Contains(r.stdout, "DISABLED") {
			t.Errorf("the column has another name than the command:\n%s", r.stdout)
		}
		l.ok(t, nil, "app", "resume", id)
		for command, suspended := range map[string]bool{"disable": true, "enable": false} { // the older names
			l.ok(t, nil, "app", command, id)
			l.ok(t, &shown, "app", "show", id)
			if shown["suspended"] != suspended {
				t.Errorf("after app %s: %v", command, shown)
			}
			l.ok(t, nil, "app", "resume", id)
		}
		seen := fmt.Sprint(shown["version"])
		l.ok(t, nil, "app", "edit", id, "--name", "Widget Wizard 2")
		l.fails(t, exitRefused, "the app has changed, so it was not verified", "app", "verify", id, "--version", seen)
		if r := l.ok(t, nil, "app", "verify", id); !strings.Contains(r.stdout, "name:      Widget Wizard 2\n") || !strings.Contains(r.stdout, "goes to:   https://w.example/cb\n") {
			t.Errorf("the command does not print the facts that it vouches for:\n%s", r.stdout)
		}
		var twin object
		l.ok(t, &twin, "app", "add", "Widget Wizаrd 2", "--owner", stranger, "--redirect-uri", "https://w.example/cb") // with a Cyrillic letter
		if r := l.ok(t, nil, "app", "verify", fmt.Sprint(twin["id"])); !strings.Contains(r.stderr, "it can be taken for the verified app \"Widget Wizard 2\"") {
			t.Errorf("an app that looks like another is verified without a word: %s", r.stderr)
		}
		l.ok(t, nil, "app", "remove", id)
		for _, command := range []string{"show", "remove", "delete", "suspend", "resume", "disable", "enable", "verify", "rotate-secret"} {
			l.fails(t, exitRefused, "there is no app", "app", command, id)
		}
		if r := l.ok(t, nil, "app", "show", fmt.Sprint(public["id"])); !strings.Contains(r.stdout, "public") {
			t.Errorf("shown to people:\n%s", r.stdout)
		}
	})
}

func TestRotateSecretCommand(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		addUser(t, l, "ada@example.org")
		var a, next, shown object
		l.ok(t, &a, "app", "add", "Widget Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb")
		id := fmt.Sprint(a["id"])
		l.fails(t, exitUsage, "--old-until", "app", "rotate-secret", id, "--old-until", "soon")
		l.ok(t, &next, "app", "rotate-secret", id)
		wantNames(t, next, "id", "client_id", "client_secret", "secret_id", "old_until")
		if next["client_secret"] == a["client_secret"] || next["old_until"] != nil {
			t.Errorf("rotated %v", next)
		}
		l.fails(t, exitRefused, "add --old-until now", "app", "rotate-secret", id)
		l.ok(t, &next, "app", "rotate-secret", id, "--old-until", "now")
		l.ok(t, &shown, "app", "show", id)
		secrets := shown["secrets"].([]any)
		if len(secrets) != 1 || secrets[0].(object)["secret_id"] != next["secret_id"] {
			t.Errorf("secrets %v, want the new one only", secrets)
		}
		l.ok(t, &next, "app", "rotate-secret", id, "--old-until", "24h")
		if next["old_until"] == nil {
			t.Errorf("rotated %v, want a time for the old one", next)
		}
		var public object
		l.ok(t, &public, "app", "add", "Cli", "--owner", "ada@example.org", "--public", "--redirect-uri", "http://127.0.0.1/cb")
		l.fails(t, exitRefused, "public", "app", "rotate-secret", fmt.Sprint(public["id"]))
	})
}

func TestResourceCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		var r, next object
		l.ok(t, &r, "resource", "add", "Widgets API")
		wantNames(t, r, "id", "client_id", "client_secret", "secret_id", "name")
		id := fmt.Sprint(r["id"])
		l.ok(t, &next, "resource", "rotate-secret", id, "--old-until", "1h")
		wantNames(t, next, "id", "client_id", "client_secret", "secret_id", "old_until")
		var list []object
		l.ok(t, &list, "resource", "list")
		if len(list) != 1 || list[0]["client_id"] != id || list[0]["client_secret"] != nil {
			t.Errorf("listed %v", list)
		}
		l.ok(t, nil, "resource", "remove", id)
		l.fails(t, exitRefused, "there is no resource server", "resource", "remove", id)
		l.fails(t, exitRefused, "there is no resource server", "resource", "rotate-secret", id)
	})
}

func TestTokenCommands(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		addUser(t, l, "ada@example.org")
		var a object
		l.ok(t, &a, "app", "add", "Widget Wizard", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb")
		st := dbtest.Open(t, database)
		app, err := st.AppByID(t.Context(), fmt.Sprint(a["id"]))
		if err != nil {
			t.Fatal(err)
		}
		c := secret.Format{}.New(secret.Expiring)
		hash := c.Hash()
		err = st.CreateClientToken(t.Context(), store.Token{
			ID: c.ID, Hash: hash[:], AppID: app.ID, Scope: app.Scopes, CreatedAt: st.Now(), ExpiresAt: st.Now().Add(1e12),
		})
		if err != nil {
			t.Fatal(err)
		}
		var v object
		l.with(c.Reveal()+"\n").ok(t, &v, "token", "inspect", "-")
		wantNames(t, v, "active", "client_id", "sub", "scopes", "issued_at", "expires_at")
		if v["active"] != true || v["client_id"] != app.ID || v["sub"] != app.ID {
			t.Errorf("inspected %v", v)
		}
		if r := l.with(c.Reveal()).ok(t, nil, "token", "inspect", "-"); strings.Contains(r.stdout, c.Reveal()) {
			t.Error("inspect repeats the token")
		}
		l.with(c.Reveal()).ok(t, &v, "token", "revoke", "-")
		r := l.with(c.Reveal()).run(t, "token", "inspect", "-", "--json")
		if r.code != exitRefused || !strings.Contains(r.stdout, `"active": false`) || !strings.Contains(r.stdout, `"state": "revoked"`) || strings.Contains(r.stdout, c.Reveal()) {
			t.Errorf("inspect of a revoked token: exit %d, %q", r.code, r.stdout)
		}
		l.with("garbage").fails(t, exitRefused, "not active", "token", "inspect", "-")
		l.with("garbage").fails(t, exitRefused, "no such token", "token", "revoke", "-")
		l.with(" ").fails(t, exitRefused, "no such token", "token", "revoke", "-")
		l.with("").fails(t, exitUsage, "standard input is empty", "token", "inspect", "-")
	})
}

func TestMigrateCommands(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.db")
	l := on("sqlite:" + path)
	for _, args := range [][]string{{"user", "list"}, {"app", "list"}, {"migrate", "status"}} {
		l.fails(t, exitRefused, "there is no database", args...)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a command that was refused made the file: %v", err)
	}
	// An empty file is a database on which every migration is pending.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.fails(t, exitRefused, `run "xenoauth migrate up" first`, "user", "list")
	l.fails(t, exitRefused, `--migrate is off`, "serve", "--migrate", "off", "--listen", "127.0.0.1:0", "--ops-listen", "off")
	var status []object
	l.ok(t, &status, "migrate", "status")
	if len(status) == 0 || status[0]["applied_at"] != nil {
		t.Errorf("status %v, want pending migrations", status)
	}
	wantNames(t, status[0], "version", "name", "applied_at")
	var up object
	l.ok(t, &up, "migrate", "up")
	if up["applied"] != float64(len(status)) {
		t.Errorf("applied %v of %d", up["applied"], len(status))
	}
	l.ok(t, &up, "migrate", "up")
	if up["applied"] != float64(0) {
		t.Errorf("applied %v again", up["applied"])
	}
	l.ok(t, &status, "migrate", "status")
	if status[0]["applied_at"] == nil {
		t.Errorf("status %v, want applied migrations", status)
	}
	var list []object
	l.ok(t, &list, "user", "list")
	if list == nil || len(list) != 0 {
		t.Errorf("users %v, want an empty array", list)
	}
}

// TestNoDatabaseInFile: every command reports a file that is not a database, and does not change it.
func TestNoDatabaseInFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"short": "x", "long": strings.Repeat("listen = 127.0.0.1:8080\n", 100)} {
		path := writeFile(t, "xenoauth.conf", content)
		for _, args := range [][]string{
			{"user", "list"}, {"migrate", "status"}, {"migrate", "up"}, {"doctor"}, {"demo", "--check", "--database-url", "sqlite:" + path},
			{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"},
		} {
			r := on("sqlite:"+path).run(t, args...)
			want := "xenoauth: open database sqlite:" + path + ": the file is not a SQLite database: is --database-url right?\n"
			if r.code != exitRefused || r.stderr != want {
				t.Errorf("%s file: %s: exit %d, %q; want %q", name, strings.Join(args, " "), r.code, r.stderr, want)
			}
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != content {
			t.Errorf("%s file is now %q, %v", name, left, err)
		}
		// Two slashes before the path are accepted by every command.
		on("sqlite://"+path).fails(t, exitRefused, "not a SQLite database", "user", "list")
	}
}

// TestDatabaseDown: if the database is unreachable, the error names it without its password.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	r := on("postgres://xenoauth:hunter2@127.0.0.1:1/none").run(t, "user", "list")
	if r.code != exitRefused || !strings.Contains(r.stderr, "postgres://xenoauth@127.0.0.1:1/none") || strings.Contains(r.stderr, "hunter2") {
		t.Errorf("exit %d, %q", r.code, r.stderr)
	}
}

// TestListInParts: a list ends at --limit and shows how to continue, continues --after an id, is filtered by --search, and is complete
// with --limit 0.
func TestListInParts(t *testing.T) {
	t.Parallel()
	l := on(dbtest.SQLite(t))
	l.ok(t, nil, "migrate", "up")
	for i := range 5 {
		l.with("correct horse battery").ok(t, nil, "user", "add", fmt.Sprintf("user%d@example.org", i), "--password-stdin")
	}
	var first, rest, found, all []struct{ ID, Email string }
	r := l.ok(t, &first, "user", "list", "--limit", "3")
	if len(first) != 3 || !strings.Contains(r.stderr, "--after "+first[2].ID) {
		t.Fatalf("three of five: %+v, and on standard error %q", first, r.stderr)
	}
	if r := l.ok(t, &rest, "user", "list", "--limit", "3", "--after", first[2].ID); len(rest) != 2 || r.stderr != "" {
		t.Errorf("the other two: %+v, and on standard error %q", rest, r.stderr)
	}
	if l.ok(t, &found, "user", "list", "--search", "USER3"); len(found) != 1 || found[0].Email != "user3@example.org" {
		t.Errorf("found by USER3: %+v", found)
	}
	if r := l.ok(t, &all, "user", "list", "--limit", "0"); len(all) != 5 || r.stderr != "" {
		t.Errorf("all: %+v, and on standard error %q", all, r.stderr)
	}
	l.fails(t, exitUsage, "--limit", "app", "list", "--limit", "-1")
}
