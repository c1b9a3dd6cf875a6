package account

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
)

// justNow is how long after a change of the password the page speaks of it.
const justNow = 10 * time.Minute

// securityPage is the data of security.html.
type securityPage struct {
	PasswordAt time.Time
	Sessions   []session
	Others     bool // there are sessions besides this one
	Changed    bool // the password was changed just now
	AppCount   int  // installed apps, to look through after the change
	KeyCount   int  // API keys of accounts that the visitor administers, likewise
	Errors     directory.FieldErrors
}

// session is a logged-in browser.
type session struct {
	Browser   string
	IP        string
	Current   bool
	CreatedAt time.Time
	SeenAt    time.Time
}

// ShowSecurity shows the password form and where the visitor is logged in.
func (h *Handler) ShowSecurity(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	var page securityPage
	if user.PasswordAt.After(user.CreatedAt) && h.store.Now().Sub(user.PasswordAt) < justNow {
		installed, err := h.store.InstalledApps(r.Context(), user.ID)
		if err != nil {
			return err
		}
		keys, err := h.directory.Keys(r.Context(), user.ID)
		if err != nil {
			return err
		}
		page.Changed, page.AppCount, page.KeyCount = true, len(installed), len(keys)
	}
	return h.security(w, r, http.StatusOK, page)
}

// ChangePassword replaces the password and ends every session; the visitor goes on in a new one. Apps and keys do not use
// the password, so they stay, and the next page offers to look through them.
func (h *Handler) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	try, err := h.web.TryPassword(r, v.User)
	if err != nil {
		wait, err := toWait(w, err)
		if err != nil {
			return err
		}
		return h.security(w, r, http.StatusTooManyRequests, securityPage{Errors: directory.FieldErrors{"current_password": wait}})
	}
	ctx, cancel := context.WithTimeout(r.Context(), hashPatience)
	defer cancel()
	err = h.directory.ChangePassword(ctx, v.Actor(r), v.User, values.Get("current_password"), values.Get("password"), v.Session.ID)
	if err != nil {
		faults, err := web.Faults(err)
		if err != nil {
			try.Undecided(r)
			return err
		}
		if faults["current_password"] == "" {
			try.Proven(r) // only the new one will not do
		}
		return h.security(w, r, http.StatusUnprocessableEntity, securityPage{Errors: faults})
	}
	try.Succeeded(w, r, v.User)
	if err := h.web.SignIn(w, r, v.User); err != nil {
		return err
	}
	web.Redirect(w, r, "/account/security")
	return nil
}

// EndOtherSessions logs the visitor out everywhere else.
func (h *Handler) EndOtherSessions(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	sessions, err := h.store.SessionsByUser(r.Context(), v.User.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if bytes.Equal(s.ID, v.Session.ID) {
			continue
		}
		if err := h.store.DeleteSession(r.Context(), v.Actor(r), s.ID); err != nil {
			return err
		}
	}
	h.web.Notice(w, r, "You are logged out everywhere else.")
	web.Redirect(w, r, "/account/security")
	return nil
}

// security fills in what every form of the page shows.
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
		page.Sessions = append(page.Sessions, session{Browser: browserName(s.UserAgent), IP: s.IP, Current: current, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt})
	}
	return h.web.Render(w, r, status, "security", page)
}
