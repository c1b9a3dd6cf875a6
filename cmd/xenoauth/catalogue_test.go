package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/store"
)

// catalogueFile writes a catalogue with these scopes and returns its path.
func catalogueFile(t *testing.T, scopes ...string) string {
	t.Helper()
	var entries []string
	for _, name := range scopes {
		entries = append(entries, `{"name": "`+name+`", "title": "T", "description": "See things.", "sensitivity": "low", "permissions": ["contact:list"]}`)
	}
	return writeFile(t, "scopes.json", `{"scopes": [`+strings.Join(entries, ",\n")+`]}`)
}

// scopesOfNewApp registers an app without --scope, which gets the whole catalogue.
func scopesOfNewApp(t *testing.T, l line, args ...string) string {
	t.Helper()
	var app struct{ Scopes []string }
	l.ok(t, &app, append([]string{"app", "add", "X", "--owner", "ada@example.org", "--redirect-uri", "https://w.example/cb"}, args...)...)
	return strings.Join(app.Scopes, " ")
}

// TestCatalogueInForce: commands without --scopes use the catalogue of the last serve. A start without --scopes does not change it,
// and one with builtin does.
func TestCatalogueInForce(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, database string) {
		l := on(database)
		one, two := catalogueFile(t, "books", "films"), catalogueFile(t, "films", "games")
		l.ok(t, nil, "migrate", "up")
		addUser(t, l, "ada@example.org")
		builtin := scopesOfNewApp(t, l)
		if got := scopesOfNewApp(t, l, "--scopes", one); got != "books films" {
			t.Errorf("before any server was started, --scopes registers %q", got)
		}
		for _, step := range []struct{ scopes, want, logs string }{
			{one, "books films", "scopes added: books films; scopes removed:"},
			{"", "books films", "kept in the database"},
			{one, "books films", ""},
			{two, "films games", "scopes added: games; scopes removed: books"},
			{builtinScopes, builtin, "scopes removed: films games"},
			{"", builtin, ""},
		} {
			args := []string{"--ops-listen", "off"}
			if step.scopes != "" {
				args = append(args, "--scopes", step.scopes)
			}
			s := startServing(t, l, args...)
			if got := scopesOfNewApp(t, l); got != step.want {
				t.Errorf("serve --scopes %q: an app is registered for %q, want %q", step.scopes, got, step.want)
			}
			s.stop()
			if !strings.Contains(s.stderr.String(), step.logs) {
				t.Errorf("serve --scopes %q logs\n%swant %q", step.scopes, s.stderr.String(), step.logs)
			}
		}
		events, err := dbtest.Open(t, database).Events(t.Context(), store.EventFilter{Kind: store.EventCatalogueChanged})
		if err != nil || len(events) != 3 || !strings.Contains(events[1].Detail, "scopes added: games; scopes removed: books") {
			t.Errorf("audit events %+v, %v", events, err)
		}
		// Another catalogue than the server's is refused; the same one with different white space is accepted.
		l.fails(t, exitRefused, "--scopes names another catalogue than the one in force since", "app", "list", "--scopes", one)
		startServing(t, l, "--ops-listen", "off", "--scopes", one)
		again := writeFile(t, "again.json", strings.ReplaceAll(readFile(t, one), "{", "{\n\t"))
		if got := scopesOfNewApp(t, l, "--scopes", again); got != "books films" {
			t.Errorf("the same catalogue in another layout: %q", got)
		}
	})
}

// TestDoctorOnCatalogue: the doctor finds a running server, and settings, with another catalogue than the one in force.
func TestDoctorOnCatalogue(t *testing.T) {
	t.Parallel()
	database := dbtest.SQLite(t)
	l := on(database)
	one := catalogueFile(t, "books")
	s := startServing(t, l, "--ops-listen", "off", "--scopes", one)
	type answer struct {
		Catalogue struct {
			Builtin                bool
			Scopes                 []string
			Servers, Other_servers int
		}
	}
	var a answer
	until(t, "the server is seen", func() bool {
		a = answer{}
		l.ok(t, &a, "doctor")
		return a.Catalogue.Servers == 1
	})
	if a.Catalogue.Builtin || strings.Join(a.Catalogue.Scopes, " ") != "books" || a.Catalogue.Other_servers != 0 {
		t.Errorf("beside the server: %+v", a)
	}
	doctor(t, l, exitDone, "--scopes", one)
	if c := doctor(t, l, exitRefused, "--scopes", catalogueFile(t, "films")); !c.has("--scopes names another catalogue than the one in force") || !c.has("scopes added: films; scopes removed: books") {
		t.Errorf("attention %q", c.Attention)
	}
	st := dbtest.Open(t, database)
	if _, err := st.SetCatalogue(t.Context(), operator(), "", "a server beside it"); err != nil {
		t.Fatal(err)
	}
	if c := doctor(t, l, exitRefused); !c.has("1 of 1 running servers have another catalogue of scopes") {
		t.Errorf("attention %q", c.Attention)
	}
	if r := l.run(t, "doctor"); !strings.Contains(r.stdout, "running servers  1") || !strings.Contains(r.stdout, "(built-in)") {
		t.Errorf("the report:\n%s", r.stdout)
	}
	s.stop()
	doctor(t, l, exitDone)
}

// TestCatalogueWatch: a server logs once that another catalogue has come into force, and is not listed after it has stopped.
func TestCatalogueWatch(t *testing.T) {
	t.Parallel()
	st := dbtest.Open(t, dbtest.SQLite(t))
	set := func(text string) {
		t.Helper()
		if _, err := st.SetCatalogue(t.Context(), operator(), text, ""); err != nil {
			t.Fatal(err)
		}
	}
	set("mine")
	var log lockedBuffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchCatalogue(ctx, st, scopesChoice{text: "mine"}, time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	running := func() int {
		t.Helper()
		servers, err := st.RunningServers(t.Context(), st.Now().Add(-time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return len(servers)
	}
	warnings := func() int { return strings.Count(log.String(), "another catalogue of scopes is in force") }
	until(t, "the server is listed", func() bool { return running() == 1 })
	if warnings() != 0 {
		t.Errorf("it warns of its own catalogue:\n%s", log.String())
	}
	set("another")
	until(t, "it warns", func() bool { return warnings() == 1 })
	set("a third")
	until(t, "it warns of the third", func() bool { return warnings() == 2 })
	stop()
	<-ended
	if n := running(); n != 0 || warnings() != 2 {
		t.Errorf("%d servers run, %d warnings", n, warnings())
	}
}

// until waits for a condition that the server brings about in the background.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
