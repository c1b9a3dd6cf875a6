package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

var (
	// ErrKey: there is no such API key, or it has ended. Callers are not given the reason.
	ErrKey = errors.New("unknown API key")
	// ErrNoAPI: the key is right, but its account is disabled or has a plan that may not use the platform's API.
	ErrNoAPI = errors.New("the account may not use the platform's API")
)

// Option is a setting of New.
type Option func(*Verifier)

// APIPlans names the plans whose accounts may use API keys and integration tokens; without it none may.
func APIPlans(plans ...string) Option {
	return func(v *Verifier) { v.plans = slices.Clone(plans) }
}

// Plans returns the plans that APIPlans was given. The caller must not change the slice.
func (v *Verifier) Plans() []string { return v.plans }

// AccountKey authenticates an account API key, for the integration endpoint, and records its use. A key with roles is not an
// account key. Errors are ErrKey, ErrNoAPI or store.ErrUnavailable.
func (v *Verifier) AccountKey(ctx context.Context, key secret.Text) (store.KeyAccess, error) {
	c, ok := v.format.Parse(key.Reveal())
	if !ok || c.Kind != secret.APIKey {
		return store.KeyAccess{}, ErrKey
	}
	a, err := v.keyBySecret(ctx, c)
	if err != nil {
		return store.KeyAccess{}, err
	}
	if len(a.Key.Roles) > 0 {
		return store.KeyAccess{}, ErrKey
	}
	if !v.mayUseAPI(a.Account, a.AccountLive) {
		return store.KeyAccess{}, ErrNoAPI
	}
	v.usage.note(c.ID, v.store.Now())
	return a, nil
}

// keyBySecret returns the key that a credential is a live secret of, or ErrKey.
func (v *Verifier) keyBySecret(ctx context.Context, c secret.Credential) (store.KeyAccess, error) {
	a, err := v.store.KeyBySecret(ctx, store.LookupID(c.ID))
	if errors.Is(err, store.ErrNotFound) {
		return store.KeyAccess{}, ErrKey
	}
	if err != nil {
		return store.KeyAccess{}, fmt.Errorf("look up API key: %w", err)
	}
	if !c.Matches(a.Secret.Hash) || !a.Secret.LiveAt(v.store.Now()) || !a.RevokedAt.IsZero() {
		return store.KeyAccess{}, ErrKey
	}
	return a, nil
}

func (v *Verifier) mayUseAPI(a store.Account, live bool) bool {
	return live && slices.Contains(v.plans, a.Plan)
}

// inspectKey is Inspect for an API key with roles, which is a bearer token and acts for a member.
func (v *Verifier) inspectKey(ctx context.Context, c secret.Credential) (Identity, error) {
	a, err := v.keyBySecret(ctx, c)
	if errors.Is(err, ErrKey) {
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalid, ErrKey)
	}
	if err != nil {
		return Identity{}, err
	}
	if len(a.Key.Roles) == 0 || !v.mayUseAPI(a.Account, a.AccountLive) || !a.UserLive || a.Role == "" {
		return Identity{}, ErrInvalid
	}
	id := Identity{
		Kind: c.Kind, TokenID: c.ID, ClientID: a.Key.ID, Subject: a.User.ID,
		User: &a.User, Account: &a.Account, Role: a.Role, Bot: a.User.Bot,
		IssuedAt: a.Secret.CreatedAt, ExpiresAt: a.Secret.ExpiresAt,
	}
	return v.acting(id, a.Key.Roles)
}

// acting fills in the rights of a token with these roles: those that both the highest of them and the member's current role
// allow.
func (v *Verifier) acting(id Identity, roles []scope.Role) (Identity, error) {
	highest := roles[len(roles)-1]
	id.Acts = highest
	if highest.Covers(id.Role) {
		id.Acts = id.Role
	}
	names := []string{string(id.Acts)}
	for _, r := range roles {
		if id.Acts.Covers(r) {
			names = append(names, string(r))
		}
	}
	var err error
	if id.Scopes, err = scope.NewSet(names...); err != nil {
		return Identity{}, fmt.Errorf("roles of %s: %w", id.ClientID, err)
	}
	id.Permissions = v.catalogue.SharedPermissions(highest, id.Role)
	return id, nil
}
