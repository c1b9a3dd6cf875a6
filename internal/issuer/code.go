package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// GenerateAuthToken issues an authorization code for the installation in the GrantParams. The text of the code is in GetCode
// of the result only; the store keeps its hash. store.ErrEnded: the installation, or its app, account or user, is no longer
// live.
func (m *Manager) GenerateAuthToken(ctx context.Context, rt oauth2.ResponseType, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	if rt != oauth2.Code {
		return nil, Errorf(UnsupportedResponseType, "response_type must be code")
	}
	granted, err := m.AppScope(tgr.Scope)
	if err != nil {
		return nil, err
	}
	now := m.store.Now()
	row := store.Code{
		AppID:          tgr.ClientID,
		UserID:         tgr.UserID,
		AccountID:      m.params.Installation.AccountID,
		InstallationID: m.params.Installation.ID,
		RedirectURI:    tgr.RedirectURI,
		RedirectSent:   m.params.RedirectSent,
		Scope:          granted,
		ScopeAsked:     m.params.ScopeAsked,
		Challenge:      tgr.CodeChallenge,
		Resource:       strings.Join(m.params.Resource, " "),
		CreatedAt:      now,
		ExpiresAt:      now.Add(m.options.CodeLifetime),
	}
	var code secret.Credential
	err = withFreshID(func() error {
		code = m.format.New(secret.Code)
		hash := code.Hash()
		row.ID, row.Hash = code.ID, hash[:]
		return m.store.CreateCode(ctx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("create code for app %s: %w", tgr.ClientID, err)
	}
	return &models.Token{ClientID: tgr.ClientID, UserID: tgr.UserID, Scope: tgr.Scope, Code: code.Reveal()}, nil
}

// AppScope returns the scopes of a code, which must be canonical names that the app has registered. It is go-oauth2's
// client scope rule for authorization_code.
func (m *Manager) AppScope(names string) (scope.Set, error) {
	granted, err := scope.ParseSet(names)
	if err != nil {
		return scope.Set{}, Errorf(InvalidScope, "scope is malformed").because(err)
	}
	app := m.params.Client.App
	if app == nil || !app.Scopes.Covers(granted) {
		return scope.Set{}, ScopeGivenUp()
	}
	return granted, nil
}

// ScopeGivenUp refuses a request for scopes that the app had registered when it sent the request and has removed since.
func ScopeGivenUp() *Error {
	return Errorf(InvalidScope, "scope includes a scope that is no longer registered for this app")
}

// redeem exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.6). All checks come before the code is consumed, so that a wrong
// request leaves it usable. Only a caller that passes all of them can revoke the tokens of a consumed code, so that a
// stolen code cannot be used to log its owner out.
func (m *Manager) redeem(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	presented, ok := m.format.Parse(tgr.Code)
	if !ok || presented.Kind != secret.Code {
		return nil, errCode().because(ErrUnknown)
	}
	code, err := m.store.CodeByID(ctx, presented.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errCode().because(ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("look up code: %w", err)
	}
	app := m.params.Client.App
	if !presented.Matches(code.Hash) || app == nil || code.AppID != app.ID {
		return nil, errCode().because(ErrUnknown)
	}
	if fault := checkProof(code, tgr.RedirectURI, tgr.CodeVerifier); fault != nil {
		if err := m.store.FailCode(ctx, code.ID); err != nil {
			return nil, fmt.Errorf("count failed attempt: %w", err)
		}
		return nil, fault
	}
	if !code.ConsumedAt.IsZero() {
		return nil, m.replayed(ctx, code.ID)
	}
	now := m.store.Now()
	if code.Ended || code.FailedAttempts >= store.MaxCodeAttempts || !now.Before(code.ExpiresAt) {
		return nil, errCode()
	}
	if !app.Scopes.Covers(code.Scope) {
		return nil, errWithdrawn()
	}
	resource, err := narrowResource(code.Resource, m.params.Resource)
	if err != nil {
		return nil, err
	}
	return m.consume(ctx, app, code, resource, now)
}

// CodeRedeemable reports whether a code that was issued can still be redeemed.
func (i *Issuer) CodeRedeemable(ctx context.Context, code string) (bool, error) {
	c, ok := i.format.Parse(code)
	if !ok || c.Kind != secret.Code {
		return false, nil
	}
	row, err := i.store.CodeByID(ctx, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up code: %w", err)
	}
	return row.ConsumedAt.IsZero() && !row.Ended && i.store.Now().Before(row.ExpiresAt), nil
}

// consume redeems a code that has passed every check: one store operation consumes it and creates the grant, or does neither.
func (m *Manager) consume(ctx context.Context, app *store.App, code store.Code, resource string, now time.Time) (oauth2.TokenInfo, error) {
	var info oauth2.TokenInfo
	err := withFreshID(func() error {
		var grant store.Grant
		grant, info = m.newGrant(app, code, resource, now)
		return m.store.Redeem(ctx, code.ID, grant, m.options.TokenLimit)
	})
	switch {
	case errors.Is(err, store.ErrConsumed):
		return nil, m.replayed(ctx, code.ID)
	case errors.Is(err, store.ErrEnded), errors.Is(err, store.ErrNotFound):
		return nil, errCode().because(err)
	case err != nil:
		return nil, fmt.Errorf("redeem code for app %s: %w", app.ID, err)
	}
	return info, nil
}

// newGrant makes the tokens for a code: one that never expires for a confidential app (docs/dialects.md), an expiring one with
// a refresh token for a public app and for an app that chose expiring tokens.
func (i *Issuer) newGrant(app *store.App, code store.Code, resource string, now time.Time) (store.Grant, oauth2.TokenInfo) {
	spelled := i.catalogue.Spell(code.ScopeAsked, code.Scope)
	token := store.Token{AppID: app.ID, InstallationID: code.InstallationID, Scope: code.Scope, Resource: resource, CreatedAt: now}
	if app.Confidential && !app.Expiring {
		access := i.mint(&token, secret.Access)
		return store.Grant{Token: token}, tokenInfo(app.ID, access, "", spelled, 0)
	}
	family := store.Family{
		ID: secret.NewID(), AppID: app.ID, InstallationID: code.InstallationID,
		Scope: code.Scope, ScopeAsked: code.ScopeAsked, Resource: code.Resource, CreatedAt: now,
	}
	token.Family = family.ID
	token.ExpiresAt = now.Add(i.options.AccessLifetime)
	access := i.mint(&token, secret.Expiring)
	next, refresh := i.newRefresh(family.ID, now)
	return store.Grant{Token: token, Family: &family, Refresh: &next},
		tokenInfo(app.ID, access, refresh.Reveal(), spelled, i.options.AccessLifetime)
}

// mint gives t a new credential and returns its text, which is stored nowhere.
func (i *Issuer) mint(t *store.Token, kind secret.Kind) string {
	c := i.format.New(kind)
	hash := c.Hash()
	t.ID, t.Hash = c.ID, hash[:]
	return c.Reveal()
}

// replayed revokes the tokens of a code that was presented twice, since one of the two callers may be a thief (RFC 9700 §4.13).
func (m *Manager) replayed(ctx context.Context, id store.LookupID) error {
	if err := m.store.EndCode(ctx, m.params.By, id); err != nil {
		return fmt.Errorf("revoke the tokens of a replayed code: %w", err)
	}
	return Errorf(InvalidGrant, "the code was already used, so the tokens issued for it were revoked; check that the callback does not send the code twice")
}

// checkProof compares the parameters that must be repeated from the authorization request.
func checkProof(code store.Code, redirectURI, verifier string) error {
	switch {
	case redirectURI == "" && code.RedirectSent:
		return Errorf(InvalidGrant, "redirect_uri is missing: repeat the one sent to the authorization endpoint")
	case redirectURI != "" && redirectURI != code.RedirectURI:
		return Errorf(InvalidGrant, "redirect_uri differs from the one in the authorization request")
	case code.Challenge == "" && verifier != "":
		return Errorf(InvalidGrant, "code_verifier was sent, but the authorization request had no code_challenge")
	case code.Challenge != "" && verifier == "":
		return Errorf(InvalidGrant, "code_verifier is missing: the authorization request had a code_challenge")
	case code.Challenge != "":
		return checkVerifier(code.Challenge, verifier)
	}
	return nil
}

// checkVerifier checks the form of a verifier (RFC 7636 §4.1: 43 to 128 unreserved characters), so that no app gets by with one
// short enough to guess, and then that it matches the challenge.
func checkVerifier(challenge, verifier string) error {
	if strings.ContainsFunc(verifier, func(c rune) bool { return !unreserved(c) }) {
		return Errorf(InvalidGrant, "code_verifier contains an invalid character: A-Z a-z 0-9 - . _ ~ are allowed (RFC 7636 section 4.1)")
	}
	if len(verifier) < 43 || len(verifier) > 128 {
		return Errorf(InvalidGrant, "code_verifier has %d characters; 43 to 128 are allowed (RFC 7636 section 4.1)", len(verifier))
	}
	if !verifies(challenge, verifier) {
		return Errorf(InvalidGrant, "code_verifier does not match the code_challenge")
	}
	return nil
}

// verifies reports whether the verifier matches an S256 challenge, in constant time.
func verifies(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}

func unreserved(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~", c)
}

// narrowResource returns the audience of a token: the resources that the token request names, each of which must have been
// authorized, or all authorized ones (RFC 8707 §2.2). An origin keeps the spelling that was authorized, with or without its
// slash.
func narrowResource(authorized string, asked []string) (string, error) {
	if len(asked) == 0 {
		return authorized, nil
	}
	have := strings.Fields(authorized)
	var narrowed []string
	for _, r := range asked {
		i := slices.IndexFunc(have, func(h string) bool { return scope.SameResource(h, r) })
		if i < 0 {
			return "", Errorf(InvalidTarget, "resource was not part of the authorization request")
		}
		if !slices.Contains(narrowed, have[i]) {
			narrowed = append(narrowed, have[i])
		}
	}
	return strings.Join(narrowed, " "), nil
}

// errCode is the answer for every code that cannot be redeemed, whatever the reason.
func errCode() *Error {
	return Errorf(InvalidGrant, "code is unknown, expired, already used, or belongs to another app")
}
