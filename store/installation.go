package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
)

// Request is a validated authorization request that waits for a person to log in, and then to decide. The consent page shows
// this row and Allow grants it; parameters that the browser sends with the decision change nothing (docs/battery.md, W3).
type Request struct {
	ID           LookupID
	Hash         []byte // of the secret half of the request id
	Session      []byte // id of the session that may decide; nil while the request waits for a log-in and cannot be decided
	AppID        string
	RedirectURI  string // validated; where the browser goes
	RedirectSent bool   // whether redirect_uri was a parameter
	Scope        scope.Set
	ScopeAsked   string // the parameter as it was sent, "" if absent
	State        string
	Challenge    string // PKCE S256 code_challenge or ""
	Resource     string // RFC 8707, space-separated, "" if absent
	Prompt       string // the values of the prompt parameter, space-separated, "" if absent
	AppSeen      string // fingerprint of the app as its consent page showed it; "" is not compared
	Fault        string // protocol error to report to the app after the log-in; "" for a valid request
	FaultDetail  string // its description
	CreatedAt    time.Time
	ExpiresAt    time.Time
	DecidedAt    time.Time
	UserID       string // the user whose session may decide; "" without a session
	Decision     string // read only: DecisionDeny, DecisionAllow and an account, or "" while undecided
	Answer       []byte // read only: what KeepAnswer was given; nil before
	Holder       string // write only: the browser or network that the row counts for in CreateRequest, without personal data in the clear
}

// Values of Request.Decision.
const (
	DecisionAllow = "allow " // and the account's id after it
	DecisionDeny  = "deny"
)

// Asks reports whether the prompt parameter holds the value.
func (r Request) Asks(prompt string) bool { return slices.Contains(strings.Fields(r.Prompt), prompt) }

// NeedsLogIn reports whether the request asks for a log-in that is newer than itself, and the session is not one (OpenID
// Connect Core §3.1.2.1, prompt=login).
func (r Request) NeedsLogIn(s Session) bool {
	return r.Asks("login") && !s.CreatedAt.After(r.CreatedAt)
}

// Requests stores authorization requests between their pages. They are short-lived and used once.
type Requests interface {
	// CreateRequest stores r. Of the requests that its Holder has already, all but the newest keep are deleted, a hundred at
	// a time at most; an empty Holder has none.
	CreateRequest(ctx context.Context, r Request, keep int) error
	// RequestByID returns the request whether or not it was decided or has expired: the caller chooses the page for each case.
	RequestByID(ctx context.Context, id LookupID) (Request, error)
	// DenyRequest decides a request of this session against the app. ErrConflict: it belongs to another session or to
	// none. ErrConsumed: decided before. ErrEnded: expired. ErrNotFound: no such request.
	DenyRequest(ctx context.Context, by Principal, id LookupID, session []byte) error
	// KeepAnswer stores the sealed answer to a decided request, so that it can be repeated. ErrConsumed: another answer
	// was kept before, or the request is undecided.
	KeepAnswer(ctx context.Context, id LookupID, sealed []byte) error
}

// Installation is an app on an account, approved by a user. At most one is live for the three; a removed one never returns.
type Installation struct {
	ID        string // ins_…
	UserID    string
	AccountID string
	AppID     string
	Scopes    scope.Set // everything the user approved, over all consents
	Redirects string    // origins of redirect URIs that the user approved, separated by spaces
	CreatedAt time.Time
	UpdatedAt time.Time
	RemovedAt time.Time
	Profile   bool // the user approved on a page that named their name and e-mail address among the data that the app gets
}

// Installer is a user with a live installation of an app on an account.
type Installer struct {
	InstallationID string
	UserID         string
	UserName       string
	UserEmail      string
}

// InstalledApp is a live installation with the data that the installed-apps page shows.
type InstalledApp struct {
	Installation
	AppName     string
	AppHomepage string
	AppVerified bool
	AccountName string
	UserName    string // of the user who installed it
	UserEmail   string
	Role        scope.Role // the user's current role in the account; "" if not a member
	AppScopes   scope.Set  // the scopes that the app may request now
	Tokens      int        // valid access tokens and refresh families; the app is installed if there is one
	LastUsedAt  time.Time  // of any of its tokens
	Installers  int        // in InstalledApps: installations of the app on the account that the person may see
}

// InstalledQuery is the part of the list of installed apps that a page shows. The unit of Offset and Limit is an app on an
// account, whatever the number of its installations.
type InstalledQuery struct {
	Search     string // only apps or accounts with this in their name; the case of ASCII letters does not matter
	Offset     int
	Limit      int // 1 to 500; 0 means 100
	Installers int // at most this many installations of each, the person's own among them; 0 means 100
}

// Approval is a user's Allow: the decided request and the installation that it grants.
type Approval struct {
	Request      LookupID
	Session      []byte
	Installation Installation // ID is used if there is no live one; Scopes, Profile and Redirects are added to those of a live one
	RedirectURI  string       // must still be registered for the app; a loopback URI is given as registered
}

// Installations stores installations.
type Installations interface {
	// Install decides the request and creates the installation, or adds scopes and redirects to the live one, in one transaction;
	// it returns the installation as it is now. Errors as DenyRequest for the request; ErrEnded: app suspended or
	// deleted, redirect URI or a scope withdrawn from the app, user or account disabled, user no longer a member.
	Install(ctx context.Context, by Principal, a Approval) (Installation, error)
	// ConsentAccounts returns the accounts of the user, in the order of joining, and the user's live installations of the app on
	// them: the choices of a consent page.
	ConsentAccounts(ctx context.Context, userID, appID string) ([]Member, []Installation, error)
	// InstalledApps lists the installations that a person may see and remove: their own, and all on accounts where they are
	// an admin. Those of one app on one account stand together, newest first; the app that was installed last comes first.
	// more: the list goes on after this part.
	InstalledApps(ctx context.Context, userID string, q InstalledQuery) (list []InstalledApp, more bool, err error)
	// CountInstalledApps counts the apps on accounts that InstalledApps lists, up to max.
	CountInstalledApps(ctx context.Context, userID string, max int) (Count, error)
	// InstalledAppByID returns an installation that the user may see, whether or not it was removed. ErrNotFound: there is
	// none, it is not the user's to see, or the app or the account was deleted.
	InstalledAppByID(ctx context.Context, userID, id string) (InstalledApp, error)
	// Installers lists at most max members of an account who have a live installation of the app there, oldest first.
	Installers(ctx context.Context, accountID, appID string, max int) ([]Installer, error)
	// RemoveInstallations removes all live installations of the app on the account, as RemoveInstallation does, in one
	// transaction, and returns how many there were. It removes none unless the Principal is an admin of the account or the operator.
	RemoveInstallations(ctx context.Context, by Principal, accountID, appID string) (int, error)
	// RemoveInstallation is final: its codes and tokens are invalid when it returns. The Principal must be its user, an admin of
	// its account, or the operator. ErrNotFound: there is no such live installation, or the Principal may not remove it.
	RemoveInstallation(ctx context.Context, by Principal, id string) error
}
