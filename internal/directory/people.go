package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// SignUpForm holds the fields of the sign-up form. An empty name becomes the part of the address before the @.
type SignUpForm struct {
	Name     string
	Email    string
	Password string
}

// NewUser holds the fields of a user whom the operator adds.
type NewUser struct {
	Email    string
	Name     string // "" as in SignUpForm
	Password string
	Operator bool // may use the operator's pages
	TakeOver bool // a user who has the address and has not verified it is removed first, with everything that belongs to that user
}

// SignUp creates a user and an account of which the user is the admin. It returns FieldErrors with all faults (an address
// that is or was taken is one), or ErrSignUpClosed.
func (d *Directory) SignUp(ctx context.Context, by store.Principal, f SignUpForm) (store.User, error) {
	if err := by.Permitted(); err != nil {
		return store.User{}, err
	}
	if !d.options.SignUpOpen {
		return store.User{}, ErrSignUpClosed
	}
	u, _, err := d.AddUser(ctx, by, NewUser{Email: f.Email, Name: f.Name, Password: f.Password})
	var taken *EmailTakenError
	if errors.As(err, &taken) {
		return store.User{}, FieldErrors{"email": "This e-mail address is already in use. Log in, or use another one."}
	}
	return u, err
}

// AddUser is SignUp whether or not sign-up is open, and also returns the account. An address that is or was
// taken is *EmailTakenError. The address is verified if the operator adds the user, and not if the user signs up.
func (d *Directory) AddUser(ctx context.Context, by store.Principal, n NewUser) (store.User, store.Account, error) {
	if err := by.Permitted(); err != nil {
		return store.User{}, store.Account{}, err
	}
	faults := FieldErrors{}
	email, err := NormalizeEmail(n.Email)
	if err != nil {
		faults.add("email", err.Error())
	}
	if isBotEmail(email) {
		faults.add("email", "E-mail addresses of this form are reserved for bots.")
	}
	name, fault := cleanName(n.Name, maxPersonName)
	if name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if fault == "" && !by.IsOperator() {
		if fault, err = d.imitationFault(ctx, name); err != nil {
			return store.User{}, store.Account{}, err
		}
	}
	faults.add("name", fault)
	if err := secret.CheckNewPassword(n.Password, email, name); err != nil {
		faults.add("password", err.Error())
	}
	if err := faults.orNil(); err != nil {
		return store.User{}, store.Account{}, err
	}
	if !n.TakeOver {
		if err := d.olderSpelling(ctx, email); err != nil {
			return store.User{}, store.Account{}, err
		}
	}
	phc, err := d.passwords.Hash(secret.WithAccount(ctx, email), n.Password)
	if err != nil {
		return store.User{}, store.Account{}, fmt.Errorf("hash the password of a new user: %w", err)
	}
	now := d.store.Now()
	u := store.User{ID: secret.NewUserID(), Email: email, Name: name, Password: phc, Operator: n.Operator, CreatedAt: now, PasswordAt: now}
	if by.IsOperator() {
		u.EmailVerifiedAt = now
	}
	a := store.Account{ID: secret.NewPublicID("acc_"), Name: name, Plan: d.options.DefaultPlan, CreatedAt: now}
	if n.TakeOver {
		err = d.takeOver(ctx, by, u, a)
	} else {
		err = d.store.CreateUser(ctx, by, u, a)
	}
	if errors.Is(err, store.ErrConflict) {
		return store.User{}, store.Account{}, d.emailTaken(ctx, email)
	}
	if err != nil {
		return store.User{}, store.Account{}, fmt.Errorf("add user: %w", err)
	}
	return u, a, nil
}

// takeOver creates a user after removing the one who has the address without having verified it.
func (d *Directory) takeOver(ctx context.Context, by store.Principal, u store.User, a store.Account) error {
	held := u.Email
	holder, err := d.userByEmail(ctx, u.Email)
	if err == nil {
		held = holder.Email
	} else if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("who has the e-mail address: %w", err)
	}
	if err == nil && (holder.Bot || !holder.EmailVerifiedAt.IsZero()) {
		return store.ErrConflict
	}
	_, err = d.store.TakeOverEmail(ctx, by, held, u, a)
	return err
}

// userByEmail finds the user of a normalised address in any of its stored spellings.
func (d *Directory) userByEmail(ctx context.Context, address string) (u store.User, err error) {
	for _, spelling := range EmailSpellings(address) {
		if u, err = d.store.UserByEmail(ctx, spelling); !errors.Is(err, store.ErrNotFound) {
			return u, err
		}
	}
	return u, err
}

// olderSpelling refuses an address that a user of an older version has in its other spelling, which no constraint of the
// database can see.
func (d *Directory) olderSpelling(ctx context.Context, address string) error {
	for _, spelling := range EmailSpellings(address)[1:] {
		_, err := d.store.UserByEmail(ctx, spelling)
		if err == nil {
			return d.emailTaken(ctx, address)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("who has the e-mail address: %w", err)
		}
	}
	return nil
}

