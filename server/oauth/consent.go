package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// ShowConsent brings a browser back to the request that it had to log in for.
func (h *Handler) ShowConsent(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseQuery(r)
	if err != nil {
		return badRequest(err)
	}
	id := params.Get("request_id")
	visitor := web.VisitorOf(r.Context())
	if visitor == nil {
		return h.web.ToLogIn(w, r, "/login?next="+url.QueryEscape(id))
	}
	request, err := h.directory.ParkedRequest(r.Context(), id)
	if err != nil {
		return badRequest(err)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if request.NeedsLogIn(visitor.Session) {
		web.Redirect(w, r, "/login?next="+url.QueryEscape(id))
		return nil
	}
	return h.ask(w, r, visitor, request)
}

// showConsent stores the request anew, for this page and session alone, and shows it.
func (h *Handler) showConsent(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent) error {
	changed := appChanged(c)
	c.Request.UserID, c.Request.AppSeen = visitor.User.ID, directory.AppSeen(c.App)
	id, err := h.directory.NewRequest(r.Context(), c.Request, visitor.Session.ID)
	if err != nil {
		return err
	}
	web.AllowFormAction(w, c.Redirect)
	page := h.consentPage(visitor, c, id)
	page.Changed = changed
	return h.web.Render(w, r, http.StatusOK, "consent", page)
}

// appChanged reports whether a page has shown the app as it is no more: under another name, say, or as verified.
func appChanged(c directory.Consent) bool {
	return c.Request.AppSeen != "" && c.Request.AppSeen != directory.AppSeen(c.App)
}

// consentPage says who asks for what, in plain words, and where the browser goes next.
func (h *Handler) consentPage(visitor *web.Visitor, c directory.Consent, id string) web.ConsentPage {
	page := web.ConsentPage{
		App: web.ConsentApp{
			Name:        c.App.Name,
			Owner:       c.App.AccountName,
			Description: c.App.Description,
			Initials:    web.Initials(c.App.Name),
			Verified:    !c.App.VerifiedAt.IsZero(),
		},
		RequestID: id,
		Native:    c.Redirect.Native(),
		Loopback:  strings.HasPrefix(c.Redirect.URI(), "http://"),
		NewPlace:  c.NewPlace(),
		User:      visitor.User,
	}
	if page.Native == "" {
		page.RedirectHost, page.RedirectShown = hostOf(c.Redirect.URI()), lowerHost(c.Redirect.URI())
	}
	if page.App.Verified {
		page.App.HomepageHost = hostOf(c.App.Homepage)
	}
	for _, m := range c.Allowed() {
		page.Allowed = append(page.Allowed, m.AccountName)
	}
	page.Reconnect = len(page.Allowed) > 0 && len(page.Allowed) == len(c.Accounts)
	held, profile := c.Held()
	page.Scopes, page.Held = h.inWords(c, held)
	page.Known = profile && len(page.Held) > 0
	for _, m := range c.Accounts {
		page.Accounts = append(page.Accounts, h.consentAccount(c, m))
	}
	return page
}

// hostOf is the part of a web address that people recognise, as browsers show it: a capital I looks like an l.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// lowerHost is a web address with its host as hostOf shows it.
func lowerHost(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest+"/", "/?#")
	return scheme + "://" + strings.ToLower(rest[:end]) + rest[end:]
}

// badRequest is the page for an answer that cannot be taken.
func badRequest(err error) error {
	var over *directory.RequestOverError
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return err
	case errors.As(err, &over):
		return overPage(over)
	case errors.Is(err, directory.ErrRequestForeign):
		return &web.Error{Status: http.StatusForbidden, Title: "This page belongs to another log-in", Cause: err,
			Description: "It was shown to another user, so nothing was decided. Go back to the app and start again."}
	case errors.Is(err, directory.ErrRequestUnknown):
		return &web.Error{Status: http.StatusBadRequest, Title: "This request is over", Cause: err,
			Description: "It was answered before, or waited too long. Go back to the app and start again."}
	case errors.Is(err, directory.ErrNotMember):
		return &web.Error{Status: http.StatusBadRequest, Parameter: "account", Description: "must be one of your accounts. Go back and choose one.", Cause: err}
	}
	return err
}

// overPage names the app, so that its user knows where to go on.
func overPage(over *directory.RequestOverError) error {
	page := &web.Error{Status: http.StatusBadRequest, Cause: over, Links: []web.Link{{Text: "Installed apps", Path: "/account/apps"}}}
	where := "“" + over.App + "”"
	if host := hostOf(over.Address); strings.HasPrefix(over.Address, "https:") && host != "" {
		where += " (" + host + ")"
	}
	if over.Answered {
		page.Title = "You have answered this request"
		page.Description = "Go back to " + where + ". If it is not connected, start again there."
		return page
	}
	page.Title = "This request has expired"
	page.Description = "Nothing was decided. Go back to " + where + " and start again."
	return page
}
