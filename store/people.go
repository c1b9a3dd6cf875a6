package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// User is a person who logs in, or a bot (Bot), which does not.
type User struct {
	ID         string // 24 lower-case hexadecimal characters
	Email      string // normalised: trimmed, lower case; unique for ever, deleted users included
	Name       string
	Password   string // PHC string of argon2id; "" means that no password opens this user
	Operator   bool   // may use the operator's pages
	CreatedAt  time.Time
	PasswordAt time.Time // when the password was last set
	DisabledAt time.Time // reversible
	Bot        bool      // made by CreateBot only
}

// Account is a workspace on the platform whose data is at stake.
type Account struct {
	ID         string // acc_…
	Name       string
	Plan       string
	CreatedAt  time.Time
	DisabledAt time.Time // reversible
}

// Member is a user in an account, with both ends of the relation filled in for lists.
type Member struct {
	AccountID   string
	AccountName string
	Disabled    bool // the account is
	UserID      string
	Email       string
	UserName    string
	Bot         bool
	Role        scope.Role
	JoinedAt    time.Time
}

// Users is what may happen to users.
type Users interface {
	// CreateUser stores u, the account a and u's admin membership of it. ErrConflict: the e-mail address is or was in use.
	CreateUser(ctx context.Context, by Actor, u User, a Account) error
	// UserByID and UserByEmail return ErrNotFound for deleted users; disabled ones are returned.
	UserByID(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// ListUsers returns people, not bots, in the order of their ids.
	ListUsers(ctx context.Context, p Page) ([]User, error)
	// SetUserPassword stores a new hash and ends the user's sessions and unredeemed codes. keep names one session
	// that stays (nil: none). ErrNotFound: there is no such person; a bot has no password.
	SetUserPassword(ctx context.Context, by Actor, id, phc string, keep []byte) error
	// RehashPassword replaces the hash of an unchanged password, if it still is old. No audit event: nothing changed for anybody.
	RehashPassword(ctx context.Context, id, old, phc string) error
	// SetUserName changes what the user is called.
	SetUserName(ctx context.Context, by Actor, id, name string) error
	// SetUserDisabled disables or enables a user. While disabled, sessions and tokens are refused; they return with the user.
	SetUserDisabled(ctx context.Context, by Actor, id string, disabled bool) error
	// DeleteUser is final: the user leaves all accounts, sessions end, tokens are dead. The e-mail address stays taken.
	DeleteUser(ctx context.Context, by Actor, id string) error
}

// Accounts is what may happen to accounts and their members.
type Accounts interface {
	AccountByID(ctx context.Context, id string) (Account, error)
	ListAccounts(ctx context.Context, p Page) ([]Account, error)
	// SetAccountDisabled disables or enables an account. While disabled, every token and key that acts in it is refused, and
	// nothing is granted or made in it; they return with the account. Its members can log in.
	SetAccountDisabled(ctx context.Context, by Actor, id string, disabled bool) error
	// SetAccountPlan changes the plan.
	SetAccountPlan(ctx context.Context, by Actor, id, plan string) error
	// MembersByAccount and MembersByUser return memberships in the order of joining. Deleted users and accounts do not appear.
	MembersByAccount(ctx context.Context, accountID string) ([]Member, error)
	MembersByUser(ctx context.Context, userID string) ([]Member, error)
	// AddMember lets a person join. ErrConflict: already a member. ErrNotFound: no such person or account. Bots stay in the
	// account and the role that they were made with.
	AddMember(ctx context.Context, by Actor, accountID, userID string, role scope.Role) error
	// SetMemberRole and RemoveMember take effect on existing tokens at once. ErrNotFound: not a member, or a bot.
	SetMemberRole(ctx context.Context, by Actor, accountID, userID string, role scope.Role) error
	RemoveMember(ctx context.Context, by Actor, accountID, userID string) error
}
