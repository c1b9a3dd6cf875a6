// Package account is what people see of themselves and of their accounts: sign-up, log-in, log-out, profile, installed
// apps, API keys, bots, security.
//
// It owns the pages and the order of steps in them; who may do what, and what a value must look like, is for package
// directory. It moves a browser between logged out and logged in.
package account

import (
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Handler answers the pages under /account and the way in and out.
type Handler struct {
	web       *web.Toolkit
	directory *directory.Directory
	store     store.Store
	catalogue *scope.Catalogue
	issuer    string
}

// New returns a handler over the rules d and the store s; c says what scopes and roles mean, issuer is the server's origin.
func New(t *web.Toolkit, d *directory.Directory, s store.Store, c *scope.Catalogue, issuer string) *Handler {
	return &Handler{web: t, directory: d, store: s, catalogue: c, issuer: issuer}
}

// ShowParkedForm shows the values of a form whose session had ended, to be sent again.
func (h *Handler) ShowParkedForm(w http.ResponseWriter, r *http.Request) error {
	form, _ := h.web.Parked(r)
	return h.web.Render(w, r, http.StatusOK, "parked", form)
}

// homePage is the data of home.html.
type homePage struct {
	User       *store.User // nil for the logged-out
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