// emailTaken returns the error for an address that the store refused: it is in use, or was in use by a removed user.
func (d *Directory) emailTaken(ctx context.Context, email string) error {
	u, err := d.userByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("who has the e-mail address: %w", err)
	}
	taken := &EmailTakenError{Email: email, Removed: err != nil}
	if err == nil && !u.Bot && u.EmailVerifiedAt.IsZero() {
		taken.Unverified = &u
	}
	return taken
}

// LogIn returns the enabled user with that e-mail address and password, or ErrCredentials. Every failure does the same work, so
// that neither the answer nor its time reveals which addresses exist (docs/battery.md, L1). A password that no user can have is
// refused before any work, as FieldErrors (L3). A hash of an older cost, or of text that was not normalised, is replaced.
func (d *Directory) LogIn(ctx context.Context, email, password string) (store.User, error) {
	if err := secret.CheckPassword(password); err != nil {
		return store.User{}, FieldErrors{"password": err.Error()}
	}
	// A malformed address is looked up as well: skipping the look-up would answer sooner.
	address, malformed := NormalizeEmail(email)
	ctx = secret.WithAccount(ctx, address)
	u, err := d.userByEmail(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, fmt.Errorf("log in: %w", err)
	}
	if err != nil || malformed != nil {
		if err := d.passwords.VerifyDummy(ctx, password); err != nil {
			return store.User{}, fmt.Errorf("log in: %w", err)
		}
		return store.User{}, ErrCredentials
	}
	ok, rehash, err := d.passwords.Verify(ctx, u.Password, password)
	if err != nil {
		return store.User{}, fmt.Errorf("log in user %s: %w", u.ID, err)
	}
	if !ok || !u.DisabledAt.IsZero() {
		return store.User{}, ErrCredentials
	}
	if rehash {
		if err := d.rehash(ctx, u, password); err != nil {
			return store.User{}, fmt.Errorf("log in user %s: %w", u.ID, err)
		}
	}
	return u, nil
}

