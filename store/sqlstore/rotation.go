package sqlstore

import (
	"context"

	"xenoauth/store"
)

// familyTables are the tables of one kind of refresh family: the families, and the refresh tokens of each.
type familyTables struct{ families, refreshes string }

var (
	appFamilies  = familyTables{"families", "refresh_tokens"}           // of apps (OAuth)
	userFamilies = familyTables{"user_families", "user_refresh_tokens"} // of users (user tokens)
)

// successor is the id that row r was rotated to, while that one is current: one look-up in the unique index of current
// tokens, and none for a row that is current itself.
func (t familyTables) successor() string {
	return `CASE WHEN r.rotated_at IS NULL THEN NULL ELSE (SELECT n.id FROM ` + t.refreshes + ` n
	WHERE n.family_id = r.family_id AND n.family_id <> '' AND n.rotated_at IS NULL AND n.previous_id = r.id) END`
}

// rotation is the statements that rotate the refresh tokens of one kind of family.
type rotation struct {
	// rotate replaces a token that is current.
	rotate operation
	// replace rotates a token again, in place of its unused successor, which ends as replaced.
	replace operation
	// selectRotated reads whether a token was rotated.
	selectRotated string
}

// newRotation makes the statements for the tables. live is the condition on a row of refreshes that its family and
// everything that the family depends on is live. hash names the columns of the hashes of the next token, with their values.
// issue are further statements that follow.
func newRotation(t familyTables, live string, hash [2]string, issue ...string) rotation {
	// The successor is current from here on. FROM gate is the row that was rotated or replaced.
	next := `INSERT INTO ` + t.refreshes + ` (id, ` + hash[0] + `, family_id, previous_id, created_at, expires_at)
	SELECT @next_id, ` + hash[1] + `, family_id, @old, @next_created_at, @next_expires_at FROM gate`
	// The answer to the request before this one was received: its sealed copy is not needed any more.
	settle := `UPDATE ` + t.refreshes + ` SET sealed = NULL, sealed_until = NULL WHERE id = (SELECT previous_id FROM gate)`
	reseal := `UPDATE ` + t.refreshes + ` SET rotated_at = @now, sealed = @sealed, sealed_until = @sealed_until WHERE id = (SELECT previous_id FROM gate)`
	unexpired := func(now string) string {
		return ` AND EXISTS (SELECT 1 FROM ` + t.refreshes + ` o WHERE o.id = @old AND o.expires_at > ` + now + `)`
	}
	return rotation{
		rotate: newOperation(gate{
			update: `UPDATE ` + t.refreshes + ` SET rotated_at = @now, sealed = @sealed, sealed_until = @sealed_until
WHERE id = @old AND rotated_at IS NULL AND expires_at > @now AND ` + live,
			clock:     ` AND expires_at > ` + postgresNow,
			returning: `family_id, previous_id`,
			row:       `FROM ` + t.refreshes + ` WHERE id = @old`,
		}, append([]string{settle, next}, issue...)...),
		replace: newOperation(gate{
			update: `UPDATE ` + t.refreshes + ` SET rotated_at = @now, replaced_at = @now
WHERE id = @unused AND previous_id = @old AND rotated_at IS NULL AND ` + live + unexpired(`@now`),
			clock:     unexpired(postgresNow),
			returning: `family_id, previous_id`,
			row:       `FROM ` + t.refreshes + ` WHERE id = @unused`,
		}, append([]string{reseal, next}, issue...)...),
		selectRotated: `SELECT CASE WHEN rotated_at IS NULL THEN 0 ELSE 1 END FROM ` + t.refreshes + ` WHERE id = $1`,
	}
}

// run makes the rotation of old, or of old again if its successor is unused. Of any number of rotations of the same token,
// and of replacements of the same successor, one succeeds.
func (r *rotation) run(ctx context.Context, s *Store, old, unused store.LookupID, values args) error {
	operation := &r.rotate
	if unused != (store.LookupID{}) {
		operation = &r.replace
	}
	done, err := operation.run(ctx, s, values)
	if err != nil || done {
		return err
	}
	if unused != (store.LookupID{}) {
		old = unused
	}
	var rotated bool
	if err := s.db.row(ctx, r.selectRotated, []any{old[:]}, scanBool(&rotated)); err != nil {
		return err
	}
	if rotated { // another rotation won
		return store.ErrConsumed
	}
	return store.ErrEnded
}
