package storetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

func testApps(t *testing.T, st store.Store) {
	t.Run("created", func(t *testing.T) { testAppCreated(t, st) })
	t.Run("refused", func(t *testing.T) { testAppRefused(t, st) })
	t.Run("within a limit, 50 at once", func(t *testing.T) { raceAppsWithin(t, st) })
	t.Run("updated", func(t *testing.T) { testAppUpdated(t, st) })
	t.Run("suspended and verified", func(t *testing.T) { testAppSwitched(t, st) })
	t.Run("a change that ends a verification", func(t *testing.T) { testVerificationEnds(t, st) })
	t.Run("deleted", func(t *testing.T) { testAppDeleted(t, st) })
	t.Run("listed", func(t *testing.T) { testListApps(t, st) })
}

func testAppCreated(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	want := store.App{
		ID: secret.NewPublicID("app_"), AccountID: a.ID, CreatedBy: u.ID, Name: "N", Description: "D", Homepage: "https://h.test",
		LogoURL: "https://l.test", RedirectURIs: []string{"https://z.test/cb", "https://a.test/cb", "com.example:/cb"},
		Scopes: Scopes(t, "faqs"), Expiring: true, PKCERequired: true, CreatedAt: st.Now(), VerifiedAt: st.Now(),
	}
	no(t, st.CreateApp(ctx, as(u), want, nil))
	got, err := st.AppByID(ctx, want.ID)
	no(t, err)
	want.AccountName, want.Version, want.UpdatedAt = a.Name, 1, want.CreatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("app (-want +got):\n%s", diff)
	}
}

func testAppRefused(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, a := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	first := NewSecret(st, app.ID)
	wants(t, st.CreateApp(ctx, operator, app, &first), store.ErrConflict)
	no(t, st.DeleteApp(ctx, operator, app.ID))
	wants(t, st.CreateApp(ctx, operator, app, &first), store.ErrConflict)
	app.ID, app.AccountID = secret.NewPublicID("app_"), "acc_none"
	wants(t, st.CreateApp(ctx, operator, app, &first), store.ErrEnded)
	app.AccountID = a.ID
	wants(t, st.CreateApp(ctx, operator, app, nil), store.ErrInvalid)
	app.RedirectURIs = []string{"https://a.test/a b"}
	wants(t, st.CreateApp(ctx, operator, app, &first), store.ErrInvalid)
	_, err := st.AppByID(ctx, app.ID)
	wants(t, err, store.ErrNotFound)
}

// raceAppsWithin: of 50 apps made at the same moment, no more than the limit are.
func raceAppsWithin(t *testing.T, st store.Store) {
	const most = 3
	u, a := NewUser(t, st)
	var made atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			app := store.App{ID: secret.NewPublicID("app_"), AccountID: a.ID, Name: "N", RedirectURIs: []string{"https://a.test/cb"},
				Scopes: Scopes(t, "faqs"), CreatedAt: st.Now()}
			switch err := st.CreateAppWithin(t.Context(), as(u), app, nil, most); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, store.ErrLimit) && !errors.Is(err, store.ErrUnavailable): // or a long line for the account's row
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := st.AppsByUser(t.Context(), u.ID)
	no(t, err)
	if made.Load() > most || len(list) > most || made.Load() == 0 {
		t.Errorf("%d of 50 were made, %d are there, want at most %d", made.Load(), len(list), most)
	}
	no(t, st.CreateApp(t.Context(), operator, store.App{ID: secret.NewPublicID("app_"), AccountID: a.ID, Name: "N", RedirectURIs: []string{"https://a.test/cb"},
		Scopes: Scopes(t, "faqs"), CreatedAt: st.Now()}, nil))
}

