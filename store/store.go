// Package store is the domain of Xenoauth and the contract of its storage: the types that all layers share,
// and small interfaces, embedded in Store, for reading and changing them. It owns no SQL, no HTTP and no rule
// about people; package sqlstore implements it and package storetest is its definition as tests.
//
// Rules that hold for every method:
//   - A write that changes permissions takes the Principal that makes the change, refuses the zero Principal with
//     ErrNotPermitted, and writes its audit event in the same transaction. Neither happens without the other.
//   - A state change is one guarded statement (or one transaction) whose outcome is one of the sentinel
//     errors below. Nothing is read, decided upon and then written.
//   - Credentials arrive and are kept as hashes. No method takes or returns a secret.
//   - Times are UTC with microsecond precision; the zero time.Time means "never" or "not set".
//   - A failure of the database itself is ErrUnavailable, whatever the method.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// LookupID is the public half of a credential and its primary key: 16 bytes, time-ordered (UUIDv7). The order serves
// locality only and must not be relied upon.
type LookupID = [16]byte

// Sentinel errors. Implementations wrap them with the attempted operation; callers use errors.Is.
var (
	// ErrNotFound: there is no such row, or it was deleted.
	ErrNotFound = errors.New("not found")
	// ErrConflict: another row already holds a value that must be unique, or the row changed since it was read.
	ErrConflict = errors.New("conflict")
	// ErrConsumed: a single-use credential was used before (or a rotated one presented again).
	ErrConsumed = errors.New("already used")
	// ErrEnded: something that the write depends on (app, installation, user, account, membership, redirect URI,
	// scope) is no longer live, so the write did not happen.
	ErrEnded = errors.New("no longer live")
	// ErrUnverified: the user has not proved to own the e-mail address, so it gives no authority.
	ErrUnverified = errors.New("the e-mail address is not verified")
	// ErrKeyLost: a key of the server is missing, although data that was encrypted or signed with it exists.
	ErrKeyLost = errors.New("the key is missing")
	// ErrLimit: the write would exceed a documented limit, such as two live secrets an app.
	ErrLimit = errors.New("limit reached")
	// ErrNotPermitted: the Principal may not do this, whatever the state of the database.
	ErrNotPermitted = errors.New("not permitted")
	// ErrInvalid: the database refused a value as malformed (bad encoding, too long); the handler should have refused it.
	ErrInvalid = errors.New("invalid value")
	// ErrUnavailable: the database could not be asked or did not answer; the outcome of a write is unknown.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrReadOnly is the kind of ErrUnavailable where the database answers and takes no writes, as a standby does.
	ErrReadOnly = fmt.Errorf("%w: the database is read-only", ErrUnavailable)
	// ErrTimeout is the kind of ErrUnavailable where the database answers, and has ended a statement that ran too long or
	// waited too long for a lock.
	ErrTimeout = fmt.Errorf("%w: out of time", ErrUnavailable)
)

// Store is the whole contract. Callers take the small interface that they need.
type Store interface {
	Users
	Accounts
	Apps
	Secrets
	Resources
	APIKeys
	Bots
	Integrations
	Requests
	Installations
	Codes
	Tokens
	Refreshes
	UserTokens
	SigningKeys
	Credentials
	Sessions
	PageValues
	Usage
	Audit
	Keys
	Catalogues
	Upkeep
	Limits

	// Now is the database's time, as every replica sees it: its clock when last asked plus monotonic time since the
	// question was sent, so that it is never behind the database, and expiry errs early by at most one round trip.
	Now() time.Time
	// Ping checks that the database answers. It returns ErrUnavailable when it does not, and of that kind ErrReadOnly
	// when the database answers and takes no writes. Each change between the two is logged once.
	Ping(ctx context.Context) error
	// Close releases everything. The Store must not be used afterwards.
	Close() error
}

// Keys stores the server's own symmetric keys, one for each purpose, shared by all replicas.
type Keys interface {
	// EnsureKey returns the key kept under name, storing candidate first if there is none. When replicas race, all
	// get the one that won. ErrKeyLost: the key was deleted, and a new one could not decrypt what the old one encrypted.
	EnsureKey(ctx context.Context, name string, candidate []byte) ([]byte, error)
}

// Page is a part of a list: at most Limit rows (1 to 500; 0 means 100) after the row with id After ("" for the first).
// Empty fields below do not narrow the list.
type Page struct {
	After   string
	Limit   int
	Account string // only rows of this account; users and accounts have no such filter
	Search  string // only rows with this in name, e-mail address or id; the case of ASCII letters does not matter
}
