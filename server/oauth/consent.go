package oauth

import (
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
)

// ShowConsent continues a parked request when its browser returns from the log-in page, GET.
func (h *Handler) ShowConsent(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseQuery(r)
	if err != nil {
		return answerError(err)
	}
	id := params.Get("request_id")
	visitor := web.VisitorOf(r.Context())
	if visitor == nil {
		return h.web.ToLogIn(w, r, "/login?next="+url.QueryEscape(id))
	}
	request, err := h.directory.ParkedRequest(r.Context(), id)
	if err != nil {
		return answerError(err)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if request.NeedsLogIn(visitor.Session) {
		web.Redirect(w, r, "/login?next="+url.QueryEscape(id))
		return nil
	}
	consent, err := h.directory.ConsentFor(r.Context(), request)
	if err != nil {
		return linkError(err)
	}
	return h.ask(w, r, authorization{h: h, visitor: visitor, Consent: consent})
}

// ask shows the consent page, unless the request can be decided without it.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request, a authorization) error {
	mustAsk, err := a.decide(w, r)
	if err != nil || !mustAsk {
		return err
	}
	return h.showConsent(w, r, a.visitor, a.Consent)
}

// showConsent stores the request again, for this page and session only, and shows the page.
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

// appChanged reports whether the app has changed since a page showed it: it has another name, say, or is no longer verified.
func appChanged(c directory.Consent) bool {
	return c.Request.AppSeen != "" && c.Request.AppSeen != directory.AppSeen(c.App)
}

// consentPage describes the app, the rights that it asks for, and the address that the browser is sent to afterwards.
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
	page.Scopes, page.Held = h.describe(c, held)
	page.Known = profile && len(page.Held) > 0
	for _, m := range c.Accounts {
		page.Accounts = append(page.Accounts, h.consentAccount(c, m))
	}
	return page
}

// hostOf returns the host of a web address in lower case, as browsers show it: a capital I looks like an l.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// lowerHost returns a web address with its host in lower case.
func lowerHost(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest+"/", "/?#")
	return scheme + "://" + strings.ToLower(rest[:end]) + rest[end:]
}
