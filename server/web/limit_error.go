package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"xenoauth/internal/secret"
)

// LimitError: too much has failed, and the caller has to wait. Its answer is 429 with Retry-After.
type LimitError struct {
	Wait   time.Duration
	Reason string // a sentence for people; "": too many attempts failed
	Advice string // what to do beside waiting, a sentence
	Cause  error  // what would have been answered otherwise; for the log
}

// Error is for the log.
func (e *LimitError) Error() string {
	text := "429 wait " + e.Wait.Round(time.Second).String()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Sentence is the error for people.
func (e *LimitError) Sentence() string {
	wait := plural(e.seconds(), "second")
	switch {
	case e.Wait > 90*time.Minute:
		wait = plural(int(math.Ceil(e.Wait.Hours())), "hour")
	case e.Wait > 90*time.Second:
		wait = plural(int(math.Ceil(e.Wait.Minutes())), "minute")
	}
	text := first(e.Reason, "There were too many failed tries.") + " "
	if e.Advice != "" {
		return text + e.Advice + " Otherwise wait " + wait + " and try again."
	}
	return text + "Wait " + wait + " and try again."
}

// Announce sets Retry-After, for a handler that renders a page of its own.
func (e *LimitError) Announce(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(e.seconds()))
}

func (e *LimitError) seconds() int { return max(1, int(math.Ceil(e.Wait.Seconds()))) }

// queueWait is the Retry-After when the queue for hashing is full: about the time in which it empties.
const queueWait = 10 * time.Second

// AsLimit returns the *LimitError that err is or stands for, or nil: so many passwords of the client's address wait to be
// hashed that no more are taken.
func AsLimit(err error) *LimitError {
	var limited *LimitError
	if errors.As(err, &limited) {
		return limited
	}
	if errors.Is(err, secret.ErrQueueFull) || errors.Is(err, errGateFull) {
		return &LimitError{Wait: queueWait, Reason: "Too many passwords from your network are waiting to be checked.", Cause: err}
	}
	return nil
}
