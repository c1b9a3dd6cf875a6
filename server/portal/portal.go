// Package portal serves the pages on which developers register and manage apps: list, form, secrets, deletion, and the requests
// that connect an app.
//
// It owns the pages. The rules and permissions of apps are in package directory; apps of accounts that the visitor does not
// manage give 404. A client secret passes through once, from the rule that mints it to the page that shows it.
package portal

import (
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Handler serves the pages under /developer.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	store     store.Store
	catalogue *scope.Catalogue
	issuer    string
}

// New returns a handler over the rules d and the store s; c describes scopes, and issuer is the origin that apps
// use.
func New(t *web.Toolkit, d *directory.Directory, s store.Store, c *scope.Catalogue, issuer string) *Handler {
	return &Handler{web: t, directory: d, store: s, catalogue: c, issuer: issuer}
}

// app finds the app in the path. One that the visitor does not manage gives the same 404 as one that does not exist.
func (h *Handler) app(r *http.Request) (store.App, error) {
	id := r.PathValue("id")
	if !secret.ValidPublicID("app_", id) {
		return store.App{}, web.NotFound()
	}
	return h.directory.App(r.Context(), web.PrincipalOf(r), id)
}

// appSecrets is app with the active secrets.
func (h *Handler) appSecrets(r *http.Request) (store.App, web.SecretList, error) {
	id := r.PathValue("id")
	if !secret.ValidPublicID("app_", id) {
		return store.App{}, nil, web.NotFound()
	}
	a, secrets, err := h.directory.Secrets(r.Context(), web.PrincipalOf(r), id)
	return a, web.ListSecrets(secrets), err
}
