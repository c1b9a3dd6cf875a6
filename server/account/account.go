// Package account serves the pages of people about themselves and their accounts: sign-up, log-in, log-out, profile, installed
// apps, API keys, bots, security.
//
// It owns the pages and the order of their steps; permissions and the form of values are decided by package directory. It logs
// browsers in and out.
package account

import (
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Handler serves the pages under /account, and sign-up, log-in and log-out.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	store     store.Store
	catalogue *scope.Catalogue
	issuer    string
}

// New returns a handler over the rules d and the store s; c describes scopes and roles, issuer is the server's origin.
func New(t *web.Toolkit, d *directory.Directory, s store.Store, c *scope.Catalogue, issuer string) *Handler {
	return &Handler{web: t, directory: d, store: s, catalogue: c, issuer: issuer}
}

// ShowParkedForm shows the values of a form that was sent after its session had ended, so that it can be sent again.
func (h *Handler) ShowParkedForm(w http.ResponseWriter, r *http.Request) error {
	form, _ := h.web.Parked(r)
	return h.web.Render(w, r, http.StatusOK, "parked", form)
}

// homePage is the data of home.html.
type homePage struct {
	User       *store.User // nil without a log-in
	SignUpOpen bool
}

// Home is the front page.
func (h *Handler) Home(w http.ResponseWriter, r *http.Request) error {
	page := homePage{SignUpOpen: h.directory.SignUpOpen()}
	if v := web.VisitorOf(r.Context()); v != nil {
		page.User = &v.User
	}
	return h.web.Render(w, r, http.StatusOK, "home", page)
}
