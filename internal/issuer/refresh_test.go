package issuer_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// TestScopeSpelling: a token answer spells scopes as they were requested, the token carries the canonical names, and a refresh
// keeps the spelling until it requests another one.
func TestScopeSpelling(t *testing.T) {
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

// TestRefreshScope: a refresh may ask for less than was granted, by any name, and later for everything again, but never for
// more. A refused refresh leaves the token usable.
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

// TestRefreshWithdrawnScope: after the app has removed a scope, a refresh for the whole grant is refused and a refresh for the
// remaining scopes works; once the scope is registered again, so does the whole grant.
func TestRefreshWithdrawnScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	info := f.grant("contacts widgets")
	setScopes := func(names string) {
		app, err := f.store.AppByID(t.Context(), f.app.ID)
		f.must(err)
		app.Scopes = f.set(names)
		f.must(f.store.UpdateApp(t.Context(), operator, app, ""))
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

// same reports whether two answers are equal.
func same(a, b oauth2.TokenInfo) bool {
	return a.GetAccess() == b.GetAccess() && a.GetRefresh() == b.GetRefresh() && a.GetScope() == b.GetScope() && a.GetAccessExpiresIn() == b.GetAccessExpiresIn()
}

// endGrace ends the grace of all rotations.
func (f fixture) endGrace() {
	f.t.Helper()
	dbtest.Exec(f.t, f.store, `UPDATE refresh_tokens SET sealed_until = sealed_until - $1 WHERE rotated_at IS NOT NULL`, (10 * time.Second).Microseconds())
}

// TestRefreshRepeated: a refresh token whose successor is unused is presented again. The same request within the grace gets
// the same answer; a later request, and a request for something else, gets a new pair as requested, and the unused successor
// is refused from then on without ending anything. Once the successor was used, the old token ends the family.
func TestRefreshRepeated(t *testing.T) {
	t.Parallel()
	none := func(fixture, oauth2.TokenInfo, oauth2.TokenInfo) {}
	late := func(f fixture, _, _ oauth2.TokenInfo) { f.endGrace() }
	use := func(f fixture, _, second oauth2.TokenInfo) {
		_, err := f.refresh(second.GetRefresh(), "")
		f.must(err)
	}
	for name, c := range map[string]struct {
		before    func(f fixture, first, second oauth2.TokenInfo)
		scope     string
		resources []string
		want      string // same answer, another pair, or end of the family
		granted   string // scope of another pair
	}{
		"at once":                 {none, "contacts", []string{apiOne}, "same", ""},
		"another scope":           {none, "contacts widgets", []string{apiOne}, "another", "contacts widgets"},
		"the same in other words": {none, "", []string{apiOne}, "another", "contacts widgets"},
		"another resource":        {none, "contacts", []string{apiTwo}, "another", "contacts"},
		"no resource":             {none, "contacts", nil, "another", "contacts"},
		"late":                    {late, "contacts", []string{apiOne}, "another", "contacts"},
		"late, another scope":     {late, "widgets", nil, "another", "widgets"},
		"after the successor":     {use, "contacts", []string{apiOne}, "end", ""},
		"late, after the successor": {func(f fixture, first, second oauth2.TokenInfo) {
			use(f, first, second)
			f.endGrace()
		}, "contacts", []string{apiOne}, "end", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			first := f.grant("contacts widgets", apiOne, apiTwo)
			second, err := f.refresh(first.GetRefresh(), "contacts", apiOne)
			f.must(err)
			c.before(f, first, second)
			again, err := f.refresh(first.GetRefresh(), c.scope, c.resources...)
			if c.want == "end" {
				wantCode(t, err, issuer.InvalidGrant)
				for _, token := range []oauth2.TokenInfo{first, second} {
					f.wantLive(token.GetAccess(), false)
					_, err = f.refresh(token.GetRefresh(), "")
					wantCode(t, err, issuer.InvalidGrant)
				}
				f.wantFamilyEnds(1)
				return
			}
			f.must(err)
			if same(again, second) != (c.want == "same") {
				t.Fatalf("the same answer: %t, want %s", same(again, second), c.want)
			}
			if c.want == "another" {
				if got := f.access(again.GetAccess()).Scope.String(); got != c.granted {
					t.Errorf("scope = %q, want %q", got, c.granted)
				}
				for range 2 {
					_, err = f.refresh(second.GetRefresh(), "")
					wantCode(t, err, issuer.InvalidGrant)
					if errors.Is(err, issuer.ErrUnknown) {
						t.Error("a replaced token counts as a guess")
					}
				}
			}
			for _, token := range []oauth2.TokenInfo{first, second, again} {
				f.wantLive(token.GetAccess(), true)
			}
			_, err = f.refresh(again.GetRefresh(), "")
			f.must(err)
			f.wantFamilyEnds(0)
		})
	}
}

// wantFamilyEnds asserts how many families have ended according to the audit trail.
func (f fixture) wantFamilyEnds(want int) {
	f.t.Helper()
	events, err := f.store.Events(f.t.Context(), store.EventFilter{Kind: store.EventFamilyEnded})
	f.must(err)
	if len(events) != want {
		f.t.Errorf("%d families were ended, want %d", len(events), want)
	}
}

// TestRefreshLostAnswers: a client may lose any number of answers, days apart. Every replaced token stays refused, also after
// later rotations, and only a token whose successor was used ends the family. An expired token is refused and ends nothing.
func TestRefreshLostAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{RefreshLifetime: time.Hour})
	first := f.grant("contacts")
	var lost []oauth2.TokenInfo
	for range 4 {
		next, err := f.refresh(first.GetRefresh(), "")
		f.must(err)
		f.endGrace()
		lost = append(lost, next)
	}
	last := lost[3]
	refused := func(tokens ...oauth2.TokenInfo) {
		t.Helper()
		for _, token := range tokens {
			_, err := f.refresh(token.GetRefresh(), "")
			wantCode(t, err, issuer.InvalidGrant)
		}
	}
	refused(lost[:3]...)

	// The token that can still be used expires before its successor.
	hour := time.Hour.Microseconds()
	dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = expires_at - $1 WHERE previous_id IS NULL`, hour)
	refused(first)
	dbtest.Exec(t, f.store, `UPDATE refresh_tokens SET expires_at = expires_at + $1 WHERE previous_id IS NULL`, hour)
	f.wantFamilyEnds(0)

	next, err := f.refresh(last.GetRefresh(), "")
	f.must(err)
	refused(lost[:3]...)
	f.wantLive(next.GetAccess(), true)
	f.wantFamilyEnds(0)
	refused(first, last, next)
	f.wantLive(next.GetAccess(), false)
	f.wantFamilyEnds(1)
}

// TestRefreshGrace_OtherApp: another app that holds the rotated token gets no answer and ends nothing.
func TestRefreshGrace_OtherApp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	other := f.addApp(f.installation.AccountID)
	first := f.grant("contacts")
	second, err := f.refresh(first.GetRefresh(), "")
	f.must(err)
	for _, token := range []string{first.GetRefresh(), second.GetRefresh()} {
		_, err := f.as(other).RefreshAccessToken(t.Context(), &oauth2.TokenGenerateRequest{ClientID: other.ID, Refresh: token})
		wantCode(t, err, issuer.InvalidGrant)
	}
	f.wantLive(second.GetAccess(), true)
	_, err = f.refresh(second.GetRefresh(), "")
	f.must(err)
}

// TestRefreshRace: of 50 equal concurrent refreshes one rotates, and all get its answer, whether the token is current or was
// rotated earlier and its successor is unused. Of 50 different ones each is answered as requested. In either case one of the
// returned tokens is current afterwards, and the family lives.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rotated, differ bool }{
		"equal": {}, "different": {differ: true}, "equal, rotated before": {rotated: true}, "different, rotated before": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, issuer.Options{})
			first := f.grant("contacts widgets")
			if c.rotated {
				_, err := f.refresh(first.GetRefresh(), "")
				f.must(err)
				f.endGrace()
			}
			answers, faults := make([]oauth2.TokenInfo, 50), make([]error, 50)
			var all sync.WaitGroup
			for i := range answers {
				asked := ""
				if c.differ && i%2 == 1 {
					asked = "contacts"
				}
				all.Go(func() { answers[i], faults[i] = f.refresh(first.GetRefresh(), asked) })
			}
			all.Wait()
			distinct, good := map[string]bool{}, 0
			for i, a := range answers {
				if faults[i] != nil {
					t.Fatalf("request %d: %v", i, faults[i])
				}
				if distinct[a.GetRefresh()] {
					continue
				}
				distinct[a.GetRefresh()] = true
				presented, _ := secret.Format{}.Parse(a.GetRefresh())
				row, _, err := f.store.RefreshByID(t.Context(), presented.ID)
				f.must(err)
				if row.RotatedAt.IsZero() {
					good++
				}
			}
			if good != 1 || !c.differ && len(distinct) != 1 {
				t.Fatalf("%d different answers, %d of them current", len(distinct), good)
			}
			f.wantLive(first.GetAccess(), true)
			f.wantFamilyEnds(0)
		})
	}
}

// TestRefreshLifetime: the lifetime starts again with each rotation. An expired token is refused without ending the family, whose
// access token stays valid.
func TestRefreshLifetime(t *testing.T) {
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

// TestRefresh_EndedRoots: after the end of something that the family depends on, every refresh is refused, and the refusals
// do not count as reuse.
func TestRefresh_EndedRoots(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f fixture) error{
		"installation": func(f fixture) error {
			return f.store.RemoveInstallation(f.t.Context(), operator, f.installation.ID)
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
