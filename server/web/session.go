package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"xenoauth/store"
)

const (
	idleLimit     = 14 * 24 * time.Hour
	absoluteLimit = 90 * 24 * time.Hour
	touchInterval = 5 * time.Minute
	sessionIDLen  = 32
	userAgentLen  = 200
)

// The keys of sessions.Session.Values.
type (
	rowKey  struct{} // the store.Session; absent in a session that is not stored
	userKey struct{} // the store.User
	// replacesKey: the id of the browser's stored session that a new one replaces.
	replacesKey struct{}
)

// cookieStore is a sessions.Store over rows of the database. The cookie holds a random id, authenticated by an HMAC so that
// garbage causes no query. The key of the row is the id's SHA-256, so that a copy of the table gives no access. A browser that
// is not logged in has neither cookie nor row.
type cookieStore struct {
	rows    store.Sessions
	now     func() time.Time
	name    string
	codec   *securecookie.SecureCookie
	options sessions.Options
	max     int // sessions per user
}

func newCookieStore(s store.Store, key []byte, secure bool, max int) *cookieStore {
	c := &cookieStore{rows: s, now: s.Now, max: max, name: "xenoauth"}
	if secure {
		c.name = "__Host-xenoauth" // browsers refuse such a cookie from a sibling domain
	}
	// Only the row limits the lifetime of a session; the codec does not.
	c.codec = securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{}).MaxAge(0)
	c.options = sessions.Options{Path: "/", MaxAge: int(absoluteLimit.Seconds()), Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	return c
}

// Get is New, cached for the request.
func (c *cookieStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(c, name)
}

// New returns the session of the request's cookie. If the cookie is absent, forged, expired or sent twice, the session is a new
// one (IsNew). The only errors are those of the database.
func (c *cookieStore) New(r *http.Request, name string) (*sessions.Session, error) {
	options := c.options
	session := sessions.NewSession(c, name)
	session.Options, session.IsNew = &options, true
	id, ok := c.presented(r, name)
	if !ok {
		return session, nil
	}
	row, user, err := c.rows.SessionByID(r.Context(), hashID(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return session, nil
	case err != nil:
		return session, fmt.Errorf("load session: %w", err)
	}
	session.ID, session.IsNew = string(id), false
	session.Values[rowKey{}], session.Values[userKey{}] = row, user
	for _, text := range unpackNotices(row.Data) {
		session.AddFlash(text)
	}
	return session, nil
}

// Save creates the row and the cookie of a new session, updates the row of a stored one, and ends a session whose MaxAge is
// negative. A new session must have a user.
func (c *cookieStore) Save(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	row, _ := s.Values[rowKey{}].(store.Session)
	user, _ := s.Values[userKey{}].(store.User)
	by := store.UserPrincipal(user.ID, ClientIP(r))
	if s.Options.MaxAge < 0 {
		http.SetCookie(w, sessions.NewCookie(s.Name(), "", s.Options))
		if s.IsNew {
			return nil
		}
		return c.rows.DeleteSession(r.Context(), by, row.ID)
	}
	now := c.now()
	if !s.IsNew {
		row.SeenAt, row.ExpiresAt, row.Data = now, expiry(row.CreatedAt, now), packNotices(s)
		s.Values[rowKey{}] = row
		return c.rows.SaveSession(r.Context(), row)
	}
	id := make([]byte, sessionIDLen)
	rand.Read(id) // never fails: the runtime crashes the process instead
	value, err := c.codec.Encode(s.Name(), id)
	if err != nil {
		return fmt.Errorf("encode session cookie: %w", err)
	}
	row = store.Session{ID: hashID(id), UserID: user.ID, CreatedAt: now, SeenAt: now, ExpiresAt: expiry(now, now),
		UserAgent: UserAgent(r), IP: by.IP(), Data: packNotices(s)}
	replaces, _ := s.Values[replacesKey{}].([]byte)
	others, err := c.rows.CreateSession(r.Context(), by, row, replaces)
	if err != nil {
		return fmt.Errorf("create session of user %s: %w", user.ID, err)
	}
	if others >= c.max {
		if err := c.rows.EndOldSessions(r.Context(), by, user.ID, c.max); err != nil {
			return fmt.Errorf("end old sessions of user %s: %w", user.ID, err)
		}
	}
	s.ID, s.IsNew, s.Values[rowKey{}] = string(id), false, row
	http.SetCookie(w, sessions.NewCookie(s.Name(), value, s.Options))
	return nil
}

// presented reads the random id from the cookie. Of two cookies with the name an attacker set one, so both are ignored.
func (c *cookieStore) presented(r *http.Request, name string) ([]byte, bool) {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return nil, false
	}
	// The codec ignores the spare bits of the last character, so several values would name one session.
	if _, err := base64.URLEncoding.Strict().DecodeString(found[0].Value); err != nil {
		return nil, false
	}
	var id []byte
	if err := c.codec.Decode(name, found[0].Value, &id); err != nil || len(id) != sessionIDLen {
		return nil, false
	}
	return id, true
}

// expiry is the earlier of the idle and the absolute limit.
func expiry(created, seen time.Time) time.Time {
	idle, absolute := seen.Add(idleLimit), created.Add(absoluteLimit)
	if absolute.Before(idle) {
		return absolute
	}
	return idle
}

func hashID(id []byte) []byte {
	sum := sha256.Sum256(id)
	return sum[:]
}

// sessionData is the JSON of a row's Data.
type sessionData struct {
	Notices []string `json:"notices,omitempty"`
}

// packNotices encodes the notices, and leaves them in the session.
func packNotices(s *sessions.Session) []byte {
	var data sessionData
	for _, flash := range s.Flashes() {
		if text, ok := flash.(string); ok {
			data.Notices = append(data.Notices, text)
		}
	}
	if len(data.Notices) == 0 {
		return nil
	}
	for _, text := range data.Notices {
		s.AddFlash(text)
	}
	packed, err := json.Marshal(data)
	if err != nil {
		return nil // a struct of strings always encodes
	}
	return packed
}

// unpackNotices ignores data that it cannot read, written by an older or newer version.
func unpackNotices(packed []byte) []string {
	var data sessionData
	if len(packed) == 0 || json.Unmarshal(packed, &data) != nil {
		return nil
	}
	return data.Notices
}

// printable cuts s to at most n bytes of valid UTF-8 without control characters, for the database and the log.
func printable(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// UserAgent is the User-Agent header as it is stored: printable and shortened.
func UserAgent(r *http.Request) string { return printable(r.UserAgent(), userAgentLen) }
