package web

import "time"

// programChanges is how many log-ins of a user's programs count as one change. Each leaves rows and an audit event as well,
// but some programs log in for each task.
const programChanges = 10

// changes counts what users leave in the database and the audit trail in an hour.
type changes struct {
	pages, codes, programs *tallies
}

func newChanges(most int) changes {
	return changes{newTallies(most, time.Hour), newTallies(most, time.Hour), newTallies(programChanges*most, time.Hour)}
}

// CountChange counts a change that a user makes, each of which leaves rows and audit events. *LimitError: there were too
// many in the last hour, and nothing may be made before that is over.
func (t *Toolkit) CountChange(userID string) error {
	if wait := t.changes.pages.add(userID, time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Reason: "You have made too many changes in the last hour."}
	}
	return nil
}

// CountCode counts a code that an app gets without a page. It counts apart from what the user does: an app that sends its
// user in circles must not keep them from logging in. *LimitError: there were too many in the last hour.
func (t *Toolkit) CountCode(userID string) error {
	if wait := t.changes.codes.add(userID, time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Reason: "Apps have asked for you too often in the last hour."}
	}
	return nil
}

// CountProgram counts a right log-in of a user's or bot's program. *LimitError: there were too many in the last hour.
func (t *Toolkit) CountProgram(userID string) error {
	if wait := t.changes.programs.add(userID, time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Reason: "Programs have logged in too often as this user in the last hour.",
			Advice: "Keep the token that a log-in gives, and renew it with its refresh token."}
	}
	return nil
}
