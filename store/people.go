package store

import (
	"context"
	"time"

	"xenoauth/internal/scope"
)

// User is a person who logs in, or a bot (Bot), which does not.
type User struct {
	ID         string // 24 lower-case hexadecimal characters
	Email      string // normalised: trimmed, lower case; unique, also among deleted users
	Name       string
	Password   string // PHC string of argon2id; "" the user has no password
	Operator   bool   // may use the operator's pages
	CreatedAt  time.Time
	PasswordAt time.Time // when the password was last set
	DisabledAt time.Time // reversible
	Bot        bool      // made by CreateBot only

	// EmailVerifiedAt is when the operator confirmed that the address belongs to this person; zero: not confirmed. An address
	// that is not verified gives no authority.
	EmailVerifiedAt time.Time
}

// UserEdit holds the changes of EditUser; a nil or false field stays.
type UserEdit struct {
	Email       *string // an address that is not verified, unless VerifyEmail is set
	Name        *string
	VerifyEmail bool
}

// PasswordReset holds the options of a password reset.
type PasswordReset struct {
	VerifyEmail    bool // the person who gets the password has proved the address
	EndCredentials bool // end everything that the password could have opened; always so for a user whose address is not verified
}

// EndedCredentials counts what ended with a user's credentials.
type EndedCredentials struct {
	Sessions      int64
	UserTokens    int64 // families
	Keys          int64 // API keys that act for the user, that the user made, or of accounts without another person
	BotSecrets    int64 // likewise
	AppSecrets    int64 // likewise
	Installations int64 // by the user; for an address that was not verified also by others, of the apps above
}

// Account is a workspace on the platform; apps and keys get access to the data of one account.
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

// Users stores people and bots.
type Users interface {
	// CreateUser stores u, the account a and u's admin membership of it. ErrConflict: the e-mail address is or was in use.
	CreateUser(ctx context.Context, by Principal, u User, a Account) error
	// UserByID and UserByEmail return ErrNotFound for deleted users; disabled ones are returned.
	UserByID(ctx context.Context, id string) (User, error)
	UserByEmail(ctx context.Context, email string) (User, error)
	// ListUsers returns people, not bots, in the order of their ids.
	ListUsers(ctx context.Context, p Page) ([]User, error)
	// EditUser changes what e names. A user whose address was not verified before and is now loses all credentials in the same
	// transaction, as with ResetUserPassword. ErrConflict: the address is or was in use. ErrNotFound: there is no such person.
	EditUser(ctx context.Context, by Principal, id string, e UserEdit) (EndedCredentials, error)
	// ResetUserPassword is SetUserPassword by the operator, without a session to keep. With EndCredentials, and always for a
	// user whose address is not verified, it also ends all that EndedCredentials counts, in the same transaction.
	ResetUserPassword(ctx context.Context, by Principal, id, phc string, r PasswordReset) (EndedCredentials, error)
	// TakeOverEmail is CreateUser for an address that a user has, under the spelling held, who has not verified it. That user is deleted, with all
	// credentials, and with the accounts that have no other person and their apps. ErrConflict: the address is or was in use
	// by a user who has verified it, or by a bot.
	TakeOverEmail(ctx context.Context, by Principal, held string, u User, a Account) (EndedCredentials, error)
	// SetUserPassword replaces the hash proven, which the user has proved, by phc, and ends the user's sessions and unredeemed
	// codes. keep names one session that stays (nil: none). ErrConflict: the user has another password by now. ErrNotFound:
	// there is no such person; a bot has no password.
	SetUserPassword(ctx context.Context, by Principal, id, proven, phc string, keep []byte) error
	// RehashPassword replaces the hash of an unchanged password, if it still is old. It writes no audit event, since nothing changes for the user.
	RehashPassword(ctx context.Context, id, old, phc string) error
	// SetUserName changes the name of a user.
	SetUserName(ctx context.Context, by Principal, id, name string) error
	// SetUserDisabled disables or enables a user. While disabled, sessions and tokens are refused; they return with the user.
	SetUserDisabled(ctx context.Context, by Principal, id string, disabled bool) error
	// DeleteUser is final: the user leaves all accounts, sessions end, tokens are invalid. A verified e-mail address stays taken;
	// another one is free.
	DeleteUser(ctx context.Context, by Principal, id string) error
}

// Accounts stores accounts and their members.
type Accounts interface {
	AccountByID(ctx context.Context, id string) (Account, error)
	ListAccounts(ctx context.Context, p Page) ([]Account, error)
	// SetAccountDisabled disables or enables an account. While disabled, every token and key that acts in it is refused, and
	// nothing is granted or made in it; they return with the account. Its members can log in.
	SetAccountDisabled(ctx context.Context, by Principal, id string, disabled bool) error
	// SetAccountPlan changes the plan.
	SetAccountPlan(ctx context.Context, by Principal, id, plan string) error
	// MembersByAccount and MembersByUser return memberships in the order of joining. Deleted users and accounts do not appear.
	MembersByAccount(ctx context.Context, accountID string) ([]Member, error)
	MembersByUser(ctx context.Context, userID string) ([]Member, error)
	// AddMember adds a person to an account. ErrConflict: already a member. ErrUnverified: the user's e-mail address is not verified.
	// ErrNotFound: no such person or account. Bots stay in the account and the role that they were made with.
	AddMember(ctx context.Context, by Principal, accountID, userID string, role scope.Role) error
	// SetMemberRole and RemoveMember take effect on existing tokens at once. ErrNotFound: not a member, or a bot.
	SetMemberRole(ctx context.Context, by Principal, accountID, userID string, role scope.Role) error
	RemoveMember(ctx context.Context, by Principal, accountID, userID string) error
}
