package oauth

import (
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
// The order of the checks is a protection. The client and the redirect URI come first, and an error in them is a page: a
// browser is never sent to an address that is not registered. Errors in the other parameters are sent to the app by redirect,
// but only from a browser that has logged in (RFC 9700 §4.11.2), so that a link to this endpoint is not an open redirector.
func (h *Handler) Authorize(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseQuery(r)
	if err != nil {
		return linkError(err)
	}
	app, redirect, err := h.client(r, params)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	a := authorization{h: h, visitor: web.VisitorOf(r.Context()), Consent: directory.Consent{
		Request: h.readRequest(params, app, redirect), App: app, Redirect: redirect,
	}}
	if a.visitor == nil || a.Request.Asks("login") {
		return h.sendToLogIn(w, r, a, params.Get("login_hint"))
	}
	return h.ask(w, r, a)
}

// RedirectPostToGet answers a POST with a redirect to the same request by GET, since browsers do not send the session cookie
// with a form that another site posts. The query is encoded again from the parsed parameters, so that none of their bytes can
// change the address.
func (h *Handler) RedirectPostToGet(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ParseQuery(r)
	if err != nil {
		return linkError(err)
	}
	body, err := web.ParseBody(w, r)
	if err != nil {
		return linkError(err)
	}
	both := strings.Trim(query.Encode()+"&"+body.Encode(), "&")
	web.Redirect(w, r, "/oauth/authorize?"+both)
	return nil
}

// client returns the app and its redirect URI. Every error is a page.
func (h *Handler) client(r *http.Request, params web.Values) (store.App, directory.ValidatedRedirect, error) {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(params.All(name)) > 1 {
			return store.App{}, directory.ValidatedRedirect{}, linkError(web.BadRequest(name, "is given more than once"))
		}
	}
	app, err := h.directory.LiveApp(r.Context(), params.Get("client_id"))
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, linkError(err)
	}
	redirect, err := h.directory.MatchRedirect(app, params.Get("redirect_uri"))
	if err != nil {
		return store.App{}, directory.ValidatedRedirect{}, linkError(err)
	}
	return app, redirect, nil
}

// sendToLogIn parks the request and sends the browser to the log-in page, from where it returns with the request's id. A
// browser that is logged in goes there only if the app asks for a new log-in (prompt=login). A fault of the request is reported
// to the app after the log-in, unless the app wants no page at all (prompt=none). If the hint is an e-mail address, the form
// is filled in with it.
func (h *Handler) sendToLogIn(w http.ResponseWriter, r *http.Request, a authorization, hint string) error {
	if a.Request.Asks("none") {
		return a.refuse(w, r, issuer.Errorf(issuer.LoginRequired, "the user is not logged in"))
	}
	id, err := a.park(r)
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
