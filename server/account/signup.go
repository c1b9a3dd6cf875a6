package account

import (
	"context"
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// signUpPage is the data of signup.html. A password is never sent back.
type signUpPage struct {
	waitingApp
	Name   string
	Email  string
	Next   string
	Wait   string // advice after too many failures; else ""
	Errors directory.FieldErrors
}

// ShowSignUp shows the empty form; a visitor who is logged in is redirected to the next page.
func (h *Handler) ShowSignUp(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	keepOpener(w, next)
	if web.VisitorOf(r.Context()) != nil {
		web.Redirect(w, r, web.NextURL(next))
		return nil
	}
	if !h.directory.SignUpOpen() {
		return h.closed(w, r)
	}
	return h.renderSignUp(w, r, http.StatusOK, signUpPage{Next: next})
}

// SignUp creates the user and logs them in.
func (h *Handler) SignUp(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	if !h.directory.SignUpOpen() {
		return h.closed(w, r)
	}
	page := signUpPage{Name: values.Get("name"), Email: values.Get("email"), Next: values.Get("next")}
	keepOpener(w, page.Next)
	attempt, err := h.web.AttemptSignUp(r)
	if err != nil {
		if page.Wait, err = toWait(w, err); err != nil {
			return err
		}
		return h.renderSignUp(w, r, http.StatusTooManyRequests, page)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), hashTimeout)
	defer cancel()
	user, err := h.signUp(ctx, r, values, page)
	if err != nil {
		if page.Errors, err = web.FieldErrors(err); err != nil {
			attempt.Release(r)
			if page.Wait, err = toWait(w, err); err != nil {
				return err
			}
			return h.renderSignUp(w, r, http.StatusTooManyRequests, page)
		}
		return h.renderSignUp(w, r, http.StatusUnprocessableEntity, page)
	}
	attempt.SucceedAs(w, r, user)
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if err := h.web.SignIn(w, r, user); err != nil {
		return err
	}
	web.Redirect(w, r, web.NextURL(page.Next))
	return nil
}

// signUp creates the user, or finds the user whom the same form created before, if the password matches: a second click must not
// be refused because the first one took the address.
func (h *Handler) signUp(ctx context.Context, r *http.Request, values web.Values, page signUpPage) (store.User, error) {
	by := h.web.FormPrincipal(r, values)
	user, err := h.directory.SignUp(ctx, by, directory.SignUpForm{Name: page.Name, Email: page.Email, Password: values.Get("password")})
	if err == nil {
		return user, nil
	}
	subject, sent, lookUp := h.web.SentBefore(r, values)
	if lookUp != nil || !sent {
		return user, err
	}
	again, logIn := h.directory.LogIn(ctx, page.Email, values.Get("password"))
	if logIn != nil || again.ID != subject {
		return user, err
	}
	return again, nil
}

func (h *Handler) renderSignUp(w http.ResponseWriter, r *http.Request, status int, page signUpPage) error {
	var err error
	if page.waitingApp, err = h.expectApp(w, r, page.Next); err != nil {
		return err
	}
	return h.web.Render(w, r, status, "signup", page)
}

func (h *Handler) closed(w http.ResponseWriter, r *http.Request) error {
	return h.web.Render(w, r, http.StatusForbidden, "closed", nil)
}
