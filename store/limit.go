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
}

// Limits counts failures where a second replica must not give a second chance.
type Limits interface {
	// Attempt counts one try under every limit, before it is known whether it fails, so that parallel tries cannot slip
	// past the bound together. It returns how long to wait; 0 means go on. A refused try is not counted.
	Attempt(ctx context.Context, limits ...Limit) (wait time.Duration, err error)
	// Forgive takes back the try of a success under every key; reset also forgets the failures before it.
	Forgive(ctx context.Context, reset bool, limits ...Limit) error
}
