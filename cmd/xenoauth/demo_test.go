package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/scope"
)

func TestDemoCheck(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		r := line{}.ok(t, nil, "demo", "--check", "--database-url", database)
		if strings.Count(r.stdout, "✓") != 10 || !strings.Contains(r.stdout, "all 10 steps worked on "+databaseName(database)) {
			t.Errorf("the check printed\n%s%s", r.stdout, r.stderr)
		}
		// It runs again on the same database, and removes its users.
		line{}.ok(t, nil, "demo", "--check", "--database-url", database)
		var users, apps []object
		on(database).ok(t, &users, "user", "list")
		on(database).ok(t, &apps, "app", "list")
		if len(users) != 0 || len(apps) != 0 {
			t.Errorf("left behind: users %v, apps %v", users, apps)
		}
	})
}

// TestDemoLeavesNothing: without --database-url the database is temporary, whatever is in the environment.
func TestDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	r := on("postgres://nobody@127.0.0.1:1/none").ok(t, nil, "demo", "--check")
	_, path, found := strings.Cut(r.stdout, "worked on sqlite:")
	path, _, _ = strings.Cut(path, " in ")
	if _, err := os.Stat(path); !found || !os.IsNotExist(err) {
		t.Errorf("the temporary database %q is still there (%v)\n%s", path, err, r.stdout)
	}
}

func TestDemoFailure(t *testing.T) {
	t.Parallel()
	line{}.fails(t, exitRefused, "open database postgres://127.0.0.1:1/none", "demo", "--check", "--database-url", "postgres://127.0.0.1:1/none")
	line{}.fails(t, exitUsage, "database-url (from --database-url)", "demo", "--check", "--database-url", "mysql://x")
}

// startedDemo returns a demo that runs until the test ends.
func startedDemo(t *testing.T) *walker {
	t.Helper()
	p := &program{stderr: &lockedBuffer{}}
	d, err := p.startDemo(t.Context(), "", []string{"xno"}, scopesChoice{catalogue: scope.Default()}, true)
	if err != nil {
		d.close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		d.close()
	})
	w, err := newWalker(d)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestSampleApp connects the sample app as a user with a browser does, including the app's callback.
func TestSampleApp(t *testing.T) {
	t.Parallel()
	w := startedDemo(t)
	for _, step := range []func(context.Context) error{w.openApp, w.connect, w.signIn, w.readConsent, w.allow} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	callback := w.page.next
	follow := func(address string) string {
		t.Helper()
		w.client.CheckRedirect = nil
		if err := w.open(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		return w.page.body
	}
	if page := follow(callback); !strings.Contains(page, "Connected.") || !strings.Contains(page, w.demo.user.Email) {
		t.Fatalf("after the callback:\n%s", page)
	}
	// The same response again does not match a pending request.
	if err := w.open(t.Context(), callback); err == nil || w.page.status != http.StatusBadRequest || !strings.Contains(w.page.body, "state") {
		t.Errorf("a repeated answer: status %d, %v", w.page.status, err)
	}
	if page := follow(w.demo.app.origin + "/"); !strings.Contains(page, "Connected.") {
		t.Error("a repeated answer disconnected the app")
	}
	for _, step := range []func(context.Context) error{w.findInstalled, w.remove} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if page := follow(w.demo.app.origin + "/"); !strings.Contains(page, "its token is refused now") || !strings.Contains(page, "Connect to Xenoauth") {
		t.Errorf("after the removal:\n%s", page)
	}
}

func TestSampleAppDisconnect(t *testing.T) {
	t.Parallel()
	w := startedDemo(t)
	for _, step := range []func(context.Context) error{w.openApp, w.connect, w.signIn, w.allow, w.exchange, w.useToken} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	app := w.demo.app
	if code, err := app.post(t.Context(), "/oauth/revoke", url.Values{"client_id": {app.clientID}, "client_secret": {app.clientSecret}, "token": {w.token}}, nil); err != nil || code != http.StatusOK {
		t.Fatalf("revoke: %d, %v", code, err)
	}
	if _, err := app.me(t.Context(), w.token); !errors.Is(err, errTokenInvalid) {
		t.Errorf("after the app revoked its token: %v, want errTokenInvalid", err)
	}
}

func TestCheckAnswer(t *testing.T) {
	t.Parallel()
	a := newSampleApp("http://localhost:1", "http://127.0.0.1:2", "app_x", "s", "widgets")
	for name, c := range map[string]struct {
		query url.Values
		state string
		good  bool
	}{
		"right":           {url.Values{"state": {"a"}, "iss": {"http://localhost:1"}}, "a", true},
		"another state":   {url.Values{"state": {"b"}, "iss": {"http://localhost:1"}}, "a", false},
		"nothing awaited": {url.Values{"state": {""}, "iss": {"http://localhost:1"}}, "", false},
		"another issuer":  {url.Values{"state": {"a"}, "iss": {"http://evil"}}, "a", false},
		"no issuer":       {url.Values{"state": {"a"}}, "a", false},
	} {
		if err := a.checkAnswer(c.query, c.state); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFormValues(t *testing.T) {
	t.Parallel()
	const page = `<form method="post" action="/other"><input name="x" value="no"></form>
<form action="/go" method="post"><input type="hidden" name="next" value="a&amp;b"><input type="radio" name="account" value="1">
<input type="radio" name="account" value="2" checked><input type="submit"></form>`
	got, err := formValues(page, "/go")
	if err != nil || got.Encode() != "account=2&next=a%26b" {
		t.Errorf("values %q, %v", got.Encode(), err)
	}
	if _, err := formValues(page, "/none"); err == nil {
		t.Error("a form that is not there was found")
	}
}
