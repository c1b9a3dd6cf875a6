package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	grants "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
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
		web.Redirect(w, r, "/login?next="+url.QueryEscape(id))
		return nil
	}
	request, err := h.directory.RequestOf(r.Context(), id, nil)
	if err != nil {
		return badRequest(err)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return h.ask(w, r, visitor, request)
}

// showConsent stores the request anew, for this page and session alone, and shows it.
func (h *Handler) showConsent(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent) error {
	id, err := h.directory.NewRequest(r.Context(), c.Request, visitor.Session.ID)
	if err != nil {
		return err
	}
	web.AllowFormAction(w, c.Redirect)
	return h.web.Render(w, r, http.StatusOK, "consent", h.consentPage(visitor, c, id))
}

// Decide takes the person's answer (POST). What is granted is the stored request, checked anew; the form only names it,
// says yes or no, and chooses among the person's accounts.
func (h *Handler) Decide(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseBody(w, r)
	if err != nil {
		return badRequest(err)
	}
	if err := params.OneValue(); err != nil {
		return badRequest(err)
	}
	visitor := web.VisitorOf(r.Context())
	if visitor == nil {
		return web.Forbidden("You are not logged in any more, so nothing was decided. Go back to the app and start again.")
	}
	request, err := h.directory.RequestOf(r.Context(), params.Get("request_id"), visitor.Session.ID)
	if err != nil {
		return badRequest(err)
	}
	consent, err := h.directory.ConsentTo(r.Context(), visitor.User, request)
	if err != nil {
		return badLink(err)
	}
	switch params.Get("decision") {
	case "allow":
		if fault := overtaken(consent); fault != nil {
			return h.refuse(w, r, consent.Redirect, request.State, fault)
		}
		return h.allow(w, r, visitor, consent, params.Get("account"))
	case "deny":
		return h.deny(w, r, visitor, consent)
	}
	return web.BadRequest("decision", "must be allow or deny")
}

func (h *Handler) allow(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent, accountID string) error {
	installation, err := h.directory.Install(r.Context(), visitor.Actor(r), visitor.User, visitor.Session.ID, c, accountID)
	if err != nil {
		return badRequest(err)
	}
	return h.grant(w, r, visitor, c, installation)
}

func (h *Handler) deny(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent) error {
	if err := h.directory.Deny(r.Context(), visitor.Actor(r), visitor.Session.ID, c); err != nil {
		return badRequest(err)
	}
	return h.refuse(w, r, c.Redirect, c.Request.State, issuer.Errorf(issuer.AccessDenied, "the user said no"))
}

// grant sends the browser back to the app with a code (RFC 6749 §4.1.2).
func (h *Handler) grant(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent, installation store.Installation) error {
	ctx := issuer.WithFacts(r.Context(), issuer.Facts{
		By:           visitor.Actor(r),
		Installation: installation,
		RedirectSent: c.Request.RedirectSent,
		ScopeAsked:   c.Request.ScopeAsked,
		Resource:     strings.Fields(c.Request.Resource),
	})
	code, err := h.grants.GetAuthorizeToken(ctx, &grants.AuthorizeRequest{
		ResponseType:        oauth2.Code,
		ClientID:            c.App.ID,
		Scope:               c.Request.Scope.String(),
		RedirectURI:         c.Redirect.URI(),
		UserID:              visitor.User.ID,
		CodeChallenge:       c.Request.Challenge,
		CodeChallengeMethod: oauth2.CodeChallengeS256,
		Request:             r,
	})
	if errors.Is(err, store.ErrEnded) {
		return badLink(fmt.Errorf("%w: %w", directory.ErrAppNotLive, err))
	}
	if err != nil {
		return err
	}
	params := h.redirectParams(c.Request.State)
	params.Set("code", code.GetCode())
	web.RedirectTo(w, r, c.Redirect, params)
	return nil
}

// consentPage says who asks for what, in plain words, and where the browser goes next.
func (h *Handler) consentPage(visitor *web.Visitor, c directory.Consent, id string) web.ConsentPage {
	page := web.ConsentPage{
		App: web.ConsentApp{
			Name:         c.App.Name,
			HomepageHost: hostOf(c.App.Homepage),
			Owner:        c.App.AccountName,
			Description:  c.App.Description,
			Initials:     web.Initials(c.App.Name),
			Verified:     !c.App.VerifiedAt.IsZero(),
		},
		RequestID:     id,
		RedirectHost:  hostOf(c.Redirect.URI()),
		RedirectShown: c.Redirect.URI(),
		Loopback:      strings.HasPrefix(c.Redirect.URI(), "http://"),
		User:          visitor.User,
	}
	page.Scopes, page.Held = h.inWords(c)
	for _, m := range c.Accounts {
		page.Accounts = append(page.Accounts, web.ConsentAccount{ID: m.AccountID, Name: m.AccountName, Selected: len(c.Accounts) == 1})
	}
	return page
}

// inWords describes what the app asks for, with all that comes with it. Where it has something already, asked is what is
// new, and held the rest; who is asked again for nothing new is shown all of it.
func (h *Handler) inWords(c directory.Consent) (asked, held []scope.Scope) {
	asked = h.catalogue.Describe(h.catalogue.Expand(c.Request.Scope))
	has := h.catalogue.Expand(c.Held())
	fresh := slices.DeleteFunc(slices.Clone(asked), func(s scope.Scope) bool { return has.Has(s.Name) })
	if len(fresh) == 0 {
		return asked, nil
	}
	return fresh, h.catalogue.Describe(has)
}

// hostOf is what a person recognises of an address: its host, or the scheme of a native app's.
func hostOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || address == "":
		return ""
	case u.Host != "":
		return u.Host
	}
	return u.Scheme
}

// badRequest is the page for an answer that cannot be taken.
func badRequest(err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return err
	case errors.Is(err, directory.ErrRequestForeign):
		return &web.Error{Status: http.StatusForbidden, Title: "This page belongs to another log-in", Cause: err,
			Description: "It was opened in another browser session, so nothing was decided. Go back to the app and start again."}
	case errors.Is(err, directory.ErrRequestUnknown):
		return &web.Error{Status: http.StatusBadRequest, Title: "This request is over", Cause: err,
			Description: "It was answered before, or waited too long. Go back to the app and start again."}
	case errors.Is(err, directory.ErrNotMember):
		return &web.Error{Status: http.StatusBadRequest, Parameter: "account", Description: "must be one of your accounts. Go back and choose one.", Cause: err}
	}
	return err
}
