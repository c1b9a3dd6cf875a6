package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// Access is an access token with everything that decides whether it is valid, read in one statement.
type Access struct {
	Token
	RevokedAt time.Time // the token itself, or its family, was ended
	App       App       // without redirect URIs and account name
	AppLive   bool      // neither suspended nor deleted
	// The fields below are empty for a client-credentials token.
	InstallationLive bool
	Profile          bool // see Installation
	User             User // without password
	UserLive         bool
	Account          Account
	AccountLive      bool
	Role             scope.Role // the user's current role in the account; "" if not a member
}

// Client is a party that authenticates at the protocol endpoints, with the one secret it presented.
type Client struct {
	ID       string
	App      *App            // set for an app; without redirect URIs and account name
	Resource *ResourceServer // set for a resource server
	Live     bool            // neither suspended nor removed
	Secret   []byte          // hash of the secret with the presented lookup id, if it belongs to this client and is live; else nil
}

// Credentials are the look-ups of presented credentials. Each is one statement by primary key.
type Credentials interface {
	// AccessByID returns a token, live or not. ErrNotFound: no such token.
	AccessByID(ctx context.Context, kind TokenKind, id LookupID) (Access, error)
	// ClientByID returns a client and the secret named by its lookup id (zero: no secret was presented).
	// ErrNotFound: no such client, or it was deleted.
	ClientByID(ctx context.Context, clientID string, secret LookupID) (Client, error)
}

// Session is a logged-in browser. The cookie's value is random; only its hash is kept.
type Session struct {
	ID        []byte // SHA-256 of the cookie's random value
	UserID    string
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time // the sooner of idle and absolute limit
	UserAgent string    // shortened, for the list of sessions
	IP        string
	Data      []byte // small values for this browser, such as a notice to show once
}

// Sessions stores sessions.
type Sessions interface {
	// CreateSession stores s and records the log-in, and ends the session replaces of the same browser, whatever user that
	// belongs to (nil: none). It returns how many other sessions the user has. ErrEnded: the user is disabled or deleted; the
	// replaced session has ended even so.
	CreateSession(ctx context.Context, by Principal, s Session, replaces []byte) (others int, err error)
	// EndOldSessions ends all sessions of a user except the keep that were used last, each with its audit event, at most 100
	// in one call.
	EndOldSessions(ctx context.Context, by Principal, userID string, keep int) error
	// SessionByID returns an unexpired session of an enabled user, and the user; else ErrNotFound.
	SessionByID(ctx context.Context, id []byte) (Session, User, error)
	// SaveSession updates SeenAt, ExpiresAt and Data of a live session; no row is no error.
	SaveSession(ctx context.Context, s Session) error
	// DeleteSession logs out. No row is no error.
	DeleteSession(ctx context.Context, by Principal, id []byte) error
	SessionsByUser(ctx context.Context, userID string) ([]Session, error)
}

// Usage records when credentials were last used. It has its own table, and callers buffer their writes (once per hour and
// credential).
type Usage interface {
	// RecordUse stores the latest use of each credential, keyed by lookup id. Unknown ids are stored as well.
	RecordUse(ctx context.Context, uses map[LookupID]time.Time) error
}

// Event is one line of the audit trail.
type Event struct {
	ID             LookupID
	At             time.Time
	Kind           string // one of the Event constants
	By             Actor
	AccountID      string
	AppID          string
	InstallationID string
	Subject        string // the id of the object of the event, if it is none of the above
	Detail         string // short text without secrets
}

// EventFilter selects events; an empty field selects all.
type EventFilter struct {
	AccountID string
	AppID     string
	Kind      string
	Limit     int // 1 to 500; 0 means 100
}

// Audit reads the audit trail. Events are written by the methods that make the changes.
type Audit interface {
	// Events returns the newest events first.
	Events(ctx context.Context, f EventFilter) ([]Event, error)
}
