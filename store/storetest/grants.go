package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testCodes(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	t.Run("created", func(t *testing.T) { testCodeCreated(t, w) })
	t.Run("of parties that do not belong together", func(t *testing.T) { testCodeParties(t, w) })
	t.Run("redeemed for a token", func(t *testing.T) { testRedeemToken(t, w) })
	t.Run("redeemed for a family", func(t *testing.T) { testRedeemFamily(t, w) })
	t.Run("expired", func(t *testing.T) {
		c := Code(st, w.ins)
		c.ExpiresAt = st.Now()
		no(t, st.CreateCode(ctx, c))
		wants(t, st.Redeem(ctx, c.ID, TokenGrant(st, w.ins), 25), store.ErrEnded)
	})
	t.Run("tries", func(t *testing.T) { testTries(t, w) })
	t.Run("a failed insert consumes nothing", func(t *testing.T) {
		g := TokenGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		c := NewCode(t, st, w.ins)
		wants(t, st.Redeem(ctx, c.ID, g, 25), store.ErrConflict) // the token's id is taken
		no(t, st.Redeem(ctx, c.ID, TokenGrant(st, w.ins), 25))
	})
	t.Run("replayed", func(t *testing.T) { testReplay(t, w) })
	t.Run("limit of tokens", func(t *testing.T) { testTokenLimit(t, st) })
	t.Run("the effective grant depends on the state", func(t *testing.T) { testOwnRoots(t, w) })
}

func testCodeCreated(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	want := Code(st, w.ins)
	want.Challenge, want.Resource, want.RedirectSent = "challenge", "https://api.test", false
	no(t, st.CreateCode(ctx, want))
	got, err := st.CodeByID(ctx, want.ID)
	no(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("code (-want +got):\n%s", diff)
	}
	wants(t, st.CreateCode(ctx, want), store.ErrConflict)
	_, err = st.CodeByID(ctx, secret.NewID())
	wants(t, err, store.ErrNotFound)
}

func testCodeParties(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	other := newWorld(t, st)
	for name, change := range map[string]func(*store.Code){
		"app":          func(c *store.Code) { c.AppID = other.app.ID },
		"user":         func(c *store.Code) { c.UserID = other.user.ID },
		"account":      func(c *store.Code) { c.AccountID = other.account.ID },
		"installation": func(c *store.Code) { c.InstallationID = other.ins.ID },
	} {
		c := Code(st, w.ins)
		change(&c)
		if err := st.CreateCode(ctx, c); err == nil {
			t.Fatalf("a code with another %s was stored", name)
		}
	}
}

func testRedeemToken(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	c, g := NewCode(t, st, w.ins), TokenGrant(st, w.ins)
	no(t, st.Redeem(ctx, c.ID, g, 25))
	got, err := st.CodeByID(ctx, c.ID)
	no(t, err)
	equal(t, "consumed", got.ConsumedAt.IsZero(), false)
	a, err := st.AccessByID(ctx, store.NonExpiring, g.Token.ID)
	no(t, err)
	if diff := cmp.Diff(g.Token, a.Token); diff != "" {
		t.Fatalf("token (-want +got):\n%s", diff)
	}
	wants(t, st.Redeem(ctx, c.ID, TokenGrant(st, w.ins), 25), store.ErrConsumed)
	wants(t, st.Redeem(ctx, secret.NewID(), TokenGrant(st, w.ins), 25), store.ErrNotFound)
}

