package directory

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"xenoauth/store"
)

// Refusals that do not belong to one field of a form.
var (
	// ErrCredentials: the e-mail address and password do not belong to an enabled user. It never names the wrong one of the two.
	ErrCredentials = errors.New("incorrect e-mail address or password")
	// ErrSignUpClosed: only the operator adds users here.
	ErrSignUpClosed = errors.New("sign-up is closed: ask the operator to add you")
	// ErrOthersKey: the key acts for another person, and only that person gets a new credential of it. Others can revoke it.
	ErrOthersKey = errors.New("the key acts for another person, so only they can replace it")
	// ErrPublicApp: the app is public, so it cannot have secrets.
	ErrPublicApp = errors.New("the app is public and has no secrets")
)

// FieldErrors are the faults of a form: the name of each faulty field with a sentence about the problem and its fix.
type FieldErrors map[string]string

// Error lists all faults in the order of the field names.
func (e FieldErrors) Error() string {
	parts := make([]string, 0, len(e))
	for _, field := range slices.Sorted(maps.Keys(e)) {
		parts = append(parts, field+": "+e[field])
	}
	return strings.Join(parts, "\n")
}

// add adds a fault; an empty sentence is no fault.
func (e FieldErrors) add(field, sentence string) {
	if sentence != "" {
		e[field] = sentence
	}
}

// orNil returns e as an error, or nil when there are no faults.
func (e FieldErrors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// NotFoundError names the missing object; it is store.ErrNotFound to errors.Is.
type NotFoundError struct {
	What string // "user", "account"
	Ref  string // as it was given
}

// Error is a sentence for the caller.
func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.Ref) }

// Unwrap makes it store.ErrNotFound.
func (e *NotFoundError) Unwrap() error { return store.ErrNotFound }

// SeveralAccountsError is returned for an e-mail address that should identify one account, when its user has several.
type SeveralAccountsError struct {
	Email    string
	Accounts []store.Member // the user's memberships, in the order of joining
}

// Error lists the accounts, so that one of them can be named instead.
func (e *SeveralAccountsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is a member of %d accounts; name one of them:", e.Email, len(e.Accounts))
	for _, m := range e.Accounts {
		fmt.Fprintf(&b, "\n  %s  %s (%s)", m.AccountID, m.AccountName, m.Role)
	}
	return b.String()
}

// EmailTakenError is returned for an address that cannot be given to another user. Only the operator learns whether it is in
// use or belonged to a removed user.
type EmailTakenError struct {
	Email   string
	Removed bool // its user was removed; otherwise it is in use
	// Unverified is the user of the address, if it is not verified; else nil.
	Unverified *store.User
}

// Error is a sentence for the operator.
func (e *EmailTakenError) Error() string {
	if e.Removed {
		return fmt.Sprintf("the e-mail address %s belonged to a removed user and cannot be used again", e.Email)
	}
	if u := e.Unverified; u != nil {
		return fmt.Sprintf("the e-mail address %[1]s is in use by user %[2]s, who signed up with it on %[3]s and has not verified it.\n"+
			"If that is the same person, run \"xenoauth user edit %[2]s --email-verified\". If not, \"xenoauth user add %[1]s --take-over\"\n"+
			"removes that user and everything they own, and gives the address to the new one.",
			e.Email, u.ID, u.CreatedAt.UTC().Format("2 January 2006"))
	}
	return fmt.Sprintf("the e-mail address %s is already in use", e.Email)
}

// Unwrap makes it store.ErrConflict.
func (e *EmailTakenError) Unwrap() error { return store.ErrConflict }

// SecretLimitError is the refusal of a further secret for a client that has store.MaxSecrets active ones; it is
// store.ErrLimit to errors.Is.
type SecretLimitError struct{}

// Error names the limit and the fix.
func (e *SecretLimitError) Error() string {
	return fmt.Sprintf("there are already %d active secrets, the maximum: revoke one first", store.MaxSecrets)
}

// Unwrap makes it store.ErrLimit.
func (e *SecretLimitError) Unwrap() error { return store.ErrLimit }

// KeyLimitError is the refusal of a further key or bot for an account that has the maximum number; it is store.ErrLimit to
// errors.Is.
type KeyLimitError struct {
	What string // "bots"
	Max  int
}

// Error names the limit and the fix.
func (e *KeyLimitError) Error() string {
	return fmt.Sprintf("the account has %d %s, the maximum: remove one that is no longer used", e.Max, e.What)
}

// Unwrap makes it store.ErrLimit.
func (e *KeyLimitError) Unwrap() error { return store.ErrLimit }
