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

// loadedRefresh is a refresh token that was proven to be the client's and can be answered.
type loadedRefresh struct {
	presented secret.Credential
	token     store.Refresh
	family    store.Family
	repeated  oauth2.TokenInfo // the answer of its rotation, to be returned again; nil: it can be rotated
}

// LoadRefreshToken returns what a refresh token of the client was granted, without its text. It refuses a token that cannot
// be used any more, and ends the family of one whose successor was used. go-oauth2 calls it before it checks the scope, and
// then RefreshAccessToken, which uses what was loaded.
func (m *Manager) LoadRefreshToken(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	r, err := m.loadRefresh(ctx, refresh)
	if err != nil {
		return nil, err
	}
	return &models.Token{ClientID: r.family.AppID, UserID: r.family.UserID, Scope: r.family.Scope.String()}, nil
}

// RefreshAccessToken rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14.2). The old one stays good until its successor is
// used, so that a client which lost an answer, for however long, is not logged out: within the grace the same request gets
// the same answer again, which is kept sealed under the old token itself, so that the database alone cannot read it; after
// that it gets another successor, and the unused one ends. Presented once its successor was used, the old one ends the
// family (docs/decisions/refresh.md).
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

// loadRefresh looks a refresh token up, once a request, and decides whether it can be answered.
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

// findRefresh looks a refresh token up, whoever's it is and whether it is good or not. store.ErrNotFound: there is no such
// token.
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

// sealContext binds a sealed answer to the request that it answers: client, scope and resources as they were asked for.
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
	granted, spelled, err := m.refreshed(r.family)
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

// RefreshScope returns the scopes that a refresh asks for, which may be fewer than were granted, never others. It is go-oauth2's
// scope rule for refresh_token.
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

// refreshed returns the scopes of the new access token, and how the answer spells them. If the app has given up one of them
// since the consent, the refresh is refused.
func (m *Manager) refreshed(family store.Family) (scope.Set, string, error) {
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

// repeat answers for a token that was rotated before: the same answer within the grace, the end of the family once the
// successor was used, and a refusal that ends nothing if another successor took this one's place. It returns nil for a token
// that may be rotated once more. A reuse ends the family also while something that it depends on is out of service, such as
// a disabled user: the theft would otherwise be forgotten when the user is enabled again.
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

// newRefresh makes the next refresh token of a family.
func (i *Issuer) newRefresh(family store.LookupID, now time.Time) (store.Refresh, secret.Credential) {
	c := i.format.New(secret.Refresh)
	hash := c.Hash()
	return store.Refresh{
		ID: c.ID, Hash: hash[:], Family: family, CreatedAt: now, ExpiresAt: now.Add(i.options.RefreshLifetime),
	}, c
}

// errWithdrawn is for a grant of scopes that the app has given up since: a token would not have what its answer says.
func errWithdrawn() *Error {
	return Errorf(InvalidGrant, "the app may no longer request all of these scopes; send the user to the authorization endpoint again")
}

// errRefresh is the one answer for every refresh token that cannot be used, whatever the reason.
func errRefresh() *Error {
	return Errorf(InvalidGrant, "refresh_token is unknown, expired, revoked, or belongs to another app")
}

// errReplaced is for a refresh token that ended unused because the one before it was presented again: two processes
// share one store, say. Nothing else ends with it.
func errReplaced() *Error {
	return Errorf(InvalidGrant, "refresh_token was replaced by a newer one, because the one before it was presented again; use the newest one issued")
}
