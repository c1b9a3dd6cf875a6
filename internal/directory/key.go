package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// KeyForm holds the fields of a new API key.
type KeyForm struct {
	Name string
	// Scopes are the roles of a key that is a bearer token, at least one; nil makes an account API key, which can only
	// get integration tokens.
	Scopes []string
	// UserID is the member that a key with roles acts for; "" is the user who creates it, or for the operator the
	// account's first admin.
	UserID string
}

// CreateKey creates an API key in the account and returns its credential, only here. FieldErrors hold all faults of the form.
// A user must be an admin of the account, else store.ErrNotFound, and the key can act only for that user or for a bot of the
// account. *KeyLimitError: the account has the maximum number of keys.
func (d *Directory) CreateKey(ctx context.Context, by store.Principal, accountID string, f KeyForm) (store.APIKey, secret.Credential, error) {
	fail := func(err error) (store.APIKey, secret.Credential, error) {
		return store.APIKey{}, secret.Credential{}, err
	}
	if err := mayManage(by); err != nil {
		return fail(err)
	}
	k := store.APIKey{ID: secret.NewPublicID("key_"), AccountID: accountID, CreatedBy: by.UserID(), CreatedAt: d.store.Now()}
	faults := FieldErrors{}
	var fault string
	k.Name, fault = checkName(f.Name, "Enter a name for the key, such as what will use it.")
	faults.add("name", fault)
	if f.Scopes != nil {
		k.Roles, fault = parseRoles(f.Scopes)
		faults.add("scopes", fault)
		var err error
		if k.UserID, fault, err = d.actedFor(ctx, by, accountID, f.UserID); err != nil {
			return fail(err)
		}
		faults.add("user", fault)
	} else if f.UserID != "" {
		faults.add("user", "Only a key with scopes acts for a user. An account API key acts for the account.")
	}
	if err := faults.orNil(); err != nil {
		return fail(err)
	}
	c := d.format.New(secret.APIKey)
	err := d.store.CreateAPIKey(ctx, by, k, d.secretRow(k.ID, c))
	if errors.Is(err, store.ErrLimit) {
		return fail(&KeyLimitError{What: "API keys", Max: store.MaxAPIKeys})
	}
	if errors.Is(err, store.ErrNotFound) {
		return fail(&NotFoundError{What: "account", Ref: accountID})
	}
	if err != nil {
		return fail(fmt.Errorf("create API key in account %s: %w", accountID, err))
	}
	return k, c, nil
}

// checkName checks names that only members of the account see.
func checkName(s, missing string) (string, string) {
	name, fault := cleanName(s, maxPersonName)
	if fault == "" && name == "" {
		fault = missing
	}
	return name, fault
}

// parseRoles reads the scopes of a key, which are roles, and puts them in ascending order.
func parseRoles(names []string) ([]scope.Role, string) {
	var roles []scope.Role
	for _, name := range names {
		r, err := scope.ParseRole(name)
		if err != nil {
			return nil, "Use only these scopes, which are roles: guest, agent, bot, admin."
		}
		roles = append(roles, r)
	}
	if len(roles) == 0 {
		return nil, "Choose at least one scope. A key with scopes needs one."
	}
	slices.SortFunc(roles, func(a, b scope.Role) int { return a.Rank() - b.Rank() })
	return slices.Compact(roles), ""
}

// actedFor returns the member that a new key acts for. An admin cannot make a key that acts as another person.
func (d *Directory) actedFor(ctx context.Context, by store.Principal, accountID, userID string) (actsFor, fault string, err error) {
	self := by.UserID()
	if self != "" && (userID == "" || userID == self) {
		return self, "", nil
	}
	members, err := d.store.MembersByAccount(ctx, accountID)
	if err != nil {
		return "", "", fmt.Errorf("create API key: %w", err)
	}
	isAdmin := func(m store.Member) bool { return m.Role == scope.RoleAdmin }
	if self != "" && !slices.ContainsFunc(members, func(m store.Member) bool { return m.UserID == self && isAdmin(m) }) {
		return "", "", &NotFoundError{What: "account", Ref: accountID} // before the answer reveals members
	}
	if userID == "" {
		if i := slices.IndexFunc(members, isAdmin); i >= 0 {
			return members[i].UserID, "", nil
		}
		return "", "The account has no admin: name the member that the key acts for.", nil
	}
	if slices.ContainsFunc(members, func(m store.Member) bool { return m.UserID == userID && (self == "" || m.Bot) }) {
		return userID, "", nil
	}
	if self != "" {
		return "", "A key can act only for yourself or for a bot of the account.", nil
	}
	return "", "This user is not a member of the account.", nil
}

