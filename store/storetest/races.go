package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// contenders is how many goroutines run for one prize.
const contenders = 50

// meetings is how often two things that exclude each other are let loose together.
const meetings = 25

// race runs n functions at the same moment and returns their errors.
func race(n int, run func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneWinner fails the test unless one function succeeded and all others got the sentinel. It returns the winner.
func oneWinner(t *testing.T, errs []error, losers error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("both %d and %d won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, losers):
			t.Fatalf("loser %d: got %v, want %v", i, err, losers)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	return winner
}

func testRaces(t *testing.T, st store.Store) {
	t.Run("one code redeemed 50 times, for tokens", func(t *testing.T) { raceRedeem(t, st, store.NonExpiring, TokenGrant) })
	t.Run("one code redeemed 50 times, for families", func(t *testing.T) { raceRedeem(t, st, store.Expiring, FamilyGrant) })
	t.Run("one refresh token rotated 50 times", func(t *testing.T) { raceRotate(t, st) })
	t.Run("one refresh token rotated again 50 times", func(t *testing.T) { raceReplace(t, st) })
	t.Run("rotation of a successor against its replacement", func(t *testing.T) { raceUse(t, st) })
	t.Run("one request allowed 50 times", func(t *testing.T) { raceInstall(t, st) })
	t.Run("50 requests of one app allowed", func(t *testing.T) { raceInstalls(t, st) })
	t.Run("50 secrets", func(t *testing.T) { raceSecrets(t, st) })
	t.Run("one e-mail address signed up 50 times", func(t *testing.T) { raceUsers(t, st) })
	t.Run("one app updated 50 times", func(t *testing.T) { raceUpdates(t, st) })
	t.Run("one key ensured 50 times", func(t *testing.T) { raceKeys(t, st) })
	t.Run("50 tries on one code", func(t *testing.T) { raceTries(t, st) })
	t.Run("uninstall against issue", func(t *testing.T) { raceUninstall(t, st) })
	t.Run("end of a family against rotation", func(t *testing.T) { raceEndFamily(t, st) })
	t.Run("codes of one installation redeemed together", func(t *testing.T) { raceLimit(t, st) })
	t.Run("50 integration tokens of one key", func(t *testing.T) { raceIntegrations(t, st) })
	t.Run("end of a key against exchange", func(t *testing.T) { raceKeyEnd(t, st) })
	t.Run("one key rotated 50 times", func(t *testing.T) { raceKeyRotation(t, st) })
	t.Run("uses recorded together", func(t *testing.T) { raceUses(t, st) })
}

func raceRedeem(t *testing.T, st store.Store, kind store.TokenKind, newGrant func(store.Store, store.Installation) store.Grant) {
	w := newWorld(t, st)
	c := NewCode(t, st, w.ins)
	grants := make([]store.Grant, contenders)
	for i := range grants {
		grants[i] = newGrant(st, w.ins)
	}
	winner := oneWinner(t, race(contenders, func(i int) error { return st.Redeem(t.Context(), c.ID, grants[i], 25) }), store.ErrConsumed)
	for i, g := range grants {
		if i == winner {
			equal(t, "winner's token lives", Live(t, st, kind, g.Token.ID), true)
			continue
		}
		_, err := st.AccessByID(t.Context(), kind, g.Token.ID)
		wants(t, err, store.ErrNotFound)
	}
	no(t, st.EndCode(t.Context(), system, c.ID))
	equal(t, "winner's token lives after the replay", Live(t, st, kind, grants[winner].Token.ID), false)
}

func raceInstall(t *testing.T, st store.Store) {
	u, account := NewUser(t, st)
	app, _ := NewApp(t, st, account.ID, nil)
	approval := NewApproval(t, st, u, account.ID, app.ID, Scopes(t, "widgets"))
	oneWinner(t, race(contenders, func(int) error {
		a := approval
		a.Installation.ID = secret.NewPublicID("ins_")
		_, err := st.Install(t.Context(), as(u), a)
		return err
	}), store.ErrConsumed)
	_, live, err := st.ConsentAccounts(t.Context(), u.ID, app.ID)
	no(t, err)
	equal(t, "installations", len(live), 1)
}

func raceInstalls(t *testing.T, st store.Store) {
	u, account := NewUser(t, st)
	app, _ := NewApp(t, st, account.ID, nil)
	names := app.Scopes.Slice()
	approvals := make([]store.Approval, contenders)
	for i := range approvals {
		approvals[i] = NewApproval(t, st, u, account.ID, app.ID, Scopes(t, names[i%len(names)]))
	}
	installed := make([]string, contenders)
	for _, err := range race(contenders, func(i int) error {
		ins, err := st.Install(t.Context(), as(u), approvals[i])
		installed[i] = ins.ID
		return err
	}) {
		no(t, err)
	}
	_, live, err := st.ConsentAccounts(t.Context(), u.ID, app.ID)
	no(t, err)
	equal(t, "installations", len(live), 1)
	equal(t, "scopes", live[0].Scopes.String(), app.Scopes.String())
	sameList(t, "what each was told", slices.Compact(installed), []string{live[0].ID})
}

func raceSecrets(t *testing.T, st store.Store) {
	_, account := NewUser(t, st)
	app, _ := NewApp(t, st, account.ID, nil)
	oneWinner(t, race(contenders, func(int) error {
		return st.AddSecret(t.Context(), operator, NewSecret(st, app.ID), time.Time{})
	}), store.ErrLimit)
	list, err := st.SecretsByClient(t.Context(), app.ID)
	no(t, err)
	equal(t, "live secrets", len(list), store.MaxSecrets)
}

func raceUsers(t *testing.T, st store.Store) {
	email := secret.NewUserID() + "@example.org"
	accounts := make([]string, contenders)
	winner := oneWinner(t, race(contenders, func(i int) error {
		u := store.User{ID: secret.NewUserID(), Email: email, CreatedAt: st.Now()}
		accounts[i] = secret.NewPublicID("acc_")
		return st.CreateUser(t.Context(), system, u, store.Account{ID: accounts[i], CreatedAt: st.Now()})
	}), store.ErrConflict)
	for i, id := range accounts {
		if _, err := st.AccountByID(t.Context(), id); i == winner {
			no(t, err)
		} else {
			wants(t, err, store.ErrNotFound)
		}
	}
}

func raceUpdates(t *testing.T, st store.Store) {
	_, account := NewUser(t, st)
	app, _ := NewApp(t, st, account.ID, nil)
	winner := oneWinner(t, race(contenders, func(i int) error {
		change := app
		change.Name = fmt.Sprintf("name %d", i)
		change.RedirectURIs = []string{fmt.Sprintf("https://a.test/%d", i)}
		return st.UpdateApp(t.Context(), operator, change, "")
	}), store.ErrConflict)
	got, err := st.AppByID(t.Context(), app.ID)
	no(t, err)
	equal(t, "name", got.Name, fmt.Sprintf("name %d", winner))
	sameList(t, "redirect URIs", got.RedirectURIs, []string{fmt.Sprintf("https://a.test/%d", winner)})
}

func raceKeys(t *testing.T, st store.Store) {
	keys := make([]string, contenders)
	for _, err := range race(contenders, func(i int) error {
		key, err := st.EnsureKey(t.Context(), "race", fmt.Appendf(nil, "candidate %d", i))
		keys[i] = string(key)
		return err
	}) {
		no(t, err)
	}
	if all := slices.Compact(keys); len(all) != 1 || all[0] == "" {
		t.Fatalf("keys: %q", all)
	}
}

func raceTries(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	c := NewCode(t, st, w.ins)
	for _, err := range race(contenders, func(int) error { return st.FailCode(t.Context(), c.ID) }) {
		no(t, err)
	}
	got, err := st.CodeByID(t.Context(), c.ID)
	no(t, err)
	equal(t, "tries", got.FailedAttempts, contenders)
}

// raceUninstall lets a removal and everything that issues meet, many times: whatever comes first, nothing is live when
// all have returned, and a token that a caller sees issued after the removal returned would be a fault.
func raceUninstall(t *testing.T, st store.Store) {
	for range meetings {
		w := newWorld(t, st)
		token, family := TokenGrant(st, w.ins), FamilyGrant(st, w.ins)
		first, second := NewCode(t, st, w.ins), NewCode(t, st, w.ins)
		late := Code(st, w.ins)
		started := FamilyGrant(st, w.ins)
		Redeem(t, st, w.ins, started)
		rotation := Rotation(st, started, started.Refresh.ID)
		errs := race(5, func(i int) error {
			switch i {
			case 0:
				return st.RemoveInstallation(t.Context(), as(w.user), w.ins.ID)
			case 1:
				return st.Redeem(t.Context(), first.ID, token, 25)
			case 2:
				return st.Redeem(t.Context(), second.ID, family, 25)
			case 3:
				return st.Rotate(t.Context(), rotation)
			default:
				return st.CreateCode(t.Context(), late)
			}
		})
		no(t, errs[0])
		for _, err := range errs[1:] {
			if err != nil {
				wants(t, err, store.ErrEnded)
			}
		}
		dead(t, st, store.NonExpiring, token.Token.ID)
		for _, id := range []store.LookupID{family.Token.ID, started.Token.ID, rotation.Token.ID} {
			dead(t, st, store.Expiring, id)
		}
		if errs[4] == nil {
			wants(t, st.Redeem(t.Context(), late.ID, TokenGrant(st, w.ins), 25), store.ErrEnded)
		}
	}
}

// dead fails the test if the token is good.
func dead(t *testing.T, st store.Store, kind store.TokenKind, id store.LookupID) {
	t.Helper()
	if _, err := st.AccessByID(t.Context(), kind, id); errors.Is(err, store.ErrNotFound) {
		return
	}
	equal(t, "token lives", Live(t, st, kind, id), false)
}

// raceLimit: however codes of one installation are redeemed, the bound holds after the next redemption.
func raceLimit(t *testing.T, st store.Store) {
	w := newWorld(t, st)
	const most = 3
	var codes []store.Code
	grants := make([]store.Grant, contenders)
	for i := range grants {
		codes, grants[i] = append(codes, NewCode(t, st, w.ins)), TokenGrant(st, w.ins)
	}
	for _, err := range race(contenders, func(i int) error { return st.Redeem(t.Context(), codes[i].ID, grants[i], most) }) {
		no(t, err)
	}
	last := TokenGrant(st, w.ins)
	no(t, st.Redeem(t.Context(), NewCode(t, st, w.ins).ID, last, most))
	live := 0
	for _, g := range append(grants, last) {
		if Live(t, st, store.NonExpiring, g.Token.ID) {
			live++
		}
	}
	equal(t, "live tokens", live, most)
	equal(t, "the newest lives", Live(t, st, store.NonExpiring, last.Token.ID), true)
}

// raceUses: writers with the same credentials in any order do not block one another.
func raceUses(t *testing.T, st store.Store) {
	_, account := NewUser(t, st)
	app, first := NewApp(t, st, account.ID, func(a *store.App) { a.Scopes = scope.Set{} })
	now := st.Now()
	var credentials []store.LookupID
	for range 120 {
		credentials = append(credentials, secret.NewID())
	}
	for _, err := range race(10, func(i int) error {
		uses := map[store.LookupID]time.Time{first.ID: now.Add(time.Duration(i) * time.Second)}
		for _, id := range credentials {
			uses[id] = now
		}
		return st.RecordUse(t.Context(), uses)
	}) {
		no(t, err)
	}
	list, err := st.SecretsByClient(t.Context(), app.ID)
	no(t, err)
	equal(t, "latest use", list[0].LastUsedAt, now.Add(9*time.Second))
}
