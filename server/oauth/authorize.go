package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Authorize is the authorization endpoint (RFC 6749 §3.1; docs/dialects.md, OAuth apps), GET.
//
// The order is the protection. The client and the redirect URI come first, and a fault of theirs is a page: nobody is
// sent to an address that is not proven. Only then do the other parameters count, and their faults go to the app by
// redirect, but only from a browser that has logged in (RFC 9700 §4.11.2): a link to this endpoint is no open
// redirector for strangers.
func (h *Handler) Authorize(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseQuery(r)
	if err != nil {
		return badLink(err)
	}
	app, redirect, err := h.client(r, params)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	request := h.readRequest(params, app, redirect)
	visitor := web.VisitorOf(r.Context())
	if visitor == nil || request.Asks("login") {
		return h.sendToLogIn(w, r, redirect, request, params.Get("login_hint"))
	}
	return h.ask(w, r, visitor, request)
}

// RepeatAsGet answers a POST with a redirect to the same request by GET: browsers do not send our session along with a form
// that another site posts. Query and body are written anew from what was parsed, so that nothing of them can change what
// the address means.
func (h *Handler) RepeatAsGet(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ParseQuery(r)
	if err != nil {
		return badLink(err)
	}
	body, err := web.ParseBody(w, r)
	if err != nil {
		return badLink(err)
	}
	both := strings.Trim(query.Encode()+"&"+body.Encode(), "&")
	web.Redirect(w, r, "/oauth/authorize?"+both)
	return nil
}

// client proves the app and its address. Every fault is a page.
func (h *Handler) client(r *http.Request, params web.Values) (store.App, directory.ValidatedRedirect, error) {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(params.All(name)) > 1 {
			return store.App{}, directory.ValidatedRedirect{}, badLink(web.BadRequest(name, "is given more than once"))
		}
	}
	app, err := h.directory.LiveApp(r.Context(), params.Get("client_id"))
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, badLink(err)
	}
	redirect, err := h.directory.MatchRedirect(app, params.Get("redirect_uri"))
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, badLink(err)
	}
	return app, redirect, nil
}

// sendToLogIn parks the request and sends the browser to log in, from where it comes back by the request's id: a browser
// that is logged in as well, when the app asks for a new log-in (prompt=login). What
// was wrong with the request is told after that, unless the app asked for no page at all (prompt=none). A hint that is an
// e-mail address stands in the form already.
func (h *Handler) sendToLogIn(w http.ResponseWriter, r *http.Request, redirect directory.ValidatedRedirect, request store.Request, hint string) error {
	if request.Asks("none") {
		return h.refuse(w, r, redirect, request.State, issuer.Errorf(issuer.LoginRequired, "the user is not logged in"))
	}
	id, err := h.park(r, request)
	if err != nil {
		return err
	}
	to := url.Values{"next": {id}}
	if email, err := directory.NormalizeEmail(hint); err == nil {
		to.Set("login_hint", email)
	}
	web.Redirect(w, r, "/login?"+to.Encode())
	return nil
}

// park stores a request that no session holds, for the client's network.
func (h *Handler) park(r *http.Request, request store.Request) (id string, err error) {
	holder, release, err := h.web.StoreTurn(r)
	if err != nil {
		return "", err
	}
	defer release()
	request.Holder = holder
	return h.directory.NewRequest(r.Context(), request, nil)
}

// ask brings a request before its person: a fault goes to the app, a request that was approved before is granted, and
// everything else is shown.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, request store.Request) error {
	consent, err := h.directory.ConsentTo(r.Context(), visitor.User, request)
	if err != nil {
		return badLink(err)
	}
	if request.Fault != "" {
		return h.refuse(w, r, consent.Redirect, request.State, issuer.Errorf(request.Fault, "%s", request.FaultDetail))
	}
	if fault := overtaken(consent); fault != nil {
		return h.refuse(w, r, consent.Redirect, request.State, fault)
	}
	if installation, ok := consent.Covered(); ok && !request.Asks("consent") && !request.Asks("select_account") {
		if limited := web.AsLimit(h.web.CountCode(visitor.User.ID)); limited != nil {
			return h.refuse(w, r, consent.Redirect, request.State, issuer.Errorf(issuer.TemporarilyUnavailable, "%s", limited.Sentence()))
		}
		return h.grant(w, r, visitor, consent, installation)
	}
	if request.Asks("none") {
		return h.refuse(w, r, consent.Redirect, request.State, issuer.Errorf(issuer.ConsentRequired, "the user has to be asked"))
	}
	return h.showConsent(w, r, visitor, consent)
}

// refuse tells the app by redirect that it gets no code (RFC 6749 §4.1.2.1).
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, redirect directory.ValidatedRedirect, state string, fault *issuer.Error) error {
	params := h.redirectParams(state)
	params.Set("error", fault.Code)
	params.Set("error_description", fault.Description)
	web.RedirectTo(w, r, redirect, params)
	return nil
}

// badLink is the page for a request whose app or address is not proven. It says the same to everybody, whoever is
// logged in; trouble of the database stays what it is.
func badLink(err error) error {
	page := &web.Error{Status: http.StatusBadRequest, Code: issuer.InvalidRequest, Title: "This link does not work", Cause: err}
	var parse *web.Error
	switch {
	case errors.Is(err, directory.ErrAppNotLive):
		page.Parameter = "client_id"
		page.Description = "does not belong to an app that is registered and active here. If you build this app, compare it with the client ID in the developer portal."
	case errors.Is(err, directory.ErrRedirectMissing):
		page.Parameter = "redirect_uri"
		page.Description = "is missing. The app has registered several, so it must say which one it means."
	case errors.Is(err, directory.ErrRedirectMismatch):
		page.Parameter = "redirect_uri"
		page.Description = "is not registered for this app. It must be the same, character by character, as one in the developer portal; only the port of a loopback address may differ."
	case errors.Is(err, directory.ErrRedirectRefused):
		page.Parameter = "redirect_uri"
		page.Description = "is registered, but can no longer be used: it is on the host of this server itself, or its scheme could be taken for a website. If you build this app, register another address in the developer portal."
	case errors.As(err, &parse) && parse.Status < http.StatusInternalServerError:
		page.Parameter, page.Description, page.Status = parse.Parameter, parse.Description, parse.Status
	default:
		return fmt.Errorf("read authorization request: %w", err)
	}
	return page
}
