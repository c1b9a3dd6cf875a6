package directory

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Consent is an authorization request with the data that a person needs to decide it.
type Consent struct {
	Request  store.Request
	App      store.App
	Redirect ValidatedRedirect
	Accounts []store.Member       // accounts on which the person can install the app; none of them is disabled
	Live     []store.Installation // the person's existing installations of the app
}

const (
	// requestLifetime is how long a consent page can be answered with Allow.
	requestLifetime = 15 * time.Minute
	// requestOpen is how long a request can be shown (again), and denied: a person who takes longer than requestLifetime
	// to log in or to decide is asked again instead of being sent back to the app.
	requestOpen = time.Hour
	// answerRepeats is how long the same answer is repeated for the same decision: after a second click or a reload.
	answerRepeats = time.Minute
)

// sessionRequests is how many consent pages of one session are kept.
const sessionRequests = 100

// Faults of a consent.
var (
	// ErrRequestUnknown: there is no such request, or it expired or was decided.
	ErrRequestUnknown = errors.New("this authorization request has expired or was answered before")
	// ErrRequestForeign: another browser session opened the request.
	ErrRequestForeign = errors.New("this authorization request was opened in another browser session")
	// ErrAppNotLive: the app is suspended or was deleted.
	ErrAppNotLive = errors.New("the app is not available")
	// ErrRequestStale: the page was shown too long ago, or before another log-in. The request can be shown again.
	ErrRequestStale = errors.New("this authorization request must be shown again")
	// ErrNotMember: the chosen account is not one of the person's.
	ErrNotMember = errors.New("choose one of your accounts")
)

