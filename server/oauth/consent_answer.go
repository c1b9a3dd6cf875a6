package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	grants "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Decide takes the person's answer (POST). The stored request is granted, checked again; the form only names it,
// holds the decision, and chooses among the person's accounts. The same answer sent twice is the same redirect. A page that is
// too old to be allowed, or was shown before another log-in, is shown again; a no is taken all the same.
func (h *Handler) Decide(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseBody(w, r)
	if err != nil {
		return badRequest(err)
	}
	if err := params.OneValue(); err != nil {
		return badRequest(err)
	}
	decision := params.Get("decision")
	if decision != "allow" && decision != "deny" {
		return web.BadRequest("decision", "must be allow or deny")
	}
	// A second click makes the browser drop the first request. What that one does must be done whole all the same.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	visitor := web.VisitorOf(r.Context())
	page, err := h.directory.PageOf(r.Context(), params.Get("request_id"), sessionOf(visitor))
	stale := errors.Is(err, directory.ErrRequestStale)
	if err != nil && !stale {
		return badRequest(err)
	}
	if decision == "allow" && (visitor == nil || stale) {
		return h.askAgain(w, r, visitor, page)
	}
	var user store.User // none is needed to say no
	if visitor != nil {
		user = visitor.User
	}
	consent, err := h.directory.ConsentTo(r.Context(), user, page.Request)
	if err != nil {
		return badLink(err)
	}
	switch {
	case decision == "allow":
		return h.allow(w, r, visitor, page, consent, consent.Account(params.Get("account")))
	case stale: // nothing can be granted by this page any more, so that there is nothing to decide
		return h.sendDenial(w, r, consent)
	}
	return h.deny(w, r, visitor, page, consent)
}

func sessionOf(visitor *web.Visitor) *store.Session {
	if visitor == nil {
		return nil
	}
	return &visitor.Session
}

// askAgain brings the browser back to the question that a page asked, after a log-in if there is no session.
func (h *Handler) askAgain(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page) error {
	id, err := h.park(r, page.Request)
	if err != nil {
		return err
	}
	if visitor == nil {
		web.Redirect(w, r, "/login?next="+url.QueryEscape(id))
		return nil
	}
	reason := "The page was too old to be answered."
	if !page.ShownTo(visitor.Session) {
		reason = "You have logged in again since the page was shown, so nothing was decided."
	}
	h.web.Notice(w, r, reason+" Please look at it once more and decide.")
	web.Redirect(w, r, "/oauth/consent?request_id="+url.QueryEscape(id))
	return nil
}

// codePatience is how long an answer waits for the code of the same answer that came before it.
const codePatience = 2 * time.Second

// allow installs the app and sends the browser back with a code; the same answer again with the same code.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page, c directory.Consent, accountID string) error {
	if fault := overtaken(c); fault != nil {
		return h.refuse(w, r, c.Redirect, c.Request.State, fault)
	}
	if !page.Request.DecidedAt.IsZero() {
		return h.repeat(w, r, visitor, page, c, accountID)
	}
	if appChanged(c) {
		return h.showConsent(w, r, visitor, c)
	}
	installation, err := h.directory.Install(r.Context(), visitor.Actor(r), visitor.User, visitor.Session.ID, c, accountID)
	if errors.Is(err, store.ErrConsumed) {
		return h.repeat(w, r, visitor, page, c, accountID)
	}
	if err != nil {
		return badRequest(err)
	}
	return h.grantKept(w, r, visitor, page, c, installation)
}

// repeat answers a page that was answered before. An app that presents a code twice loses the tokens of the code, so a
// code that was redeemed is not sent again.
func (h *Handler) repeat(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page, c directory.Consent, accountID string) error {
	page, err := h.directory.Reload(r.Context(), page)
	if err != nil {
		return err
	}
	if !h.directory.Repeats(page, store.DecisionAllow+accountID) {
		return badRequest(h.directory.Over(r.Context(), page))
	}
	code, err := h.directory.KeptCode(r.Context(), page, codePatience)
	if err != nil {
		return err
	}
	if code == "" { // the first answer installed the app and got no further
		c, err := h.directory.ConsentTo(r.Context(), visitor.User, page.Request)
		if err != nil {
			return badLink(err)
		}
		installation, live := c.LiveOn(accountID)
		if !live {
			return badRequest(h.directory.Over(r.Context(), page))
		}
		return h.grantKept(w, r, visitor, page, c, installation)
	}
	fresh, err := h.manager.CodeRedeemable(r.Context(), code)
	if err != nil {
		return err
	}
	if !fresh {
		return badRequest(h.directory.Over(r.Context(), page))
	}
	return h.sendCode(w, r, c, code)
}

// grantKept is grant for the answer of a page: the code is kept for the same answer. Of two at once, the first to be kept
// is everyone's.
func (h *Handler) grantKept(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page, c directory.Consent, installation store.Installation) error {
	code, err := h.newCode(r, visitor, c, installation)
	if err != nil {
		return err
	}
	err = h.directory.KeepCode(r.Context(), page, code)
	if errors.Is(err, store.ErrConsumed) {
		code, err = h.directory.KeptCode(r.Context(), page, 0)
	}
	if err != nil {
		return err
	}
	return h.sendCode(w, r, c, code)
}

func (h *Handler) deny(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page, c directory.Consent) error {
	err := h.directory.Deny(r.Context(), visitor.Actor(r), visitor.Session.ID, c)
	if errors.Is(err, store.ErrConsumed) {
		page, err = h.directory.Reload(r.Context(), page)
		if err == nil && !h.directory.Repeats(page, store.DecisionDeny) {
			err = h.directory.Over(r.Context(), page)
		}
	}
	if err != nil {
		return badRequest(err)
	}
	return h.sendDenial(w, r, c)
}

func (h *Handler) sendDenial(w http.ResponseWriter, r *http.Request, c directory.Consent) error {
	return h.refuse(w, r, c.Redirect, c.Request.State, issuer.Errorf(issuer.AccessDenied, "the user said no"))
}

// grant sends the browser back to the app with a code (RFC 6749 §4.1.2).
func (h *Handler) grant(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, c directory.Consent, installation store.Installation) error {
	code, err := h.newCode(r, visitor, c, installation)
	if err != nil {
		return err
	}
	return h.sendCode(w, r, c, code)
}

func (h *Handler) newCode(r *http.Request, visitor *web.Visitor, c directory.Consent, installation store.Installation) (string, error) {
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
		return "", badLink(fmt.Errorf("%w: %w", directory.ErrAppNotLive, err))
	}
	if err != nil {
		return "", err
	}
	return code.GetCode(), nil
}

func (h *Handler) sendCode(w http.ResponseWriter, r *http.Request, c directory.Consent, code string) error {
	params := h.redirectParams(c.Request.State)
	params.Set("code", code)
	web.RedirectTo(w, r, c.Redirect, params)
	return nil
}
