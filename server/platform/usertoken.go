package platform

import (
	"context"
	"errors"
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
	"xenoauth/store"
)

// hashBudget is how long a log-in waits for its password to be hashed.
const hashBudget = 7 * time.Second

// userToken is the answer with a pair of user tokens (docs/dialects.md, User tokens).
type userToken struct {
	TokenType    string     `json:"tokenType"`
	Token        string     `json:"token"`
	RefreshToken string     `json:"refreshToken"`
	User         string     `json:"user"`
	Scope        scope.Role `json:"scope"`
}

func writeUserToken(w http.ResponseWriter, p issuer.UserPair) error {
	return web.WriteJSON(w, http.StatusOK, userToken{"Bearer", p.Token, p.RefreshToken, p.UserID, p.Scope})
}

// errLogIn is the answer to every failed log-in, the same to the byte.
func errLogIn(cause error) error {
	return &issuer.Error{Code: issuer.InvalidGrant, Status: http.StatusUnauthorized, Description: "incorrect email or password", Cause: cause}
}

// CreateUserToken answers POST /v2/auth/token: a pair for an e-mail address and its password (for a bot, its API secret), or
// the next pair for a refresh token and its owner's e-mail address. The Authorization header is ignored.
func (h *Handler) CreateUserToken(w http.ResponseWriter, r *http.Request) error {
	const email, password, refreshToken, clientID = "email", "password", "refreshToken", "clientId"
	body, err := web.ParseJSON(w, r, email, password, refreshToken, clientID)
	if err != nil {
		return err
	}
	first, second := email, password
	if body.Get(refreshToken) != "" || body.Get(clientID) != "" {
		first, second = refreshToken, clientID
		if body.Get(email) != "" || body.Get(password) != "" {
			return web.BadRequest("", "send either email and password or refreshToken and clientId, not both")
		}
	}
	for _, name := range []string{first, second} {
		if body.Get(name) == "" {
			return web.BadRequest(name, "is missing from the JSON body; send either email and password or refreshToken and clientId")
		}
	}
	if first == email {
		return h.logInProgram(w, r, body.Get(email), body.Get(password))
	}
	address, err := directory.NormalizeEmail(body.Get(clientID))
	if err != nil { // an address that no user can have, so that no refresh token matches it
		address = body.Get(clientID)
	}
	return h.refresh(w, r, issuer.UserRefreshRequest{Token: secret.Text(body.Get(refreshToken)), Email: address, Spellings: directory.EmailSpellings(address)})
}

// logInProgram issues a pair to an authenticated person or bot. The form of the password decides which of the two is looked up, so
// that the answer does not depend on which users exist.
func (h *Handler) logInProgram(w http.ResponseWriter, r *http.Request, email, password string) error {
	authenticate := h.authenticateUser
	if h.verify.IsBotSecret(password) {
		authenticate = h.authenticateBot
	}
	user, opener, err := authenticate(r, email, password)
	if err == nil {
		err = h.web.CountProgram(user.ID)
	}
	if err != nil {
		return err
	}
	by := store.UserPrincipal(user.ID, web.ClientIP(r))
	pair, err := h.issuer.NewUserPair(r.Context(), by, user, opener, web.UserAgent(r))
	if errors.Is(err, store.ErrEnded) {
		return errLogIn(err)
	}
	if err != nil {
		return err
	}
	return writeUserToken(w, pair)
}

func (h *Handler) authenticateUser(r *http.Request, email, password string) (store.User, store.LookupID, error) {
	attempt, err := h.web.AttemptProgramLogIn(r, email)
	if err != nil {
		return store.User{}, store.LookupID{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), hashBudget)
	defer cancel()
	user, err := h.directory.LogInProgram(ctx, email, password)
	faults, other := web.FieldErrors(err)
	switch {
	case err == nil:
		attempt.Succeed(r)
		return user, store.LookupID{}, nil
	case errors.Is(err, directory.ErrCredentials):
		err = errLogIn(err)
	case errors.Is(err, directory.ErrSecondFactor):
		attempt.Succeed(r)
		err = &web.Error{Status: http.StatusForbidden, Code: "mfa_required", Description: "Permission Denied: " + err.Error(), Cause: err}
	case other == nil:
		err = web.BadRequest("password", faults["password"])
	default:
		attempt.Release(r)
	}
	return store.User{}, store.LookupID{}, err
}

// authenticateBot counts only failures, not attempts: a secret of 256 bits cannot be guessed, and the count keeps attempts cheap for
// this server.
func (h *Handler) authenticateBot(r *http.Request, email, apiSecret string) (store.User, store.LookupID, error) {
	address, err := directory.NormalizeEmail(email)
	if err != nil {
		address = email
	}
	bot, err := h.verify.Bot(r.Context(), verify.BotCredentials{Email: address, Secret: secret.Text(apiSecret)})
	if errors.Is(err, verify.ErrClient) {
		err = h.web.RefusedKey(r, address, errLogIn(err))
	}
	if err != nil {
		return store.User{}, store.LookupID{}, err
	}
	return bot.User, bot.Secret.ID, nil
}

// RefreshUserToken answers GET /v2/auth/token?refreshToken=…: the next pair, for a request whose Bearer token is an access token
// of the same user that has not expired. As documented it changes state although it is a GET, so it consumes nothing unless every check
// passes.
func (h *Handler) RefreshUserToken(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ParseQuery(r)
	if err != nil {
		return err
	}
	if err := query.OneValue(); err != nil {
		return err
	}
	token := query.Get("refreshToken")
	if token == "" {
		return web.BadRequest("refreshToken", "is missing from the query")
	}
	bearer, err := web.BearerToken(r)
	if err != nil {
		return err
	}
	id, err := h.verify.Inspect(r.Context(), bearer)
	if err != nil {
		return err
	}
	presented, ok := secret.ParseUserRefresh(token)
	if id.Kind != secret.JWT || ok && presented.UserID != id.Subject {
		return web.PermissionDenied("the access token and the refresh token belong to different users")
	}
	return h.refresh(w, r, issuer.UserRefreshRequest{Token: secret.Text(token), UserID: id.Subject, Beside: id.Pair})
}

func (h *Handler) refresh(w http.ResponseWriter, r *http.Request, request issuer.UserRefreshRequest) error {
	pair, err := h.issuer.RefreshUserPair(r.Context(), store.VisitorPrincipal(web.ClientIP(r)), request)
	if errors.Is(err, issuer.ErrUnknown) {
		return h.web.Refused(r, err)
	}
	if err != nil {
		return err
	}
	return writeUserToken(w, pair)
}

// UserTokenMethodNotAllowed answers every other method, including HEAD, which would rotate a token and return the new one in no
// body.
func (h *Handler) UserTokenMethodNotAllowed(http.ResponseWriter, *http.Request) error {
	return &web.Error{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, POST"}},
		Description: "POST email and password, or refreshToken and clientId; or GET with refreshToken in the query"}
}
