package account

import (
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// signUpPage is the data of signup.html. A password is never sent back.
type signUpPage struct {
	Name   string
	Email  string
	Next   string
	Errors directory.FieldErrors
}

// ShowSignUp is the empty form; who is logged in has no use for it.
func (h *Handler) ShowSignUp(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	if web.VisitorOf(r.Context()) != nil {
		web.Redirect(w, r, web.NextURL(next))
		return nil
	}
	if !h.directory.SignUpOpen() {
		return h.closed(w, r)
	}
	return h.web.Render(w, r, http.StatusOK, "signup", signUpPage{Next: next})
}

// SignUp makes the user and logs them in.
func (h *Handler) SignUp(w http.ResponseWriter, r *http.Request) error {
	values, err := form(w, r)
	if err != nil {
		return err
	}
	if !h.directory.SignUpOpen() {
		return h.closed(w, r)
	}
	page := signUpPage{Name: values.Get("name"), Email: values.Get("email"), Next: values.Get("next")}
	by := store.Actor{Kind: store.ActorUser, IP: web.ClientIP(r)}
	user, err := h.directory.SignUp(r.Context(), by, directory.SignUpForm{Name: page.Name, Email: page.Email, Password: values.Get("password")})
	if err != nil {
		if page.Errors, err = faultsOf(err); err != nil {
			return err
		}
		return h.web.Render(w, r, http.StatusUnprocessableEntity, "signup", page)
	}
	if err := h.web.SignIn(w, r, user); err != nil {
		return err
	}
	web.Redirect(w, r, web.NextURL(page.Next))
	return nil
}

func (h *Handler) closed(w http.ResponseWriter, r *http.Request) error {
	return h.web.Render(w, r, http.StatusForbidden, "closed", nil)
}
