package store

import (
	"context"
	"time"
)

// Limit is a limit on failures under one key within a window.
type Limit struct {
	Key    string // of the count; contains no personal data in the clear: the caller hashes addresses
	Max    int
	Window time.Duration
	Resets bool // a success resets the count
	Keeps  bool // a success counts as well
}

// Limits counts failures for all replicas together, so that a second replica does not give an attacker more attempts.
type Limits interface {
	// Waiting returns how long an attempt has to wait; 0: Attempt may count it. It only reads, so that refused attempts cost no
	// writes.
	Waiting(ctx context.Context, limits ...Limit) (wait time.Duration, err error)
	// Attempt counts an attempt under every limit, before its outcome is known, so that parallel attempts cannot exceed the
	// limit together. It returns how long to wait; 0: the attempt is counted. A refused attempt is not counted.
	Attempt(ctx context.Context, limits ...Limit) (wait time.Duration, err error)
	// Refund takes back an attempt whose outcome is unknown, under every key.
	Refund(ctx context.Context, limits ...Limit) error
	// Reset takes back a successful attempt, except under limits that Keep it, and resets the counts of limits that Reset.
	Reset(ctx context.Context, limits ...Limit) error
	// Unlock deletes the counts under the keys of a user, and under longer keys that continue one of them with a colon. It writes
	// the audit event even if there were no counts.
	Unlock(ctx context.Context, by Principal, userID string, keys ...string) error
}
