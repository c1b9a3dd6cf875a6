package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"xenoauth/store"
)

// lockUser holds a person's row until the transaction ends, and reads whether the address is verified.
const lockUser = `UPDATE users SET name = name WHERE id = $1 AND bot = 0 AND deleted_at IS NULL
RETURNING CASE WHEN email_verified_at IS NULL THEN 0 ELSE 1 END`

const (
	updateEmail = `UPDATE users SET email = $2, email_verified_at = CASE WHEN email = $2 THEN email_verified_at ELSE NULL END WHERE id = $1`
	verifyEmail = `UPDATE users SET email_verified_at = $2 WHERE id = $1 AND email_verified_at IS NULL`
)

// EditUser implements store.Users.
func (s *Store) EditUser(ctx context.Context, by store.Principal, id string, e store.UserEdit) (ended store.EndedCredentials, err error) {
	defer wrapErr(&err, "edit user %s", id)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		ended = store.EndedCredentials{} // of an attempt before this one
		var verified bool
		if err := q.row(ctx, lockUser, []any{id}, scanBool(&verified)); err != nil {
			return err
		}
		if e.Name != nil {
			if _, err := q.exec(ctx, updateUserName, id, *e.Name); err != nil {
				return err
			}
			if err := s.record(ctx, q, by, store.Event{Kind: store.EventUserRenamed, Subject: id}); err != nil {
				return err
			}
		}
		if e.Email != nil {
			if _, err := q.exec(ctx, updateEmail, id, *e.Email); err != nil {
				return err
			}
			if err := s.record(ctx, q, by, store.Event{Kind: store.EventEmailChanged, Subject: id}); err != nil {
				return err
			}
		}
		if !e.VerifyEmail {
			return nil
		}
		if err := s.verifyEmail(ctx, q, by, id); err != nil || verified {
			return err
		}
		return s.endCredentials(ctx, q, by, id, true, &ended)
	})
	return ended, err
}

// verifyEmail notes that the address is proved, unless it is so already.
func (s *Store) verifyEmail(ctx context.Context, q querier, by store.Principal, id string) error {
	changed, err := q.exec(ctx, verifyEmail, id, s.micros())
	if err != nil || changed == 0 {
		return err
	}
	return s.record(ctx, q, by, store.Event{Kind: store.EventEmailVerified, Subject: id})
}

// ResetUserPassword implements store.Users.
func (s *Store) ResetUserPassword(ctx context.Context, by store.Principal, id, phc string, r store.PasswordReset) (ended store.EndedCredentials, err error) {
	defer wrapErr(&err, "reset password of user %s", id)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		ended = store.EndedCredentials{} // of an attempt before this one
		var verified bool
		if err := q.row(ctx, lockUser, []any{id}, scanBool(&verified)); err != nil {
			return err
		}
		now := s.micros()
		if _, err := q.exec(ctx, updatePassword, id, phc, now); err != nil {
			return err
		}
		if err := s.record(ctx, q, by, store.Event{Kind: store.EventPasswordChanged, Subject: id}); err != nil {
			return err
		}
		if r.VerifyEmail {
			if err := s.verifyEmail(ctx, q, by, id); err != nil {
				return err
			}
		}
		if r.EndCredentials || !verified {
			return s.endCredentials(ctx, q, by, id, !verified, &ended)
		}
		return s.endSessions(ctx, q, id, now, &ended)
	})
	return ended, err
}

const (
	selectUnverified  = `SELECT u.id FROM users u WHERE u.email = $1 AND u.bot = 0 AND u.deleted_at IS NULL AND u.email_verified_at IS NULL`
	deleteOwnAccounts = `UPDATE accounts SET deleted_at = $2 WHERE deleted_at IS NULL AND id IN (` + ownAccounts + `)`
	deleteAppsOfOwn   = `UPDATE apps SET deleted_at = $2, updated_at = $2 WHERE deleted_at IS NULL AND account_id <> '' AND account_id IN (` + ownAccounts + `)`
	takenOverEvent    = "the e-mail address was given to its owner"
)

// TakeOverEmail implements store.Users.
func (s *Store) TakeOverEmail(ctx context.Context, by store.Principal, held string, u store.User, a store.Account) (ended store.EndedCredentials, err error) {
	defer wrapErr(&err, "take over the address of user %s", u.ID)
	err = s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		ended = store.EndedCredentials{} // of an attempt before this one
		var holder string
		err := q.row(ctx, selectUnverified, []any{held}, &holder)
		if err == nil {
			err = s.removeUnverified(ctx, q, by, holder, &ended)
		}
		if err != nil && !notFound(err) {
			return err
		}
		// Where no such user had the address, it is free, or creating the user finds the conflict.
		return s.createUser(ctx, q, by, u, a)
	})
	return ended, err
}