func testAppUpdated(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	change := app
	change.Name, change.Description, change.Homepage, change.LogoURL = "n", "d", "https://h", "https://l"
	change.RedirectURIs, change.Scopes = []string{"https://two.test", "https://one.test"}, Scopes(t, "widgets")
	change.Expiring, change.PKCERequired = true, true
	no(t, st.UpdateApp(ctx, as(u), change, ""))
	got, err := st.AppByID(ctx, app.ID)
	no(t, err)
	change.Version, change.UpdatedAt = app.Version+1, got.UpdatedAt
	if diff := cmp.Diff(change, got); diff != "" {
		t.Fatalf("app (-want +got):\n%s", diff)
	}
	wants(t, st.UpdateApp(ctx, as(u), app, ""), store.ErrConflict) // it was changed meanwhile
	no(t, st.DeleteApp(ctx, as(u), app.ID))
	wants(t, st.UpdateApp(ctx, as(u), got, ""), store.ErrNotFound)
}

func testAppSwitched(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, a := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	for range 2 { // again is no error
		no(t, st.SetAppSuspended(ctx, operator, app.ID, true))
		no(t, st.VerifyApp(ctx, operator, app.ID, app.Version))
	}
	wants(t, st.VerifyApp(ctx, operator, app.ID, app.Version+1), store.ErrConflict)
	got, err := st.AppByID(ctx, app.ID)
	no(t, err)
	equal(t, "suspended", !got.SuspendedAt.IsZero(), true)
	equal(t, "verified", !got.VerifiedAt.IsZero(), true)
	no(t, st.SetAppSuspended(ctx, operator, app.ID, false))
	for range 2 {
		no(t, st.UnverifyApp(ctx, operator, app.ID))
	}
	got, err = st.AppByID(ctx, app.ID)
	no(t, err)
	equal(t, "the end of the verification is dated", got.UnverifiedAt.IsZero(), false)
	got.UnverifiedAt = time.Time{}
	if diff := cmp.Diff(app, got); diff != "" {
		t.Fatalf("app after a suspension (-want +got):\n%s", diff)
	}
	wants(t, st.SetAppSuspended(ctx, operator, "app_none", true), store.ErrNotFound)
	wants(t, st.VerifyApp(ctx, operator, "app_none", 1), store.ErrNotFound)
	wants(t, st.UnverifyApp(ctx, operator, "app_none"), store.ErrNotFound)
}

func testVerificationEnds(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, a := NewUser(t, st)
	app, _ := NewApp(t, st, a.ID, nil)
	no(t, st.VerifyApp(ctx, operator, app.ID, app.Version))
	no(t, st.UpdateApp(ctx, as(u), app, ""))
	read := func() store.App {
		t.Helper()
		got, err := st.AppByID(ctx, app.ID)
		no(t, err)
		return got
	}
	kept := read()
	equal(t, "verified after a change that leaves it", kept.VerifiedAt.IsZero(), false)
	names, err := st.VerifiedNames(ctx)
	no(t, err)
	equal(t, "is among the verified names", slices.ContainsFunc(names, func(v store.VerifiedName) bool { return v.AppID == app.ID && v.AccountID == a.ID }), true)
	wants(t, st.UpdateApp(ctx, as(u), app, "the name"), store.ErrConflict)
	equal(t, "verified after a refused change", read().VerifiedAt.IsZero(), false)
	no(t, st.UpdateApp(ctx, as(u), kept, "the name"))
	ended := read()
	equal(t, "verified after a change that ends it", ended.VerifiedAt.IsZero(), true)
	equal(t, "dated", ended.UnverifiedAt.IsZero(), false)
	equal(t, "the reason", ended.UnverifiedFor, "the name")
	no(t, st.UpdateApp(ctx, as(u), ended, "the logo")) // nothing to end
	equal(t, "the reason after another change", read().UnverifiedFor, "the name")
	events, err := st.Events(ctx, store.EventFilter{AppID: app.ID, Kind: store.EventAppUnverified})
	no(t, err)
	equal(t, "events", len(events), 1)
	equal(t, "their detail", events[0].Detail, "the name")
	no(t, st.VerifyApp(ctx, operator, app.ID, read().Version))
	again := read()
	equal(t, "verified again", again.VerifiedAt.IsZero() || !again.UnverifiedAt.IsZero() || again.UnverifiedFor != "", false)
}

