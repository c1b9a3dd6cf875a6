package sqlstore

import (
	"context"

	"xenoauth/store"
)

const insertSession = `INSERT INTO sessions (id, user_id, created_at, seen_at, expires_at, user_agent, ip, data)
SELECT $1, u.id, $3, $4, $5, $6, $7, $8
FROM users u WHERE u.id = $2 AND u.bot = 0 AND u.disabled_at IS NULL AND u.deleted_at IS NULL`

// CreateSession implements store.Sessions.
func (s *Store) CreateSession(ctx context.Context, by store.Principal, c store.Session) (err error) {
	defer tried(&err, "create session of user %s", c.UserID)
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, insertSession, c.ID, c.UserID, at(c.CreatedAt), at(c.SeenAt), at(c.ExpiresAt), c.UserAgent, c.IP, c.Data)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrEnded
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventSessionCreated, Subject: c.UserID})
	})
}

const sessionColumns = `s.id, s.user_id, s.created_at, s.seen_at, s.expires_at, s.user_agent, s.ip, s.data`

func toSession(c *store.Session) []any {
	return []any{&c.ID, &c.UserID, toTime(&c.CreatedAt), toTime(&c.SeenAt), toTime(&c.ExpiresAt), &c.UserAgent, &c.IP, &c.Data}
}

const selectSession = `SELECT ` + sessionColumns + `, ` + userColumns + `
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND s.expires_at > $2 AND u.disabled_at IS NULL AND u.deleted_at IS NULL`

// SessionByID implements store.Sessions.
func (s *Store) SessionByID(ctx context.Context, id []byte) (c store.Session, u store.User, err error) {
	defer tried(&err, "look up session")
	err = s.read().row(ctx, selectSession, []any{id, s.micros()}, append(toSession(&c), toUser(&u)...)...)
	return c, u, err
}

const updateSession = `UPDATE sessions SET seen_at = $2, expires_at = $3, data = $4 WHERE id = $1 AND expires_at > $5`

// SaveSession implements store.Sessions.
func (s *Store) SaveSession(ctx context.Context, c store.Session) (err error) {
	defer tried(&err, "save session of user %s", c.UserID)
	_, err = s.db.exec(ctx, updateSession, c.ID, at(c.SeenAt), at(c.ExpiresAt), c.Data, s.micros())
	return err
}

const deleteSession = `DELETE FROM sessions WHERE id = $1 RETURNING user_id`

// DeleteSession implements store.Sessions.
func (s *Store) DeleteSession(ctx context.Context, by store.Principal, id []byte) (err error) {
	defer tried(&err, "delete session")
	return s.transactAs(ctx, by, func(ctx context.Context, q querier) error {
		var userID string
		err := q.row(ctx, deleteSession, []any{id}, &userID)
		if notFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.record(ctx, q, by, store.Event{Kind: store.EventSessionEnded, Subject: userID})
	})
}

const selectSessions = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.expires_at > $2
ORDER BY s.seen_at DESC, s.id`

// SessionsByUser implements store.Sessions.
func (s *Store) SessionsByUser(ctx context.Context, userID string) (list []store.Session, err error) {
	defer tried(&err, "sessions of user %s", userID)
	return collect(ctx, s.read(), func(scan scanner) (c store.Session, err error) {
		err = scan(toSession(&c)...)
		return c, err
	}, selectSessions, userID, s.micros())
}

const selectOldSessions = `SELECT id FROM sessions WHERE user_id = $1 AND expires_at > $2
ORDER BY seen_at DESC, created_at DESC, id LIMIT 100 OFFSET $3`

// EndOldSessions implements store.Sessions.
func (s *Store) EndOldSessions(ctx context.Context, by store.Principal, userID string, keep int) (err error) {
	defer tried(&err, "end old sessions of user %s", userID)
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
