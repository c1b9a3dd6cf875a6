package sqlstore

import (
	"context"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// accountColumns are read by toAccount; the table is c.
const accountColumns = `c.id, c.name, c.plan, c.created_at, c.disabled_at`

func appendAccount(dest []any, a *store.Account) []any {
	return append(dest, scanText(&a.ID), scanText(&a.Name), scanText(&a.Plan), scanTime(&a.CreatedAt), scanTime(&a.DisabledAt))
}

func toAccount(a *store.Account) []any { return appendAccount(nil, a) }

func readAccount(scan scanner) (a store.Account, err error) {
	err = scan(toAccount(&a)...)
	return a, err
}

const selectAccount = `SELECT ` + accountColumns + ` FROM accounts c WHERE c.deleted_at IS NULL AND c.id = $1`

// AccountByID implements store.Accounts.
func (s *Store) AccountByID(ctx context.Context, id string) (a store.Account, err error) {
	defer wrapErr(&err, "account %s", id)
	err = s.read().row(ctx, selectAccount, []any{id}, toAccount(&a)...)
	return a, err
}

var selectAccounts = `SELECT ` + accountColumns + ` FROM accounts c WHERE c.deleted_at IS NULL AND c.id > $1` +
	searching("$3", "c.id", "c.name") + ` ORDER BY c.id LIMIT $2`

// ListAccounts implements store.Accounts.
func (s *Store) ListAccounts(ctx context.Context, p store.Page) (list []store.Account, err error) {
	defer wrapErr(&err, "list accounts")
	return collect(ctx, s.read(), readAccount, selectAccounts, p.After, limit(p.Limit), pattern(p.Search))
}

const (
	disableAccount = `UPDATE accounts SET disabled_at = $2 WHERE id = $1 AND deleted_at IS NULL AND disabled_at IS NULL`
	enableAccount  = `UPDATE accounts SET disabled_at = NULL WHERE id = $1 AND deleted_at IS NULL AND disabled_at IS NOT NULL`
)

// SetAccountDisabled implements store.Accounts. Every credential of the account depends on this row.
func (s *Store) SetAccountDisabled(ctx context.Context, by store.Principal, id string, disabled bool) (err error) {
	defer wrapErr(&err, "set account %s disabled %t", id, disabled)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		kind, sql, args := store.EventAccountEnabled, enableAccount, []any{id}
		if disabled {
			kind, sql, args = store.EventAccountDisabled, disableAccount, []any{id, s.micros()}
		}
		changed, err := q.exec(ctx, sql, args...)
		if err != nil {
			return err
		}
		if changed == 0 { // it was so before, or there is no such account
			var a store.Account
			return q.row(ctx, selectAccount, []any{id}, toAccount(&a)...)
		}
		return s.record(ctx, q, by, store.Event{Kind: kind, AccountID: id})
	})
}

const updatePlan = `UPDATE accounts SET plan = $2 WHERE id = $1 AND deleted_at IS NULL`

// SetAccountPlan implements store.Accounts.
func (s *Store) SetAccountPlan(ctx context.Context, by store.Principal, id, plan string) (err error) {
	defer wrapErr(&err, "set plan of account %s", id)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := requireOne(q.exec(ctx, updatePlan, id, plan)); err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventPlanChanged, AccountID: id, Detail: plan})
	})
}

const (
	memberColumns = `m.account_id, c.name, CASE WHEN c.disabled_at IS NULL THEN 0 ELSE 1 END, m.user_id, u.email, u.name, u.bot, m.role, m.joined_at`
	memberRows    = `
FROM members m
JOIN accounts c ON c.id = m.account_id AND c.deleted_at IS NULL
JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL`
	// selectMembers is completed by a condition on one end of the relation.
	selectMembers = `SELECT ` + memberColumns + memberRows + `
WHERE `
)

const (
	selectMembersByAccount = selectMembers + `m.account_id = $1 ORDER BY m.joined_at, m.user_id`
	selectMembersByUser    = selectMembers + `m.user_id = $1 ORDER BY m.joined_at, m.account_id`
)

