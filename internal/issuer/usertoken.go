package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/store"
)

// UserTokenOptions are the settings of user tokens, and of the keys that sign them. A zero field means its default.
type UserTokenOptions struct {
	signing.Options
	Lifetime        time.Duration // of access tokens: 24 h (docs/dialects.md)
	RefreshLifetime time.Duration // 30 days after the last rotation
	MaxAge          time.Duration // from the log-in to the end, however often it is refreshed: 90 days
}

func (o UserTokenOptions) withDefaults() UserTokenOptions {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Lifetime, 24 * time.Hour}, {&o.RefreshLifetime, 30 * 24 * time.Hour}, {&o.MaxAge, store.UserFamilyLifetime},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// UserPair is an access token and a refresh token, whose texts are returned once.
type UserPair struct {
	Token        string
	RefreshToken string // <user id>.<80 hexadecimal characters>
	UserID       string
	Scope        scope.Role
}

// NewUserPair starts a family of user tokens for an authenticated user, in the account joined first. u is the user as read
// during authentication, so that a password change since then is noticed; opener is the secret that a bot authenticated with, else
// zero. agent is the program's User-Agent header, by which the user recognises it. store.ErrEnded: the user, account,
// membership, password or secret is no longer live.
func (i *Issuer) NewUserPair(ctx context.Context, by store.Principal, u store.User, opener store.LookupID, agent string) (UserPair, error) {
	members, err := i.store.MembersByUser(ctx, u.ID)
	if err != nil {
		return UserPair{}, fmt.Errorf("accounts of user %s: %w", u.ID, err)
	}
	if len(members) == 0 {
		return UserPair{}, fmt.Errorf("user %s has no account: %w", u.ID, store.ErrEnded)
	}
	now := i.store.Now()
	family := store.UserFamily{
		ID: secret.NewID(), UserID: u.ID, AccountID: members[0].AccountID, PasswordAt: u.PasswordAt, SecretID: opener, CreatedAt: now,
		EndsAt: now.Add(i.options.UserTokens.MaxAge), UserAgent: agent, IP: by.IP(),
	}
	pair, first, err := i.mintPair(ctx, u.ID, members[0].Role, now, family.EndsAt)
	if err != nil {
		return UserPair{}, err
	}
	first.Family = family.ID
	if err := i.store.CreateUserFamily(ctx, by, family, first); err != nil {
		return UserPair{}, fmt.Errorf("create user token of user %s: %w", u.ID, err)
	}
	return pair, nil
}

// mintPair makes both tokens, which expire with their family at the latest. Their texts are stored nowhere.
func (i *Issuer) mintPair(ctx context.Context, userID string, role scope.Role, now, end time.Time) (UserPair, store.UserRefresh, error) {
	o, refresh := i.options.UserTokens, secret.NewUserRefresh(userID)
	token, err := i.options.Keys.Sign(ctx, &signing.UserClaims{UserID: userID, Scope: role, Registered: signing.Registered{
		Subject: userID, ID: secret.NewTokenID(refresh.ID), IssuedAt: now.Unix(), ExpiresAt: soonest(now.Add(o.Lifetime), end).Unix(),
	}})
	if err != nil {
		return UserPair{}, store.UserRefresh{}, err
	}
	hash, tokenHash := refresh.Hash(), secret.HashUserToken(token)
	row := store.UserRefresh{
		ID: store.LookupID(refresh.ID), Hash: hash[:], TokenHash: tokenHash[:], CreatedAt: now,
		ExpiresAt: soonest(now.Add(o.RefreshLifetime), end),
	}
	return UserPair{Token: token, RefreshToken: refresh.Reveal(), UserID: userID, Scope: role}, row, nil
}

func soonest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// UserRefreshRequest is a refresh token and its owner as the request names it: the user of the access token beside it (UserID), or
// an e-mail address (Email, normalised). Exactly one must be set, and it must be the token's owner.
type UserRefreshRequest struct {
	Token  secret.Text
	UserID string
	Email  string
	// Spellings are other forms of Email under which an older version may have stored it.
	Spellings []string
	// Beside is the pair of the access token, as it was read to verify that token; nil without one. If the refresh token is of the
	// same pair, the row is not read again.
	Beside *store.UserAccess
}

func (r UserRefreshRequest) from(u store.User) bool {
	if r.Email == "" {
		return r.UserID == u.ID
	}
	return r.UserID == "" && (r.Email == u.Email || slices.Contains(r.Spellings, u.Email))
}

