package account

import (
	"context"
	"errors"
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// hashTimeout is how long a password waits in the queue for hashing. After that the response asks the user to try again.
const hashTimeout = 7 * time.Second

// waitingApp describes the app whose authorization request waits for the log-in, on the pages of log-in and sign-up.
type waitingApp struct {
	App      string // its name; "" if none waits
	Verified bool   // verified by the operator
	Over     string // advice if the request has expired; else ""
}

// logInPage is the data of login.html. A password is never sent back.
type logInPage struct {
	waitingApp
	Email      string
	Next       string
	Again      bool   // the user is logged in already and must log in again
	Wrong      bool   // the e-mail address and the password do not belong together
	Wait       string // advice after too many failures; else ""
	SignUpOpen bool
	Errors     directory.FieldErrors
}

// ShowLogIn shows the form; a visitor who is logged in is redirected to the next page.
func (h *Handler) ShowLogIn(w http.ResponseWriter, r *http.Request) error {
	next, err := nextOf(r)
	if err != nil {
		return err
	}
	keepOpener(w, next)
	page := logInPage{Next: next}
	if v := web.VisitorOf(r.Context()); v != nil {
		again, err := h.mustLogInAgain(r, v, next)
		if err != nil {
			return err
		}
		if !again {
			web.Redirect(w, r, web.NextURL(next))
			return nil
		}
		page.Email, page.Again = v.User.Email, true
	}
	if hint, err := directory.NormalizeEmail(r.URL.Query().Get("login_hint")); err == nil {
		page.Email = hint
	}
	return h.renderLogIn(w, r, http.StatusOK, page)
}

// LogIn starts a session. The page does not distinguish a wrong password from an unknown address, so that it does not reveal which
// addresses exist.
func (h *Handler) LogIn(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	page := logInPage{Email: values.Get("email"), Next: values.Get("next")}
	keepOpener(w, page.Next)
	attempt, err := h.web.AttemptLogIn(r, page.Email)
	if err != nil {
		if page.Wait, err = toWait(w, err); err != nil {
			return err
		}
		return h.renderLogIn(w, r, http.StatusTooManyRequests, page)
	}
	ctx, cancel := context.WithTimeout(r.Context(), hashTimeout)
	defer cancel()
	user, err := h.directory.LogIn(ctx, page.Email, values.Get("password"))
	if err == nil {
		err = h.web.CountChange(user.ID)
	}
	// A user who was disabled between the two steps gets the same response as one who was disabled before.
	if err == nil {
		if err = h.web.SignIn(w, r, user); errors.Is(err, store.ErrEnded) {
			err = directory.ErrCredentials
		}
	}
	switch {
	case err == nil:
		attempt.SucceedAs(w, r, user)
		web.Redirect(w, r, web.NextURL(page.Next))
		return nil
	case errors.Is(err, directory.ErrCredentials):
		page.Wrong = true
		return h.renderLogIn(w, r, http.StatusUnprocessableEntity, page)
	}
	if page.Errors, err = web.FieldErrors(err); err != nil {
		attempt.Release(r)
		if page.Wait, err = toWait(w, err); err != nil {
			return err
		}
		return h.renderLogIn(w, r, http.StatusTooManyRequests, page)
	}
	return h.renderLogIn(w, r, http.StatusBadRequest, page)
}

// keepOpener is for every response between an authorization request and its app.
func keepOpener(w http.ResponseWriter, next string) {
	if web.LeadsToApp(next) {
		web.KeepOpener(w.Header())
	}
}

// toWait turns the error of an attempt that was refused by a limit into a sentence for the page, and sets Retry-After.
func toWait(w http.ResponseWriter, err error) (string, error) {
	limited := web.AsLimit(err)
	if limited == nil {
		return "", err
	}
	limited.Announce(w)
	return limited.Sentence(), nil
}

func (h *Handler) renderLogIn(w http.ResponseWriter, r *http.Request, status int, page logInPage) error {
	var err error
	if page.waitingApp, err = h.expectApp(w, r, page.Next); err != nil {
		return err
	}
	page.SignUpOpen = h.directory.SignUpOpen()
	page.Again = page.Again || web.VisitorOf(r.Context()) != nil
	return h.web.Render(w, r, status, "login", page)
}

// expectApp finds the app that waits for the log-in, and lets the form lead to its address: the log-in ends there by redirects
// alone when an earlier consent covers the request, or when the request has an error.
func (h *Handler) expectApp(w http.ResponseWriter, r *http.Request, next string) (waitingApp, error) {
	if !web.LeadsToApp(next) {
		return waitingApp{}, nil
	}
	app, redirect, err := h.waiting(r, next)
	var ended *directory.RequestEndedError
	switch {
	case errors.As(err, &ended):
		return waitingApp{Over: "The request from “" + ended.App + "” is no longer valid. Go back to the app and start again."}, nil
	case errors.Is(err, directory.ErrRequestUnknown), errors.Is(err, directory.ErrAppNotLive), errors.Is(err, directory.ErrRedirectMismatch),
		errors.Is(err, directory.ErrRedirectRefused):
		return waitingApp{}, nil // the page after the log-in reports it
	case err != nil:
		return waitingApp{}, err
	}
	web.AllowFormAction(w, redirect)
	return waitingApp{App: app.Name, Verified: !app.VerifiedAt.IsZero()}, nil
}

// mustLogInAgain reports whether next is a request that requires a newer log-in than the visitor's.
func (h *Handler) mustLogInAgain(r *http.Request, v *web.Visitor, next string) (bool, error) {
	if !web.LeadsToApp(next) {
		return false, nil
	}
	request, err := h.directory.ParkedRequest(r.Context(), next)
	if errors.Is(err, directory.ErrRequestUnknown) {
		return false, nil // the page after the log-in reports it
	}
	return err == nil && request.NeedsLogIn(v.Session), err
}

// waiting finds the app of a parked request and its validated redirect URI.
func (h *Handler) waiting(r *http.Request, requestID string) (store.App, directory.ValidatedRedirect, error) {
	request, err := h.directory.ParkedRequest(r.Context(), requestID)
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, err
	}
	app, err := h.directory.LiveApp(r.Context(), request.AppID)
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, err
	}
	redirect, err := h.directory.MatchRedirect(app, request.RedirectURI)
	return app, redirect, err
}

// nextOf reads the destination after the log-in.
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

// ShowLogOut asks for confirmation: a link on another site must not log users out.
func (h *Handler) ShowLogOut(w http.ResponseWriter, r *http.Request) error {
	v := web.VisitorOf(r.Context())
	if v == nil {
		web.Redirect(w, r, "/")
		return nil
	}
	return h.web.Render(w, r, http.StatusOK, "logout", logOutPage{Email: v.User.Email})
}

// LogOut ends the session. Without a session the response is the same.
func (h *Handler) LogOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	if err := h.web.SignOut(w, r); err != nil {
		return err
	}
	web.Redirect(w, r, "/")
	return nil
}
