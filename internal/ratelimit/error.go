package ratelimit

import (
	"errors"
	"time"
)

// Reason is which kind of limit was reached.
type Reason int

// The reasons. All but Queue mean that the caller used up a limit.
const (
	Failures      Reason = iota // too many attempts failed
	AccountLocked               // too many wrong passwords for one account in a day
	SignUps                     // too many sign-ups from one network in a day
	Changes                     // too many changes by one user in an hour
	Codes                       // too many codes for one user, without a page, in an hour
	ProgramLogIns               // too many log-ins by programs of one user in an hour
	Queue                       // too many passwords of one network are waiting to be checked
)

// Error refuses a request: the caller has to wait.
type Error struct {
	Wait   time.Duration
	Reason Reason
	Cause  error // the response without the limit; for the log
}

// Error is for the log.
func (e *Error) Error() string {
	text := "rate limited, wait " + e.Wait.Round(time.Second).String()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// QueueWait is Error.Wait when a queue is full: about the time in which it empties.
const QueueWait = 10 * time.Second

// ErrTimeout is the error of an attempt that waited too long behind others of its network. It wraps the context's error.
var ErrTimeout = errors.New("ratelimit: no place among the attempts of this network")
