package sqlstore

import (
	"context"

	"xenoauth/internal/secret"
	"xenoauth/store"
)

// createSession is CreateSession in one statement.
var createSession = named(`WITH gate AS (
	INSERT INTO sessions (id, user_id, created_at, seen_at, expires_at, user_agent, ip, data)
	` + sessionOfUser + ` RETURNING user_id),
ended AS (DELETE FROM sessions WHERE id = @replaces RETURNING user_id),
recorded AS (` + recordGate("''", "''") + `),
recorded_end AS (` + recordEndedSession + ` FROM ended)
SELECT (SELECT COUNT(*) FROM gate), (` + countOtherSessions + `)`)

// Parts of createSession.
const (
	sessionOfUser = `SELECT @session, u.id, @created, @seen, @expires, @agent, @session_ip, @data FROM users u
	WHERE u.id = @user AND u.bot = 0 AND u.disabled_at IS NULL AND u.deleted_at IS NULL`
	countOtherSessions = `SELECT COUNT(*) FROM sessions WHERE user_id = @user AND expires_at > @event_at AND id <> @replaces AND id <> @session`
	recordEndedSession = intoEvents + `SELECT @ended_event, @event_at, '` + store.EventSessionEnded + `', '` + string(store.ActorUser) + `', user_id, @ip, '', '', '', user_id, ''`
)

var (
	insertSession      = named(`INSERT INTO sessions (id, user_id, created_at, seen_at, expires_at, user_agent, ip, data) ` + sessionOfUser)
	recordReplaced     = named(recordEndedSession + ` FROM sessions WHERE id = @replaces`)
	deleteReplaced     = named(`DELETE FROM sessions WHERE id = @replaces`)
	selectOtherSession = named(countOtherSessions)
)

// CreateSession implements store.Sessions.
func (s *Store) CreateSession(ctx context.Context, by store.Principal, c store.Session, replaces []byte) (others int, err error) {
	defer wrapErr(&err, "create session of user %s", c.UserID)
	if err := by.Permitted(); err != nil {
		return 0, err
	}
	if replaces == nil {
		replaces = []byte{} // equal to no id
	}
	endedEvent := secret.NewID()
	values := append(s.event(by, store.Event{Kind: store.EventSessionCreated, Subject: c.UserID}), args{
		{"session", c.ID}, {"created", at(c.CreatedAt)}, {"seen", at(c.SeenAt)}, {"expires", at(c.ExpiresAt)}, {"agent", c.UserAgent},
		{"session_ip", c.IP}, {"data", c.Data}, {"user", c.UserID}, {"replaces", replaces}, {"ended_event", endedEvent[:]},
	}...)
	var created int64
	if s.dialect.consuming {
		err = createSession.row(ctx, s.db, values, &created, &others)
	} else {
		created, others, err = s.createSessionStepwise(ctx, values)
	}
	if err == nil && created == 0 {
		err = store.ErrEnded // the session that it replaces has ended all the same
	}
	return others, err
}

func (s *Store) createSessionStepwise(ctx context.Context, values args) (created int64, others int, err error) {
	err = s.db.transact(ctx, func(ctx context.Context, q querier) error {
		if _, err := recordReplaced.exec(ctx, q, values); err != nil {
			return err
		}
		if _, err := deleteReplaced.exec(ctx, q, values); err != nil {
			return err
		}
		if created, err = insertSession.exec(ctx, q, values); err != nil {
			return err
		}
		if created > 0 {
			if _, err := insertEvent.exec(ctx, q, values); err != nil {
				return err
			}
		}
		return selectOtherSession.row(ctx, q, values, &others)
	})
	return created, others, err
}

const sessionColumns = `s.id, s.user_id, s.created_at, s.seen_at, s.expires_at, s.user_agent, s.ip, s.data`

func toSession(c *store.Session) []any {
	return []any{&c.ID, &c.UserID, scanTime(&c.CreatedAt), scanTime(&c.SeenAt), scanTime(&c.ExpiresAt), &c.UserAgent, &c.IP, &c.Data}
}

const selectSession = `SELECT ` + sessionColumns + `, ` + userColumns + `
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND s.expires_at > $2 AND u.disabled_at IS NULL AND u.deleted_at IS NULL`

// SessionByID implements store.Sessions.
func (s *Store) SessionByID(ctx context.Context, id []byte) (c store.Session, u store.User, err error) {
	defer wrapErr(&err, "look up session")
	err = s.read().row(ctx, selectSession, []any{id, s.micros()}, append(toSession(&c), toUser(&u)...)...)
	return c, u, err
}

const updateSession = `UPDATE sessions SET seen_at = $2, expires_at = $3, data = $4 WHERE id = $1 AND expires_at > $5`

// SaveSession implements store.Sessions.
func (s *Store) SaveSession(ctx context.Context, c store.Session) (err error) {
	defer wrapErr(&err, "save session of user %s", c.UserID)
	_, err = s.db.exec(ctx, updateSession, c.ID, at(c.SeenAt), at(c.ExpiresAt), c.Data, s.micros())
	return err
}

var deleteSession = named(`WITH gate AS (DELETE FROM sessions WHERE id = @session RETURNING user_id)
` + intoEvents + `SELECT @event_id, @event_at, @kind, @actor_kind, @actor, @ip, '', '', '', user_id, '' FROM gate`)

const deleteSessionOnly = `DELETE FROM sessions WHERE id = $1 RETURNING user_id`

// DeleteSession implements store.Sessions.
func (s *Store) DeleteSession(ctx context.Context, by store.Principal, id []byte) (err error) {
	defer wrapErr(&err, "delete session")
	e := store.Event{Kind: store.EventSessionEnded}
	if s.dialect.consuming {
		if err := by.Permitted(); err != nil {
			return err
		}
		_, err = deleteSession.exec(ctx, s.db, append(s.event(by, e), args{{"session", id}}...))
		return err
	}
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		err := q.row(ctx, deleteSessionOnly, []any{id}, &e.Subject)
		if notFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, e)
	})
}

const selectSessions = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.expires_at > $2
ORDER BY s.seen_at DESC, s.id`

// SessionsByUser implements store.Sessions.
func (s *Store) SessionsByUser(ctx context.Context, userID string) (list []store.Session, err error) {
	defer wrapErr(&err, "sessions of user %s", userID)
	return collect(ctx, s.read(), func(scan scanner) (c store.Session, err error) {
		err = scan(toSession(&c)...)
		return c, err
	}, selectSessions, userID, s.micros())
}

const selectOldSessions = `SELECT id FROM sessions WHERE user_id = $1 AND expires_at > $2
ORDER BY seen_at DESC, created_at DESC, id LIMIT 100 OFFSET $3`

// EndOldSessions implements store.Sessions.
func (s *Store) EndOldSessions(ctx context.Context, by store.Principal, userID string, keep int) (err error) {
	defer wrapErr(&err, "end old sessions of user %s", userID)
	if err := by.Permitted(); err != nil {
		return err
	}
	old, err := collect(ctx, s.read(), func(scan scanner) (id []byte, err error) {
		err = scan(&id)
		return id, err
	}, selectOldSessions, userID, s.micros(), keep)
	if err != nil {
		return err
	}
	for _, id := range old {
		if err := s.DeleteSession(ctx, by, id); err != nil {
			return err
		}
	}
	return nil
}
