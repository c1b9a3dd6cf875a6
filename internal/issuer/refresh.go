package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// RefreshAccessToken rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14.2). The old one stays good until its successor is
// used, so that a client which lost an answer, for however long, is not logged out: within the grace the same request gets
// the same answer again, which is kept sealed under the old token itself, so that the database alone cannot read it; after
// that it gets another successor, and the unused one ends. Presented once its successor was used, the old one ends the
// family (docs/decisions/refresh.md).
func (i *Issuer) RefreshAccessToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	facts := factsOf(ctx)
	presented, ok := i.format.Parse(tgr.Refresh)
	if !ok || presented.Kind != secret.Refresh {
		return nil, errRefresh().because(ErrUnknown)
	}
	old, family, err := i.store.RefreshByID(ctx, presented.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errRefresh().because(ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("look up refresh token: %w", err)
	}
	app := facts.Client.App
	if !presented.Matches(old.Hash) || app == nil || family.AppID != app.ID {
		return nil, errRefresh().because(ErrUnknown)
	}
	request := refreshRequest{client: app.ID, scope: tgr.Scope, resource: facts.Resource}
	for range maxRotations {
		info, err := i.rotate(ctx, facts.By, presented, old, family, request)
		if !errors.Is(err, store.ErrConsumed) {
			return info, err
		}
		// Another request was first, since the token was looked up.
		if old, family, err = i.store.RefreshByID(ctx, presented.ID); err != nil {
			return nil, fmt.Errorf("look up rotated refresh token: %w", err)
		}
	}
	return nil, errContended(app.ID)
}

// maxRotations is how often a request tries to rotate a token that others, which ask for something else, rotate at the same
// moment. Requests that ask for the same get the answer of the first.
const maxRotations = 10

func errContended(owner string) error {
	return fmt.Errorf("rotate refresh token of %s: %d other requests were first: %w", owner, maxRotations, store.ErrUnavailable)
}

// rotate answers for a token that is proven to be the caller's, as it was when it was looked up. store.ErrConsumed: it was
// rotated since.
func (i *Issuer) rotate(ctx context.Context, by store.Actor, presented secret.Credential, old store.Refresh, family store.Family, r refreshRequest) (oauth2.TokenInfo, error) {
	if !old.RotatedAt.IsZero() {
		info, err := i.repeat(ctx, by, presented, old, family, r)
		if info != nil || err != nil {
			return info, err
		}
	}
	now := i.store.Now()
	if family.Ended || !now.Before(old.ExpiresAt) {
		return nil, errRefresh()
	}
	var info oauth2.TokenInfo
	err := untilFree(func() (err error) {
		var rotation store.Rotation
		if info, rotation, err = i.newRotation(presented, family, r, now); err != nil {
			return err
		}
		rotation.Unused = old.Successor
		return i.store.Rotate(ctx, rotation)
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
	return nil, fmt.Errorf("rotate refresh token of app %s: %w", r.client, err)
}

// refreshRequest is what makes two refresh requests the same one.
type refreshRequest struct {
	client   string
	scope    string
	resource []string
}

func (r refreshRequest) context() string {
	return fmt.Sprintf("xenoauth refresh %q %q %q", r.client, r.scope, r.resource)
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
	return tokenInfo(client, a.Access, a.Refresh, a.Scope, a.Created, a.Lifetime)
}

// newRotation makes the successor, its access token and the sealed answer.
func (i *Issuer) newRotation(presented secret.Credential, family store.Family, r refreshRequest, now time.Time) (oauth2.TokenInfo, store.Rotation, error) {
	granted, spelled, err := i.refreshScope(family, r.scope)
	if err != nil {
		return nil, store.Rotation{}, err
	}
	resource, err := narrowResource(family.Resource, r.resource)
	if err != nil {
		return nil, store.Rotation{}, err
	}
	token := store.Token{
		AppID: family.AppID, InstallationID: family.InstallationID, Family: family.ID,
		Scope: granted, Resource: resource, CreatedAt: now, ExpiresAt: now.Add(i.options.AccessLifetime),
	}
	a := answer{Access: i.mint(&token, secret.Expiring), Scope: spelled, Created: now, Lifetime: i.options.AccessLifetime}
	next, refresh := i.newRefresh(family.ID, now)
	a.Refresh = refresh.Reveal()
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, store.Rotation{}, fmt.Errorf("encode refresh answer: %w", err)
	}
	sealed, err := presented.Seal(plain, r.context())
	if err != nil {
		return nil, store.Rotation{}, fmt.Errorf("seal refresh answer: %w", err)
	}
	return a.info(family.AppID), store.Rotation{
		Old: presented.ID, Next: next, Token: token, Sealed: sealed, SealedUntil: now.Add(i.options.Grace),
	}, nil
}

// refreshScope is what the new access token carries: what was asked for, never more than the family's grant, and
// nothing if the app has lost a scope since.
func (i *Issuer) refreshScope(family store.Family, asked string) (scope.Set, string, error) {
	want, spelledAs := family.Scope, family.ScopeAsked
	if asked != "" {
		var err error
		if want, err = i.canonical(asked); err != nil {
			return scope.Set{}, "", err
		}
		if !family.Scope.Covers(want) {
			return scope.Set{}, "", Errorf(InvalidScope, "scope asks for more than was granted")
		}
		spelledAs = asked
	}
	if !family.AppScopes.Covers(want) {
		return scope.Set{}, "", errWithdrawn()
	}
	return want, i.catalogue.Spell(spelledAs, want), nil
}

// repeat answers for a token that was rotated before: the same answer within the grace, the end of the family once the
// successor was used, and a refusal that ends nothing where another successor took this one's place. It answers nothing
// when the token is good for another rotation. The family ends also while something that it depends on is out of service, such as a
// disabled user: the theft would otherwise be forgotten when that returns.
func (i *Issuer) repeat(ctx context.Context, by store.Actor, presented secret.Credential, old store.Refresh, family store.Family, r refreshRequest) (oauth2.TokenInfo, error) {
	if !family.EndedAt.IsZero() {
		return nil, errRefresh()
	}
	if !old.ReplacedAt.IsZero() {
		return nil, errReplaced()
	}
	if len(old.Sealed) > 0 && i.store.Now().Before(old.SealedUntil) {
		if plain, err := presented.Open(old.Sealed, r.context()); err == nil {
			if family.Ended {
				return nil, errRefresh()
			}
			var a answer
			if err := json.Unmarshal(plain, &a); err != nil {
				return nil, fmt.Errorf("decode refresh answer: %w", err)
			}
			return a.info(r.client), nil
		}
	}
	if old.Successor != (store.LookupID{}) {
		return nil, nil
	}
	if err := i.store.EndFamily(ctx, by, family.ID, "refresh token reused"); err != nil {
		return nil, fmt.Errorf("end family of a reused refresh token: %w", err)
	}
	return nil, Errorf(InvalidGrant, "refresh_token was used before, and so was its successor; all tokens of this grant are revoked")
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
	return Errorf(InvalidGrant, "the app may no longer ask for all of these scopes; send the user through the authorization endpoint again")
}

// errRefresh is the one answer for every refresh token that cannot be used, whatever the reason.
func errRefresh() *Error {
	return Errorf(InvalidGrant, "refresh_token is unknown, expired, revoked, or belongs to another app")
}

// errReplaced is for a refresh token that ended unused because the one before it was presented again: two processes
// share one store, say. Nothing else ends with it.
func errReplaced() *Error {
	return Errorf(InvalidGrant, "refresh_token was replaced by a newer one before it was used, because the one before it was presented again; use the newest one that was issued")
}
