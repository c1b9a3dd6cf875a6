package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"xenoauth/store"
)

// settleBudget is the time for the database that a request has at least to release its attempt. With the budget of a request
// it stays within the 3 s in which every request is answered.
const settleBudget = 300 * time.Millisecond

// Attempt is an attempt at a password, or a sign-up. It is counted before its outcome is known, so that parallel attempts
// cannot slip past the limit together, and is pending until the context that it was made with ends. An attempt on which
// neither Succeed nor Release is called stays counted: it has failed.
type Attempt struct {
	l      *Limiter
	limits []store.Limit
	leave  func() // gives up the place among the attempts of the network
}

// LogIn counts an attempt at the password of an account, before the password is checked: for the e-mail address, existing or
// not, from the client's network; for the address from all networks, in a day; and for the network. A browser that has logged
// in to the account before counts by itself instead, so that owners can always log in where they usually do. email is in
// normal form, or empty if it has none: such an address belongs to no user, but costs as much work. *Error: wait. ErrTimeout.
func (l *Limiter) LogIn(ctx context.Context, c Client, email string) (*Attempt, error) {
	switch {
	case email == "":
		return l.attempt(ctx, c.Network, l.row(network, c.Network))
	case c.Browser != "":
		return l.attempt(ctx, c.Network, l.row(logInBrowser, c.Browser+email))
	}
	return l.attemptAccount(ctx, c.Network, email, l.row(logInPair, email, c.Network))
}

// Password counts an attempt at the current password of a user who is logged in. It has a count of its own, so that a stolen
// session does not keep the owner from logging in. The errors are those of LogIn.
func (l *Limiter) Password(ctx context.Context, c Client, u store.User) (*Attempt, error) {
	if c.Browser != "" {
		return l.attempt(ctx, c.Network, l.row(passwordBrowser, c.Browser+u.ID))
	}
	return l.attemptAccount(ctx, c.Network, u.Email, l.row(passwordPair, u.ID, c.Network))
}

// attemptAccount counts an attempt under a limit of its own, for the account from all networks, and for the network.
func (l *Limiter) attemptAccount(ctx context.Context, from, email string, own store.Limit) (*Attempt, error) {
	a, err := l.attempt(ctx, from, own, l.row(account, email), l.row(network, from))
	var limited *Error
	if errors.As(err, &limited) && limited.Wait > own.Window { // only the window of the account is longer
		limited.Reason = AccountLocked
	}
	return a, err
}

// SignUp counts a sign-up from a network: those that fail, since they reveal whether an address is in use, and in a day all of
// them, since each makes rows that stay. The errors are those of LogIn.
func (l *Limiter) SignUp(ctx context.Context, from string) (*Attempt, error) {
	failures := l.row(signUpFailures, from)
	a, err := l.attempt(ctx, from, failures, l.row(signUps, from))
	var limited *Error
	if errors.As(err, &limited) && limited.Wait > failures.Window {
		limited.Reason = SignUps
	}
	return a, err
}

// StoreTurn waits for the turn of a request that stores something for a browser without a session: those of one network write
// with one connection at a time. holder stands for the network in the row. release must be called. The error is
// store.ErrUnavailable.
func (l *Limiter) StoreTurn(ctx context.Context, from string) (holder string, release func(), err error) {
	holder = "ip:" + l.mark("park", from)
	release, err = l.pending.wait(ctx, toCount, []store.Limit{{Key: "park " + holder}})
	if err != nil {
		return "", nil, fmt.Errorf("%w: wait for other requests of the network: %w", store.ErrUnavailable, err)
	}
	return holder, release, nil
}

// attempt counts an attempt. Pending attempts that will succeed may fill the limit, so an attempt that finds it full waits for
// them. That way any number of users behind one address who know their passwords can log in at the same time.
func (l *Limiter) attempt(ctx context.Context, from string, limits ...store.Limit) (_ *Attempt, err error) {
	leave, err := l.enter(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	budget, cancel := context.WithTimeout(ctx, l.pending.budget)
	defer cancel()
	defer l.pending.watch(limits)()
	for {
		_, before := l.pending.look(limits)
		wait, err := l.count(ctx, budget, from, limits)
		if err != nil {
			return nil, fmt.Errorf("count an attempt: %w", err)
		}
		if wait == 0 {
			return &Attempt{l, limits, leave}, nil
		}
		changed, now := l.pending.look(limits)
		switch {
		case changed != nil:
			select {
			case <-changed:
			case <-budget.Done():
			}
		case now == before:
			return nil, &Error{Wait: wait}
		} // else the last pending attempt succeeded just now
		if err := budget.Err(); err != nil {
			return nil, fmt.Errorf("wait for pending attempts: %w", err)
		}
	}
}

// enter waits for a place among the attempts of the network. It is left when the attempt is settled, or its context ends.
func (l *Limiter) enter(ctx context.Context, from string) (leave func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, l.gate.budget)
	defer cancel()
	leave, err = l.gate.enter(waiting, from)
	switch {
	case errors.Is(err, errGateFull):
		return nil, &Error{Wait: QueueWait, Reason: Queue, Cause: err}
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	context.AfterFunc(ctx, leave)
	return leave, nil
}

// count counts an attempt unless that exceeds a limit; then it returns how long to wait. The attempt is pending until ctx
// ends. It waits for its turn until budget ends, and then returns that error. The request that has the turn is at the database,
// so the wait counts against what this request may spend on the database.
func (l *Limiter) count(ctx, budget context.Context, from string, limits []store.Limit) (wait time.Duration, err error) {
	// However many attempts a network sends, it looks with one connection at a time.
	release, err := l.pending.wait(budget, toLook, []store.Limit{{Key: "network " + from}})
	if err != nil {
		return 0, err
	}
	wait, err = l.rows.Waiting(ctx, limits...)
	release()
	if err != nil || wait > 0 {
		return wait, err
	}
	if release, err = l.pending.wait(budget, toCount, limits); err != nil {
		return 0, err
	}
	defer release()
	l.pending.begin(limits)
	end := sync.OnceFunc(func() { l.pending.end(limits) })
	context.AfterFunc(ctx, end)
	if wait, err = l.rows.Attempt(ctx, limits...); err != nil || wait > 0 {
		end()
	}
	return wait, err
}

// Succeed takes the count of a successful attempt back, and resets the limits that only the owner of the account can have used
// up. After an error the attempt stays counted; the caller still answers it as a success.
func (a *Attempt) Succeed(ctx context.Context) error { return a.settle(ctx, a.l.rows.Reset) }

// Release takes the count of an attempt back whose outcome is unknown, because the server failed. If the client itself closed
// the connection the attempt stays counted: otherwise a client could make work without being counted.
func (a *Attempt) Release(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return a.settle(ctx, a.l.rows.Refund)
}

// settle updates the counts, even if the request has used up its database budget: an attempt that stayed counted because the
// database was slow would lock out a user who did nothing wrong.
func (a *Attempt) settle(ctx context.Context, update func(context.Context, ...store.Limit) error) error {
	a.leave()
	ctx = store.WithReservedConnections(context.WithoutCancel(ctx))
	store.ExtendBudget(ctx, settleBudget)
	turn, waited := store.SpendBudget(ctx, settleBudget/2)
	release, err := a.l.pending.takeTurn(turn, toRelease, a.limits)
	waited()
	if err == nil { // else the database puts the updates in order
		defer release()
	}
	err = update(ctx, a.limits...)
	a.l.pending.release(a.limits)
	return err
}
