package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// UserFamily is the chain of token pairs that starts with one log-in by a program (docs/dialects.md, User tokens).
type UserFamily struct {
	ID         LookupID
	UserID     string
	AccountID  string    // in which the user acts
	PasswordAt time.Time // when the password was set that opened the user: another one ends the family
	SecretID   LookupID  // of a bot: the secret that opened it, with which the family ends; else zero
	CreatedAt  time.Time
	EndsAt     time.Time // when the family ends even if it is refreshed; zero on creation: UserFamilyLifetime after it
	EndedAt    time.Time // read only; final
	UserAgent  string    // of the program that logged in, shortened
	IP         string    // likewise
}

// UserFamilyLifetime is the lifetime of a family without another one, those of older versions included.
const UserFamilyLifetime = 90 * 24 * time.Hour

// ListedUserFamily is a family as its user sees it.
type ListedUserFamily struct {
	UserFamily
	AccountName string
	RefreshedAt time.Time // when its newest pair was made
	LastUsedAt  time.Time // of any of its access tokens; zero: never
	ExpiresAt   time.Time // when it ends unless it is refreshed before
}

// UserRefresh is one pair of a family: a refresh token, and the access token that was made with it.
type UserRefresh struct {
	ID          LookupID
	Hash        []byte
	TokenHash   []byte // of the access token
	Family      LookupID
	CreatedAt   time.Time
	ExpiresAt   time.Time // of the refresh token
	RotatedAt   time.Time // read only; zero: current
	Sealed      []byte    // read only; the answer of its rotation, sealed under its own secret
	SealedUntil time.Time // read only
	Successor   LookupID  // read only: the pair it was rotated to, while that is current; zero once that was used
	ReplacedAt  time.Time // read only: when another successor of the same pair took its place, before it was used
}

// UserAccess is a pair with everything that decides whether it is valid, read in one statement.
type UserAccess struct {
	UserRefresh
	Owner   UserFamily
	User    User // without password
	Account Account
	Role    scope.Role // the user's current role in the account; "" if not a member
	Live    bool       // the family has not ended; the user, account, membership and the credential that opened the family are valid
}

// UserRotation replaces a pair by its successor.
type UserRotation struct {
	Old         LookupID
	Unused      LookupID // zero while Old is current; else its successor, unused so far, whose place Next takes
	Next        UserRefresh
	Sealed      []byte // the answer, readable only with the old refresh token
	SealedUntil time.Time
}

// UserTokens stores the families of user tokens.
type UserTokens interface {
	// CreateUserFamily starts a family with its first pair. ErrEnded: user or account is not live, the user is no member,
	// or the credential that proved the user is no longer valid: the password was changed, the secret was revoked or has expired.
	CreateUserFamily(ctx context.Context, by Principal, f UserFamily, first UserRefresh) error
	// UserRefreshByID returns a pair, current or rotated, live or not. ErrNotFound: no such pair.
	UserRefreshByID(ctx context.Context, id LookupID) (UserAccess, error)
	// RotateUserRefresh makes the successor current, in one operation with one winner; it also ends the grace of the
	// predecessor of Old. With Unused, that pair ends as replaced. The access tokens of both stay as they are.
	// ErrConsumed: Old, or Unused, was rotated or replaced before. ErrEnded: Old has expired or is no longer live.
	// ErrNotFound: no such pair. The created pair is of Old's family.
	RotateUserRefresh(ctx context.Context, r UserRotation) error
	// EndUserFamily ends all pairs of a family. Ending again is no error. ErrNotFound: no such family.
	EndUserFamily(ctx context.Context, by Principal, id LookupID, why string) error
	// EndUserFamilyOf is EndUserFamily for a family of that user. ErrNotFound: there is none, or it has ended.
	EndUserFamilyOf(ctx context.Context, by Principal, userID string, id LookupID, why string) error
	// UserFamiliesByUser lists the families of the user that can still be used, newest first, limit at most.
	UserFamiliesByUser(ctx context.Context, userID string, limit int) ([]ListedUserFamily, error)
	// EndLogIns ends all families of the user and all sessions but the one named keep (nil: none), with one audit event.
	// The user's browser and programs then have to log in again.
	EndLogIns(ctx context.Context, by Principal, userID string, keep []byte) error
}

// SigningKey is a key that signs user tokens.
type SigningKey struct {
	ID         string // the kid
	Follows    string // the ID of the key before; "" for the first
	Algorithm  string // as JOSE names it: ES256
	Public     []byte // PKIX, DER
	Private    []byte // sealed; empty once the key was retired
	CreatedAt  time.Time
	ActiveFrom time.Time // it signs from here until its successor does
	RetireAt   time.Time // zero while it has no successor; the last token that it signed has expired by then
}

// SigningKeys keeps the keys of all replicas.
type SigningKeys interface {
	// SigningKeys lists all keys, the first to be active first, those retired included.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddSigningKey stores a key, retires the one that it follows at that time, and forgets the private keys whose time
	// of retirement has come. ErrConflict: the key that it follows has a successor already, so another replica was first.
	AddSigningKey(ctx context.Context, k SigningKey, retirePrevious time.Time) error
}