func (s *Store) removeUnverified(ctx context.Context, q querier, by store.Principal, id string, ended *store.EndedCredentials) error {
	var verified bool
	if err := q.row(ctx, lockUser, []any{id}, scanBool(&verified)); err != nil {
		return err
	}
	if verified { // meanwhile
		return store.ErrConflict
	}
	if err := s.endCredentials(ctx, q, by, id, true, ended); err != nil {
		return err
	}
	now := s.micros()
	for _, statement := range []string{deleteAppsOfOwn, deleteOwnAccounts} {
		if _, err := q.exec(ctx, statement, id, now); err != nil {
			return fmt.Errorf("delete accounts: %w", err)
		}
	}
	return s.deleteUser(ctx, q, by, id, store.Event{Kind: store.EventUserDeleted, Subject: id, Detail: takenOverEvent})
}

// ownAccounts are the accounts of user $1 in which there is no other person.
const ownAccounts = `SELECT m.account_id FROM members m WHERE m.user_id = $1 AND NOT EXISTS (
	SELECT 1 FROM members o JOIN users p ON p.id = o.user_id AND p.bot = 0 WHERE o.account_id = m.account_id AND o.user_id <> $1)`

// ownApps and ownBots are those that the user made, and those of accounts without another person. They are
// looked for in whole tables: only the operator does that, and rarely.
const (
	ownApps = `SELECT a.id FROM apps a WHERE a.deleted_at IS NULL AND (a.created_by = $1 OR a.account_id IN (` + ownAccounts + `))`
	ownBots = `SELECT b.api_key FROM bots b WHERE b.created_by = $1 OR b.account_id IN (` + ownAccounts + `)`

	revokeOwnKeys = `UPDATE api_keys SET revoked_at = $2 WHERE revoked_at IS NULL
AND (user_id = $1 OR created_by = $1 OR account_id IN (` + ownAccounts + `))`
	revokeSecretsOf = `UPDATE client_secrets SET revoked_at = $2
WHERE client_id <> '' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) AND client_id IN `
	revokeOwnBotSecrets = revokeSecretsOf + `(` + ownBots + `)`
	revokeOwnAppSecrets = revokeSecretsOf + `(` + ownApps + `)`
	removeAppsOfOthers  = `UPDATE installations SET removed_at = $2, updated_at = $2
WHERE app_id <> '' AND removed_at IS NULL AND app_id IN (` + ownApps + `)`
)

// endSessions ends and counts everything that a log-in of the user gave.
func (s *Store) endSessions(ctx context.Context, q querier, userID string, now int64, ended *store.EndedCredentials) (err error) {
	if ended.Sessions, err = q.exec(ctx, deleteSessions, userID, []byte{}); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if _, err := q.exec(ctx, endUserCodes, userID, now); err != nil {
		return fmt.Errorf("end codes: %w", err)
	}
	if ended.UserTokens, err = q.exec(ctx, endUserFamilies, userID, now); err != nil {
		return fmt.Errorf("end user tokens: %w", err)
	}
	return nil
}

// endCredentials ends all that someone can have got who knew the user's password. With others, apps of the user are also
// removed where other people have installed them: the app's maker, who signed up under a false address, holds tokens of theirs.
func (s *Store) endCredentials(ctx context.Context, q querier, by store.Principal, userID string, others bool, ended *store.EndedCredentials) error {
	now := s.micros()
	if err := s.endSessions(ctx, q, userID, now, ended); err != nil {
		return err
	}
	steps := []struct {
		count     *int64
		statement string
	}{
		{&ended.Keys, revokeOwnKeys}, {&ended.BotSecrets, revokeOwnBotSecrets}, {&ended.AppSecrets, revokeOwnAppSecrets},
		{&ended.Installations, removeUserInstallations},
	}
	if others {
		steps = append(steps, struct {
			count     *int64
			statement string
		}{&ended.Installations, removeAppsOfOthers})
	}
	for _, step := range steps {
		n, err := q.exec(ctx, step.statement, userID, now)
		if err != nil {
			what, _, _ := strings.Cut(step.statement, " WHERE")
			return fmt.Errorf("%s: %w", what, err)
		}
		*step.count += n
	}
	return s.record(ctx, q, by, store.Event{Kind: store.EventCredentialsEnded, Subject: userID, Detail: fmt.Sprintf(
		"%d sessions, %d user tokens, %d API keys, %d bot secrets, %d app secrets, %d installations",
		ended.Sessions, ended.UserTokens, ended.Keys, ended.BotSecrets, ended.AppSecrets, ended.Installations)})
}
