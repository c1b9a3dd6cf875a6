package web

import "time"

// CountChange counts a change that a user makes, each of which leaves rows and audit events. *LimitError: there were too
// many in the last hour, and nothing may be made before that is over.
func (t *Toolkit) CountChange(userID string) error {
	if wait := t.changes.add(userID, time.Now()); wait > 0 {
		return &LimitError{Wait: wait, Reason: "You have made too many changes in the last hour."}
	}
	return nil
}
