package portal

import (
	"net/http"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// appsPage is the data of apps.html.
type appsPage struct {
	List        web.List
	Apps        []listedApp
	MayRegister bool // the visitor is an admin of an account
}

// listedApp is one line of the list.
type listedApp struct {
	ID           string
	Name         string
	AccountName  string
	Verified     bool
	Suspended    bool
	Confidential bool
	Installs     store.Count // accounts on which it is installed
	CreatedAt    time.Time
}

// appPage is the data of app.html.
type appPage struct {
	App       store.App
	Verified  bool
	Suspended bool
	Scopes    []scope.Scope
	Installs  store.Count // accounts on which it is installed
	Secrets   web.SecretList
	Full      bool // the app has the maximum number of active secrets

	TokenLimit int // 0: none
	Guide      guide
}

// ListApps shows the apps of all accounts of which the visitor is an admin.
func (h *Handler) ListApps(w http.ResponseWriter, r *http.Request) error {
	apps, err := h.directory.Apps(r.Context(), web.PrincipalOf(r))
	if err != nil {
		return err
	}
	query, err := web.ReadListQuery(r)
	if err != nil {
		return err
	}
	var page appsPage
	var shown []store.App
	shown, page.List = web.PageOf(query, apps, func(a store.App) []string { return []string{a.Name, a.ID, a.AccountName} })
	for _, a := range shown {
		// One limited count for each app of the page.
		installs, err := h.store.CountInstalled(r.Context(), a.ID, store.MaxInstallsListed)
		if err != nil {
			return err
		}
		page.Apps = append(page.Apps, listedApp{ID: a.ID, Name: a.Name, AccountName: a.AccountName, Verified: !a.VerifiedAt.IsZero(),
			Suspended: !a.SuspendedAt.IsZero(), Confidential: a.Confidential, Installs: installs, CreatedAt: a.CreatedAt})
	}
	if len(apps) == 0 {
		accounts, err := h.accounts(r)
		if err != nil {
			return err
		}
		page.MayRegister = len(accounts) > 0
	}
	return h.web.Render(w, r, http.StatusOK, "apps", page)
}

// ShowApp shows an app, without the text of its secrets.
func (h *Handler) ShowApp(w http.ResponseWriter, r *http.Request) error {
	a, secrets, err := h.appSecrets(r)
	if err != nil {
		return err
	}
	installs, err := h.store.CountInstalled(r.Context(), a.ID, store.MaxInstalls)
	if err != nil {
		return err
	}
	page := appPage{App: a, Verified: !a.VerifiedAt.IsZero(), Suspended: !a.SuspendedAt.IsZero(), Scopes: h.catalogue.Describe(a.Scopes),
		Installs: installs, Secrets: secrets, Full: len(secrets) >= store.MaxSecrets, Guide: h.guide(a), TokenLimit: h.directory.TokenLimit()}
	return h.web.Render(w, r, http.StatusOK, "app", page)
}

// accounts lists the accounts in which the visitor can register apps.
func (h *Handler) accounts(r *http.Request) ([]account, error) {
	members, err := h.store.MembersByUser(r.Context(), web.VisitorOf(r.Context()).User.ID)
	if err != nil {
		return nil, err
	}
	var accounts []account
	for _, m := range members {
		if m.Role == scope.RoleAdmin && !m.Disabled {
			accounts = append(accounts, account{ID: m.AccountID, Name: m.AccountName})
		}
	}
	return accounts, nil
}
