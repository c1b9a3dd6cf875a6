package sqlstore

import (
	"context"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

const insertCode = `INSERT INTO codes (id, hash, app_id, user_id, account_id, installation_id, redirect_uri, redirect_sent,
scope, scope_asked, challenge, resource, tries, created_at, expires_at)
SELECT $1, $2, i.app_id, i.user_id, i.account_id, i.id, $7, $8, $9, $10, $11, $12, 0, $13, $14 ` + liveRoots + `
AND i.id = $6 AND i.app_id = $3 AND i.user_id = $4 AND i.account_id = $5`

// CreateCode implements store.Codes.
func (s *Store) CreateCode(ctx context.Context, c store.Code) (err error) {
	defer tried(&err, "create code for installation %s", c.InstallationID)
	n, err := s.db.exec(ctx, insertCode, c.ID[:], c.Hash, c.AppID, c.UserID, c.AccountID, c.InstallationID, c.RedirectURI,
		flag(c.RedirectSent), c.Scope.String(), c.ScopeAsked, c.Challenge, c.Resource, at(c.CreatedAt), at(c.ExpiresAt))
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
	defer tried(&err, "look up code %s", secret.ID(id))
	err = s.read().row(ctx, selectCode, []any{id[:]}, toID(&c.ID), &c.Hash, &c.AppID, &c.UserID, &c.AccountID, &c.InstallationID,
		&c.RedirectURI, toBool(&c.RedirectSent), toScopes(&c.Scope), &c.ScopeAsked, &c.Challenge, &c.Resource, toTime(&c.CreatedAt),
		toTime(&c.ExpiresAt), toTime(&c.ConsumedAt), &c.Tries, toBool(&c.Ended))
	return c, err
}

const countTry = `UPDATE codes SET tries = tries + 1 WHERE id = $1`

// FailCode implements store.Codes.
func (s *Store) FailCode(ctx context.Context, id store.LookupID) (err error) {
	defer tried(&err, "count failed attempt on code %s", secret.ID(id))
	return one(s.db.exec(ctx, countTry, id[:]))
}

// consumeCode is the gate of redeeming: of any number of redemptions, one finds the row unconsumed. It remembers what
// the code produced. $1 code, $2 now, $3 most tries, $4 token or $5 family.
const consumeCode = `UPDATE codes SET consumed_at = $2, token_id = $4, family_id = $5
WHERE id = $1 AND consumed_at IS NULL AND ended_at IS NULL AND tries < $3 AND expires_at > $2
AND installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = codes.installation_id)`

const consumedCode = ` RETURNING app_id, installation_id, account_id`

// consumedCTE is consumeCode for a statement that goes on with its result. It asks the database's own clock as well, so
// that a process that was suspended after it had read the time cannot redeem an expired code.
const consumedCTE = `WITH consumed AS (` + consumeCode + ` AND expires_at > ` + postgresNow + consumedCode + `),
recorded AS (
	INSERT INTO audit_events (id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail)
	SELECT $6, $2, '` + store.EventTokenIssued + `', '` + string(store.ActorApp) + `', app_id, '', account_id, app_id, installation_id, $7, $8
	FROM consumed
)`

// Redeem implements store.Codes. What cannot be done in the same statement as the consumption is done in the same
// transaction.
func (s *Store) Redeem(ctx context.Context, id store.LookupID, g store.Grant, most int) (err error) {
	defer tried(&err, "redeem code %s", secret.ID(id))
	if (g.Family == nil) != (g.Refresh == nil) {
		return fmt.Errorf("%w: a family and its first refresh token come together", store.ErrInvalid)
	}
	r := redemption{code: id, grant: g, now: s.micros(), limited: most > 0, keep: most - 1}
	if !s.dialect.consuming {
		return s.db.transact(ctx, func(ctx context.Context, q querier) error { return s.redeemStepwise(ctx, q, r) })
	}
	consumed := 0
	eventID := secret.NewID()
	args := append(r.consumption(), eventID[:], r.subject(), g.Token.Scope.String())
	switch {
	case g.Family != nil:
		err = s.db.row(ctx, redeemForFamily, append(args, r.family()...), &consumed)
	case r.limited:
		err = s.db.row(ctx, redeemWithinLimit, append(args, append(r.token(), r.room()...)...), &consumed)
	default:
		err = s.db.row(ctx, redeemForToken, append(args, r.token()...), &consumed)
	}
	if err == nil && consumed == 0 {
		return whyNotRedeemed(ctx, s.db, id)
	}
	return err
}

// redemption is a code with what becomes of it, as the statements take it.
type redemption struct {
	code    store.LookupID
	grant   store.Grant
	now     int64
	limited bool
	keep    int // of a limited one: live tokens of the installation that stay beside the new one
}

func (r redemption) consumption() []any {
	if r.grant.Family != nil {
		return []any{r.code[:], r.now, store.MaxCodeTries, nil, r.grant.Family.ID[:]}
	}
	return []any{r.code[:], r.now, store.MaxCodeTries, r.grant.Token.ID[:], nil}
}

// subject is the id by which the audit event names the credential: the token's or the family's.
func (r redemption) subject() string {
	if r.grant.Family != nil {
		return secret.ID(r.grant.Family.ID).String()
	}
	return secret.ID(r.grant.Token.ID).String()
}

func (r redemption) token() []any {
	t := r.grant.Token
	return []any{t.ID[:], t.Hash, t.Scope.String(), t.Resource, at(t.CreatedAt)}
}

// room is the statement that makes room for a token.
func (r redemption) room() []any {
	eventID := secret.NewID()
	return []any{r.keep, eventID[:], r.surplus().Detail}
}

// surplus is the event that tells of the tokens that had to make room; their rows say which, by the time.
func (r redemption) surplus() store.Event {
	return store.Event{Kind: store.EventTokenRevoked, Detail: fmt.Sprintf("the oldest, above %d of the installation", r.keep+1)}
}

func (r redemption) family() []any {
	t, f, n := r.grant.Token, r.grant.Family, r.grant.Refresh
	return []any{
		f.Scope.String(), f.ScopeAsked, f.Resource, at(f.CreatedAt),
		n.ID[:], n.Hash, at(n.CreatedAt), at(n.ExpiresAt),
		t.ID[:], t.Hash, t.Scope.String(), t.Resource, at(t.CreatedAt), at(t.ExpiresAt),
	}
}

// redeemForToken does everything in one round trip.
const redeemForToken = consumedCTE + createdToken + `
SELECT COUNT(*) FROM consumed`

const createdToken = `,
created AS (
	INSERT INTO tokens (id, hash, app_id, installation_id, scope, resource, created_at)
	SELECT $9, $10, app_id, installation_id, $11, $12, $13 FROM consumed
)`

// redeemWithinLimit is redeemForToken with a limit. The tokens it counts are those there were before the statement, so
// two codes of one installation that are redeemed at the same moment may leave one token too many, until the next. Tokens
// that another redemption is about to revoke are left to it: waiting for it could be a deadlock.
const redeemWithinLimit = consumedCTE + createdToken + `,
surplus AS (
	UPDATE tokens SET revoked_at = $2 WHERE id = ANY (ARRAY(
		SELECT s.id FROM tokens s WHERE s.revoked_at IS NULL AND s.id = ANY (ARRAY(
			SELECT t.id FROM tokens t WHERE t.installation_id = (SELECT installation_id FROM consumed)
			AND t.installation_id <> '' AND t.revoked_at IS NULL
			ORDER BY t.created_at DESC, t.id DESC OFFSET $14))
		FOR UPDATE SKIP LOCKED))
	RETURNING id
),
told AS (
	INSERT INTO audit_events (id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail)
	SELECT $15, $2, '` + store.EventTokenRevoked + `', '` + string(store.ActorSystem) + `', '', '', account_id, app_id, installation_id, '', $16
	FROM consumed WHERE EXISTS (SELECT 1 FROM surplus)
)
SELECT COUNT(*) FROM consumed`

const redeemForFamily = consumedCTE + `,
family AS (
	INSERT INTO families (id, app_id, installation_id, scope, scope_asked, resource, created_at)
	SELECT $5, app_id, installation_id, $9, $10, $11, $12 FROM consumed
),
refresh AS (
	INSERT INTO refresh_tokens (id, hash, family_id, created_at, expires_at)
	SELECT $13, $14, $5, $15, $16 FROM consumed
),
created AS (
	INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
	SELECT $17, $18, app_id, installation_id, $5, $19, $20, $21, $22 FROM consumed
)
SELECT COUNT(*) FROM consumed`

const (
	insertToken = `INSERT INTO tokens (id, hash, app_id, installation_id, scope, resource, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
	revokeSurplus = `UPDATE tokens SET revoked_at = $2 WHERE id IN (
	SELECT t.id FROM tokens t WHERE t.installation_id = $1 AND t.installation_id <> '' AND t.revoked_at IS NULL
	ORDER BY t.created_at DESC, t.id DESC LIMIT 1000000 OFFSET $3)`
	insertFamily = `INSERT INTO families (id, app_id, installation_id, scope, scope_asked, resource, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

// redeemStepwise is Redeem inside a transaction.
func (s *Store) redeemStepwise(ctx context.Context, q querier, r redemption) error {
	var appID, installationID, accountID string
	err := q.row(ctx, consumeCode+consumedCode, r.consumption(), &appID, &installationID, &accountID)
	if notFound(err) {
		return whyNotRedeemed(ctx, q, r.code)
	}
	if err != nil {
		return err
	}
	t := r.grant.Token
	t.AppID, t.InstallationID = appID, installationID
	if f, n := r.grant.Family, r.grant.Refresh; f != nil {
		_, err = q.exec(ctx, insertFamily, f.ID[:], appID, installationID, f.Scope.String(), f.ScopeAsked, f.Resource, at(f.CreatedAt))
		if err == nil {
			_, err = q.exec(ctx, insertRefresh, n.ID[:], n.Hash, f.ID[:], nil, at(n.CreatedAt), at(n.ExpiresAt))
		}
		if err == nil {
			t.Family = f.ID
			err = addExpiringToken(ctx, q, t)
		}
	} else {
		var ended int64
		if r.limited {
			ended, err = q.exec(ctx, revokeSurplus, installationID, r.now, r.keep)
		}
		if err == nil && ended > 0 {
			e := r.surplus()
			e.AccountID, e.AppID, e.InstallationID = accountID, appID, installationID
			err = s.record(ctx, q, store.Actor{Kind: store.ActorSystem}, e)
		}
		if err == nil {
			_, err = q.exec(ctx, insertToken, t.ID[:], t.Hash, appID, installationID, t.Scope.String(), t.Resource, at(t.CreatedAt))
		}
	}
	if err != nil {
		return err
	}
	return s.record(ctx, q, store.Actor{Kind: store.ActorApp, ID: appID}, store.Event{
		Kind: store.EventTokenIssued, AccountID: accountID, AppID: appID, InstallationID: installationID,
		Subject: r.subject(), Detail: t.Scope.String(),
	})
}

const selectConsumed = `SELECT CASE WHEN consumed_at IS NULL THEN 0 ELSE 1 END FROM codes WHERE id = $1`

// whyNotRedeemed tells a code that was used from one that ended.
func whyNotRedeemed(ctx context.Context, q querier, id store.LookupID) error {
	var consumed bool
	if err := q.row(ctx, selectConsumed, []any{id[:]}, toBool(&consumed)); err != nil {
		return err
	}
	if consumed {
		return store.ErrConsumed
	}
	return store.ErrEnded
}

const (
	revokeCodeToken = `UPDATE tokens SET revoked_at = $2
WHERE id = (SELECT token_id FROM codes WHERE id = $1) AND revoked_at IS NULL`
	endCodeFamily = `UPDATE families SET ended_at = $2
WHERE id = (SELECT family_id FROM codes WHERE id = $1) AND ended_at IS NULL`
	selectCodeOwner = `SELECT app_id, account_id, installation_id FROM codes WHERE id = $1`
)

// EndCode implements store.Codes. A replay that finds everything ended already leaves no second event.
func (s *Store) EndCode(ctx context.Context, by store.Actor, id store.LookupID) (err error) {
	defer tried(&err, "end what code %s produced", secret.ID(id))
	return s.db.transact(ctx, func(ctx context.Context, q querier) error {
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