func testAppDeleted(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	Redeem(t, st, w.ins, TokenGrant(st, w.ins))
	n, err := st.CountInstalled(ctx, w.app.ID, 10)
	no(t, err)
	equal(t, "accounts", n, store.Count{N: 1})
	no(t, st.DeleteApp(ctx, as(w.user), w.app.ID))
	_, err = st.AppByID(ctx, w.app.ID)
	wants(t, err, store.ErrNotFound)
	_, err = st.ClientByID(ctx, w.app.ID, w.secret.ID)
	wants(t, err, store.ErrNotFound)
	n, err = st.CountInstalled(ctx, w.app.ID, 10)
	no(t, err)
	equal(t, "accounts with a deleted app", n, store.Count{})
	wants(t, st.DeleteApp(ctx, as(w.user), w.app.ID), store.ErrNotFound)
}

func testListApps(t *testing.T, st store.Store) {
	ctx := t.Context()
	id := func(a store.App) string { return a.ID }
	owner, a := NewUser(t, st)
	member, own := NewUser(t, st)
	first, _ := NewApp(t, st, a.ID, nil)
	second, _ := NewApp(t, st, a.ID, nil)
	deleted, _ := NewApp(t, st, a.ID, nil)
	no(t, st.DeleteApp(ctx, operator, deleted.ID))
	mine, _ := NewApp(t, st, own.ID, nil)

	list, err := st.AppsByUser(ctx, owner.ID)
	no(t, err)
	sameList(t, "apps of the owner", ids(list, id), []string{second.ID, first.ID})
	sameList(t, "its redirect URIs", list[0].RedirectURIs, second.RedirectURIs)
	no(t, st.AddMember(ctx, operator, a.ID, member.ID, scope.RoleBot))
	list, err = st.AppsByUser(ctx, member.ID)
	no(t, err)
	sameList(t, "apps of a member who is no admin", ids(list, id), []string{mine.ID})
	no(t, st.SetMemberRole(ctx, operator, a.ID, member.ID, scope.RoleAdmin))
	list, err = st.AppsByUser(ctx, member.ID)
	no(t, err)
	sameList(t, "apps of an admin", ids(list, id), []string{mine.ID, second.ID, first.ID})

	all := pages(t, id, func(p store.Page) ([]store.App, error) { return st.ListApps(ctx, p) })
	for _, want := range []string{first.ID, second.ID, mine.ID} {
		if !slices.Contains(all, want) {
			t.Fatalf("ListApps lacks %s", want)
		}
	}
	if slices.Contains(all, deleted.ID) {
		t.Fatal("ListApps has a deleted app")
	}
}

func testResources(t *testing.T, st store.Store) {
	ctx := t.Context()
	r := store.ResourceServer{ID: secret.NewPublicID("rs_"), Name: "API", CreatedAt: st.Now()}
	first := NewSecret(st, r.ID)
	no(t, st.CreateResource(ctx, operator, r, first))
	wants(t, st.CreateResource(ctx, operator, r, NewSecret(st, r.ID)), store.ErrConflict)
	got, err := st.ResourceByID(ctx, r.ID)
	no(t, err)
	equal(t, "resource server", got, r)
	list, err := st.ListResources(ctx)
	no(t, err)
	sameList(t, "resource servers", ids(list, func(r store.ResourceServer) string { return r.ID }), []string{r.ID})

	second := NewSecret(st, r.ID)
	no(t, st.AddSecret(ctx, operator, second, time.Time{}))
	wants(t, st.AddSecret(ctx, operator, NewSecret(st, r.ID), time.Time{}), store.ErrLimit)
	no(t, st.RevokeSecret(ctx, operator, r.ID, first.ID))
	c, err := st.ClientByID(ctx, r.ID, second.ID)
	no(t, err)
	equal(t, "live", c.Live && c.App == nil && c.Resource != nil && *c.Resource == r && string(c.Secret) == string(second.Hash), true)
	c, err = st.ClientByID(ctx, r.ID, first.ID)
	no(t, err)
	equal(t, "revoked secret", len(c.Secret), 0)

	no(t, st.RemoveResource(ctx, operator, r.ID))
	wants(t, st.RemoveResource(ctx, operator, r.ID), store.ErrNotFound)
	_, err = st.ResourceByID(ctx, r.ID)
	wants(t, err, store.ErrNotFound)
	_, err = st.ClientByID(ctx, r.ID, second.ID)
	wants(t, err, store.ErrNotFound)
	wants(t, st.CreateResource(ctx, operator, store.ResourceServer{ID: "app_x"}, NewSecret(st, "app_x")), store.ErrInvalid)
}

