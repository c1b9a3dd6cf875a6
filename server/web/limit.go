package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/ratelimit"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Attempt is an attempt at a password, or a sign-up, that counts as failed until its outcome is known.
type Attempt struct {
	t       *Toolkit
	attempt *ratelimit.Attempt
}

// AttemptLogIn counts an attempt to log in on a page, before the password is checked. An error for which AsLimit is not
// nil means to wait.
func (t *Toolkit) AttemptLogIn(r *http.Request, email string) (*Attempt, error) {
	address, c := normalEmail(email), ratelimit.Client{Network: network(r)}
	if address != "" {
		c.Browser = t.device(r, address)
	}
	a, err := t.limits.LogIn(r.Context(), c, address)
	return t.attempt(a, err)
}

// AttemptProgramLogIn is AttemptLogIn for a program, which keeps no cookies.
func (t *Toolkit) AttemptProgramLogIn(r *http.Request, email string) (*Attempt, error) {
	a, err := t.limits.LogIn(r.Context(), ratelimit.Client{Network: network(r)}, normalEmail(email))
	return t.attempt(a, err)
}

// normalEmail is empty for text that is no e-mail address.
func normalEmail(email string) string {
	address, err := directory.NormalizeEmail(email)
	if err != nil {
		return ""
	}
	return address
}

// AttemptPassword counts an attempt at the current password of the visitor. The errors are those of AttemptLogIn.
func (t *Toolkit) AttemptPassword(r *http.Request, user store.User) (*Attempt, error) {
	c := ratelimit.Client{Network: network(r), Browser: t.device(r, user.Email)}
	a, err := t.limits.Password(r.Context(), c, user)
	return t.attempt(a, err)
}

// AttemptSignUp counts a sign-up. The errors are those of AttemptLogIn.
func (t *Toolkit) AttemptSignUp(r *http.Request) (*Attempt, error) {
	a, err := t.limits.SignUp(r.Context(), network(r))
	return t.attempt(a, err)
}

func (t *Toolkit) attempt(a *ratelimit.Attempt, err error) (*Attempt, error) {
	if err != nil {
		return nil, err
	}
	return &Attempt{t, a}, nil
}

// Succeed takes the count of the attempt back.
func (a *Attempt) Succeed(r *http.Request) { a.logUnreleased(r, a.attempt.Succeed(r.Context())) }

// SucceedAs takes the count of the attempt back, and remembers the browser as one of the user's.
func (a *Attempt) SucceedAs(w http.ResponseWriter, r *http.Request, user store.User) {
	a.Succeed(r)
	a.t.rememberDevice(w, r, user.Email)
}

// Release takes the count of the attempt back if its outcome is unknown.
func (a *Attempt) Release(r *http.Request) { a.logUnreleased(r, a.attempt.Release(r.Context())) }

func (a *Attempt) logUnreleased(r *http.Request, err error) {
	if err != nil {
		a.t.log.WarnContext(r.Context(), "failed to release log-in attempt", "request", RequestID(r.Context()), "error", err)
	}
}

// Refused counts a refusal of an unknown client, secret, code or refresh token. It returns the error to answer with: cause, or
// that there were too many. Call it only after a request has failed.
func (t *Toolkit) Refused(r *http.Request, cause error) error {
	return t.limits.Refused(network(r), cause)
}

// RefusedKey is Refused for an API key or a bot's secret, which also counts by key: the presented credential, or the bot's
// e-mail address.
func (t *Toolkit) RefusedKey(r *http.Request, key string, cause error) error {
	return t.limits.RefusedKey(network(r), key, cause)
}

// CountChange counts a change that a user makes, which leaves rows and audit events. After an error that AsLimit recognizes
// the change must not be made.
func (t *Toolkit) CountChange(userID string) error { return t.limits.Change(userID) }

// CountCode counts a code that an app gets without a page. The errors are those of CountChange.
func (t *Toolkit) CountCode(userID string) error { return t.limits.Code(userID) }

// CountProgram counts a successful log-in of a user's or bot's program. The errors are those of CountChange.
func (t *Toolkit) CountProgram(userID string) error { return t.limits.ProgramLogIn(userID) }

// StoreTurn waits for the turn of a request that stores something for a browser without a session. holder stands for its
// network in the row. release must be called.
func (t *Toolkit) StoreTurn(r *http.Request) (holder string, release func(), err error) {
	return t.limits.StoreTurn(r.Context(), network(r))
}

// network is the part of the client's address that counts.
func network(r *http.Request) string { return NetworkOf(ClientIP(r)) }

// NetworkOf is ratelimit.Network of an address with or without a port; empty for any other text.
func NetworkOf(address string) string {
	ip, ok := parseIP(address)
	if !ok {
		return ""
	}
	return ratelimit.Network(ip)
}

// Limited is a limit that the caller has reached. Its answer is 429 with Retry-After.
type Limited struct{ *ratelimit.Error }

// AsLimit returns the limit that err stands for, or nil.
func AsLimit(err error) *Limited {
	var limited *ratelimit.Error
	switch {
	case errors.As(err, &limited):
	case errors.Is(err, secret.ErrQueueFull):
		limited = &ratelimit.Error{Wait: ratelimit.QueueWait, Reason: ratelimit.Queue, Cause: err}
	default:
		return nil
	}
	return &Limited{limited}
}

// limitText is the text for a reason: what happened, and what helps besides waiting.
var limitText = map[ratelimit.Reason]struct{ sentence, advice string }{
	ratelimit.Failures: {"Too many failed attempts.", ""},
	ratelimit.AccountLocked: {"This account is locked because of too many wrong passwords today.",
		"Log in from a browser you have logged in with before, or ask the operator of this service to unlock the account."},
	ratelimit.SignUps: {"Too many sign-ups from your network today.", "Ask the operator of this service to add you."},
	ratelimit.Changes: {"You have made too many changes in the last hour.", ""},
	ratelimit.Codes:   {"Apps have requested access to your account too often in the last hour.", ""},
	ratelimit.ProgramLogIns: {"Programs have logged in as this user too often in the last hour.",
		"Keep the access token from a log-in and renew it with its refresh token."},
	ratelimit.Queue: {"Too many passwords from your network are being checked right now.", ""},
}

// Sentence describes the limit on a page.
func (l *Limited) Sentence() string {
	wait := plural(l.seconds(), "second")
	switch {
	case l.Wait > 90*time.Minute:
		wait = plural(int(math.Ceil(l.Wait.Hours())), "hour")
	case l.Wait > 90*time.Second:
		wait = plural(int(math.Ceil(l.Wait.Minutes())), "minute")
	}
	text := limitText[l.Reason]
	if text.advice != "" {
		return text.sentence + " " + text.advice + " Otherwise wait " + wait + " and try again."
	}
	return text.sentence + " Wait " + wait + " and try again."
}

// Announce sets Retry-After, for a handler that renders its own page.
func (l *Limited) Announce(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(l.seconds()))
}

func (l *Limited) seconds() int { return max(1, int(math.Ceil(l.Wait.Seconds()))) }
