package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	oautherrors "github.com/go-oauth2/oauth2/v4/errors"
	library "github.com/go-oauth2/oauth2/v4/server"

	"xenoauth/internal/issuer"
	"xenoauth/server/web"
	"xenoauth/store"
)

// grant is one grant type of the token endpoint. Each has its own file and one line in grants, from which the metadata and the
// error for an unknown grant_type are derived.
//
// The phases that all grants share (parsing, client authentication, resource indicators, permit, errors, the answer) are in
// Token and issue, so that no grant can leave one out.
type grant interface {
	// name is the value of grant_type.
	name() oauth2.GrantType
	// read takes the parameters of this grant and ignores all others.
	read(params web.Values) (*oauth2.TokenGenerateRequest, error)
	// permit returns an error if the client may not use this grant.
	permit(client oauth2.ClientInfo) error
	// setHooks sets the hooks of go-oauth2's server that carry the scope rules of this grant.
	setHooks(s *library.Server, m *issuer.Manager)
}

// ownGrant is a grant that go-oauth2 does not know, such as the device grant (RFC 8628) or token exchange (RFC 8693).
type ownGrant interface {
	grant
	// issue checks the request and returns the token.
	issue(ctx context.Context, m *issuer.Manager, request *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error)
}

// grants are the grants of the token endpoint, in the order of the metadata.
func grants() []grant {
	return []grant{codeGrant{}, clientGrant{}, refreshGrant{}}
}

// findGrant returns the grant of a token request. A request without grant_type redeems a code (docs/dialects.md).
func (h *Handler) findGrant(name string) (grant, error) {
	if name == "" {
		return codeGrant{}, nil
	}
	for _, g := range h.grants {
		if string(g.name()) == name {
			return g, nil
		}
	}
	return nil, issuer.Errorf(issuer.UnsupportedGrantType, "grant_type must be one of %s", strings.Join(h.grantTypes(), ", "))
}

func (h *Handler) grantTypes() []string {
	var names []string
	for _, g := range h.grants {
		names = append(names, string(g.name()))
	}
	return names
}

// issue returns the token for a request of an authenticated client. go-oauth2 calls the hook that permits the client and then
// dispatches the grants that it knows; for an ownGrant, issue calls the hook itself.
func (h *Handler) issue(ctx context.Context, g grant, p issuer.GrantParams, request *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	m := h.issuer.Manager(p)
	s := h.libraryServer(ctx, g, m)
	own, ok := g.(ownGrant)
	if !ok {
		token, err := s.GetAccessToken(ctx, g.name(), request)
		return token, fromLibrary(err)
	}
	if _, err := s.ClientAuthorizedHandler(request.ClientID, g.name()); err != nil {
		return nil, err
	}
	token, err := own.issue(ctx, m, request)
	return token, fromLibrary(err)
}

// libraryServer returns go-oauth2's server for one request, with our rules as its hooks. A server is made for each request
// because the hooks get neither a context nor the client; it is a struct of functions and cheap to make.
func (h *Handler) libraryServer(ctx context.Context, g grant, m *issuer.Manager) *library.Server {
	s := &library.Server{Config: h.config, Manager: m}
	s.ClientAuthorizedHandler = func(clientID string, _ oauth2.GrantType) (bool, error) {
		client, err := m.GetClient(ctx, clientID)
		if err == nil {
			err = g.permit(client)
		}
		return err == nil, err
	}
	s.UserAuthorizationHandler = func(_ http.ResponseWriter, r *http.Request) (string, error) {
		visitor := web.VisitorOf(r.Context())
		if visitor == nil {
			return "", issuer.Errorf(issuer.LoginRequired, "the user is not logged in")
		}
		return visitor.User.ID, nil
	}
	g.setHooks(s, m)
	return s
}

// fromLibrary turns go-oauth2's own errors, and the store's errors for a code or refresh token that ended between two
// statements, into protocol errors. All other errors are returned unchanged.
func fromLibrary(err error) error {
	var ours *issuer.Error
	if errors.As(err, &ours) {
		return err
	}
	for _, known := range []struct {
		theirs error
		code   string
	}{
		{oautherrors.ErrUnauthorizedClient, issuer.UnauthorizedClient},
		{oautherrors.ErrUnsupportedGrantType, issuer.UnsupportedGrantType},
		{oautherrors.ErrInvalidGrant, issuer.InvalidGrant},
		{oautherrors.ErrInvalidScope, issuer.InvalidScope},
		{store.ErrNotFound, issuer.InvalidGrant},
		{store.ErrEnded, issuer.InvalidGrant},
		{store.ErrConsumed, issuer.InvalidGrant},
	} {
		if errors.Is(err, known.theirs) {
			return &issuer.Error{Code: known.code, Description: "the grant was refused", Cause: err}
		}
	}
	return err
}

// errMissing refuses a request without a parameter that the grant needs.
func errMissing(name string) error {
	return issuer.Errorf(issuer.InvalidRequest, "%s is missing", name)
}
