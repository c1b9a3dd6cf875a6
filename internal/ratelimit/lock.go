package ratelimit

import (
	"context"
	"fmt"
	"time"

	"xenoauth/store"
)

// Locked returns for how long an account stays locked because of too many wrong passwords in a day; 0: it is not locked.
func (l *Limiter) Locked(ctx context.Context, u store.User) (time.Duration, error) {
	wait, err := l.rows.Waiting(ctx, l.row(account, u.Email))
	if err != nil {
		return 0, fmt.Errorf("is user %s locked: %w", u.ID, err)
	}
	return wait, nil
}

// Unlock deletes the counts of wrong passwords for an account, from all networks together and from each. The failures of the
// owner's own browsers stay counted, for 15 minutes at most.
func (l *Limiter) Unlock(ctx context.Context, by store.Principal, u store.User) error {
	err := l.rows.Unlock(ctx, by, u.ID, l.row(account, u.Email).Key, l.row(logInPair, u.Email).Key, l.row(passwordPair, u.ID).Key)
	if err != nil {
		return fmt.Errorf("unlock user %s: %w", u.ID, err)
	}
	return nil
}
