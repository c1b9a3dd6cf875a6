package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// Code is an authorization code (RFC 6749 §4.1.2).
type Code struct {
	ID             LookupID
	Hash           []byte
	AppID          string
	UserID         string
	AccountID      string
	InstallationID string
	RedirectURI    string // as the browser was sent to
	RedirectSent   bool   // whether redirect_uri was a parameter at authorize
	Scope          scope.Set
	ScopeAsked     string
	Challenge      string
	Resource       string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	ConsumedAt     time.Time // read only
	FailedAttempts int       // read only: failed attempts by the right app with the right code
	Ended          bool      // read only: app, installation, user, account or membership is no longer live
}

// MaxCodeAttempts is how many failed attempts by the right app end a code (docs/battery.md, P9).
const MaxCodeAttempts = 5

// Codes stores authorization codes.
type Codes interface {
	// CreateCode stores a code if its installation, app, user, account and membership are live; else ErrEnded.
	CreateCode(ctx context.Context, c Code) error
	// CodeByID returns a code in any state; consumed codes are kept for at least ten minutes.
	CodeByID(ctx context.Context, id LookupID) (Code, error)
	// FailCode counts a failed attempt. ErrNotFound: no such code.
	FailCode(ctx context.Context, id LookupID) error
	// Redeem consumes the code and creates the tokens that it grants, in one operation. Of any number of concurrent calls exactly one
	// succeeds. ErrConsumed: used before. ErrEnded: expired, too many failed attempts, or a root is no longer live. The code is then
	// untouched. ErrNotFound: no such code. Of an installation's non-expiring tokens, the oldest above limit are revoked, with
	// one audit event for all of them (limit below 1: none); where several codes are redeemed at the same moment, at the
	// latest by the next redemption.
	// The created rows get the app and installation of the code; those fields of g are ignored.
	Redeem(ctx context.Context, id LookupID, g Grant, limit int) error
	// EndCode revokes the tokens that a consumed code produced, with an audit event: the code was replayed (RFC 6749 §4.1.2). If
	// nothing is left to revoke, it returns nil and writes no event. ErrNotFound: no such code.
	EndCode(ctx context.Context, by Principal, id LookupID) error
}

// Token is an access token.
type Token struct {
	ID             LookupID
	Hash           []byte
	AppID          string
	InstallationID string   // "" for a client-credentials token
	Family         LookupID // zero if no refresh token belongs to it
	Scope          scope.Set
	Resource       string
	CreatedAt      time.Time
	ExpiresAt      time.Time // zero: never
}

// Refresh is one refresh token of a family: the chain of rotations that starts with a redeemed code. It is valid while it is
// current, and after its rotation until its successor is used (Successor).
type Refresh struct {
	ID          LookupID
	Hash        []byte
	Family      LookupID
	CreatedAt   time.Time
	ExpiresAt   time.Time
	RotatedAt   time.Time // read only; zero: current
	Sealed      []byte    // read only; the answer of its rotation, sealed under its own secret
	SealedUntil time.Time // read only
	Successor   LookupID  // read only: its successor, while that is current; zero once that was used
	ReplacedAt  time.Time // read only: when another successor of the same token took its place, before it was used
}

// Family holds the fields that all refresh tokens of one chain share.
type Family struct {
	ID             LookupID
	AppID          string
	InstallationID string
	Scope          scope.Set // the full grant; an access token may carry less
	ScopeAsked     string
	Resource       string
	CreatedAt      time.Time
	EndedAt        time.Time // read only; final
	Ended          bool      // read only: EndedAt is set, or app, installation, user, account or membership is not live
	AppScopes      scope.Set // read only: the scopes that the app may request now
	UserID         string    // read only
	AccountID      string    // read only
}

// Grant holds the rows that a redeemed code creates: a non-expiring token alone, or an expiring one with family and refresh token.
type Grant struct {
	Token   Token
	Family  *Family
	Refresh *Refresh
}

// TokenKind selects one of the two tables of access tokens.
type TokenKind int

// The kinds of access tokens.
const (
	NonExpiring TokenKind = iota // credential letter a
	Expiring                     // credential letter e
)

// Tokens stores access tokens.
type Tokens interface {
	// CreateClientToken stores a client-credentials token if the app is live and confidential and may still request the
	// scopes; else ErrEnded.
	CreateClientToken(ctx context.Context, t Token) error
	// RevokeToken ends one access token of the app. Revoking again is no error. ErrNotFound: no such token.
	RevokeToken(ctx context.Context, by Principal, kind TokenKind, id LookupID) error
}

// Rotation replaces a refresh token by its successor.
type Rotation struct {
	Old         LookupID
	Unused      LookupID // zero while Old is current; else its successor, unused so far, whose place Next takes
	Next        Refresh
	Token       Token
	Sealed      []byte // the answer, readable only with the old token
	SealedUntil time.Time
}

// Refreshes stores refresh tokens.
type Refreshes interface {
	// RefreshByID returns a refresh token, current or rotated, and its family.
	RefreshByID(ctx context.Context, id LookupID) (Refresh, Family, error)
	// Rotate makes the successor current and creates its access token, in one operation with one winner; it also ends
	// the grace of the predecessor of Old. With Unused, that token ends as replaced; its access token stays as it is.
	// ErrConsumed: Old, or Unused, was rotated or replaced before. ErrEnded: Old has expired, the family has ended, or a
	// root is no longer live. ErrNotFound: no such token. The created rows get the app, installation and family of Old.
	Rotate(ctx context.Context, r Rotation) error
	// EndFamily ends all refresh and access tokens of a family. Ending again is no error. ErrNotFound: no such family.
	EndFamily(ctx context.Context, by Principal, id LookupID, why string) error
}
