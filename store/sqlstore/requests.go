package sqlstore

import (
	"bytes"
	"context"
	"time"

	"xenoauth/store"
)

const insertRequest = `INSERT INTO requests (id, hash, session, app_id, redirect_uri, redirect_sent, scope, scope_asked, state,
challenge, resource, prompt, fault, fault_detail, created_at, expires_at, user_id, app_seen, holder)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`

// CreateRequest implements store.Requests.
func (s *Store) CreateRequest(ctx context.Context, r store.Request, keep int) (err error) {
	defer wrapErr(&err, "create request of app %s", r.AppID)
	args := []any{
		r.ID[:], r.Hash, r.Session, r.AppID, r.RedirectURI, flag(r.RedirectSent),
		r.Scope.String(), r.ScopeAsked, r.State, r.Challenge, r.Resource, r.Prompt, r.Fault, r.FaultDetail, at(r.CreatedAt), at(r.ExpiresAt),
		r.UserID, r.AppSeen, r.Holder,
	}
	if s.dialect.consuming {
		_, err = s.db.exec(ctx, s.dialect.trimAndInsertRequest(), append(args, keep)...)
		return err
	}
	var b batch
	b.exec(s.dialect.trimRequests("$1", "$2"), r.Holder, keep)
	b.exec(insertRequest, args...)
	return s.db.send(ctx, b)
}

// trimAndInsertRequest does both in one statement. The number of requests to keep is $20.
func (d dialect) trimAndInsertRequest() string {
	return `WITH trimmed AS (` + d.trimRequests("$19", "$20") + `) ` + insertRequest
}

// trimRequests deletes all requests of a holder but the newest. It passes over the newest entries of the holder in the index, and locks no row of them. Of several at once,
// each deletes what no other is deleting: they would otherwise wait for one another, in a different order each, and hold all
// connections to the database meanwhile.
func (d dialect) trimRequests(holder, keep string) string {
	return `DELETE FROM requests WHERE id` + d.inBatch(`SELECT x.id FROM requests x WHERE x.id IN (SELECT o.id FROM requests o
WHERE o.holder = `+holder+` AND o.holder <> '' ORDER BY o.created_at DESC LIMIT 100 OFFSET `+keep+`)`)
}

const selectRequest = `SELECT r.id, r.hash, r.session, r.app_id, r.redirect_uri, r.redirect_sent, r.scope, r.scope_asked,
r.state, r.challenge, r.resource, r.prompt, r.fault, r.fault_detail, r.created_at, r.expires_at, r.decided_at, r.user_id, r.decision, r.answer, r.app_seen
FROM requests r WHERE r.id = $1`

// RequestByID implements store.Requests.
func (s *Store) RequestByID(ctx context.Context, id store.LookupID) (r store.Request, err error) {
	defer wrapErr(&err, "look up request")
	return requestByID(ctx, s.read(), id)
}

func requestByID(ctx context.Context, q querier, id store.LookupID) (r store.Request, err error) {
	err = q.row(ctx, selectRequest, []any{id[:]}, scanID(&r.ID), &r.Hash, &r.Session, &r.AppID, &r.RedirectURI,
		scanBool(&r.RedirectSent), scanScopes(&r.Scope), &r.ScopeAsked, &r.State, &r.Challenge, &r.Resource, &r.Prompt, &r.Fault, &r.FaultDetail,
		scanTime(&r.CreatedAt), scanTime(&r.ExpiresAt), scanTime(&r.DecidedAt), &r.UserID, &r.Decision, &r.Answer, scanText(&r.AppSeen))
	return r, err
}

// decideRequest is the gate of every decision: of any number of them, one finds the row undecided.
const decideRequest = `UPDATE requests SET decided_at = $3, decision = $4
WHERE id = $1 AND session = $2 AND decided_at IS NULL AND expires_at > $3
RETURNING app_id`

// decide decides a request of the session and returns its app.
func (s *Store) decide(ctx context.Context, q querier, id store.LookupID, session []byte, now int64, decision string) (appID string, err error) {
	err = q.row(ctx, decideRequest, []any{id[:], session, now, decision}, &appID)
	if !notFound(err) {
		return appID, err
	}
	r, err := requestByID(ctx, q, id)
	switch {
	case err != nil:
		return "", err
	case r.Session == nil || !bytes.Equal(r.Session, session):
		return "", store.ErrConflict
	case !r.DecidedAt.IsZero():
		return "", store.ErrConsumed
	case !r.ExpiresAt.After(time.UnixMicro(now)):
		return "", store.ErrEnded
	}
	return "", store.ErrUnavailable // it was none of this when the gate looked
}

// DenyRequest implements store.Requests.
func (s *Store) DenyRequest(ctx context.Context, by store.Principal, id store.LookupID, session []byte) (err error) {
	defer wrapErr(&err, "deny request")
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		appID, err := s.decide(ctx, q, id, session, s.micros(), store.DecisionDeny)
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventRequestDenied, AppID: appID})
	})
}

const keepAnswer = `UPDATE requests SET answer = $2 WHERE id = $1 AND decided_at IS NOT NULL AND answer IS NULL`

// KeepAnswer implements store.Requests.
func (s *Store) KeepAnswer(ctx context.Context, id store.LookupID, sealed []byte) (err error) {
	defer wrapErr(&err, "keep the answer of a request")
	n, err := s.db.exec(ctx, keepAnswer, id[:], sealed)
	if err == nil && n == 0 {
		return store.ErrConsumed
	}
	return err
}
