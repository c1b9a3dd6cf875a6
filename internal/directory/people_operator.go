package directory

import (
	"context"
	"errors"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// SetPassword replaces a password without the old one, for the operator. All log-ins of the user end; with r.EndCredentials, and
// always if the address is not verified, everything that store.EndedCredentials counts ends as well.
func (d *Directory) SetPassword(ctx context.Context, by store.Principal, userID, next string, r store.PasswordReset) (store.EndedCredentials, error) {
	if err := operatorOnly(by); err != nil {
		return store.EndedCredentials{}, err
	}
	u, err := d.store.UserByID(ctx, userID)
	if err != nil {
		return store.EndedCredentials{}, fmt.Errorf("set password of user %s: %w", userID, err)
	}
	if err := secret.CheckNewPassword(next, u.Email, u.Name); err != nil {
		return store.EndedCredentials{}, FieldErrors{"password": err.Error()}
	}
	phc, err := d.passwords.Hash(ctx, next)
	if err != nil {
		return store.EndedCredentials{}, fmt.Errorf("hash the new password of user %s: %w", userID, err)
	}
	ended, err := d.store.ResetUserPassword(ctx, by, userID, phc, r)
	if err != nil {
		return store.EndedCredentials{}, fmt.Errorf("set password of user %s: %w", userID, err)
	}
	return ended, nil
}

// EditUser changes a person, for the operator. FieldErrors hold the faults of the values; an address that is or was
// taken is *EmailTakenError. If the address was not verified before and is now, all credentials of the user end, since another
// person may have created them.
func (d *Directory) EditUser(ctx context.Context, by store.Principal, userID string, e store.UserEdit) (store.EndedCredentials, error) {
	if err := operatorOnly(by); err != nil {
		return store.EndedCredentials{}, err
	}
	faults := FieldErrors{}
	if e.Email != nil {
		email, err := NormalizeEmail(*e.Email)
		if err != nil {
			faults.add("email", err.Error())
		}
		if isBotEmail(email) {
			faults.add("email", "E-mail addresses of this form are reserved for bots.")
		}
		e.Email = &email
	}
	if e.Name != nil {
		name, fault := checkName(*e.Name, "Enter a name.")
		faults.add("name", fault)
		e.Name = &name
	}
	if err := faults.orNil(); err != nil {
		return store.EndedCredentials{}, err
	}
	if e.Email != nil {
		if err := d.olderSpelling(ctx, *e.Email); err != nil {
			return store.EndedCredentials{}, err
		}
	}
	ended, err := d.store.EditUser(ctx, by, userID, e)
	if errors.Is(err, store.ErrConflict) && e.Email != nil {
		return store.EndedCredentials{}, d.emailTaken(ctx, *e.Email)
	}
	if err != nil {
		return store.EndedCredentials{}, fmt.Errorf("edit user %s: %w", userID, err)
	}
	return ended, nil
}
