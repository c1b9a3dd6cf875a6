package account

import (
	"errors"
	"net/http"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// installedPage is the data of installed.html.
type installedPage struct {
	Apps []installedApp
}

// removePage is the data of remove.html.
type removePage struct {
	App installedApp
	Own bool // the visitor installed it
}

// installedApp is an installation in the words of a page.
type installedApp struct {
	ID           string
	Name         string
	HomepageHost string
	AccountName  string
	By           string // who installed it: "you" or a name
	Verified     bool
	Connected    bool // holds a valid token
	Scopes       []scope.Scope
	CreatedAt    time.Time
	LastUsedAt   time.Time
}

// ListInstalledApps shows what the visitor may see and remove.
func (h *Handler) ListInstalledApps(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	installed, err := h.store.InstalledApps(r.Context(), user.ID)
	if err != nil {
		return err
	}
	var page installedPage
	for _, app := range installed {
		page.Apps = append(page.Apps, h.inWords(app, user))
	}
	return h.web.Render(w, r, http.StatusOK, "installed", page)
}

// ShowRemoveApp says what removing would end, and asks.
func (h *Handler) ShowRemoveApp(w http.ResponseWriter, r *http.Request) error {
	user := web.VisitorOf(r.Context()).User
	app, err := h.installed(r, user)
	if err != nil {
		return err
	}
	return h.web.Render(w, r, http.StatusOK, "remove", removePage{App: h.inWords(app, user), Own: app.UserID == user.ID})
}

// RemoveApp removes an installation; its tokens are dead before the answer.
func (h *Handler) RemoveApp(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	v := web.VisitorOf(r.Context())
	app, err := h.installed(r, v.User)
	if err != nil {
		return err
	}
	// Somebody else having removed it meanwhile leaves nothing to do: it is gone, as was asked for.
	err = h.store.RemoveInstallation(r.Context(), v.Actor(r), v.User.ID, app.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	h.web.Notice(w, r, app.AppName+" is removed from "+app.AccountName+" and has no access any more.")
	web.Redirect(w, r, "/account/apps")
	return nil
}

// installed finds the installation that the path names among those of the visitor: everybody else's does not exist.
func (h *Handler) installed(r *http.Request, user store.User) (store.InstalledApp, error) {
	id := r.PathValue("installation")
	if !secret.ValidPublicID("ins_", id) {
		return store.InstalledApp{}, web.NotFound()
	}
	apps, err := h.store.InstalledApps(r.Context(), user.ID)
	if err != nil {
		return store.InstalledApp{}, err
	}
	for _, app := range apps {
		if app.ID == id {
			return app, nil
		}
	}
	return store.InstalledApp{}, web.NotFound()
}

func (h *Handler) inWords(app store.InstalledApp, user store.User) installedApp {
	by := app.UserName
	if app.UserID == user.ID {
		by = "you"
	} else if by == "" {
		by = app.UserEmail
	}
	return installedApp{
		ID: app.ID, Name: app.AppName, HomepageHost: web.Host(app.AppHomepage), AccountName: app.AccountName, By: by,
		Verified: app.AppVerified, Connected: app.Tokens > 0, Scopes: h.catalogue.Describe(h.catalogue.Expand(app.Scopes)),
		CreatedAt: app.CreatedAt, LastUsedAt: app.LastUsedAt,
	}
}
