package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// loadedRefresh is a refresh token of the client that can be used.
type loadedRefresh struct {
	presented secret.Credential
	token     store.Refresh
	family    store.Family
	repeated  oauth2.TokenInfo // the answer of its earlier rotation, to be returned again; nil: rotate it
}

// LoadRefreshToken returns the grant of a refresh token, without its text. It refuses a token that is not the client's or cannot
// be used any more, and ends the family of a token whose successor was used. go-oauth2 calls it before it checks the scope,
// and RefreshAccessToken afterwards, which uses the loaded row.
func (m *Manager) LoadRefreshToken(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	r, err := m.loadRefresh(ctx, refresh)
	if err != nil {
		return nil, err
	}
	return &models.Token{ClientID: r.family.AppID, UserID: r.family.UserID, Scope: r.family.Scope.String()}, nil
}

// RefreshAccessToken rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14.2). The old token stays valid until its successor is
// used, so that a client that lost an answer, however long ago, is not logged out. Within the grace the same request gets the
// same answer again; it is stored sealed under the old token, so that the database alone cannot read it. After the grace the
// old token gets another successor, and the unused one ends. An old token that is presented after its successor was used ends
// the family (docs/decisions/refresh.md).
func (m *Manager) RefreshAccessToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	for range maxRotations {
		r, err := m.loadRefresh(ctx, tgr.Refresh)
		if err != nil {
			return nil, err
		}
		if r.repeated != nil {
			return r.repeated, nil
		}
		info, err := m.rotate(ctx, r)
		if !errors.Is(err, store.ErrConsumed) {
			return info, err
		}
		m.refresh = nil // another request rotated it since it was loaded
	}
	return nil, errContended(tgr.ClientID)
}

// maxRotations is how often a request tries to rotate a token while other requests, which ask for something else, rotate
// it first. Requests that ask for the same get the answer of the first.
const maxRotations = 10

func errContended(owner string) error {
	return fmt.Errorf("rotate refresh token of %s: %d other requests were first: %w", owner, maxRotations, store.ErrUnavailable)
}

// loadRefresh looks up a refresh token of the client, once a request, and refuses it if it cannot be used.
func (m *Manager) loadRefresh(ctx context.Context, refresh string) (*loadedRefresh, error) {
	if m.refresh != nil && m.refresh.presented.Reveal() == refresh {
		return m.refresh, nil
	}
	r, err := m.findRefresh(ctx, refresh)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	app := m.params.Client.App
	if err != nil || app == nil || r.family.AppID != app.ID {
		return nil, errRefresh().because(ErrUnknown)
	}
	if !r.token.RotatedAt.IsZero() {
		if r.repeated, err = m.repeat(ctx, r); err != nil {
			return nil, err
		}
	}
	if r.repeated == nil && (r.family.Ended || !m.store.Now().Before(r.token.ExpiresAt)) {
		return nil, errRefresh()
	}
	m.refresh = r
	return r, nil
}

// findRefresh looks up a refresh token of any client, whether or not it can be used. store.ErrNotFound: there is no such token.
func (m *Manager) findRefresh(ctx context.Context, refresh string) (*loadedRefresh, error) {
	presented, ok := m.format.Parse(refresh)
	if !ok || presented.Kind != secret.Refresh {
		return nil, store.ErrNotFound
	}
	token, family, err := m.store.RefreshByID(ctx, presented.ID)
	if err != nil {
		return nil, fmt.Errorf("look up refresh token: %w", err)
	}
	if !presented.Matches(token.Hash) {
		return nil, store.ErrNotFound
	}
	return &loadedRefresh{presented: presented, token: token, family: family}, nil
}

// rotate replaces a refresh token by a new pair. store.ErrConsumed: another request rotated it since it was loaded.
func (m *Manager) rotate(ctx context.Context, r *loadedRefresh) (oauth2.TokenInfo, error) {
	now := m.store.Now()
	var info oauth2.TokenInfo
	err := withFreshID(func() (err error) {
		var rotation store.Rotation
		if info, rotation, err = m.newRotation(r, now); err != nil {
			return err
		}
		return m.store.Rotate(ctx, rotation)
	})
	var refused *Error
	switch {
	case err == nil:
		return info, nil
	case errors.As(err, &refused), errors.Is(err, store.ErrConsumed):
		return nil, err
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return nil, errRefresh().because(err)
	}
	return nil, fmt.Errorf("rotate refresh token of app %s: %w", r.family.AppID, err)
}

// sealContext binds a sealed answer to its request: the client, and scope and resources as they were sent.
func (m *Manager) sealContext() string {
	return fmt.Sprintf("xenoauth refresh %q %q %q", m.params.Client.ID, m.params.ScopeAsked, m.params.Resource)
}

// answer is the sealed form of a token answer.
type answer struct {
	Access   string        `json:"a"`
	Refresh  string        `json:"r"`
	Scope    string        `json:"s"`
	Created  time.Time     `json:"c"`
	Lifetime time.Duration `json:"l"`
}

func (a answer) info(client string) oauth2.TokenInfo {
	return tokenInfo(client, a.Access, a.Refresh, a.Scope, a.Lifetime)
}

