package issuer_test

import (
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/store"
)

// TestSpelling: a token answer spells scopes as they were asked for, the token itself carries the canonical ones, and a
// refresh keeps the spelling until it asks in another.
func TestSpelling(t *testing.T) {
	t.Parallel()
	for asked, c := range map[string]struct{ granted, again string }{
		"widget":                {"widgets", "widget"},
		"brands contacts":       {"contacts widgets", "brands contacts"},
		"widgets brands widget": {"widgets", "widgets brands widget"},
	} {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			info := f.grant(asked)
			if info.GetScope() != c.again || f.access(info.GetAccess()).Scope.String() != c.granted {
				t.Errorf("answered %q, token has %q", info.GetScope(), f.access(info.GetAccess()).Scope)
			}
			next, err := f.refresh(info.GetRefresh(), "")
			f.must(err)
			if next.GetScope() != c.again || f.access(next.GetAccess()).Scope.String() != c.granted {
				t.Errorf("refresh answered %q, token has %q", next.GetScope(), f.access(next.GetAccess()).Scope)
			}
			other, err := f.refresh(next.GetRefresh(), "brands")
			f.must(err)
			if other.GetScope() != "brands" || f.access(other.GetAccess()).Scope.String() != "widgets" {
				t.Errorf("refresh for brands answered %q, token has %q", other.GetScope(), f.access(other.GetAccess()).Scope)
			}
		})
	}
}

// TestRefreshScope: a refresh may ask for less than was granted, by any name, and later for all again; never for more.
// A refused one leaves the token as it was.
func TestRefreshScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts brands")
	for _, c := range []struct{ asked, want, code string }{
		{asked: "contacts", want: "contacts"},
		{asked: "faqs", code: issuer.InvalidScope}, // of the app, but not approved
		{asked: "contacts faqs", code: issuer.InvalidScope},
		{asked: "conversations", code: issuer.InvalidScope}, // not even of the app
		{asked: "bogus", code: issuer.InvalidScope},
		{asked: `con"tacts`, code: issuer.InvalidScope},
		{asked: "widget", want: "widgets"},
		{asked: "", want: "contacts widgets"},
		{asked: "widgets contacts", want: "contacts widgets"},
	} {
		next, err := f.refresh(info.GetRefresh(), c.asked)
		if c.code != "" {
			wantCode(t, err, c.code)
			continue
		}
		f.must(err)
		if got := f.access(next.GetAccess()).Scope.String(); got != c.want {
			t.Errorf("a refresh for %q gave %q, want %q", c.asked, got, c.want)
		}
		info = next
	}
}

// TestRefreshWithdrawnScope: when the app gives up a scope, a refresh for the whole grant is refused, one for what is left
// works, and with the scope back the whole grant is there again.
func TestRefreshWithdrawnScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts widgets")
	setScopes := func(names string) {
		app, err := f.store.AppByID(t.Context(), f.app.ID)
		f.must(err)
		app.Scopes = f.set(names)
		f.must(f.store.UpdateApp(t.Context(), operator, app))
	}
	setScopes("contacts")
	_, err := f.refresh(info.GetRefresh(), "")
	wantCode(t, err, issuer.InvalidGrant)
	_, err = f.refresh(info.GetRefresh(), "widgets")
	wantCode(t, err, issuer.InvalidGrant)
	info, err = f.refresh(info.GetRefresh(), "contacts")
	f.must(err)
	setScopes("contacts widgets")
	info, err = f.refresh(info.GetRefresh(), "")
	f.must(err)
	if got := f.access(info.GetAccess()).Scope.String(); got != "contacts widgets" {
		t.Errorf("scope = %q, want all again", got)
	}
}

// same says whether two answers are one.
func same(a, b oauth2.TokenInfo) bool {
	return a.GetAccess() == b.GetAccess() && a.GetRefresh() == b.GetRefresh() && a.GetScope() == b.GetScope() && a.GetAccessExpiresIn() == b.GetAccessExpiresIn()
}

