package directory_test

import (
	"errors"
	"testing"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/directory"
	"xenoauth/store"
	"xenoauth/store/storetest"
)

func TestRules_RefuseTheZeroPrincipal(t *testing.T) {
	t.Parallel()
	storetest.RefusesZeroPrincipal(t, rules(dbtest.Open(t, dbtest.SQLite(t))), 35)
}

// TestRules_RefuseParties: only the operator and users manage anything. A user without an id, as from a request without a session,
// must not count as the operator.
func TestRules_RefuseParties(t *testing.T) {
	t.Parallel()
	d := rules(dbtest.Open(t, dbtest.SQLite(t)))
	_, account := person(t, d, "ada@example.org")
	app, _, err := d.CreateApp(t.Context(), operator, account.ID, goodForm())
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := d.CreateKey(t.Context(), operator, account.ID, directory.KeyForm{Name: "K"})
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]store.Principal{
		"user without an id": store.UserPrincipal("", ""), "visitor": store.VisitorPrincipal(""),
		"app": store.AppPrincipal(app.ID, ""), "system": store.SystemPrincipal(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, seeApp := d.App(t.Context(), by, app.ID)
			_, seeKey := d.Key(t.Context(), by, key.ID)
			_, _, create := d.CreateApp(t.Context(), by, account.ID, goodForm())
			_, list := d.Apps(t.Context(), by)
			_, examine := d.Examine(t.Context(), by, "xnoa_")
			for what, err := range map[string]error{
				"see an app": seeApp, "see a key": seeKey, "create an app": create, "list apps": list, "examine a token": examine,
				"delete an app": d.DeleteApp(t.Context(), by, app.ID), "revoke a key": d.RevokeKey(t.Context(), by, key.ID),
				"revoke a token": d.RevokeToken(t.Context(), by, "xnoa_"),
			} {
				if !errors.Is(err, store.ErrNotPermitted) {
					t.Errorf("%s: %v, want ErrNotPermitted", what, err)
				}
			}
			if directory.MayRotate(key, by) {
				t.Error("may rotate the key")
			}
		})
	}
}
