package directory

import (
	"context"
	"errors"
	"strings"
	"time"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// Examined describes a presented credential of any kind to the operator, without the credential itself.
type Examined struct {
	Kind      string // for people, such as "account API key"
	ID        string
	State     string // live, expired, revoked, used or suspended
	Why       string // the reason for the state; may be empty
	Owner     string // id of the app, API key, bot or resource server that it belongs to; "" for a user token
	User      string // id of the user it acts for, if there is one
	Account   string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// The states of a credential.
const (
	StateActive    = "active"
	StateExpired   = "expired"
	StateRevoked   = "revoked"
	StateUsed      = "used"
	StateSuspended = "suspended" // something that it depends on is disabled or gone
)

// Examine finds a credential of any kind, live or not, by its text. store.ErrNotFound: this server did not issue it.
func (d *Directory) Examine(ctx context.Context, by store.Principal, text string) (e Examined, err error) {
	if err := operatorOnly(by); err != nil {
		return Examined{}, err
	}
	c, ok := d.format.Parse(text)
	e = Examined{Kind: c.Kind.String(), ID: c.ID.String(), State: StateActive}
	switch {
	case !ok:
		e, err = d.examineUserToken(ctx, text)
	case c.Kind == secret.Client || c.Kind == secret.APIKey || c.Kind == secret.Bot:
		err = d.examineSecret(ctx, c, &e)
	case c.Kind == secret.Access || c.Kind == secret.Expiring:
		err = d.examineAccess(ctx, c, &e)
	case c.Kind == secret.Refresh:
		err = d.examineRefresh(ctx, c, &e)
	case c.Kind == secret.Integration:
		err = d.examineIntegration(ctx, c, &e)
	case c.Kind == secret.Code:
		err = d.examineCode(ctx, c, &e)
	case c.Kind == secret.Request:
		err = d.examineRequest(ctx, c, &e)
	default:
		err = store.ErrNotFound
	}
	if err != nil {
		return Examined{}, err
	}
	return e, nil
}

// end sets the reason why a credential is not live; the first reason stays.
func (e *Examined) end(ended bool, state, why string) {
	if ended && e.State == StateActive {
		e.State, e.Why = state, why
	}
}

func (d *Directory) expired(at time.Time) bool { return !at.IsZero() && !d.store.Now().Before(at) }

func (d *Directory) examineSecret(ctx context.Context, c secret.Credential, e *Examined) error {
	s, err := d.store.SecretByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(s.Hash) {
		return store.ErrNotFound
	}
	e.Owner, e.CreatedAt, e.ExpiresAt = s.ClientID, s.CreatedAt, s.ExpiresAt
	e.end(!s.RevokedAt.IsZero(), StateRevoked, "")
	e.end(d.expired(s.ExpiresAt), StateExpired, "")
	switch {
	case strings.HasPrefix(s.ClientID, "key_"):
		k, found := d.store.KeyBySecret(ctx, store.LookupID(c.ID))
		if err = found; err == nil {
			e.Account, e.User = k.Key.AccountID, k.Key.UserID
			if len(k.Key.Roles) == 0 {
				e.Kind = "account API key"
			}
			e.end(!k.RevokedAt.IsZero(), StateRevoked, "the API key was revoked")
			e.end(!k.AccountLive, StateSuspended, "the account is disabled")
			e.end(k.Key.UserID != "" && (!k.UserLive || k.Role == ""), StateSuspended, "its user is disabled, removed or not a member of the account")
		}
	case strings.HasPrefix(s.ClientID, "bot_"):
		b, found := d.store.BotBySecret(ctx, store.LookupID(c.ID))
		if err = found; err == nil {
			e.Account, e.User = b.Bot.AccountID, b.Bot.ID
			e.end(!b.UserLive || b.Role == "", StateSuspended, "the bot is disabled or removed")
			e.end(!b.AccountLive, StateSuspended, "the account is disabled")
		}
	case strings.HasPrefix(s.ClientID, "rs_"):
		e.Kind = "secret of a resource server"
		_, err = d.store.ResourceByID(ctx, s.ClientID)
	default:
		a, found := d.store.AppByID(ctx, s.ClientID)
		err, e.Account = found, a.AccountID
		e.end(err == nil && !a.SuspendedAt.IsZero(), StateSuspended, "the app is disabled")
	}
	if errors.Is(err, store.ErrNotFound) {
		e.end(true, StateRevoked, "its owner was removed")
		return nil
	}
	return err
}

func (d *Directory) examineAccess(ctx context.Context, c secret.Credential, e *Examined) error {
	kind := store.NonExpiring
	if c.Kind == secret.Expiring {
		kind = store.Expiring
	}
	a, err := d.store.AccessByID(ctx, kind, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(a.Hash) {
		return store.ErrNotFound
	}
	e.Owner, e.User, e.Account, e.CreatedAt, e.ExpiresAt = a.AppID, a.User.ID, a.Account.ID, a.CreatedAt, a.ExpiresAt
	e.end(!a.RevokedAt.IsZero(), StateRevoked, "")
	e.end(d.expired(a.ExpiresAt), StateExpired, "")
	e.end(!a.AppLive, StateSuspended, "the app is disabled or removed")
	if a.InstallationID != "" {
		e.end(!a.InstallationLive, StateRevoked, "the app was removed from the account")
		e.end(!a.UserLive, StateSuspended, "the user is disabled or removed")
		e.end(!a.AccountLive, StateSuspended, "the account is disabled")
		e.end(a.Role == "", StateSuspended, "the user is not a member of the account")
	}
	return nil
}

func (d *Directory) examineRefresh(ctx context.Context, c secret.Credential, e *Examined) error {
	r, f, err := d.store.RefreshByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(r.Hash) {
		return store.ErrNotFound
	}
	e.Owner, e.User, e.Account, e.CreatedAt, e.ExpiresAt = f.AppID, f.UserID, f.AccountID, r.CreatedAt, r.ExpiresAt
	e.end(!f.EndedAt.IsZero(), StateRevoked, "")
	e.end(!r.RotatedAt.IsZero(), StateUsed, "it was replaced by another refresh token")
	e.end(d.expired(r.ExpiresAt), StateExpired, "")
	e.end(f.Ended, StateSuspended, "its app, installation, user or account is disabled or removed")
	return nil
}

func (d *Directory) examineIntegration(ctx context.Context, c secret.Credential, e *Examined) error {
	a, err := d.store.IntegrationByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(a.Hash) {
		return store.ErrNotFound
	}
	now := d.store.Now()
	e.Owner, e.User, e.Account, e.CreatedAt, e.ExpiresAt = a.KeyID, a.BotID, a.Account.ID, a.CreatedAt, a.ExpiresAt
	e.end(!a.RevokedAt.IsZero() || !a.KeyLive || !a.Key.LiveAt(now), StateRevoked, "it was revoked, or the API key it was obtained with was")
	e.end(d.expired(a.ExpiresAt), StateExpired, "")
	e.end(!a.AccountLive, StateSuspended, "the account is disabled")
	e.end(a.BotID != "" && (!a.BotLive || !a.Bot.LiveAt(now) || a.Role == ""), StateSuspended, "the bot is disabled or removed, or its secret was revoked")
	return nil
}

func (d *Directory) examineCode(ctx context.Context, c secret.Credential, e *Examined) error {
	code, err := d.store.CodeByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(code.Hash) {
		return store.ErrNotFound
	}
	e.Owner, e.User, e.Account, e.CreatedAt, e.ExpiresAt = code.AppID, code.UserID, code.AccountID, code.CreatedAt, code.ExpiresAt
	e.end(!code.ConsumedAt.IsZero(), StateUsed, "it was exchanged")
	e.end(d.expired(code.ExpiresAt), StateExpired, "")
	e.end(code.Ended || code.FailedAttempts >= store.MaxCodeAttempts, StateRevoked, "")
	return nil
}

func (d *Directory) examineRequest(ctx context.Context, c secret.Credential, e *Examined) error {
	r, err := d.store.RequestByID(ctx, store.LookupID(c.ID))
	if err != nil {
		return err
	}
	if !c.Matches(r.Hash) {
		return store.ErrNotFound
	}
	e.Owner, e.CreatedAt, e.ExpiresAt = r.AppID, r.CreatedAt, r.ExpiresAt
	e.end(!r.DecidedAt.IsZero(), StateUsed, "it was answered")
	e.end(d.expired(r.ExpiresAt), StateExpired, "")
	return nil
}

// examineUserToken finds a user token or its refresh token. The hash of the text proves it: checking the
// signature is left to package verify.
func (d *Directory) examineUserToken(ctx context.Context, text string) (Examined, error) {
	refresh, isRefresh := secret.ParseUserRefresh(text)
	id, isToken := secret.ParseUserToken(text)
	switch {
	case isRefresh:
		id = refresh.ID
	case !isToken:
		return Examined{}, store.ErrNotFound
	}
	a, err := d.store.UserRefreshByID(ctx, store.LookupID(id))
	if err != nil {
		return Examined{}, err
	}
	e := Examined{Kind: secret.JWT.String(), ID: id.String(), State: StateActive, User: a.Owner.UserID, Account: a.Owner.AccountID, CreatedAt: a.CreatedAt}
	if isRefresh {
		if !refresh.Matches(a.Hash) || refresh.UserID != a.Owner.UserID {
			return Examined{}, store.ErrNotFound
		}
		e.Kind, e.ExpiresAt = "user refresh token", a.ExpiresAt
	} else if !secret.MatchesUserToken(text, a.TokenHash) {
		return Examined{}, store.ErrNotFound
	}
	e.end(!a.Owner.EndedAt.IsZero(), StateRevoked, "")
	e.end(isRefresh && !a.RotatedAt.IsZero(), StateUsed, "it was replaced by another refresh token")
	e.end(d.expired(e.ExpiresAt) || d.expired(a.Owner.EndsAt), StateExpired, "")
	e.end(!a.User.PasswordAt.Equal(a.Owner.PasswordAt), StateRevoked, "the password was changed")
	e.end(!a.Live, StateSuspended, "its user, account or bot secret is disabled or removed")
	return e, nil
}