// RefreshUserPair rotates a refresh token by the rules of RefreshAccessToken. The scope is the user's current role.
func (i *Issuer) RefreshUserPair(ctx context.Context, by store.Principal, r UserRefreshRequest) (UserPair, error) {
	presented, ok := secret.ParseUserRefresh(r.Token.Reveal())
	if !ok {
		return UserPair{}, errUserRefresh().because(ErrUnknown)
	}
	old, err := i.userRefresh(ctx, r.Beside, store.LookupID(presented.ID))
	if errors.Is(err, store.ErrNotFound) {
		return UserPair{}, errUserRefresh().because(ErrUnknown)
	}
	if err != nil {
		return UserPair{}, fmt.Errorf("look up refresh token: %w", err)
	}
	if !presented.Matches(old.Hash) || presented.UserID != old.Owner.UserID || !r.from(old.User) {
		return UserPair{}, errUserRefresh().because(ErrUnknown)
	}
	by = store.UserPrincipal(old.Owner.UserID, by.IP())
	for range maxRotations {
		pair, err := i.rotatePair(ctx, by, presented, old)
		if !errors.Is(err, store.ErrConsumed) {
			return pair, err
		}
		// Another request rotated it since it was looked up.
		if old, err = i.store.UserRefreshByID(ctx, old.ID); err != nil {
			return UserPair{}, fmt.Errorf("look up rotated refresh token: %w", err)
		}
	}
	return UserPair{}, errContended(by.UserID())
}

// userRefresh returns the loaded pair if it has this id, and otherwise reads the pair.
func (i *Issuer) userRefresh(ctx context.Context, loaded *store.UserAccess, id store.LookupID) (store.UserAccess, error) {
	if loaded != nil && loaded.ID == id {
		return *loaded, nil
	}
	return i.store.UserRefreshByID(ctx, id)
}

// rotatePair is rotate for the refresh token of a user.
func (i *Issuer) rotatePair(ctx context.Context, by store.Principal, presented secret.UserRefresh, old store.UserAccess) (UserPair, error) {
	if !old.RotatedAt.IsZero() {
		pair, err := i.repeatPair(ctx, by, presented, old)
		if pair != (UserPair{}) || err != nil {
			return pair, err
		}
	}
	now := i.store.Now()
	if !old.Live || !now.Before(old.ExpiresAt) {
		return UserPair{}, errUserRefresh()
	}
	pair, next, err := i.mintPair(ctx, old.Owner.UserID, old.Role, now, old.Owner.EndsAt)
	if err != nil {
		return UserPair{}, err
	}
	rotation := store.UserRotation{Old: old.ID, Unused: old.Successor, Next: next, SealedUntil: now.Add(i.options.Grace)}
	if rotation.Sealed, err = pair.seal(presented); err != nil {
		return UserPair{}, err
	}
	err = i.store.RotateUserRefresh(ctx, rotation)
	switch {
	case err == nil:
		return pair, nil
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return UserPair{}, errUserRefresh().because(err)
	}
	return UserPair{}, fmt.Errorf("rotate refresh token of user %s: %w", by.UserID(), err)
}

// repeatPair is repeat for the refresh token of a user.
func (i *Issuer) repeatPair(ctx context.Context, by store.Principal, presented secret.UserRefresh, old store.UserAccess) (UserPair, error) {
	if !old.Owner.EndedAt.IsZero() {
		return UserPair{}, errUserRefresh()
	}
	if !old.ReplacedAt.IsZero() {
		return UserPair{}, userRefused("refreshToken was replaced by a newer one, because the one before it was presented again; use the newest one issued")
	}
	if len(old.Sealed) > 0 && i.store.Now().Before(old.SealedUntil) {
		if !old.Live {
			return UserPair{}, errUserRefresh()
		}
		return openPair(presented, old.Sealed)
	}
	if old.Successor != (store.LookupID{}) {
		return UserPair{}, nil
	}
	if err := i.store.EndUserFamily(ctx, by, old.Family, "refresh token reused"); err != nil {
		return UserPair{}, fmt.Errorf("end family of a reused refresh token: %w", err)
	}
	return UserPair{}, userRefused("refreshToken was already used, and so was its successor; all tokens of this log-in were revoked, so log in again")
}

// pairSeal is the context that an answer is sealed for.
const pairSeal = "xenoauth user token refresh"

func (p UserPair) seal(under secret.UserRefresh) ([]byte, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode refresh answer: %w", err)
	}
	sealed, err := under.Seal(plain, pairSeal)
	if err != nil {
		return nil, fmt.Errorf("seal refresh answer: %w", err)
	}
	return sealed, nil
}

func openPair(under secret.UserRefresh, sealed []byte) (p UserPair, err error) {
	plain, err := under.Open(sealed, pairSeal)
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err != nil {
		return UserPair{}, fmt.Errorf("decode refresh answer: %w", err)
	}
	return p, nil
}

// errUserRefresh is the answer for every refresh token that cannot be used, whatever the reason.
func errUserRefresh() *Error {
	return userRefused("refreshToken is unknown, expired, revoked, or belongs to another user")
}

func userRefused(description string) *Error {
	return &Error{Code: InvalidGrant, Status: 401, Description: description}
}
