package sqlstore

import (
	"context"
	"fmt"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// userColumns are read by toUser; the table is u.
const userColumns = `u.id, u.email, u.name, u.password, u.operator, u.created_at, u.password_at, u.disabled_at, u.bot, u.email_verified_at`

func appendUser(dest []any, u *store.User) []any {
	return append(dest, scanText(&u.ID), scanText(&u.Email), scanText(&u.Name), scanText(&u.Password), scanBool(&u.Operator), scanTime(&u.CreatedAt),
		scanTime(&u.PasswordAt), scanTime(&u.DisabledAt), scanBool(&u.Bot), scanTime(&u.EmailVerifiedAt))
}

func toUser(u *store.User) []any { return appendUser(nil, u) }

func readUser(scan scanner) (u store.User, err error) {
	err = scan(toUser(&u)...)
	return u, err
}

// createUser makes a person with an account of which the person is the admin.
var createUser = newOperation(gate{
	update: `INSERT INTO users (id, email, name, password, operator, created_at, password_at, email_verified_at)
VALUES (@user, @email, @name, @password, @is_operator, @created, @password_at, @verified)`,
	returning: `id`, row: `FROM users WHERE id = @user`,
},
	`INSERT INTO accounts (id, name, plan, created_at) SELECT @account, @account_name, @plan, @account_created FROM gate`,
	`INSERT INTO members (account_id, user_id, role, joined_at) SELECT @account, @user, '`+string(scope.RoleAdmin)+`', @created FROM gate`,
	recordGate(`@account`, `''`), storeForm)

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, by store.Principal, u store.User, a store.Account) (err error) {
	defer wrapErr(&err, "create user %s", u.ID)
	_, err = s.runAs(ctx, by, &createUser, store.Event{Kind: store.EventUserCreated, AccountID: a.ID, Subject: u.ID}, newUser(u, a))
	return err
}

// createUser is CreateUser in a transaction that has begun.
func (s *Store) createUser(ctx context.Context, q querier, by store.Principal, u store.User, a store.Account) error {
	_, err := s.runAsIn(ctx, q, by, &createUser, store.Event{Kind: store.EventUserCreated, AccountID: a.ID, Subject: u.ID}, newUser(u, a))
	return err
}

func newUser(u store.User, a store.Account) args {
	return args{
		{"user", u.ID}, {"email", u.Email}, {"name", u.Name}, {"password", u.Password}, {"is_operator", flag(u.Operator)}, {"created", at(u.CreatedAt)},
		{"password_at", at(u.PasswordAt)}, {"verified", at(u.EmailVerifiedAt)},
		{"account_name", a.Name}, {"plan", a.Plan}, {"account_created", at(a.CreatedAt)},
	}
}

const selectUser = `SELECT ` + userColumns + ` FROM users u WHERE u.deleted_at IS NULL AND u.id = $1`

// UserByID implements store.Users.
func (s *Store) UserByID(ctx context.Context, id string) (u store.User, err error) {
	defer wrapErr(&err, "user %s", id)
	err = s.read().row(ctx, selectUser, []any{id}, toUser(&u)...)
	return u, err
}

const selectUserByEmail = `SELECT ` + userColumns + ` FROM users u WHERE u.deleted_at IS NULL AND u.email = $1`

// UserByEmail implements store.Users.
func (s *Store) UserByEmail(ctx context.Context, email string) (u store.User, err error) {
	defer wrapErr(&err, "user by e-mail address")
	err = s.read().row(ctx, selectUserByEmail, []any{email}, toUser(&u)...)
	return u, err
}

// A search reads on along the key until the page is full: its cost grows with the table.
var selectUsers = `SELECT ` + userColumns + ` FROM users u WHERE u.deleted_at IS NULL AND u.bot = 0 AND u.id > $1` +
	searching("$3", "u.id", "u.email", "u.name") + ` ORDER BY u.id LIMIT $2`

// ListUsers implements store.Users.
func (s *Store) ListUsers(ctx context.Context, p store.Page) (list []store.User, err error) {
	defer wrapErr(&err, "list users")
	return collect(ctx, s.read(), readUser, selectUsers, p.After, limit(p.Limit), pattern(p.Search))
}

const (
	updatePassword = `UPDATE users SET password = $2, password_at = $3 WHERE id = $1 AND bot = 0 AND deleted_at IS NULL`
	endUserCodes   = `UPDATE codes SET ended_at = $2 WHERE user_id = $1 AND user_id <> '' AND consumed_at IS NULL AND ended_at IS NULL`
	deleteSessions = `DELETE FROM sessions WHERE user_id = $1 AND id <> $2`
)

// setPassword replaces a user's password if it is still the proven one, and ends the user's sessions and codes.
var setPassword = newOperation(gate{
	update: `UPDATE users SET password = @password, password_at = @event_at
WHERE id = @user AND bot = 0 AND deleted_at IS NULL AND password = @proven`,
	returning: `id`, row: `FROM users WHERE id = @user`,
},
	`DELETE FROM sessions WHERE user_id = @user AND id <> @keep AND EXISTS (SELECT 1 FROM gate)`,
	`UPDATE codes SET ended_at = @event_at WHERE user_id = @user AND user_id <> '' AND consumed_at IS NULL AND ended_at IS NULL
	AND EXISTS (SELECT 1 FROM gate)`,
	recordGate(`''`, `''`))

