package issuer_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"xenoauth/internal/dbtest"
	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

var program = store.VisitorPrincipal("192.0.2.1")

func (f fixture) pair() issuer.UserPair {
	f.t.Helper()
	u, err := f.store.UserByID(f.t.Context(), f.user.ID)
	f.must(err)
	p, err := f.NewUserPair(f.t.Context(), program, u, store.LookupID{}, "")
	f.must(err)
	return p
}

func (f fixture) again(p issuer.UserPair) (issuer.UserPair, error) {
	return f.RefreshUserPair(f.t.Context(), program, issuer.UserRefreshRequest{Token: secret.Text(p.RefreshToken), UserID: f.user.ID})
}

// TestUserRefresh: within the grace a rotated token gets the same answer. After it, while the successor is unused, it gets a new
// pair; the unused successor is then refused and ends nothing, and its access token stays valid. Once the successor was used,
// the old token ends the family.
func TestUserRefresh(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	first := f.pair()
	second, err := f.again(first)
	f.must(err)
	same, err := f.again(first)
	f.must(err)
	if same != second || second == first {
		t.Error("the same request has another answer")
	}
	dbtest.Exec(t, f.store, `UPDATE user_refresh_tokens SET sealed_until = created_at WHERE sealed_until IS NOT NULL`)
	third, err := f.again(first)
	f.must(err)
	if same, err := f.again(first); err != nil || same != third || third == second {
		t.Errorf("the request after the grace, and the same again: another pair, error %v", err)
	}
	for range 2 {
		_, err = f.again(second)
		wantCode(t, err, issuer.InvalidGrant)
		if errors.Is(err, issuer.ErrUnknown) {
			t.Error("a replaced token counts as a guess")
		}
	}
	last, err := f.again(third)
	f.must(err)
	_, err = f.again(first)
	wantCode(t, err, issuer.InvalidGrant)
	if errors.Is(err, issuer.ErrUnknown) {
		t.Error("a reused token counts as a guess")
	}
	_, err = f.again(last)
	wantCode(t, err, issuer.InvalidGrant)
}

// TestUserRefreshRefused: a caller that is not the user, and text that is not a refresh token, get the same answer and change
// nothing, whether the token is current or was rotated.
func TestUserRefreshRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	current, rotated := f.pair(), f.pair()
	_, err := f.again(rotated)
	f.must(err)
	dbtest.Exec(t, f.store, `UPDATE user_refresh_tokens SET sealed_until = created_at WHERE sealed_until IS NOT NULL`)
	text := secret.Text(current.RefreshToken)
	var answers []string
	for name, r := range map[string]issuer.UserRefreshRequest{
		"no user": {Token: text}, "another user": {Token: text, UserID: secret.NewUserID()}, "another address": {Token: text, Email: "x@users.test"},
		"both, one wrong": {Token: text, UserID: f.user.ID, Email: "x@users.test"}, "rotated, another user": {Token: secret.Text(rotated.RefreshToken), UserID: secret.NewUserID()},
		"an access token": {Token: secret.Text(current.Token), UserID: f.user.ID}, "empty": {UserID: f.user.ID},
		"unknown": {Token: secret.Text(secret.NewUserRefresh(f.user.ID).Reveal()), UserID: f.user.ID},
	} {
		_, err := f.RefreshUserPair(t.Context(), program, r)
		wantCode(t, err, issuer.InvalidGrant)
		if !errors.Is(err, issuer.ErrUnknown) {
			t.Errorf("%s does not count as a guess: %v", name, err)
		}
		var refusal *issuer.Error
		if errors.As(err, &refusal) {
			answers = append(answers, refusal.Description)
		}
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers %q and %q", a, answers[0])
		}
	}
	_, err = f.again(current)
	f.must(err)
	events, err := f.store.Events(t.Context(), store.EventFilter{Kind: store.EventUserTokenEnded})
	f.must(err)
	if len(events) != 0 {
		t.Errorf("families were ended: %v", events)
	}
}

// TestUserRefresh_ReuseWhileDisabled: a reuse ends the family even while the user is disabled, so that it stays ended when the
// user is enabled. A token whose successor is unused is refused in that time, within the grace and after it, and ends nothing.
func TestUserRefresh_ReuseWhileDisabled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	first := f.pair()
	second, err := f.again(first)
	f.must(err)
	whileDisabled := func() {
		t.Helper()
		f.must(f.store.SetUserDisabled(t.Context(), operator, f.user.ID, true))
		_, err := f.again(first)
		wantCode(t, err, issuer.InvalidGrant)
		f.must(f.store.SetUserDisabled(t.Context(), operator, f.user.ID, false))
	}
	whileDisabled()
	if again, err := f.again(first); err != nil || again != second {
		t.Errorf("within the grace: another answer, error %v", err)
	}
	dbtest.Exec(t, f.store, `UPDATE user_refresh_tokens SET sealed_until = created_at WHERE sealed_until IS NOT NULL`)
	whileDisabled()
	third, err := f.again(first)
	f.must(err)
	last, err := f.again(third)
	f.must(err)
	whileDisabled()
	_, err = f.again(last)
	wantCode(t, err, issuer.InvalidGrant)
}

// TestUserRefresh_Concurrent: of 50 concurrent requests one rotates, and all get its answer.
func TestUserRefresh_Concurrent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	first := f.pair()
	answers := make([]issuer.UserPair, 50)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			var err error
			if answers[i], err = f.again(first); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Fatal("two answers")
		}
	}
}

// TestNewUserPair_ChangedPassword: a log-in whose password was changed before the token was issued gets none.
func TestNewUserPair_ChangedPassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	before, err := f.store.UserByID(t.Context(), f.user.ID)
	f.must(err)
	f.must(f.store.SetUserPassword(t.Context(), operator, f.user.ID, f.user.Password, "$argon2id$new", nil))
	if _, err := f.NewUserPair(t.Context(), program, before, store.LookupID{}, ""); !errors.Is(err, store.ErrEnded) {
		t.Errorf("with the password before: %v", err)
	}
	if _, err := f.NewUserPair(t.Context(), program, before, secret.NewID(), ""); !errors.Is(err, store.ErrEnded) {
		t.Errorf("with an unknown secret: %v", err)
	}
	f.pair()
}

// TestUserRefresh_Expiry: a refresh token lives for 30 days, counted from its own rotation.
func TestUserRefresh_Expiry(t *testing.T) {
	t.Parallel()
	f := newFixture(t, issuer.Options{})
	p := f.pair()
	age := func(d time.Duration) {
		dbtest.Exec(t, f.store, `UPDATE user_refresh_tokens SET expires_at = expires_at - $1`, d.Microseconds())
	}
	age(30*24*time.Hour - time.Minute)
	next, err := f.again(p)
	f.must(err)
	age(30 * 24 * time.Hour)
	_, err = f.again(next)
	wantCode(t, err, issuer.InvalidGrant)
}