// rehash stores the proven password with the current cost. It is no error if the password was changed in between.
func (d *Directory) rehash(ctx context.Context, u store.User, password string) error {
	phc, err := d.passwords.Hash(ctx, password)
	var refused *secret.PasswordError
	if errors.As(err, &refused) {
		return nil // chosen under older rules; it stays valid
	}
	if err != nil {
		return err
	}
	err = d.store.RehashPassword(ctx, u.ID, u.Password, phc)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// ChangePassword replaces the password of u, who must prove the current one; FieldErrors name the faulty one of the two.
// All sessions of the user end but the one named keep (nil: none), and so do unredeemed codes.
func (d *Directory) ChangePassword(ctx context.Context, by store.Principal, u store.User, current, next string, keep []byte) error {
	if err := selfOnly(by, u.ID); err != nil {
		return err
	}
	faults := FieldErrors{}
	if err := secret.CheckNewPassword(next, u.Email, u.Name); err != nil {
		faults.add("password", err.Error())
	}
	ctx = secret.WithAccount(ctx, u.Email)
	err := d.changePassword(ctx, by, u, current, next, keep, faults)
	if !errors.Is(err, errNotCurrent) {
		return err
	}
	stored, err := d.store.UserByID(ctx, u.ID) // another request may have changed the password since u was loaded
	if err != nil {
		return fmt.Errorf("change password of user %s: %w", u.ID, err)
	}
	if stored.Password != u.Password {
		if err := d.changePassword(ctx, by, stored, current, next, keep, faults); !errors.Is(err, errNotCurrent) {
			return err
		}
	}
	repeated, err := d.repeatsChange(ctx, stored, next)
	if err != nil || repeated {
		return err
	}
	faults.add("current_password", "The current password is incorrect.")
	return faults
}

// errNotCurrent: a password is not the one that is stored.
var errNotCurrent = errors.New("not the current password")

// changePassword changes the password of u if current is the one that u was loaded with and that is still stored; else the
// error is errNotCurrent.
func (d *Directory) changePassword(ctx context.Context, by store.Principal, u store.User, current, next string, keep []byte, faults FieldErrors) error {
	ok, err := d.proves(ctx, u, current)
	if err != nil {
		return fmt.Errorf("change password of user %s: %w", u.ID, err)
	}
	if !ok {
		return errNotCurrent
	}
	if err := faults.orNil(); err != nil {
		return err
	}
	err = d.setPassword(ctx, by, u, next, keep)
	if errors.Is(err, store.ErrConflict) {
		return errNotCurrent
	}
	return err
}

// repeatTime is how long after a change of the password the same form counts as a second click.
const repeatTime = time.Minute

// repeatsChange reports whether the password was just changed to next, so that there is nothing left to do.
func (d *Directory) repeatsChange(ctx context.Context, stored store.User, next string) (bool, error) {
	if d.store.Now().Sub(stored.PasswordAt) > repeatTime {
		return false, nil
	}
	same, err := d.proves(ctx, stored, next)
	if err != nil {
		return false, fmt.Errorf("change password of user %s: %w", stored.ID, err)
	}
	return same, nil
}

// proves reports whether password is the password of u. A text that no password can have is wrong here.
func (d *Directory) proves(ctx context.Context, u store.User, password string) (bool, error) {
	if err := secret.CheckPassword(password); err != nil {
		return false, nil
	}
	ok, _, err := d.passwords.Verify(ctx, u.Password, password)
	return ok, err
}

func (d *Directory) setPassword(ctx context.Context, by store.Principal, u store.User, next string, keep []byte) error {
	phc, err := d.passwords.Hash(ctx, next)
	if err != nil {
		return fmt.Errorf("hash the new password of user %s: %w", u.ID, err)
	}
	if err := d.store.SetUserPassword(ctx, by, u.ID, u.Password, phc, keep); err != nil {
		return fmt.Errorf("set password of user %s: %w", u.ID, err)
	}
	return nil
}

// Rename changes the name of a user; FieldErrors if the name is refused.
func (d *Directory) Rename(ctx context.Context, by store.Principal, userID, name string) error {
	if !by.IsOperator() {
		if err := selfOnly(by, userID); err != nil {
			return err
		}
	}
	name, fault := cleanName(name, maxPersonName)
	if fault == "" && name == "" {
		fault = "Enter a name."
	}
	if fault == "" && !by.IsOperator() {
		var err error
		if fault, err = d.personImitates(ctx, userID, name); err != nil {
			return err
		}
	}
	if fault != "" {
		return FieldErrors{"name": fault}
	}
	if err := d.store.SetUserName(ctx, by, userID, name); err != nil {
		return fmt.Errorf("rename user %s: %w", userID, err)
	}
	return nil
}

// personImitates is imitationFault for a user, whose name may be that of an app of their own accounts.
func (d *Directory) personImitates(ctx context.Context, userID, name string) (string, error) {
	members, err := d.store.MembersByUser(ctx, userID)
	if err != nil {
		return "", fmt.Errorf("list accounts of user %s: %w", userID, err)
	}
	var accounts []string
	for _, m := range members {
		accounts = append(accounts, m.AccountID)
	}
	return d.imitationFault(ctx, name, accounts...)
}

// ResolveUser finds a user by e-mail address or id, for the operator. NotFoundError if there is none.
func (d *Directory) ResolveUser(ctx context.Context, by store.Principal, emailOrID string) (store.User, error) {
	if err := operatorOnly(by); err != nil {
		return store.User{}, err
	}
	return d.resolveUser(ctx, emailOrID)
}

func (d *Directory) resolveUser(ctx context.Context, emailOrID string) (store.User, error) {
	ref := strings.TrimSpace(emailOrID)
	var u store.User
	err := error(store.ErrNotFound)
	if secret.ValidUserID(ref) {
		u, err = d.store.UserByID(ctx, ref)
	} else if email, malformed := NormalizeEmail(ref); malformed == nil {
		u, err = d.userByEmail(ctx, email)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, &NotFoundError{What: "user", Ref: ref}
	}
	if err != nil {
		return store.User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// ResolveAccount finds an account for the operator, by its id or by the e-mail address of a user who has only that account.
// NotFoundError if there is none, *SeveralAccountsError if the user has several.
func (d *Directory) ResolveAccount(ctx context.Context, by store.Principal, ref string) (store.Account, error) {
	if err := operatorOnly(by); err != nil {
		return store.Account{}, err
	}
	ref = strings.TrimSpace(ref)
	id := ref
	if strings.Contains(ref, "@") {
		u, err := d.resolveUser(ctx, ref)
		if err != nil {
			return store.Account{}, err
		}
		members, err := d.store.MembersByUser(ctx, u.ID)
		if err != nil {
			return store.Account{}, fmt.Errorf("find the account of %s: %w", u.Email, err)
		}
		if len(members) > 1 {
			return store.Account{}, &SeveralAccountsError{Email: u.Email, Accounts: members}
		}
		if len(members) == 0 {
			return store.Account{}, &NotFoundError{What: "account of", Ref: u.Email}
		}
		id = members[0].AccountID
	}
	if !secret.ValidPublicID("acc_", id) {
		return store.Account{}, &NotFoundError{What: "account", Ref: ref}
	}
	a, err := d.store.AccountByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Account{}, &NotFoundError{What: "account", Ref: ref}
	}
	if err != nil {
		return store.Account{}, fmt.Errorf("find account: %w", err)
	}
	return a, nil
}
