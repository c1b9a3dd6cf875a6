package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// authorization is an authorization request whose app and redirect URI are verified, with its three outcomes: a code, a
// refusal, or a consent page. The authorization endpoint and the consent page both use it; it uses neither.
type authorization struct {
	h *Handler
	directory.Consent
	visitor *web.Visitor // nil: not logged in
}

// decide answers a request that needs no consent page: a fault is reported to the app, and a request that the user has approved
// before gets its code. Otherwise mustAsk is true, and the accounts that the user can choose from are loaded.
func (a *authorization) decide(w http.ResponseWriter, r *http.Request) (mustAsk bool, err error) {
	if a.Request.Fault != "" {
		return false, a.refuse(w, r, issuer.Errorf(a.Request.Fault, "%s", a.Request.FaultDetail))
	}
	if fault := staleRequestError(a.Consent); fault != nil {
		return false, a.refuse(w, r, fault)
	}
	if a.Consent, err = a.h.directory.LoadAccounts(r.Context(), a.visitor.Principal(r), a.Consent); err != nil {
		return false, err
	}
	if installation, ok := a.Covered(); ok && !a.Request.Asks("consent") && !a.Request.Asks("select_account") {
		if limited := web.AsLimit(a.h.web.CountCode(a.visitor.User.ID)); limited != nil {
			return false, a.refuse(w, r, issuer.Errorf(issuer.TemporarilyUnavailable, "%s", limited.Sentence()))
		}
		return false, a.grant(w, r, installation)
	}
	if a.Request.Asks("none") {
		return false, a.refuse(w, r, issuer.Errorf(issuer.ConsentRequired, "the user must be asked for consent"))
	}
	return true, nil
}

// staleRequestError returns an error for a stored request that has become invalid because its app was changed.
func staleRequestError(c directory.Consent) *issuer.Error {
	switch {
	case c.Request.Challenge == "" && needsChallenge(c.App):
		return errChallengeMissing()
	case !c.App.Scopes.Covers(c.Request.Scope):
		return issuer.ScopeGivenUp()
	}
	return nil
}

// park stores the request until the browser has logged in, counts it for the client's network, and returns its id.
func (a *authorization) park(r *http.Request) (id string, err error) {
	holder, release, err := a.h.web.StoreTurn(r)
	if err != nil {
		return "", err
	}
	defer release()
	parked := a.Request
	parked.Holder = holder
	return a.h.directory.NewRequest(r.Context(), parked, nil)
}

// grant sends the browser back to the app with a code (RFC 6749 §4.1.2).
func (a *authorization) grant(w http.ResponseWriter, r *http.Request, installation store.Installation) error {
	code, err := a.newCode(w, r, installation)
	if err != nil {
		return err
	}
	return a.sendCode(w, r, code)
}

// newCode issues a code through go-oauth2, whose hooks supply the user and check the app and its scopes.
func (a *authorization) newCode(w http.ResponseWriter, r *http.Request, installation store.Installation) (string, error) {
	s := a.h.libraryServer(r.Context(), codeGrant{}, a.h.issuer.Manager(issuer.GrantParams{
		By:           a.visitor.Principal(r),
		Client:       store.Client{ID: a.App.ID, App: &a.App, Live: true},
		Installation: installation,
		RedirectSent: a.Request.RedirectSent,
		ScopeAsked:   a.Request.ScopeAsked,
		Resource:     strings.Fields(a.Request.Resource),
	}))
	userID, err := s.UserAuthorizationHandler(w, r)
	if err != nil {
		return "", err
	}
	code, err := s.GetAuthorizeToken(r.Context(), &library.AuthorizeRequest{
		ResponseType:        oauth2.Code,
		ClientID:            a.App.ID,
		Scope:               a.Request.Scope.String(),
		RedirectURI:         a.Redirect.URI(),
		UserID:              userID,
		CodeChallenge:       a.Request.Challenge,
		CodeChallengeMethod: oauth2.CodeChallengeS256,
		Request:             r,
	})
	if errors.Is(err, store.ErrEnded) {
		return "", linkError(fmt.Errorf("%w: %w", directory.ErrAppNotLive, err))
	}
	if err != nil {
		return "", err
	}
	return code.GetCode(), nil
}

func (a *authorization) sendCode(w http.ResponseWriter, r *http.Request, code string) error {
	params := a.redirectParams()
	params.Set("code", code)
	web.RedirectTo(w, r, a.Redirect, params)
	return nil
}

// refuse sends the browser back to the app with an error (RFC 6749 §4.1.2.1).
func (a *authorization) refuse(w http.ResponseWriter, r *http.Request, fault *issuer.Error) error {
	params := a.redirectParams()
	params.Set("error", fault.Code)
	params.Set("error_description", fault.Description)
	web.RedirectTo(w, r, a.Redirect, params)
	return nil
}

// deny reports the user's refusal to the app.
func (a *authorization) deny(w http.ResponseWriter, r *http.Request) error {
	return a.refuse(w, r, issuer.Errorf(issuer.AccessDenied, "the user denied the request"))
}

// redirectParams are the parameters of every redirect to an app: its state, to the byte, and the issuer (RFC 9207).
func (a *authorization) redirectParams() url.Values {
	params := url.Values{"iss": {a.h.origin}}
	if a.Request.State != "" {
		params.Set("state", a.Request.State)
	}
	return params
}
