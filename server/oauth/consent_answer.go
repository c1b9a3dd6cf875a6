package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Decide takes the user's answer to a consent page (POST). The stored request is granted, after it was checked again; the form
// only names it, and holds the decision and the chosen account. The same answer, sent twice, gets the same redirect. A page that is
// too old, or was shown before another log-in, cannot allow anything and is shown again; it can still deny.
func (h *Handler) Decide(w http.ResponseWriter, r *http.Request) error {
	params, err := web.ParseBody(w, r)
	if err != nil {
		return answerError(err)
	}
	if err := params.OneValue(); err != nil {
		return answerError(err)
	}
	decision := params.Get("decision")
	if decision != "allow" && decision != "deny" {
		return web.BadRequest("decision", "must be allow or deny")
	}
	// A second click makes the browser cancel the first request, which must be completed nevertheless.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	visitor := web.VisitorOf(r.Context())
	page, err := h.directory.PageOf(r.Context(), params.Get("request_id"), sessionOf(visitor))
	stale := errors.Is(err, directory.ErrRequestStale)
	if err != nil && !stale {
		return answerError(err)
	}
	if decision == "allow" && (visitor == nil || stale) {
		return h.askAgain(w, r, visitor, page)
	}
	consent, err := h.directory.ConsentFor(r.Context(), page.Request)
	if err != nil {
		return linkError(err)
	}
	a := authorization{h: h, visitor: visitor, Consent: consent}
	switch {
	case decision == "allow":
		return h.allow(w, r, page, a, params.Get("account"))
	case stale: // this page can grant nothing any more, so there is nothing to decide
		return a.deny(w, r)
	}
	return h.deny(w, r, page, a)
}

func sessionOf(visitor *web.Visitor) *store.Session {
	if visitor == nil {
		return nil
	}
	return &visitor.Session
}

// askAgain sends the browser to the same consent page again, after a log-in if there is no session.
func (h *Handler) askAgain(w http.ResponseWriter, r *http.Request, visitor *web.Visitor, page directory.Page) error {
	a := authorization{h: h, Consent: directory.Consent{Request: page.Request}}
	id, err := a.park(r)
	if err != nil {
		return err
	}
	if visitor == nil {
		web.Redirect(w, r, "/login?next="+url.QueryEscape(id))
		return nil
	}
	reason := "The page had expired, so your answer was not used."
	if !page.ShownTo(visitor.Session) {
		reason = "You logged in again after the page was shown, so your answer was not used."
	}
	h.web.Notice(w, r, reason+" Please review the request and decide again.")
	web.Redirect(w, r, "/oauth/consent?request_id="+url.QueryEscape(id))
	return nil
}

// codeBudget is how long a repeated answer waits for the code of the first.
const codeBudget = 2 * time.Second

// allow installs the app and sends the browser back with a code. A repeated answer gets the same code.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, page directory.Page, a authorization, account string) (err error) {
	if fault := staleRequestError(a.Consent); fault != nil {
		return a.refuse(w, r, fault)
	}
	if a.Consent, err = h.directory.LoadAccounts(r.Context(), a.visitor.Principal(r), a.Consent); err != nil {
		return err
	}
	accountID := a.Account(account)
	if !page.Request.DecidedAt.IsZero() {
		return h.repeat(w, r, page, a, accountID)
	}
	if appChanged(a.Consent) {
		return h.showConsent(w, r, a.visitor, a.Consent)
	}
	installation, err := h.directory.Install(r.Context(), a.visitor.Principal(r), a.visitor.Session.ID, a.Consent, accountID)
	if errors.Is(err, store.ErrConsumed) {
		return h.repeat(w, r, page, a, accountID)
	}
	if err != nil {
		return answerError(err)
	}
	return h.grantKept(w, r, page, a, installation)
}

// repeat handles a page that was answered before. A code that was redeemed is not sent again, because an app that presents a
// code twice loses its tokens.
func (h *Handler) repeat(w http.ResponseWriter, r *http.Request, page directory.Page, a authorization, accountID string) error {
	page, err := h.directory.Reload(r.Context(), page)
	if err != nil {
		return err
	}
	if !h.directory.Repeats(page, store.DecisionAllow+accountID) {
		return answerError(h.directory.RequestEnded(r.Context(), page))
	}
	code, err := h.directory.KeptCode(r.Context(), page, codeBudget)
	if err != nil {
		return err
	}
	if code == "" { // the first answer installed the app and then failed
		return h.grantInstalled(w, r, page, a, accountID)
	}
	fresh, err := h.issuer.CodeRedeemable(r.Context(), code)
	if err != nil {
		return err
	}
	if !fresh {
		return answerError(h.directory.RequestEnded(r.Context(), page))
	}
	return a.sendCode(w, r, code)
}

// grantInstalled is grantKept for the installation that another request with the same answer has made.
func (h *Handler) grantInstalled(w http.ResponseWriter, r *http.Request, page directory.Page, a authorization, accountID string) (err error) {
	if a.Consent, err = h.directory.LoadAccounts(r.Context(), a.visitor.Principal(r), a.Consent); err != nil {
		return err
	}
	installation, live := a.LiveOn(accountID)
	if !live {
		return answerError(h.directory.RequestEnded(r.Context(), page))
	}
	return h.grantKept(w, r, page, a, installation)
}

// grantKept is grant for the answer to a page: the code is stored for a repeated answer. Of two concurrent answers, both send
// the code that was stored first.
func (h *Handler) grantKept(w http.ResponseWriter, r *http.Request, page directory.Page, a authorization, installation store.Installation) error {
	code, err := a.newCode(w, r, installation)
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
	return a.sendCode(w, r, code)
}

func (h *Handler) deny(w http.ResponseWriter, r *http.Request, page directory.Page, a authorization) error {
	err := h.directory.Deny(r.Context(), a.visitor.Principal(r), a.visitor.Session.ID, a.Consent)
	if errors.Is(err, store.ErrConsumed) {
		page, err = h.directory.Reload(r.Context(), page)
		if err == nil && !h.directory.Repeats(page, store.DecisionDeny) {
			err = h.directory.RequestEnded(r.Context(), page)
		}
	}
	if err != nil {
		return answerError(err)
	}
	return a.deny(w, r)
}