// SetUserPassword implements store.Users.
func (s *Store) SetUserPassword(ctx context.Context, by store.Principal, id, proven, phc string, keep []byte) (err error) {
	defer wrapErr(&err, "set password of user %s", id)
	if keep == nil {
		keep = []byte{} // equal to no id; NULL would be equal and unequal to none
	}
	done, err := s.runAs(ctx, by, &setPassword, store.Event{Kind: store.EventPasswordChanged, Subject: id},
		args{{"user", id}, {"proven", proven}, {"password", phc}, {"keep", keep}})
	if err != nil || done {
		return err
	}
	var u store.User
	if err := s.db.row(ctx, selectUser, []any{id}, toUser(&u)...); err != nil {
		return err
	}
	if u.Bot {
		return store.ErrNotFound
	}
	return store.ErrConflict
}

// endLogins ends the user's sessions, except the one to keep, and codes that have not been redeemed.
func (s *Store) endLogins(ctx context.Context, q querier, userID string, keep []byte, now int64) error {
	if keep == nil {
		keep = []byte{} // equal to no id; NULL would be equal and unequal to none
	}
	if _, err := q.exec(ctx, deleteSessions, userID, keep); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if _, err := q.exec(ctx, endUserCodes, userID, now); err != nil {
		return fmt.Errorf("end codes: %w", err)
	}
	return nil
}

const updateHash = `UPDATE users SET password = $3 WHERE id = $1 AND password = $2 AND deleted_at IS NULL`

// RehashPassword implements store.Users.
func (s *Store) RehashPassword(ctx context.Context, id, old, phc string) (err error) {
	defer wrapErr(&err, "rehash password of user %s", id)
	_, err = s.db.exec(ctx, updateHash, id, old, phc)
	return err
}

const updateUserName = `UPDATE users SET name = $2 WHERE id = $1 AND deleted_at IS NULL`

// SetUserName implements store.Users.
func (s *Store) SetUserName(ctx context.Context, by store.Principal, id, name string) (err error) {
	defer wrapErr(&err, "set name of user %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := requireOne(q.exec(ctx, updateUserName, id, name)); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventUserRenamed, Subject: id})
	})
}

const (
	disableUser = `UPDATE users SET disabled_at = $2 WHERE id = $1 AND deleted_at IS NULL AND disabled_at IS NULL`
	enableUser  = `UPDATE users SET disabled_at = NULL WHERE id = $1 AND deleted_at IS NULL AND disabled_at IS NOT NULL`
)

// SetUserDisabled implements store.Users.
func (s *Store) SetUserDisabled(ctx context.Context, by store.Principal, id string, disabled bool) (err error) {
	defer wrapErr(&err, "set user %s disabled %t", id, disabled)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var changed int64
		var err error
		kind := store.EventUserEnabled
		if disabled {
			kind = store.EventUserDisabled
			changed, err = q.exec(ctx, disableUser, id, s.micros())
		} else {
			changed, err = q.exec(ctx, enableUser, id)
		}
		if err != nil {
			return err
		}
		if changed == 0 { // it was so before, or there is no such user
			var u store.User
			return q.row(ctx, selectUser, []any{id}, toUser(&u)...)
		}
		return s.record(ctx, q, by, store.Event{Kind: kind, Subject: id})
	})
}

const (
	markUserDeleted         = `UPDATE users SET deleted_at = $2, email = ` + freedEmail + ` WHERE id = $1 AND deleted_at IS NULL`
	deleteMemberships       = `DELETE FROM members WHERE user_id = $1`
	removeUserInstallations = `UPDATE installations SET removed_at = $2, updated_at = $2
WHERE user_id = $1 AND user_id <> '' AND removed_at IS NULL`
)

// freedEmail is the address of a deleted user: one that was never verified is made free. No address has a space.
const freedEmail = `CASE WHEN bot = 0 AND email_verified_at IS NULL THEN email || ' ' || id ELSE email END`

// DeleteUser implements store.Users.
func (s *Store) DeleteUser(ctx context.Context, by store.Principal, id string) (err error) {
	defer wrapErr(&err, "delete user %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		return s.deleteUser(ctx, q, by, id, store.Event{Kind: store.EventUserDeleted, Subject: id})
	})
}

// deleteUser ends a person or a bot and records e.
func (s *Store) deleteUser(ctx context.Context, q querier, by store.Principal, id string, e store.Event) error {
	now := s.micros()
	if err := requireOne(q.exec(ctx, markUserDeleted, id, now)); err != nil {
		return err
	}
	if _, err := q.exec(ctx, deleteMemberships, id); err != nil {
		return fmt.Errorf("leave accounts: %w", err)
	}
	if _, err := q.exec(ctx, removeUserInstallations, id, now); err != nil {
		return fmt.Errorf("remove installations: %w", err)
	}
	if err := s.endLogins(ctx, q, id, nil, now); err != nil {
		return err
	}
	return s.record(ctx, q, by, e)
}

// requireOne is for statements that must change a row: none is store.ErrNotFound.
func requireOne(changed int64, err error) error {
	if err == nil && changed == 0 {
		return store.ErrNotFound
	}
	return err
}
