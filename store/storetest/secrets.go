package storetest

import (
	"testing"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

func secretID(s store.Secret) string { return secret.ID(s.ID).String() }

func testSecrets(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("two are live, and one ends at a chosen time", func(t *testing.T) { testTwoSecrets(t, st) })
	t.Run("an earlier expiry stays", func(t *testing.T) { testSecretExpiry(t, st) })
	t.Run("revoked", func(t *testing.T) {
		_, a := NewUser(t, st)
		app, first := NewApp(t, st, a.ID, nil)
		other, _ := NewApp(t, st, a.ID, nil)
		wants(t, st.RevokeSecret(ctx, operator, other.ID, first.ID), store.ErrNotFound)
		no(t, st.RevokeSecret(ctx, operator, app.ID, first.ID))
		wants(t, st.RevokeSecret(ctx, operator, app.ID, first.ID), store.ErrNotFound)
		list, err := st.SecretsByClient(ctx, app.ID)
		no(t, err)
		equal(t, "secrets", len(list), 0)
	})
	t.Run("only of live confidential clients", func(t *testing.T) { testSecretClients(t, st) })
	t.Run("last used", func(t *testing.T) {
		_, a := NewUser(t, st)
		app, first := NewApp(t, st, a.ID, nil)
		used := st.Now()
		no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{first.ID: used}))
		list, err := st.SecretsByClient(ctx, app.ID)
		no(t, err)
		equal(t, "last used", list[0].LastUsedAt, used)
	})
}

func testTwoSecrets(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	app, first := NewApp(t, st, a.ID, nil)
	second, third := NewSecret(st, app.ID), NewSecret(st, app.ID)
	soon := st.Now().Add(time.Hour)
	no(t, st.AddSecret(ctx, as(u), second, soon))
	list, err := st.SecretsByClient(ctx, app.ID)
	no(t, err)
	sameList(t, "secrets", ids(list, secretID), []string{secretID(second), secretID(*first)})
	equal(t, "old one expires", list[1].ExpiresAt, soon)
	equal(t, "new one expires", list[0].ExpiresAt, time.Time{})
	wants(t, st.AddSecret(ctx, as(u), third, time.Time{}), store.ErrLimit)
	wants(t, st.AddSecret(ctx, as(u), third, st.Now().Add(2*time.Hour)), store.ErrLimit)
	list, err = st.SecretsByClient(ctx, app.ID)
	no(t, err)
	equal(t, "a refused secret changes no expiry", list[0].ExpiresAt, time.Time{})
	no(t, st.AddSecret(ctx, as(u), third, st.Now())) // the others end with it
	list, err = st.SecretsByClient(ctx, app.ID)
	no(t, err)
	sameList(t, "secrets", ids(list, secretID), []string{secretID(third)})
}

func testSecretExpiry(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, a := NewUser(t, st)
	app, first := NewApp(t, st, a.ID, nil)
	soon := st.Now().Add(time.Hour)
	second, third := NewSecret(st, app.ID), NewSecret(st, app.ID)
	no(t, st.AddSecret(ctx, operator, second, soon))
	no(t, st.RevokeSecret(ctx, operator, app.ID, second.ID))
	no(t, st.AddSecret(ctx, operator, third, soon.Add(time.Hour)))
	list, err := st.SecretsByClient(ctx, app.ID)
	no(t, err)
	sameList(t, "secrets", ids(list, secretID), []string{secretID(third), secretID(*first)})
	equal(t, "expiry of the first", list[1].ExpiresAt, soon)
}

func testSecretClients(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, a := NewUser(t, st)
	public, _ := NewApp(t, st, a.ID, func(a *store.App) { a.Confidential = false })
	wants(t, st.AddSecret(ctx, operator, NewSecret(st, public.ID), time.Time{}), store.ErrEnded)
	app, _ := NewApp(t, st, a.ID, nil)
	no(t, st.SetAppSuspended(ctx, operator, app.ID, true))
	wants(t, st.AddSecret(ctx, operator, NewSecret(st, app.ID), time.Time{}), store.ErrEnded)
	no(t, st.DeleteApp(ctx, operator, app.ID))
	wants(t, st.AddSecret(ctx, operator, NewSecret(st, app.ID), time.Time{}), store.ErrEnded)
	wants(t, st.AddSecret(ctx, operator, NewSecret(st, "rs_none"), time.Time{}), store.ErrEnded)
}