func testUsageAndKeys(t *testing.T, st store.Store) {
	ctx := t.Context()
	t.Run("the latest use stays", func(t *testing.T) {
		_, a := NewUser(t, st)
		app, first := NewApp(t, st, a.ID, nil)
		late := st.Now()
		uses := map[store.LookupID]time.Time{first.ID: late}
		for range 250 { // more than fit one statement, and unknown
			uses[secret.NewID()] = late
		}
		no(t, st.RecordUse(ctx, uses))
		no(t, st.RecordUse(ctx, map[store.LookupID]time.Time{first.ID: late.Add(-time.Hour)}))
		no(t, st.RecordUse(ctx, nil))
		list, err := st.SecretsByClient(ctx, app.ID)
		no(t, err)
		equal(t, "last used", list[0].LastUsedAt, late)
	})
	t.Run("the first key stays", func(t *testing.T) {
		first, err := st.EnsureKey(ctx, "cookie", []byte{1, 2, 0, 255})
		no(t, err)
		second, err := st.EnsureKey(ctx, "cookie", []byte{3})
		no(t, err)
		equal(t, "key", string(second), string([]byte{1, 2, 0, 255}))
		equal(t, "key", string(first), string(second))
		other, err := st.EnsureKey(ctx, "another", []byte{3})
		no(t, err)
		equal(t, "another key", string(other), "\x03")
	})
}

func testAudit(t *testing.T, st store.Store) {
	ctx := t.Context()
	w := newWorld(t, st)
	by := as(w.user)
	kind := func(e store.Event) string { return e.Kind }
	g := TokenGrant(st, w.ins)
	code := Redeem(t, st, w.ins, g)
	no(t, st.RevokeToken(ctx, by, store.NonExpiring, g.Token.ID))
	no(t, st.RevokeToken(ctx, by, store.NonExpiring, g.Token.ID)) // again leaves no event
	no(t, st.EndCode(ctx, by, code.ID))                           // nothing was left to end
	no(t, st.RemoveInstallation(ctx, by, w.ins.ID))

	events, err := st.Events(ctx, store.EventFilter{AppID: w.app.ID})
	no(t, err)
	sameList(t, "events of the app", ids(events, kind), []string{
		store.EventInstallationRemoved, store.EventTokenRevoked, store.EventTokenIssued, store.EventInstallationCreated, store.EventAppCreated,
	})
	removed, issued := events[0], events[2]
	equal(t, "who removed", removed.By, by.Actor())
	equal(t, "what", removed.InstallationID+removed.AccountID+removed.AppID, w.ins.ID+w.account.ID+w.app.ID)
	equal(t, "who was issued a token", issued.By, store.AppPrincipal(w.app.ID, "").Actor())
	equal(t, "which", issued.Subject, secret.ID(g.Token.ID).String())
	equal(t, "for what", issued.Detail, "contacts widgets")
	for i, e := range events {
		if e.At.IsZero() || e.ID == (store.LookupID{}) || i > 0 && e.At.After(events[i-1].At) {
			t.Fatalf("event %d: at %v", i, e.At)
		}
		if strings.Contains(e.Detail+e.Subject, string(g.Token.Hash)) {
			t.Fatalf("event %d holds a hash", i)
		}
	}
	events, err = st.Events(ctx, store.EventFilter{AccountID: w.account.ID, Kind: store.EventUserCreated})
	no(t, err)
	equal(t, "sign-ups of the account", len(events), 1)
	events, err = st.Events(ctx, store.EventFilter{AccountID: w.account.ID, AppID: w.app.ID, Kind: store.EventTokenIssued})
	no(t, err)
	equal(t, "issues", len(events), 1)
	events, err = st.Events(ctx, store.EventFilter{Limit: 2})
	no(t, err)
	sameList(t, "the newest two", ids(events, kind), []string{store.EventInstallationRemoved, store.EventTokenRevoked})
}