// newRotation makes the successor, its access token and the sealed answer.
func (m *Manager) newRotation(r *loadedRefresh, now time.Time) (oauth2.TokenInfo, store.Rotation, error) {
	granted, spelled, err := m.newScope(r.family)
	if err != nil {
		return nil, store.Rotation{}, err
	}
	resource, err := narrowResource(r.family.Resource, m.params.Resource)
	if err != nil {
		return nil, store.Rotation{}, err
	}
	token := store.Token{
		AppID: r.family.AppID, InstallationID: r.family.InstallationID, Family: r.family.ID,
		Scope: granted, Resource: resource, CreatedAt: now, ExpiresAt: now.Add(m.options.AccessLifetime),
	}
	a := answer{Access: m.mint(&token, secret.Expiring), Scope: spelled, Created: now, Lifetime: m.options.AccessLifetime}
	next, refresh := m.newRefresh(r.family.ID, now)
	a.Refresh = refresh.Reveal()
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, store.Rotation{}, fmt.Errorf("encode refresh answer: %w", err)
	}
	sealed, err := r.presented.Seal(plain, m.sealContext())
	if err != nil {
		return nil, store.Rotation{}, fmt.Errorf("seal refresh answer: %w", err)
	}
	return a.info(r.family.AppID), store.Rotation{
		Old: r.token.ID, Unused: r.token.Successor, Next: next, Token: token, Sealed: sealed, SealedUntil: now.Add(m.options.Grace),
	}, nil
}

// RefreshScope returns the scopes that a refresh asks for, which must be among those granted. It is go-oauth2's scope rule for
// refresh_token.
func (m *Manager) RefreshScope(asked string, granted scope.Set) (scope.Set, error) {
	if asked == "" {
		return granted, nil
	}
	want, err := m.canonical(asked)
	if err != nil {
		return scope.Set{}, err
	}
	if !granted.Covers(want) {
		return scope.Set{}, Errorf(InvalidScope, "scope includes a scope that was not granted")
	}
	return want, nil
}

// newScope returns the scopes of the new access token and their spelling in the answer. If the app has removed one of them from
// its registration, the refresh is refused.
func (m *Manager) newScope(family store.Family) (scope.Set, string, error) {
	want, err := m.RefreshScope(m.params.ScopeAsked, family.Scope)
	if err != nil {
		return scope.Set{}, "", err
	}
	if !family.AppScopes.Covers(want) {
		return scope.Set{}, "", errWithdrawn()
	}
	spelledAs := family.ScopeAsked
	if m.params.ScopeAsked != "" {
		spelledAs = m.params.ScopeAsked
	}
	return want, m.catalogue.Spell(spelledAs, want), nil
}

// repeat handles a token that was rotated before. Within the grace it returns the same answer; if the successor was used, it ends
// the family; if another successor has replaced this token, it refuses and ends nothing. It returns nil for a token that may be
// rotated again. A reuse ends the family even while, for example, the user is disabled: otherwise the theft would have no
// consequence once the user is enabled.
func (m *Manager) repeat(ctx context.Context, r *loadedRefresh) (oauth2.TokenInfo, error) {
	if !r.family.EndedAt.IsZero() {
		return nil, errRefresh()
	}
	if !r.token.ReplacedAt.IsZero() {
		return nil, errReplaced()
	}
	if len(r.token.Sealed) > 0 && m.store.Now().Before(r.token.SealedUntil) {
		if plain, err := r.presented.Open(r.token.Sealed, m.sealContext()); err == nil {
			if r.family.Ended {
				return nil, errRefresh()
			}
			var a answer
			if err := json.Unmarshal(plain, &a); err != nil {
				return nil, fmt.Errorf("decode refresh answer: %w", err)
			}
			return a.info(r.family.AppID), nil
		}
	}
	if r.token.Successor != (store.LookupID{}) {
		return nil, nil
	}
	if err := m.store.EndFamily(ctx, m.params.By, r.family.ID, "refresh token reused"); err != nil {
		return nil, fmt.Errorf("end family of a reused refresh token: %w", err)
	}
	return nil, Errorf(InvalidGrant, "refresh_token was already used, and so was its successor; all tokens of this grant were revoked")
}

// newRefresh makes a refresh token of the family.
func (i *Issuer) newRefresh(family store.LookupID, now time.Time) (store.Refresh, secret.Credential) {
	c := i.format.New(secret.Refresh)
	hash := c.Hash()
	return store.Refresh{
		ID: c.ID, Hash: hash[:], Family: family, CreatedAt: now, ExpiresAt: now.Add(i.options.RefreshLifetime),
	}, c
}

// errWithdrawn is for a grant with scopes that the app has removed since: the token would lack scopes that its answer lists.
func errWithdrawn() *Error {
	return Errorf(InvalidGrant, "the app may no longer request all of these scopes; send the user to the authorization endpoint again")
}

// errRefresh is the answer for every refresh token that cannot be used, whatever the reason.
func errRefresh() *Error {
	return Errorf(InvalidGrant, "refresh_token is unknown, expired, revoked, or belongs to another app")
}

// errReplaced is for a refresh token that ended unused because its predecessor was presented again, for example by two
// processes that share a token store. Nothing else ends with it.
func errReplaced() *Error {
	return Errorf(InvalidGrant, "refresh_token was replaced by a newer one, because the one before it was presented again; use the newest one issued")
}
