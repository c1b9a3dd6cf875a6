// Package directory owns the rules for people, apps, API keys and bots: sign-up and log-in, permitted names and redirect URIs,
// and the permission to change an app, a key or a bot.
//
// Every rule that changes or shows something takes the store.Principal that acts. The rules validate values before they reach
// the store, report all faults of a form together, each as a sentence for the user, and answer as if the apps of other
// accounts did not exist. They change users, accounts, members, apps, keys, bots, secrets and resource servers, each by one
// store operation; they mint the credentials of these and return each only once. The package knows no HTTP and no SQL.
package directory

import (
	"errors"
	"fmt"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// DefaultPlan is the plan of new accounts when no plan is configured.
const DefaultPlan = "standard"

// Options are the settings that the rules depend on.
type Options struct {
	SignUpOpen  bool   // sign-up is open; otherwise only the operator adds users
	DefaultPlan string // plan of new accounts; "" means DefaultPlan
	PublicURL   string // the issuer: its host is refused in redirect URIs, homepages and logos of apps, and is the domain of bots
	TokenLimit  int    // live non-expiring tokens of an installation, shown on pages; 0: no limit

	MaxApps        int // apps of one account; the operator can add more; 0 means 100
	ParkedRequests int // authorization requests of one Holder that wait for a log-in; 0 means 1000
}

// Directory applies the rules on top of a store. It is safe for concurrent use.
type Directory struct {
	store     store.Store
	catalogue *scope.Catalogue
	passwords *secret.Passwords
	format    secret.Format
	options   Options
	own       ownAddress
}

// New returns the rules over s. c defines the scopes, p hashes passwords, f mints client secrets.
func New(s store.Store, c *scope.Catalogue, p *secret.Passwords, f secret.Format, o Options) *Directory {
	if o.DefaultPlan == "" {
		o.DefaultPlan = DefaultPlan
	}
	if o.MaxApps == 0 {
		o.MaxApps = 100
	}
	if o.ParkedRequests == 0 {
		o.ParkedRequests = 1000
	}
	return &Directory{store: s, catalogue: c, passwords: p, format: f, options: o, own: newOwnAddress(o.PublicURL)}
}

// SignUpOpen reports whether SignUp is open, so that pages offer it only then.
func (d *Directory) SignUpOpen() bool { return d.options.SignUpOpen }

// TokenLimit is the number of live non-expiring tokens of an installation, for pages: a further token ends the oldest. 0: no
// limit.
func (d *Directory) TokenLimit() int { return d.options.TokenLimit }

// mayManage refuses parties other than the operator and users. Whether a user manages a particular object is decided by the
// store, in the statement that reads or changes the object.
func mayManage(by store.Principal) error {
	if by.IsOperator() {
		return nil
	}
	_, err := userOf(by)
	return err
}

// notFound returns err, or a NotFoundError if err is store.ErrNotFound: the object does not exist, or the Principal does not
// manage it.
func notFound(err error, what, ref string) error {
	if errors.Is(err, store.ErrNotFound) {
		return &NotFoundError{What: what, Ref: ref}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, ref, err)
	}
	return nil
}

// operatorOnly refuses every party but the operator.
func operatorOnly(by store.Principal) error {
	if !by.IsOperator() {
		return fmt.Errorf("%w: %s is not the operator", store.ErrNotPermitted, by)
	}
	return nil
}

// selfOnly refuses every party but that user.
func selfOnly(by store.Principal, userID string) error {
	id, err := userOf(by)
	if err == nil && id != userID {
		err = fmt.Errorf("%w: %s is not user %s", store.ErrNotPermitted, by, userID)
	}
	return err
}

// userOf returns the id of the user that by is, and refuses every other party.
func userOf(by store.Principal) (string, error) {
	id := by.UserID()
	if id == "" {
		return "", fmt.Errorf("%w: %s is not a user", store.ErrNotPermitted, by)
	}
	return id, nil
}
