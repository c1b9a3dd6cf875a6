// Package directory owns the rules for people, apps, API keys and bots: who may sign up and log in, what a user, an
// account, an app and a redirect URI may be called and look like, and who may change an app, a key or a bot.
//
// It refuses values before they reach the store, all faults of a form at once and each with a sentence for the person
// who typed it, and it hides apps of other accounts as if they did not exist. It moves users, accounts, members, apps,
// keys, bots, secrets and resource servers from one state to the next, each by one store operation; it mints the credentials that
// belong to them and hands each out once. It knows no HTTP and no SQL.
package directory

import (
	"errors"
	"fmt"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// DefaultPlan is the plan of new accounts when the setting names none.
const DefaultPlan = "standard"

// Options are the settings that the rules depend on.
type Options struct {
	SignUpOpen  bool   // anybody may sign up; otherwise only the operator adds users
	DefaultPlan string // plan of new accounts; "" means DefaultPlan
	PublicURL   string // the issuer: no redirect URI, homepage or logo of an app may be on its host, and bots have their addresses there
	TokenLimit  int    // live non-expiring tokens of an installation, as the pages say; 0: no limit

	MaxApps        int // apps of one account, but for those that the operator adds; 0 means 100
	ParkedRequests int // authorization requests of one Holder that may wait for a log-in; 0 means 1000
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

// New returns the rules over s. The catalogue says which scopes exist, p hashes passwords, f mints client secrets.
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

// SignUpOpen says whether SignUp accepts anybody, so that pages offer it only then.
func (d *Directory) SignUpOpen() bool { return d.options.SignUpOpen }

// TokenLimit is how many live non-expiring tokens an installation may have before one more ends the oldest, so that pages
// say so; 0 is any number.
func (d *Directory) TokenLimit() int { return d.options.TokenLimit }

// mayManage refuses parties that manage nothing. Whether the operator or a user manages a particular thing is decided by the
// store, in the statement that reads or changes it.
func mayManage(by store.Principal) error {
	if by.IsOperator() {
		return nil
	}
	_, err := userOf(by)
	return err
}

// notFound returns err, or a NotFoundError if err is store.ErrNotFound: the thing does not exist, or by may not manage it.
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