func toMember(m *store.Member) []any {
	return []any{
		scanText(&m.AccountID), scanText(&m.AccountName), scanBool(&m.Disabled), scanText(&m.UserID), scanText(&m.Email), scanText(&m.UserName), scanBool(&m.Bot), scanRole(&m.Role), scanTime(&m.JoinedAt),
	}
}

func readMember(scan scanner) (m store.Member, err error) {
	err = scan(toMember(&m)...)
	return m, err
}

// MembersByAccount implements store.Accounts.
func (s *Store) MembersByAccount(ctx context.Context, accountID string) (list []store.Member, err error) {
	defer wrapErr(&err, "members of account %s", accountID)
	return collect(ctx, s.read(), readMember, selectMembersByAccount, accountID)
}

// MembersByUser implements store.Accounts.
func (s *Store) MembersByUser(ctx context.Context, userID string) (list []store.Member, err error) {
	defer wrapErr(&err, "accounts of user %s", userID)
	return collect(ctx, s.read(), readMember, selectMembersByUser, userID)
}

const joinAccount = `INSERT INTO members (account_id, user_id, role, joined_at)
SELECT c.id, u.id, $3, $4
FROM accounts c, users u
WHERE c.id = $1 AND c.deleted_at IS NULL AND u.id = $2 AND u.deleted_at IS NULL AND u.bot = 0 AND u.email_verified_at IS NOT NULL`

// AddMember implements store.Accounts.
func (s *Store) AddMember(ctx context.Context, by store.Principal, accountID, userID string, role scope.Role) (err error) {
	defer wrapErr(&err, "add user %s to account %s", userID, accountID)
	if err := by.Permitted(); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		joined, err := q.exec(ctx, joinAccount, accountID, userID, string(role), s.micros())
		if err != nil {
			return err
		}
		if joined == 0 {
			return whyNotJoined(ctx, q, userID)
		}
		return s.record(ctx, q, by, memberEvent(store.EventMemberAdded, accountID, userID, role))
	})
}

// whyNotJoined distinguishes a user whose address is not verified from a user or an account that does not exist.
func whyNotJoined(ctx context.Context, q querier, userID string) error {
	var u store.User
	if err := q.row(ctx, selectUser, []any{userID}, toUser(&u)...); err != nil {
		return err
	}
	if !u.Bot && u.EmailVerifiedAt.IsZero() {
		return store.ErrUnverified
	}
	return store.ErrNotFound
}

// isPerson keeps bots as they were made: members of one account, with one role.
const isPerson = ` AND user_id = (SELECT u.id FROM users u WHERE u.id = $2 AND u.bot = 0)`

const updateRole = `UPDATE members SET role = $3 WHERE account_id = $1 AND user_id = $2` + isPerson

// SetMemberRole implements store.Accounts.
func (s *Store) SetMemberRole(ctx context.Context, by store.Principal, accountID, userID string, role scope.Role) (err error) {
	defer wrapErr(&err, "set role of user %s in account %s", userID, accountID)
	if err := by.Permitted(); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := requireOne(q.exec(ctx, updateRole, accountID, userID, string(role))); err != nil {
			return err
		}
		return s.record(ctx, q, by, memberEvent(store.EventMemberChanged, accountID, userID, role))
	})
}

const deleteMember = `DELETE FROM members WHERE account_id = $1 AND user_id = $2` + isPerson

// RemoveMember implements store.Accounts.
func (s *Store) RemoveMember(ctx context.Context, by store.Principal, accountID, userID string) (err error) {
	defer wrapErr(&err, "remove user %s from account %s", userID, accountID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		if err := requireOne(q.exec(ctx, deleteMember, accountID, userID)); err != nil {
			return err
		}
		return s.record(ctx, q, by, memberEvent(store.EventMemberRemoved, accountID, userID, ""))
	})
}

// checkRole keeps the one column whose words decide about permissions to the words there are.
func checkRole(r scope.Role) error {
	if r.Rank() == 0 {
		return store.ErrInvalid
	}
	return nil
}

func memberEvent(kind, accountID, userID string, role scope.Role) store.Event {
	return store.Event{Kind: kind, AccountID: accountID, Subject: userID, Detail: string(role)}
}
