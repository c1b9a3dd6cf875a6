package account

import (
	"errors"
	"net/http"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// logInPage is the data of login.html. A password is never sent back.
type logInPage struct {
	Email      string
	Next       string
	ForApp     bool // the browser comes from an app's authorization request
	Wrong      bool // the e-mail address and the password do not belong together
	SignUpOpen bool
	Errors     directory.FieldErrors
}

// ShowLogIn is the form, or the way on for who is logged in.
func (h *Handler) ShowLogIn(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	if web.VisitorOf(r.Context()) != nil {
		web.Redirect(w, r, web.NextURL(next))
		return nil
	}
	return h.web.Render(w, r, http.StatusOK, "login", h.logInPage("", next))
}

// LogIn starts a session. What was wrong is not told apart, so that the page does not tell which addresses exist.
func (h *Handler) LogIn(w http.ResponseWriter, r *http.Request) error {
	values, err := form(w, r)
	if err != nil {
		return err
	}
	page := h.logInPage(values.Get("email"), values.Get("next"))
	user, err := h.directory.LogIn(r.Context(), page.Email, values.Get("password"))
	// A user who was disabled between the two steps is as wrong as one who was disabled before.
	if err == nil {
		if err = h.web.SignIn(w, r, user); errors.Is(err, store.ErrEnded) {
			err = directory.ErrCredentials
		}
	}
	switch {
	case err == nil:
		web.Redirect(w, r, web.NextURL(page.Next))
		return nil
	case errors.Is(err, directory.ErrCredentials):
		page.Wrong = true
		return h.web.Render(w, r, http.StatusUnprocessableEntity, "login", page)
	}
	if page.Errors, err = faultsOf(err); err != nil {
		return err
	}
	return h.web.Render(w, r, http.StatusBadRequest, "login", page)
}

func (h *Handler) logInPage(email, next string) logInPage {
	return logInPage{Email: email, Next: next, SignUpOpen: h.directory.SignUpOpen(),
		ForApp: strings.HasPrefix(web.NextURL(next), "/oauth/")}
}

// nextOf reads where to go after the log-in.
func nextOf(r *http.Request) (string, error) {
	query, err := web.ParseQuery(r)
	if err != nil {
		return "", err
	}
	return query.Get("next"), query.OneValue()
}

// logOutPage is the data of logout.html.
type logOutPage struct {
	Email string
}

// ShowLogOut asks: a link on another site must not log anybody out.
func (h *Handler) ShowLogOut(w http.ResponseWriter, r *http.Request) error {
	v := web.VisitorOf(r.Context())
	if v == nil {
		web.Redirect(w, r, "/")
		return nil
	}
	return h.web.Render(w, r, http.StatusOK, "logout", logOutPage{Email: v.User.Email})
}

// LogOut ends the session. Without one it has nothing to do and says so the same way.
func (h *Handler) LogOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := form(w, r); err != nil {
		return err
	}
	if err := h.web.SignOut(w, r); err != nil {
		return err
	}
	web.Redirect(w, r, "/")
	return nil
}