// Key returns a live API key to the admins of its account and to the operator. Other parties get store.ErrNotFound.
func (d *Directory) Key(ctx context.Context, by store.Principal, keyID string) (store.APIKey, error) {
	if err := mayManage(by); err != nil {
		return store.APIKey{}, err
	}
	k, err := d.store.ManagedAPIKey(ctx, by, keyID)
	return k, notFound(err, "API key", keyID)
}

// Keys lists the live API keys of all accounts of which the user is an admin, newest first.
func (d *Directory) Keys(ctx context.Context, by store.Principal) ([]store.APIKey, error) {
	userID, err := userOf(by)
	if err != nil {
		return nil, err
	}
	return d.store.APIKeysByUser(ctx, userID)
}

// KeySecrets returns a key, as Key does, and its active credentials, newest first.
func (d *Directory) KeySecrets(ctx context.Context, by store.Principal, keyID string) (store.APIKey, []store.Secret, error) {
	k, err := d.Key(ctx, by, keyID)
	if err != nil {
		return store.APIKey{}, nil, err
	}
	secrets, err := d.store.SecretsByClient(ctx, keyID)
	if err != nil {
		return store.APIKey{}, nil, fmt.Errorf("list credentials of API key %s: %w", keyID, err)
	}
	return k, secrets, nil
}

// RotateKey adds a credential to a key that Key returned, and returns it, only here. The other credentials are valid until
// othersUntil; a time that is not in the future ends them at once, and their integration tokens with them.
// *SecretLimitError: two are active already, and are not to end at once. ErrOthersKey: the key acts as another person.
func (d *Directory) RotateKey(ctx context.Context, by store.Principal, k store.APIKey, othersUntil time.Time) (secret.Credential, error) {
	if err := mayManage(by); err != nil {
		return secret.Credential{}, err
	}
	if !MayRotate(k, by) {
		return secret.Credential{}, ErrOthersKey
	}
	c, err := d.rotate(ctx, by, k.ID, secret.APIKey, othersUntil)
	if errors.Is(err, store.ErrEnded) {
		if _, lookUp := d.Key(ctx, by, k.ID); lookUp != nil {
			return secret.Credential{}, lookUp
		}
	}
	return c, err
}

// RevokeKeySecret ends one credential of a key at once, with the integration tokens that were issued for it. The last one can
// be revoked as well: the key is then useless until it gets another. store.ErrNotFound: no such active credential.
func (d *Directory) RevokeKeySecret(ctx context.Context, by store.Principal, keyID string, id secret.ID) error {
	if err := mayManage(by); err != nil {
		return err
	}
	if err := d.store.RevokeSecret(ctx, by, keyID, store.LookupID(id)); err != nil {
		return fmt.Errorf("revoke credential %s of API key %s: %w", id, keyID, err)
	}
	return nil
}

// MayRotate reports whether a Principal that manages the key may also get a new credential of it. For a key that acts for a
// person, only that person and the operator may.
func MayRotate(k store.APIKey, by store.Principal) bool {
	if by.IsOperator() {
		return true
	}
	return by.UserID() != "" && (k.UserID == "" || k.UserID == by.UserID() || k.UserBot)
}

// RevokeKey is final: the key and its integration tokens are revoked when it returns.
func (d *Directory) RevokeKey(ctx context.Context, by store.Principal, keyID string) error {
	if err := mayManage(by); err != nil {
		return err
	}
	return notFound(d.store.RevokeAPIKey(ctx, by, keyID), "API key", keyID)
}

// RoleNames returns roles in the form of a scope parameter.
func RoleNames(roles []scope.Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, " ")
}
