package sqlstore

import (
	"context"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

var insertCode = named(`INSERT INTO codes (id, hash, app_id, user_id, account_id, installation_id, redirect_uri, redirect_sent,
scope, scope_asked, challenge, resource, tries, created_at, expires_at)
SELECT @id, @hash, i.app_id, i.user_id, i.account_id, i.id, @redirect_uri, @redirect_sent,
@scope, @scope_asked, @challenge, @resource, 0, @created_at, @expires_at ` + liveRoots + `
AND i.id = @installation AND i.app_id = @app AND i.user_id = @user AND i.account_id = @account`)

// CreateCode implements store.Codes.
func (s *Store) CreateCode(ctx context.Context, c store.Code) (err error) {
	defer wrapErr(&err, "create code for installation %s", c.InstallationID)
	n, err := insertCode.exec(ctx, s.db, args{
		{"id", c.ID[:]}, {"hash", c.Hash}, {"redirect_uri", c.RedirectURI}, {"redirect_sent", flag(c.RedirectSent)},
		{"scope", c.Scope.String()}, {"scope_asked", c.ScopeAsked}, {"challenge", c.Challenge}, {"resource", c.Resource},
		{"created_at", at(c.CreatedAt)}, {"expires_at", at(c.ExpiresAt)},
		{"installation", c.InstallationID}, {"app", c.AppID}, {"user", c.UserID}, {"account", c.AccountID},
	})
	if err == nil && n == 0 {
		return store.ErrEnded
	}
	return err
}

const selectCode = `SELECT d.id, d.hash, d.app_id, d.user_id, d.account_id, d.installation_id, d.redirect_uri, d.redirect_sent,
d.scope, d.scope_asked, d.challenge, d.resource, d.created_at, d.expires_at, d.consumed_at, d.tries,
CASE WHEN d.ended_at IS NULL AND d.installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = d.installation_id) THEN 0 ELSE 1 END
FROM codes d WHERE d.id = $1`

// CodeByID implements store.Codes.
func (s *Store) CodeByID(ctx context.Context, id store.LookupID) (c store.Code, err error) {
	defer wrapErr(&err, "look up code %s", secret.ID(id))
	err = s.read().row(ctx, selectCode, []any{id[:]}, scanID(&c.ID), &c.Hash, &c.AppID, &c.UserID, &c.AccountID, &c.InstallationID,
		&c.RedirectURI, scanBool(&c.RedirectSent), scanScopes(&c.Scope), &c.ScopeAsked, &c.Challenge, &c.Resource, scanTime(&c.CreatedAt),
		scanTime(&c.ExpiresAt), scanTime(&c.ConsumedAt), &c.FailedAttempts, scanBool(&c.Ended))
	return c, err
}

const countTry = `UPDATE codes SET tries = tries + 1 WHERE id = $1`

// FailCode implements store.Codes.
func (s *Store) FailCode(ctx context.Context, id store.LookupID) (err error) {
	defer wrapErr(&err, "count failed attempt on code %s", secret.ID(id))
	return requireOne(s.db.exec(ctx, countTry, id[:]))
}

const (
	revokeCodeToken = `UPDATE tokens SET revoked_at = $2
WHERE id = (SELECT token_id FROM codes WHERE id = $1) AND revoked_at IS NULL`
	endCodeFamily = `UPDATE families SET ended_at = $2
WHERE id = (SELECT family_id FROM codes WHERE id = $1) AND ended_at IS NULL`
	selectCodeOwner = `SELECT app_id, account_id, installation_id FROM codes WHERE id = $1`
)

// EndCode implements store.Codes. A replay that finds everything ended already leaves no second event.
func (s *Store) EndCode(ctx context.Context, by store.Principal, id store.LookupID) (err error) {
	defer wrapErr(&err, "end what code %s produced", secret.ID(id))
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		e := store.Event{Kind: store.EventCodeReplayed, Subject: secret.ID(id).String()}
		if err := q.row(ctx, selectCodeOwner, []any{id[:]}, &e.AppID, &e.AccountID, &e.InstallationID); err != nil {
			return err
		}
		now := s.micros()
		tokens, err := q.exec(ctx, revokeCodeToken, id[:], now)
		if err != nil {
			return err
		}
		families, err := q.exec(ctx, endCodeFamily, id[:], now)
		if err != nil || tokens+families == 0 {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}
