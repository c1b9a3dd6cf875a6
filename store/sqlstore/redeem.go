package sqlstore

import (
	"context"
	"fmt"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// consumption is the gate of redeeming a code. The row records the token or family that the code produced. The database's
// clock is asked as well, so that a process that was suspended after it had read the time cannot redeem an expired code.
var consumption = gate{
	update: `UPDATE codes SET consumed_at = @now, token_id = @produced_token, family_id = @produced_family
WHERE id = @code AND consumed_at IS NULL AND ended_at IS NULL AND tries < @max_tries AND expires_at > @now
AND installation_id = (SELECT i.id ` + liveRoots + ` AND i.id = codes.installation_id)`,
	clock:     ` AND expires_at > ` + postgresNow,
	returning: `app_id, installation_id, account_id`,
	row:       `FROM codes WHERE id = @code`,
}

// The statements that follow the consumption of a code.
const (
	recordRedemption = `INSERT INTO audit_events (id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail)
	SELECT @event_id, @now, '` + store.EventTokenIssued + `', '` + string(store.ActorApp) + `', app_id, '', account_id, app_id, installation_id, @subject, @token_scope
	FROM gate`

	createToken = `INSERT INTO tokens (id, hash, app_id, installation_id, scope, resource, created_at)
	SELECT @token_id, @token_hash, app_id, installation_id, @token_scope, @token_resource, @token_created_at FROM gate`

	createFamily = `INSERT INTO families (id, app_id, installation_id, scope, scope_asked, resource, created_at)
	SELECT @produced_family, app_id, installation_id, @family_scope, @family_scope_asked, @family_resource, @family_created_at FROM gate`
	createFirstRefresh = `INSERT INTO refresh_tokens (id, hash, family_id, created_at, expires_at)
	SELECT @refresh_id, @refresh_hash, @produced_family, @refresh_created_at, @refresh_expires_at FROM gate`
	createExpiringToken = `INSERT INTO expiring_tokens (id, hash, app_id, installation_id, family_id, scope, resource, created_at, expires_at)
	SELECT @token_id, @token_hash, app_id, installation_id, @produced_family, @token_scope, @token_resource, @token_created_at, @token_expires_at FROM gate`

	// revokeSurplus counts the tokens that existed before the statement, so two codes of one installation that are redeemed at
	// the same time may leave one token too many, until the next redemption. It skips tokens that another redemption is about
	// to revoke: waiting for that one could be a deadlock.
	revokeSurplus = `UPDATE tokens SET revoked_at = @now WHERE id = ANY (ARRAY(
		SELECT s.id FROM tokens s WHERE s.revoked_at IS NULL AND s.id = ANY (ARRAY(
			SELECT t.id FROM tokens t WHERE t.installation_id = (SELECT installation_id FROM gate)
			AND t.installation_id <> '' AND t.revoked_at IS NULL
			ORDER BY t.created_at DESC, t.id DESC OFFSET @keep))
		FOR UPDATE SKIP LOCKED))
	RETURNING id`
	recordSurplus = `INSERT INTO audit_events (id, at, kind, actor_kind, actor_id, actor_ip, account_id, app_id, installation_id, subject, detail)
	SELECT @surplus_event_id, @now, '` + store.EventTokenRevoked + `', '` + string(store.ActorSystem) + `', '', '', account_id, app_id, installation_id, '', @surplus_detail
	FROM gate`
)

var (
	redeemForToken  = newOperation(consumption, recordRedemption, createToken)
	redeemForFamily = newOperation(consumption, recordRedemption, createFamily, createFirstRefresh, createExpiringToken)
	// On Postgres; revokeSurplus is its third step.
	redeemWithinLimit = newOperation(consumption, recordRedemption, createToken, revokeSurplus, recordSurplus+` WHERE EXISTS (SELECT 1 FROM step3)`)

	// On SQLite, before the new token is created: redeemWithinLimit does not see that one either.
	revokeSurplusFirst = consumption.then(`UPDATE tokens SET revoked_at = @now WHERE id IN (
	SELECT t.id FROM tokens t WHERE t.installation_id = (SELECT installation_id FROM gate) AND t.installation_id <> '' AND t.revoked_at IS NULL
	ORDER BY t.created_at DESC, t.id DESC LIMIT 1000000 OFFSET @keep)`)
	recordSurplusFirst = consumption.then(recordSurplus)
)

// Redeem implements store.Codes.
func (s *Store) Redeem(ctx context.Context, id store.LookupID, g store.Grant, limit int) (err error) {
	defer wrapErr(&err, "redeem code %s", secret.ID(id))
	if (g.Family == nil) != (g.Refresh == nil) {
		return fmt.Errorf("%w: a family and its first refresh token come together", store.ErrInvalid)
	}
	values := s.redemption(id, g)
	done := false
	switch {
	case g.Family != nil:
		done, err = redeemForFamily.run(ctx, s, values)
	case limit < 1:
		done, err = redeemForToken.run(ctx, s, values)
	default:
		event := secret.NewID()
		values = append(values, args{
			{"keep", limit - 1}, // beside the new one
			{"surplus_event_id", event[:]}, {"surplus_detail", fmt.Sprintf("the oldest, above %d of the installation", limit)},
		}...)
		done, err = s.redeemWithinLimit(ctx, values)
	}
	if err == nil && !done {
		return whyNotRedeemed(ctx, s.db, id)
	}
	return err
}

// redemption returns the arguments of the statements above.
func (s *Store) redemption(code store.LookupID, g store.Grant) args {
	t, f, r := g.Token, g.Family, g.Refresh
	event := secret.NewID()
	var token, family any
	subject := t.ID
	if f == nil {
		token = t.ID[:]
	} else {
		family, subject = f.ID[:], f.ID
	}
	values := args{
		{"now", s.micros()}, {"produced_token", token}, {"produced_family", family}, {"code", code[:]}, {"max_tries", store.MaxCodeAttempts},
		{"event_id", event[:]}, {"subject", secret.ID(subject).String()},
		{"token_id", t.ID[:]}, {"token_hash", t.Hash}, {"token_scope", t.Scope.String()}, {"token_resource", t.Resource}, {"token_created_at", at(t.CreatedAt)},
	}
	if f == nil {
		return values
	}
	return append(values, args{
		{"family_scope", f.Scope.String()}, {"family_scope_asked", f.ScopeAsked}, {"family_resource", f.Resource}, {"family_created_at", at(f.CreatedAt)},
		{"refresh_id", r.ID[:]}, {"refresh_hash", r.Hash}, {"refresh_created_at", at(r.CreatedAt)}, {"refresh_expires_at", at(r.ExpiresAt)},
		{"token_expires_at", at(t.ExpiresAt)},
	}...)
}

// redeemWithinLimit also revokes the oldest tokens of the installation.
func (s *Store) redeemWithinLimit(ctx context.Context, values args) (done bool, err error) {
	if s.dialect.consuming {
		return redeemWithinLimit.run(ctx, s, values)
	}
	err = s.db.transact(ctx, func(ctx context.Context, q querier) error {
		n, err := redeemForToken.gate.exec(ctx, q, values)
		if done = n > 0; err != nil || !done {
			return err
		}
		revoked, err := revokeSurplusFirst.exec(ctx, q, values)
		if err == nil && revoked > 0 {
			_, err = recordSurplusFirst.exec(ctx, q, values)
		}
		if err != nil {
			return err
		}
		return redeemForToken.finish(ctx, q, values)
	})
	return done, err
}

const selectConsumed = `SELECT CASE WHEN consumed_at IS NULL THEN 0 ELSE 1 END FROM codes WHERE id = $1`

// whyNotRedeemed distinguishes a used code from one that has ended.
func whyNotRedeemed(ctx context.Context, q querier, id store.LookupID) error {
	var consumed bool
	if err := q.row(ctx, selectConsumed, []any{id[:]}, scanBool(&consumed)); err != nil {
		return err
	}
	if consumed {
		return store.ErrConsumed
	}
	return store.ErrEnded
}
