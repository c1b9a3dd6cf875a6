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
	a := authorization{h: h, visitor: web.VisitorOf(r.Context()), Consent: directory.Consent{
		Request: h.readRequest(params, app, redirect), App: app, Redirect: redirect,
	}}
	if a.visitor == nil || a.Request.Asks("login") {
		return h.sendToLogIn(w, r, a, params.Get("login_hint"))
	}
	return h.ask(w, r, a)
}

// RedirectPostToGet answers a POST with a redirect to the same request by GET: browsers do not send our session cookie with a
// form that another site posts. The query is encoded from the parsed parameters, so that no bytes of them can change what the
// address means.
func (h *Handler) RedirectPostToGet(w http.ResponseWriter, r *http.Request) error {
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

// client checks the app and its redirect URI. Every fault is a page.
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

// sendToLogIn parks the request and sends the browser to log in, from where it comes back by the request's id. It does so
// for a browser that is logged in, when the app asks for a new log-in (prompt=login). A fault of the request is reported to
// the app after the log-in, unless the app asked for no page at all (prompt=none). A hint that is an e-mail address fills the
// form.
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
