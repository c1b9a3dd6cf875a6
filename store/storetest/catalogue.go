package storetest

import (
	"errors"
	"testing"
	"time"

	"xenoauth/store"
)

func testCatalogue(t *testing.T, st store.Store) {
	ctx := t.Context()
	if c, err := st.Catalogue(ctx); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("the catalogue of a new database: %+v, %v", c, err)
	}
	events := func() (n int) {
		t.Helper()
		list, err := st.Events(ctx, store.EventFilter{Kind: store.EventCatalogueChanged})
		no(t, err)
		return len(list)
	}
	for _, step := range []struct {
		text    string
		changed bool
		events  int
	}{
		{"", false, 0}, // the built-in one was in force before it was written down
		{"", false, 0},
		{`{"scopes":1}`, true, 1},
		{`{"scopes":1}`, false, 1},
		{`{"scopes":2}`, true, 2},
		{"", true, 3},
	} {
		changed, err := st.SetCatalogue(ctx, operator, step.text, "what changed")
		no(t, err)
		c, err := st.Catalogue(ctx)
		no(t, err)
		if changed != step.changed || c.Text != step.text || c.Hash != store.CatalogueHash(step.text) || events() != step.events {
			t.Fatalf("set %q: changed %t, in force %+v, %d events; want %+v", step.text, changed, c, events(), step)
		}
		if age := st.Now().Sub(c.Since); age < 0 || age > time.Minute {
			t.Errorf("in force since %v, which is %v ago", c.Since, age)
		}
	}
	list, err := st.Events(ctx, store.EventFilter{Kind: store.EventCatalogueChanged, Limit: 1})
	no(t, err)
	if len(list) != 1 || list[0].Detail != "what changed" || list[0].By.Kind != store.ActorOperator || list[0].Subject == "" {
		t.Errorf("audit event %+v", list)
	}
}

func testRunningServers(t *testing.T, st store.Store) {
	ctx := t.Context()
	if _, err := st.SetCatalogue(ctx, operator, "b", ""); err != nil {
		t.Fatal(err)
	}
	start := st.Now().Add(-time.Second)
	for _, id := range []string{"one", "two", "one"} {
		inForce, err := st.SeenServer(ctx, id, store.CatalogueHash("a"))
		no(t, err)
		if inForce != store.CatalogueHash("b") {
			t.Errorf("in force is %s", inForce)
		}
	}
	list, err := st.RunningServers(ctx, start)
	no(t, err)
	if len(list) != 2 || list[0].ID != "one" || list[1].ID != "two" || list[0].Catalogue != store.CatalogueHash("a") {
		t.Errorf("running: %+v", list)
	}
	no(t, st.EndServer(ctx, "one"))
	no(t, st.EndServer(ctx, "none"))
	list, err = st.RunningServers(ctx, start)
	no(t, err)
	if len(list) != 1 || list[0].ID != "two" {
		t.Errorf("running after one has ended: %+v", list)
	}
	if list, err = st.RunningServers(ctx, st.Now().Add(time.Second)); err != nil || len(list) != 0 {
		t.Errorf("seen in a second from now: %+v, %v", list, err)
	}
}
