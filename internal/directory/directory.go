// Package directory owns the rules for people, apps, API keys and bots: who may sign up and log in, what a user, an
// account, an app and a redirect URI may be called and look like, and who may change an app, a key or a bot.
//
// It refuses values before they reach the store, all faults of a form at once and each with a sentence for the person
// who typed it, and it hides apps of other accounts as if they did not exist. It moves users, accounts, members, apps,
// keys, bots, secrets and resource servers from one state to the next, each by one store operation; it mints the credentials that
// belong to them and hands each out once. It knows no HTTP and no SQL.
package directory

import (
	"context"
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

// mayManage lets the operator and the admins of an account manage what belongs to it. For every other party it does not
// exist: the error is a NotFoundError with what and ref.
func (d *Directory) mayManage(ctx context.Context, by store.Principal, accountID, what, ref string) error {
	if by.IsOperator() {
		return nil
	}
	userID, err := userOf(by)
	if err != nil {
		return err
	}
	admin, err := d.adminOf(ctx, userID, accountID)
	if err != nil {
		return fmt.Errorf("find %s %s for user %s: %w", what, ref, userID, err)
	}
	if !admin {
		return &NotFoundError{What: what, Ref: ref}
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

// adminOf says whether the user is an admin of the account today.
func (d *Directory) adminOf(ctx context.Context, userID, accountID string) (bool, error) {
	members, err := d.store.MembersByUser(ctx, userID)
	if err != nil {
		return false, err
	}
	for _, m := range members {
		if m.AccountID == accountID {
			return m.Role == scope.RoleAdmin, nil
		}
	}
	return false, nil
}
