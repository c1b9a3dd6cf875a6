package ratelimit

import "time"

// changes counts, by user, what leaves rows in the database and the audit trail.
type changes struct {
	pages, codes, programs *tallies
}

func newChanges(l Limits) changes {
	return changes{pages: l.tally(pageChanges), codes: l.tally(codes), programs: l.tally(programLogIns)}
}

// Change counts a change that a user makes on a page. *Error: there were too many in the last hour.
func (l *Limiter) Change(userID string) error { return l.changes.pages.allow(userID, Changes) }

// Code counts a code that an app gets for a user without a page. It has a count of its own: an app that redirects its user in
// circles must not keep the user from logging in. *Error: there were too many in the last hour.
func (l *Limiter) Code(userID string) error { return l.changes.codes.allow(userID, Codes) }

// ProgramLogIn counts a successful log-in of a user's or bot's program. *Error: there were too many in the last hour.
func (l *Limiter) ProgramLogIn(userID string) error {
	return l.changes.programs.allow(userID, ProgramLogIns)
}

// allow counts one under a key, and refuses it above the limit.
func (t *tallies) allow(key string, reason Reason) error {
	if wait := t.add(key, time.Now()); wait > 0 {
		return &Error{Wait: wait, Reason: reason}
	}
	return nil
}