func testRedeemFamily(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	g := FamilyGrant(st, w.ins)
	Redeem(t, st, w.ins, g)
	a, err := st.AccessByID(ctx, store.Expiring, g.Token.ID)
	no(t, err)
	if diff := cmp.Diff(g.Token, a.Token); diff != "" {
		t.Fatalf("token (-want +got):\n%s", diff)
	}
	r, f, err := st.RefreshByID(ctx, g.Refresh.ID)
	no(t, err)
	want := *g.Family
	want.AppScopes, want.UserID, want.AccountID = w.app.Scopes, w.user.ID, w.account.ID
	if diff := cmp.Diff(want, f); diff != "" {
		t.Fatalf("family (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(*g.Refresh, r); diff != "" {
		t.Fatalf("refresh token (-want +got):\n%s", diff)
	}
	bad := g
	bad.Refresh = nil
	wants(t, st.Redeem(ctx, NewCode(t, st, w.ins).ID, bad, 25), store.ErrInvalid)
}

func testTries(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	for tries, want := range map[int]error{store.MaxCodeAttempts - 1: nil, store.MaxCodeAttempts: store.ErrEnded} {
		c := NewCode(t, st, w.ins)
		for range tries {
			no(t, st.FailCode(ctx, c.ID))
		}
		got, err := st.CodeByID(ctx, c.ID)
		no(t, err)
		equal(t, "tries", got.FailedAttempts, tries)
		if err := st.Redeem(ctx, c.ID, TokenGrant(st, w.ins), 25); want == nil {
			no(t, err)
		} else {
			wants(t, err, want)
		}
	}
	wants(t, st.FailCode(ctx, secret.NewID()), store.ErrNotFound)
}

func testReplay(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	bystander := TokenGrant(st, w.ins)
	Redeem(t, st, w.ins, bystander)

	token := TokenGrant(st, w.ins)
	c := Redeem(t, st, w.ins, token)
	no(t, st.EndCode(ctx, system, c.ID))
	no(t, st.EndCode(ctx, system, c.ID))
	equal(t, "token of a replayed code lives", Live(t, st, store.NonExpiring, token.Token.ID), false)

	family := FamilyGrant(st, w.ins)
	c = Redeem(t, st, w.ins, family)
	rotation := Rotation(st, family, family.Refresh.ID)
	no(t, st.Rotate(ctx, rotation))
	no(t, st.EndCode(ctx, system, c.ID))
	for _, id := range []store.LookupID{family.Token.ID, rotation.Token.ID} {
		equal(t, "token of a replayed code's family lives", Live(t, st, store.Expiring, id), false)
	}
	wants(t, st.Rotate(ctx, Rotation(st, family, rotation.Next.ID)), store.ErrEnded)

	unused := NewCode(t, st, w.ins)
	no(t, st.EndCode(ctx, system, unused.ID)) // has produced nothing, and stays good
	no(t, st.Redeem(ctx, unused.ID, TokenGrant(st, w.ins), 25))
	wants(t, st.EndCode(ctx, system, secret.NewID()), store.ErrNotFound)
	equal(t, "another code's token lives", Live(t, st, store.NonExpiring, bystander.Token.ID), true)

	events, err := st.Events(ctx, store.EventFilter{AppID: w.app.ID, Kind: store.EventCodeReplayed})
	no(t, err)
	equal(t, "replays on record", len(events), 2)
}

func testTokenLimit(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	other := newWorld(t, st)
	bystander := TokenGrant(st, other.ins)
	Redeem(t, st, other.ins, bystander)
	var grants []store.Grant
	for range 5 {
		g := TokenGrant(st, w.ins)
		no(t, st.Redeem(t.Context(), NewCode(t, st, w.ins).ID, g, 3))
		grants = append(grants, g)
	}
	for i, g := range grants {
		equal(t, "live", Live(t, st, store.NonExpiring, g.Token.ID), i >= 2)
	}
	equal(t, "another installation's token lives", Live(t, st, store.NonExpiring, bystander.Token.ID), true)
	ended, err := st.Events(t.Context(), store.EventFilter{AppID: w.app.ID, Kind: store.EventTokenRevoked})
	no(t, err)
	equal(t, "events of tokens that made room", len(ended), 2)
	for _, e := range ended {
		if e.By != system.Actor() || e.AccountID != w.account.ID || e.InstallationID != w.ins.ID || e.Detail != "the oldest, above 3 of the installation" {
			t.Errorf("event %+v", e)
		}
	}
	no(t, st.Redeem(t.Context(), NewCode(t, st, w.ins).ID, TokenGrant(st, w.ins), 0)) // no bound
	equal(t, "live", Live(t, st, store.NonExpiring, grants[2].Token.ID), true)
}

func testTokens(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	t.Run("of an app itself", func(t *testing.T) {
		want := ClientToken(st, w.app.ID, Scopes(t, "contacts", "widgets"))
		no(t, st.CreateClientToken(ctx, want))
		a, err := st.AccessByID(ctx, store.Expiring, want.ID)
		no(t, err)
		if diff := cmp.Diff(want, a.Token); diff != "" {
			t.Fatalf("token (-want +got):\n%s", diff)
		}
		equal(t, "app live", a.AppLive, true)
		equal(t, "user", a.User, store.User{})
		equal(t, "account", a.Account, store.Account{})
		no(t, st.SetAppSuspended(ctx, operator, w.app.ID, true))
		equal(t, "live while the app is suspended", Live(t, st, store.Expiring, want.ID), false)
		wants(t, st.CreateClientToken(ctx, ClientToken(st, w.app.ID, Scopes(t, "contacts"))), store.ErrEnded)
		no(t, st.SetAppSuspended(ctx, operator, w.app.ID, false))
		equal(t, "live again", Live(t, st, store.Expiring, want.ID), true)
	})
	t.Run("refused to an app", func(t *testing.T) {
		public, _ := NewApp(t, st, w.account.ID, func(a *store.App) { a.Confidential = false })
		tricky, _ := NewApp(t, st, w.account.ID, func(a *store.App) { a.Scopes = Scopes(t, "mycontacts", "contacts2", "Widgets", "a") })
		deleted, _ := NewApp(t, st, w.account.ID, nil)
		no(t, st.DeleteApp(ctx, operator, deleted.ID))
		for name, token := range map[string]store.Token{
			"public":           ClientToken(st, public.ID, Scopes(t, "contacts")),
			"unknown":          ClientToken(st, "app_none", Scopes(t, "contacts")),
			"deleted":          ClientToken(st, deleted.ID, Scopes(t, "contacts")),
			"another scope":    ClientToken(st, w.app.ID, Scopes(t, "contacts", "conversations")),
			"part of a scope":  ClientToken(st, tricky.ID, Scopes(t, "contacts")),
			"scope's own case": ClientToken(st, tricky.ID, Scopes(t, "widgets")),
			"a wildcard":       ClientToken(st, tricky.ID, Scopes(t, "%")),
		} {
			t.Run(name, func(t *testing.T) { wants(t, st.CreateClientToken(ctx, token), store.ErrEnded) })
		}
		endless := ClientToken(st, w.app.ID, Scopes(t, "contacts"))
		endless.ExpiresAt = time.Time{}
		wants(t, st.CreateClientToken(ctx, endless), store.ErrInvalid)
	})
	t.Run("revoked", func(t *testing.T) { testRevoked(t, w) })
}

func testRevoked(t *testing.T, w world) {
	ctx, st := t.Context(), w.store
	token, family, own := TokenGrant(st, w.ins), FamilyGrant(st, w.ins), ClientToken(st, w.app.ID, Scopes(t, "faqs"))
	Redeem(t, st, w.ins, token)
	Redeem(t, st, w.ins, family)
	no(t, st.CreateClientToken(ctx, own))
	for kind, list := range map[store.TokenKind][]store.LookupID{
		store.NonExpiring: {token.Token.ID}, store.Expiring: {family.Token.ID, own.ID},
	} {
		for _, id := range list {
			equal(t, "live", Live(t, st, kind, id), true)
			no(t, st.RevokeToken(ctx, system, kind, id))
			no(t, st.RevokeToken(ctx, system, kind, id))
			equal(t, "live after revocation", Live(t, st, kind, id), false)
		}
	}
	_, f, err := st.RefreshByID(ctx, family.Refresh.ID)
	no(t, err)
	equal(t, "family of a revoked access token ended", f.Ended, false)
	wants(t, st.RevokeToken(ctx, system, store.Expiring, token.Token.ID), store.ErrNotFound) // the kinds are apart
	wants(t, st.RevokeToken(ctx, system, store.NonExpiring, secret.NewID()), store.ErrNotFound)
}

func testCredentials(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	t.Run("access", func(t *testing.T) {
		g := TokenGrant(st, w.ins)
		Redeem(t, st, w.ins, g)
		a, err := st.AccessByID(ctx, store.NonExpiring, g.Token.ID)
		no(t, err)
		user, app := w.user, w.app
		user.Password, app.RedirectURIs, app.AccountName = "", nil, ""
		want := store.Access{
			Token: g.Token, App: app, AppLive: true, InstallationLive: true, User: user, UserLive: true, Account: w.account, AccountLive: true,
			Role: scope.RoleAdmin,
		}
		if diff := cmp.Diff(want, a); diff != "" {
			t.Fatalf("access (-want +got):\n%s", diff)
		}
		_, err = st.AccessByID(ctx, store.Expiring, g.Token.ID)
		wants(t, err, store.ErrNotFound)
		no(t, st.SetMemberRole(ctx, operator, w.account.ID, w.user.ID, scope.RoleGuest))
		a, err = st.AccessByID(ctx, store.NonExpiring, g.Token.ID)
		no(t, err)
		equal(t, "role today", a.Role, scope.RoleGuest)
	})
	t.Run("client", func(t *testing.T) {
		other, _ := NewApp(t, st, w.account.ID, nil)
		c, err := st.ClientByID(ctx, w.app.ID, w.secret.ID)
		no(t, err)
		equal(t, "client", c.ID == w.app.ID && c.App.ID == w.app.ID && c.App.Name == w.app.Name && c.App.Scopes.Equal(w.app.Scopes) &&
			c.App.Confidential && c.Resource == nil && c.Live, true)
		equal(t, "secret", string(c.Secret), string(w.secret.Hash))
		for name, id := range map[string]store.LookupID{"none": {}, "unknown": secret.NewID()} {
			c, err := st.ClientByID(ctx, w.app.ID, id)
			no(t, err)
			equal(t, "hash of secret "+name, c.Secret == nil && c.App != nil, true)
		}
		c, err = st.ClientByID(ctx, other.ID, w.secret.ID)
		no(t, err)
		equal(t, "another client's secret", c.Secret == nil, true)
		for _, id := range []string{"", "app_none", "rs_none", w.user.ID} {
			_, err = st.ClientByID(ctx, id, w.secret.ID)
			wants(t, err, store.ErrNotFound)
		}
		no(t, st.AddSecret(ctx, operator, NewSecret(st, w.app.ID), st.Now()))
		c, err = st.ClientByID(ctx, w.app.ID, w.secret.ID)
		no(t, err)
		equal(t, "expired secret", c.Secret == nil, true)
		no(t, st.SetAppSuspended(ctx, operator, w.app.ID, true))
		c, err = st.ClientByID(ctx, w.app.ID, w.secret.ID)
		no(t, err)
		equal(t, "live", c.Live, false)
	})
}
