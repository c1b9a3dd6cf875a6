package storetest

import (
	"testing"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// newUnverified makes a user who has signed up, with an account.
func newUnverified(t *testing.T, st store.Store) (store.User, store.Account) {
	t.Helper()
	u, a := NewUser(t, st)
	no(t, st.DeleteUser(t.Context(), operator, u.ID))
	u.ID, u.Email, u.EmailVerifiedAt = u.ID[:20]+"0000", "unverified"+u.Email, time.Time{}
	a.ID = a.ID[:len(a.ID)-2] + "00"
	no(t, st.CreateUser(t.Context(), as(u), u, a))
	return u, a
}

// testUnverified: an address that is not verified gives no membership; verifying it, a reset and a take-over end all
// credentials and count them; a deleted user's address is free only if it was never verified.
func testUnverified(t *testing.T, st store.Store) {
	ctx := t.Context()
	_, elsewhere := NewUser(t, st)
	u, account := newUnverified(t, st)
	wants(t, st.AddMember(ctx, operator, elsewhere.ID, u.ID, scope.RoleAgent), store.ErrUnverified)
	wants(t, st.AddMember(ctx, operator, elsewhere.ID, "000000000000000000000000", scope.RoleAgent), store.ErrNotFound)

	fill := func() {
		t.Helper()
		current, err := st.UserByID(ctx, u.ID)
		no(t, err)
		newSession(t, st, u)
		NewUserPair(t, st, current, account.ID)
		NewAPIKey(t, st, account.ID, "")
		NewAPIKey(t, st, account.ID, u.ID, scope.RoleAgent)
	}
	fill()
	name, address := "Another name", "another"+u.Email
	ended, err := st.EditUser(ctx, operator, u.ID, store.UserEdit{Name: &name, Email: &address})
	no(t, err)
	equal(t, "ended by an edit that verifies nothing", ended, store.EndedCredentials{})
	ended, err = st.ResetUserPassword(ctx, operator, u.ID, "$argon2id$a", store.PasswordReset{})
	no(t, err)
	equal(t, "ended by a reset without a verified address", ended, store.EndedCredentials{Sessions: 1, UserTokens: 1, Keys: 2})
	fill()
	ended, err = st.EditUser(ctx, operator, u.ID, store.UserEdit{VerifyEmail: true})
	no(t, err)
	equal(t, "ended by the verification", ended, store.EndedCredentials{Sessions: 1, UserTokens: 1, Keys: 2})
	got, err := st.UserByEmail(ctx, address)
	no(t, err)
	equal(t, "name", got.Name, name)
	equal(t, "verified", got.EmailVerifiedAt.IsZero(), false)
	fill()
	ended, err = st.EditUser(ctx, operator, u.ID, store.UserEdit{VerifyEmail: true})
	no(t, err)
	equal(t, "ended by another verification", ended, store.EndedCredentials{})
	ended, err = st.ResetUserPassword(ctx, operator, u.ID, "$argon2id$b", store.PasswordReset{})
	no(t, err)
	equal(t, "ended by a reset with a verified address", ended, store.EndedCredentials{Sessions: 1, UserTokens: 1})
	ended, err = st.ResetUserPassword(ctx, operator, u.ID, "$argon2id$c", store.PasswordReset{EndCredentials: true})
	no(t, err)
	equal(t, "ended where that was asked for", ended, store.EndedCredentials{Keys: 2})

	next, nextAccount := newUnverified(t, st)
	next.Email, next.ID, nextAccount.ID = address, next.ID[:20]+"1111", nextAccount.ID[:len(nextAccount.ID)-2]+"11"
	_, err = st.TakeOverEmail(ctx, operator, address, next, nextAccount)
	wants(t, err, store.ErrConflict)
	_, err = st.EditUser(ctx, operator, u.ID, store.UserEdit{Email: &name})
	no(t, err)
	got, err = st.UserByID(ctx, u.ID)
	no(t, err)
	equal(t, "another address is verified", got.EmailVerifiedAt.IsZero(), true)
	_, err = st.EditUser(ctx, operator, u.ID, store.UserEdit{Email: &address})
	no(t, err)
	_, err = st.TakeOverEmail(ctx, operator, address, next, nextAccount)
	no(t, err)
	got, err = st.UserByEmail(ctx, address)
	no(t, err)
	equal(t, "whose address", got.ID, next.ID)
	_, err = st.UserByID(ctx, u.ID)
	wants(t, err, store.ErrNotFound)
	_, err = st.AccountByID(ctx, account.ID)
	wants(t, err, store.ErrNotFound)
}