// TestRefreshGrace: the same request again gets the same answer within the grace. It ends with its time, with the first
// use of the successor, and for any other request; then presenting the old token ends the family.
func TestRefreshGrace(t *testing.T) {
	t.Parallel()
	none := func(fixture, oauth2.TokenInfo, oauth2.TokenInfo) {}
	for name, c := range map[string]struct {
		before    func(f fixture, first, second oauth2.TokenInfo)
		scope     string
		resources []string
		graceful  bool
	}{
		"at once":                 {before: none, scope: "contacts", resources: []string{apiOne}, graceful: true},
		"another scope":           {before: none, scope: "contacts widgets", resources: []string{apiOne}},
		"the same by other words": {before: none, resources: []string{apiOne}},
		"another resource":        {before: none, scope: "contacts", resources: []string{apiTwo}},
		"no resource":             {before: none, scope: "contacts"},
		"too late": {scope: "contacts", resources: []string{apiOne}, before: func(f fixture, first, _ oauth2.TokenInfo) {
			dbtest.Exec(f.t, f.store, `UPDATE refresh_tokens SET sealed_until = sealed_until - $1 WHERE rotated_at IS NOT NULL`, (10 * time.Second).Microseconds())
		}},
		"after the successor": {scope: "contacts", resources: []string{apiOne}, before: func(f fixture, _, second oauth2.TokenInfo) {
			_, err := f.refresh(second.GetRefresh(), "")
			f.must(err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			first := f.grant("contacts widgets", apiOne, apiTwo)
			second, err := f.refresh(first.GetRefresh(), "contacts", apiOne)
			f.must(err)
			c.before(f, first, second)
			again, err := f.refresh(first.GetRefresh(), c.scope, c.resources...)
			if c.graceful {
				f.must(err)
				if !same(again, second) {
					t.Error("the answer is another one")
				}
			} else {
				wantCode(t, err, issuer.InvalidGrant)
			}
			for _, token := range []string{first.GetAccess(), second.GetAccess()} {
				f.wantLive(token, c.graceful)
			}
			_, err = f.refresh(second.GetRefresh(), "")
			if c.graceful {
				f.must(err)
			} else {
				wantCode(t, err, issuer.InvalidGrant)
			}
		})
	}
}

// TestRefreshGraceIsItsOwners: another app that holds the rotated token learns nothing and ends nothing.
func TestRefreshGraceIsItsOwners(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	other := f.addApp(f.installation.AccountID)
	first := f.grant("contacts")
	second, err := f.refresh(first.GetRefresh(), "")
	f.must(err)
	for _, token := range []string{first.GetRefresh(), second.GetRefresh()} {
		_, err := f.RefreshAccessToken(f.as(other), &oauth2.TokenGenerateRequest{ClientID: other.ID, Refresh: token})
		wantCode(t, err, issuer.InvalidGrant)
	}
	f.wantLive(second.GetAccess(), true)
	_, err = f.refresh(second.GetRefresh(), "")
	f.must(err)
}

// TestRefreshRace: of 50 equal refreshes at the same moment one rotates, and all get its answer; of 50 that differ, one
// wins and the others, which are reuse, end the family.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	for name, differ := range map[string]bool{"equal": false, "different": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			first := f.grant("contacts widgets")
			answers, faults := make([]oauth2.TokenInfo, 50), make([]error, 50)
			var all sync.WaitGroup
			for i := range answers {
				asked := ""
				if differ && i%2 == 1 {
					asked = "contacts"
				}
				all.Go(func() { answers[i], faults[i] = f.refresh(first.GetRefresh(), asked) })
			}
			all.Wait()
			distinct := map[string]bool{}
			for i, a := range answers {
				if faults[i] == nil {
					distinct[a.GetRefresh()] = true
					continue
				}
				if !differ {
					t.Errorf("request %d: %v", i, faults[i])
				} else {
					wantCode(t, faults[i], issuer.InvalidGrant)
				}
			}
			if len(distinct) != 1 {
				t.Fatalf("%d different answers, want 1", len(distinct))
			}
			f.wantLive(first.GetAccess(), !differ)
		})
	}
}

// TestRefreshSlides: each rotation gives the refresh token its whole lifetime anew, and an expired one is refused without
// ending the family, whose access token lives on.
func TestRefreshSlides(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{RefreshLifetime: time.Hour, AccessLifetime: 2 * time.Hour})
	info := f.grant("contacts")
	for range 3 {
		dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = expires_at - $1 WHERE rotated_at IS NULL`, (59 * time.Minute).Microseconds())
		next, err := f.refresh(info.GetRefresh(), "")
		f.must(err)
		info = next
	}
	dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = expires_at - $1 WHERE rotated_at IS NULL`, time.Hour.Microseconds())
	_, err := f.refresh(info.GetRefresh(), "")
	wantCode(t, err, issuer.InvalidGrant)
	f.wantLive(info.GetAccess(), true)
	if info.GetAccessExpiresIn() != 2*time.Hour {
		t.Errorf("the access token lives %s, want 2h", info.GetAccessExpiresIn())
	}
}

// TestRefreshNeedsItsRoots: what a family hangs on has ended: no refresh, and none either when it is asked again.
func TestRefreshNeedsItsRoots(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f fixture) error{
		"installation": func(f fixture) error {
			return f.store.RemoveInstallation(f.t.Context(), operator, "", f.installation.ID)
		},
		"user": func(f fixture) error { return f.store.SetUserDisabled(f.t.Context(), operator, f.user.ID, true) },
		"membership": func(f fixture) error {
			return f.store.RemoveMember(f.t.Context(), operator, f.installation.AccountID, f.user.ID)
		},
		"app": func(f fixture) error { return f.store.SetAppSuspended(f.t.Context(), operator, f.app.ID, true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			info := f.grant("contacts")
			f.must(end(f))
			for range 2 {
				_, err := f.refresh(info.GetRefresh(), "")
				wantCode(t, err, issuer.InvalidGrant)
			}
			events, err := f.store.Events(t.Context(), store.EventFilter{Kind: store.EventFamilyEnded})
			f.must(err)
			if len(events) != 0 {
				t.Error("a refused refresh counts as reuse")
			}
		})
	}
}