// LiveApp returns the app with that client id, for the authorization endpoint. ErrAppNotLive for every other id.
func (d *Directory) LiveApp(ctx context.Context, clientID string) (store.App, error) {
	if !secret.ValidPublicID("app_", clientID) {
		return store.App{}, ErrAppNotLive
	}
	app, err := d.store.AppByID(ctx, clientID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !app.SuspendedAt.IsZero() {
		return store.App{}, ErrAppNotLive
	}
	if err != nil {
		return store.App{}, fmt.Errorf("look up app %s: %w", clientID, err)
	}
	return app, nil
}

// NewRequest stores a validated authorization request and returns the credential that stands for it. With a session it
// is the request of a consent page, and only that session can decide it; without one it is parked until its browser has
// logged in, and can only be opened. The id of a page is new: it was never part of an address, so no other page can submit its
// form. The oldest requests of one session, and of those without a session the oldest of the same Holder, end above a
// limit, so that an attacker can end only their own.
func (d *Directory) NewRequest(ctx context.Context, r store.Request, session []byte) (string, error) {
	c := d.format.New(secret.Request)
	hash := c.Hash()
	r.ID, r.Hash, r.Session = c.ID, hash[:], session
	keep := sessionRequests - 1
	if session == nil {
		r.UserID, keep = "", d.options.ParkedRequests-1
	} else {
		r.Holder = "session:" + base64.RawURLEncoding.EncodeToString(session[:min(len(session), 16)])
	}
	r.CreatedAt = d.store.Now()
	r.ExpiresAt = r.CreatedAt.Add(requestLifetime)
	if err := d.store.CreateRequest(ctx, r, keep); err != nil {
		return "", fmt.Errorf("store authorization request of app %s: %w", r.AppID, err)
	}
	return c.Reveal(), nil
}

// ConsentFor returns a stored request with its app and redirect URI, and repeats the checks made when the app sent the
// browser: the app may have been suspended, or the redirect URI removed, since. The accounts are not loaded. ErrAppNotLive,
// ErrRedirectMismatch, ErrRedirectRefused.
func (d *Directory) ConsentFor(ctx context.Context, r store.Request) (Consent, error) {
	app, err := d.LiveApp(ctx, r.AppID)
	if err != nil {
		return Consent{}, err
	}
	redirect, err := d.MatchRedirect(app, r.RedirectURI)
	if err != nil {
		return Consent{}, err
	}
	redirect.sent = r.RedirectSent
	return Consent{Request: r, App: app, Redirect: redirect}, nil
}

// LoadAccounts returns c with the current accounts of the user, and the app's installations on them.
func (d *Directory) LoadAccounts(ctx context.Context, by store.Principal, c Consent) (Consent, error) {
	userID, err := userOf(by)
	if err != nil {
		return Consent{}, err
	}
	members, live, err := d.store.ConsentAccounts(ctx, userID, c.App.ID)
	if err != nil {
		return Consent{}, fmt.Errorf("list accounts of user %s for app %s: %w", userID, c.App.ID, err)
	}
	c.Accounts = slices.DeleteFunc(members, func(m store.Member) bool { return m.Disabled })
	c.Live = live
	return c, nil
}

// NewPlace reports whether the person has approved the app before, but never with a redirect URI on this host.
func (c Consent) NewPlace() bool {
	known := false
	for _, ins := range c.Live {
		if slices.Contains(strings.Fields(ins.Redirects), c.Redirect.Origin()) {
			return false
		}
		known = known || ins.Redirects != ""
	}
	return known
}

// Allowed lists the accounts on which the person has approved all requested scopes.
func (c Consent) Allowed() []store.Member {
	var list []store.Member
	for _, m := range c.Accounts {
		for _, ins := range c.Live {
			if ins.AccountID == m.AccountID && ins.Scopes.Covers(c.Request.Scope) {
				list = append(list, m)
			}
		}
	}
	return list
}

// Held returns the scopes that the person has approved for the app on the account of the request, and whether the app already
// gets their name and e-mail address there. While the account is not chosen yet, it returns none.
func (c Consent) Held() (held scope.Set, profile bool) {
	if len(c.Accounts) == 1 {
		if ins, live := c.LiveOn(c.Accounts[0].AccountID); live {
			return ins.Scopes, ins.Profile
		}
	}
	return scope.Set{}, false
}

// Covered returns the installation that makes another consent unnecessary, if there is one (RFC 6749 §10.2, RFC 8252 §8.6): the
// same scopes were approved before, on the person's only account, for a confidential app whose https address no one else
// can claim, and on a page that named the host of this address: if an app registers another host later, no browser brings a
// code there before the person has seen that host.
func (c Consent) Covered() (store.Installation, bool) {
	if !c.App.Confidential || !c.Redirect.Exact() || !c.Redirect.HTTPS() || len(c.Accounts) != 1 {
		return store.Installation{}, false
	}
	for _, ins := range c.Live {
		if ins.AccountID == c.Accounts[0].AccountID && ins.Scopes.Covers(c.Request.Scope) && ins.Profile &&
			slices.Contains(strings.Fields(ins.Redirects), c.Redirect.Origin()) {
			return ins, true
		}
	}
	return store.Installation{}, false
}

// Account returns the account of a decision: the named one, or the only one that the person has.
func (c Consent) Account(named string) string {
	if named == "" && len(c.Accounts) == 1 {
		return c.Accounts[0].AccountID
	}
	return named
}

// LiveOn returns the live installation on an account, if there is one.
func (c Consent) LiveOn(accountID string) (store.Installation, bool) {
	for _, ins := range c.Live {
		if ins.AccountID == accountID {
			return ins, true
		}
	}
	return store.Installation{}, false
}

// Install is the person's Allow: it decides the request and creates the installation or widens the live one. accountID
// may be "" when the person has only one account.
func (d *Directory) Install(ctx context.Context, by store.Principal, session []byte, c Consent, accountID string) (store.Installation, error) {
	userID, err := userOf(by)
	if err != nil {
		return store.Installation{}, err
	}
	accountID = c.Account(accountID)
	if !isMember(c.Accounts, accountID) {
		return store.Installation{}, ErrNotMember
	}
	ins, err := d.store.Install(ctx, by, store.Approval{
		Request: c.Request.ID,
		Session: session,
		Installation: store.Installation{
			ID: secret.NewPublicID("ins_"), UserID: userID, AccountID: accountID, AppID: c.App.ID, Scopes: c.Request.Scope,
			Profile:   c.Request.AppSeen != "", // the page names the data; the page of the release before did not, and stored no AppSeen
			Redirects: c.Redirect.Origin(),
		},
		RedirectURI: c.Redirect.Registered(),
	})
	if err != nil {
		return store.Installation{}, requestFault(err)
	}
	return ins, nil
}

// Deny is the person's Deny: it decides the request and grants nothing.
func (d *Directory) Deny(ctx context.Context, by store.Principal, session []byte, c Consent) error {
	if _, err := userOf(by); err != nil {
		return err
	}
	return requestFault(d.store.DenyRequest(ctx, by, c.Request.ID, session))
}

func isMember(members []store.Member, accountID string) bool {
	for _, m := range members {
		if m.AccountID == accountID {
			return true
		}
	}
	return false
}

// requestFault maps an error of the store to an error of this package.
func requestFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: %w", ErrRequestForeign, err)
	case errors.Is(err, store.ErrConsumed), errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrRequestUnknown, err)
	case errors.Is(err, store.ErrEnded):
		return fmt.Errorf("%w: %w", ErrRequestUnknown, err)
	}
	return fmt.Errorf("decide authorization request: %w", err)
}
