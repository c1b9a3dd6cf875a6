package store

import (
	"context"
	"time"
)

// Limit is a bound on failures under one key within a window.
type Limit struct {
	Key    string // what is counted, without personal data in the clear: the caller hashes addresses
	Most   int
	Window time.Duration
	Resets bool // a success makes the failures before it good, too
	Keeps  bool // a success counts as well
}

// Limits counts failures where a second replica must not give a second chance.
type Limits interface {
	// Waiting says how long a try has to wait; 0 means that Attempt is worth asking. It only reads, so that a flood of
	// refused tries costs no writes.
	Waiting(ctx context.Context, limits ...Limit) (wait time.Duration, err error)
	// Attempt counts one try under every limit, before it is known whether it fails, so that parallel tries cannot slip
	// past the bound together. It returns how long to wait; 0 means go on. A refused try is not counted.
	Attempt(ctx context.Context, limits ...Limit) (wait time.Duration, err error)
	// TakeBack takes back a try about which nothing was found out, under every key.
	TakeBack(ctx context.Context, limits ...Limit) error
	// Forgive takes back the try of a success under every limit but those that Keep it, and what each limit that Resets has
	// counted before.
	Forgive(ctx context.Context, limits ...Limit) error
	// Unlock resets the counts of a user: under the keys, and under keys that go on after one of them with a colon.
	// The audit event is written whether or not anything was.
	Unlock(ctx context.Context, by Principal, userID string, keys ...string) error
}
