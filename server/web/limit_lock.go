package web

import (
	"context"
	"fmt"
	"time"

	"xenoauth/store"
)

// Locks are the accounts that are locked for a day because too many wrong passwords were tried, for the
// operator's commands.
type Locks struct {
	limits *limits
}

// NewLocks reads the counts of a server with this cookie key and limit; 0 means the limit's default.
func NewLocks(rows store.Limits, cookieKey []byte, accountFailures int) *Locks {
	return &Locks{newLimits(rows, cookieKey, FailureLimits{Account: accountFailures})}
}

// Locked returns for how long an account stays locked; 0: it is not.
func (l *Locks) Locked(ctx context.Context, u store.User) (time.Duration, error) {
	wait, err := l.limits.rows.Waiting(ctx, l.limits.account(u.Email))
	if err != nil {
		return 0, fmt.Errorf("is user %s locked: %w", u.ID, err)
	}
	return wait, nil
}

// Unlock forgets the wrong passwords that were counted of an account, from everywhere and from single networks. The failures
// of the owner's own browsers stay counted, for 15 minutes at most.
func (l *Locks) Unlock(ctx context.Context, by store.Actor, u store.User) error {
	err := l.limits.rows.Unlock(ctx, by, u.ID, l.limits.account(u.Email).Key, l.limits.own("pair", u.Email).Key, l.limits.own("password", u.ID).Key)
	if err != nil {
		return fmt.Errorf("unlock user %s: %w", u.ID, err)
	}
	return nil
}
