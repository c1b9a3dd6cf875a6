package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// justNow is how long after a change of the password the page mentions it.
const justNow = 10 * time.Minute

// securityPage is the data of security.html.
type securityPage struct {
	PasswordAt time.Time
	Sessions   []session
	Programs   []program
	More       bool        // there are more programs than are listed
	Others     bool        // there are log-ins besides this session
	Changed    bool        // the password was changed within justNow
	AppCount   store.Count // installed apps, to review after the change
	KeyCount   int         // API keys of accounts that the visitor administers, likewise
	BotCount   int         // likewise
	Errors     directory.FieldErrors
}

// maxCounted limits the count of installed apps.
const maxCounted = 1000

// maxPrograms is the number of log-ins of programs that the page lists; all of them can be ended together.
const maxPrograms = 50

// session is a logged-in browser.
type session struct {
	ID        string // in hexadecimal
	Browser   string
	IP        string
	Current   bool
	CreatedAt time.Time
	SeenAt    time.Time
}

// program is a log-in of a program, with its family of user tokens.
type program struct {
	ID          string
	Name        string // its User-Agent header
	IP          string
	AccountName string
	CreatedAt   time.Time
	SeenAt      time.Time // last used or refreshed
	EndsAt      time.Time // at the latest
}

// ShowSecurity shows the password form and the visitor's log-ins.
func (h *Handler) ShowSecurity(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	page := securityPage{Changed: user.PasswordAt.After(user.CreatedAt) && h.store.Now().Sub(user.PasswordAt) < justNow}
	return h.security(w, r, http.StatusOK, page)
}

// ChangePassword replaces the password and ends every session; the visitor gets a new one. Apps and keys do not use the password,
// so they stay, and the next page offers to review them.
func (h *Handler) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	attempt, err := h.web.AttemptPassword(r, v.User)
	if err != nil {
		wait, err := toWait(w, err)
		if err != nil {
			return err
		}
		return h.security(w, r, http.StatusTooManyRequests, securityPage{Errors: directory.FieldErrors{"current_password": wait}})
	}
	ctx, cancel := context.WithTimeout(r.Context(), hashTimeout)
	defer cancel()
	err = h.directory.ChangePassword(ctx, v.Principal(r), v.User, values.Get("current_password"), values.Get("password"), v.Session.ID)
	if err != nil {
		faults, err := web.FieldErrors(err)
		if err != nil {
			attempt.Release(r)
			return err
		}
		if faults["current_password"] == "" {
			attempt.Succeed(r) // only the new password was refused
		}
		return h.security(w, r, http.StatusUnprocessableEntity, securityPage{Errors: faults})
	}
	attempt.SucceedAs(w, r, v.User)
	if err := h.web.SignIn(w, r, v.User); err != nil {
		return err
	}
	web.Redirect(w, r, "/account/security")
	return nil
}

// EndOtherLogIns logs the visitor out everywhere else: in other browsers and in programs.
func (h *Handler) EndOtherLogIns(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	if err := h.store.EndLogIns(r.Context(), v.Principal(r), v.User.ID, v.Session.ID); err != nil {
		return err
	}
	h.web.Notice(w, r, "You were logged out of all other browsers and programs. Installed apps, API keys and bots keep working.")
	web.Redirect(w, r, "/account/security")
	return nil
}

// EndSession logs the visitor out in one other browser. It is no error if that session has ended already.
func (h *Handler) EndSession(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	id, err := hex.DecodeString(r.PathValue("session"))
	if err != nil || len(id) != sha256.Size {
		return web.NotFound()
	}
	v := web.VisitorOf(r.Context())
	sessions, err := h.store.SessionsByUser(r.Context(), v.User.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if !bytes.Equal(s.ID, id) {
			continue
		}
		if err := h.store.DeleteSession(r.Context(), v.Principal(r), s.ID); err != nil {
			return err
		}
	}
	h.web.Notice(w, r, "That browser was logged out.")
	web.Redirect(w, r, "/account/security")
	return nil
}

// EndProgram ends the user tokens of one program.
func (h *Handler) EndProgram(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	id, ok := secret.ParseID(r.PathValue("program"))
	if !ok {
		return web.NotFound()
	}
	v := web.VisitorOf(r.Context())
	err := h.store.EndUserFamilyOf(r.Context(), v.Principal(r), v.User.ID, store.LookupID(id), "ended by the user")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	h.web.Notice(w, r, "That program was logged out, and its user tokens no longer work.")
	web.Redirect(w, r, "/account/security")
	return nil
}

// security renders the page with the lists that every form shows.
func (h *Handler) security(w http.ResponseWriter, r *http.Request, status int, page securityPage) error {
	v := web.VisitorOf(r.Context())
	page.PasswordAt = v.User.PasswordAt
	sessions, err := h.store.SessionsByUser(r.Context(), v.User.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		current := bytes.Equal(s.ID, v.Session.ID)
		page.Others = page.Others || !current
		page.Sessions = append(page.Sessions, session{ID: hex.EncodeToString(s.ID), Browser: browserName(s.UserAgent), IP: s.IP, Current: current, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt})
	}
	if err := h.listPrograms(r.Context(), &page, v.User.ID); err != nil {
		return err
	}
	if err := h.countOthers(r.Context(), &page, v.Principal(r)); err != nil {
		return err
	}
	return h.web.Render(w, r, status, "security", page)
}

// listPrograms adds the programs that hold user tokens.
func (h *Handler) listPrograms(ctx context.Context, page *securityPage, userID string) error {
	families, err := h.store.UserFamiliesByUser(ctx, userID, maxPrograms+1)
	if err != nil {
		return err
	}
	page.More = len(families) > maxPrograms
	page.Others = page.Others || len(families) > 0
	for _, f := range families[:min(len(families), maxPrograms)] {
		seen := f.RefreshedAt
		if f.LastUsedAt.After(seen) {
			seen = f.LastUsedAt
		}
		page.Programs = append(page.Programs, program{
			ID: secret.ID(f.ID).String(), Name: f.UserAgent, IP: f.IP, AccountName: f.AccountName,
			CreatedAt: f.CreatedAt, SeenAt: seen, EndsAt: f.EndsAt,
		})
	}
	return nil
}

// countOthers counts the apps, keys and bots that keep their access when the visitor's log-ins end.
func (h *Handler) countOthers(ctx context.Context, page *securityPage, by store.Principal) error {
	installed, err := h.store.CountInstalledApps(ctx, by.UserID(), maxCounted)
	if err != nil {
		return err
	}
	keys, err := h.directory.Keys(ctx, by)
	if err != nil {
		return err
	}
	bots, err := h.directory.Bots(ctx, by)
	if err != nil {
		return err
	}
	page.AppCount, page.KeyCount, page.BotCount = installed, len(keys), len(bots)
	return nil
}
