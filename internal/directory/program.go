package directory

import (
	"context"
	"errors"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// ErrSecondFactor: the password was right, but this user also needs a second factor.
var ErrSecondFactor = errors.New("this user logs in with a second factor, which a program cannot provide")

// LogInProgram is LogIn for a program, which cannot show a page for a second factor (POST /v2/auth/token). Errors as LogIn, and
// ErrSecondFactor.
func (d *Directory) LogInProgram(ctx context.Context, email, password string) (store.User, error) {
	u, err := d.LogIn(ctx, email, password)
	if err != nil {
		return store.User{}, err
	}
	if needsSecondFactor(u) {
		return store.User{}, ErrSecondFactor
	}
	return u, nil
}

// needsSecondFactor is the one place that prevents a password from bypassing a second factor (docs/battery.md, J5, L6). Second
// factors do not exist yet. When a user turns one on, everything that the password alone opened must end, including families of
// user tokens, as after a change of the password.
func needsSecondFactor(store.User) bool { return false }

// revokeUserToken ends the family of a user token or of its refresh token. Neither signature nor expiry is checked: the
// hash of the whole text proves it.
func (d *Directory) revokeUserToken(ctx context.Context, by store.Principal, text string) error {
	var id secret.ID
	var proven func(store.UserAccess) bool
	if refresh, ok := secret.ParseUserRefresh(text); ok {
		id = refresh.ID
		proven = func(a store.UserAccess) bool {
			return refresh.Matches(a.Hash) && refresh.UserID == a.Owner.UserID
		}
	} else if claimed, ok := secret.ParseUserToken(text); ok {
		id = claimed
		proven = func(a store.UserAccess) bool { return secret.MatchesUserToken(text, a.TokenHash) }
	} else {
		return store.ErrNotFound
	}
	a, err := d.store.UserRefreshByID(ctx, store.LookupID(id))
	if err != nil {
		return err
	}
	if !proven(a) {
		return store.ErrNotFound
	}
	return d.store.EndUserFamily(ctx, by, a.Family, "revoked by the operator")
}
