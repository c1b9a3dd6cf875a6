package oauth

import (
	"net/url"
	"slices"
	"strings"

	"xenoauth/internal/directory"
	"xenoauth/internal/issuer"
	"xenoauth/internal/scope"
	"xenoauth/server/web"
	"xenoauth/store"
)

// Limits on a stored request, in bytes, because any browser can be made to store one: on all values of its row together, and on the
// state, which goes back to the app in every answer, together with the redirect URI.
const (
	maxStored      = 4096
	maxState       = 2048
	maxURIAndState = maxStored - 300 // the rest is for the app's id and the description of a fault
)

// readRequest reads the parameters other than client and redirect URI. A fault is not returned but stored in the request,
// because it is reported to the app only after a log-in. No invalid value is stored.
func (h *Handler) readRequest(params web.Values, app store.App, redirect directory.ValidatedRedirect) store.Request {
	request := store.Request{AppID: app.ID, RedirectURI: redirect.URI(), RedirectSent: redirect.Sent()}
	// A state that was sent twice, or is too long to be stored, is not sent back.
	if len(params.All("state")) == 1 && len(params.Get("state")) <= stateLimit(redirect) {
		request.State = params.Get("state")
	}
	sound := request
	fault := h.readParameters(params, app, stateLimit(redirect), &sound)
	if fault == nil && storedSize(sound) > maxStored {
		fault = issuer.Errorf(issuer.InvalidRequest, "the request is too long: redirect_uri, state, scope and resource can have at most %d bytes in total", maxStored)
	}
	if fault != nil {
		request.Fault, request.FaultDetail = fault.Code, fault.Description
		return request
	}
	return sound
}

// stateLimit is the maximum length of a state beside this redirect URI.
func stateLimit(redirect directory.ValidatedRedirect) int {
	return min(maxState, maxURIAndState-len(redirect.URI()))
}

// storedSize is the size of the request's own values in its row.
func storedSize(r store.Request) int {
	n := 0
	for _, value := range []string{r.AppID, r.RedirectURI, r.Scope.String(), r.ScopeAsked, r.State, r.Challenge, r.Resource, r.Prompt, r.Fault, r.FaultDetail} {
		n += len(value)
	}
	return n
}

// readParameters fills in the request and returns the first fault.
func (h *Handler) readParameters(params web.Values, app store.App, stateLimit int, request *store.Request) *issuer.Error {
	for _, name := range params.Repeated() {
		if isParameter(name) && name != "resource" {
			return issuer.Errorf(issuer.InvalidRequest, "%s is given more than once", name)
		}
	}
	if fault := nestedParameterError(params); fault != nil {
		return fault
	}
	if len(params.Get("state")) > stateLimit {
		return issuer.Errorf(issuer.InvalidRequest, "state is longer than %d bytes", stateLimit)
	}
	// Without response_type the request is for a code (docs/dialects.md, OAuth apps).
	if t := params.Get("response_type"); t != "" && t != "code" {
		return issuer.Errorf(issuer.UnsupportedResponseType, "response_type must be code")
	}
	if m := params.Get("response_mode"); m != "" && m != "query" {
		return issuer.Errorf(issuer.InvalidRequest, "response_mode must be query")
	}
	var fault *issuer.Error
	if request.Prompt, fault = readPrompt(params.Get("prompt")); fault != nil {
		return fault
	}
	if request.Scope, request.ScopeAsked, fault = h.readScope(params.Get("scope"), app); fault != nil {
		return fault
	}
	if request.Challenge, fault = readChallenge(params, app); fault != nil {
		return fault
	}
	resources, fault := readResources(params)
	request.Resource = strings.Join(resources, " ")
	return fault
}

// promptValues are the supported values of prompt (OpenID Connect Core §3.1.2.1).
var promptValues = []string{"none", "login", "consent", "select_account"}

// readPrompt reads a list of values separated by spaces and drops duplicates. The value none excludes all others.
func readPrompt(sent string) (string, *issuer.Error) {
	var values []string
	for _, value := range strings.Split(sent, " ") {
		switch {
		case value == "", slices.Contains(values, value):
		case !slices.Contains(promptValues, value):
			return "", issuer.Errorf(issuer.InvalidRequest, "prompt must be none, or a list of login, consent and select_account separated by spaces")
		default:
			values = append(values, value)
		}
	}
	if len(values) > 1 && slices.Contains(values, "none") {
		return "", issuer.Errorf(issuer.InvalidRequest, "prompt=none cannot be combined with other values")
	}
	return strings.Join(values, " "), nil
}

// isParameter reports whether a name is a parameter of this endpoint. Unknown parameters are ignored (RFC 6749 §3.1).
func isParameter(name string) bool {
	switch name {
	case "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "prompt", "login_hint",
		"code_challenge", "code_challenge_method", "resource":
		return true
	}
	return false
}

// nestedParameterError refuses a known parameter that is written as a list or an object, as in scope[a]=b. Taken literally it
// is an unknown parameter, but ignoring it would grant more than was asked for: without scope, everything that the app has
// registered.
func nestedParameterError(params web.Values) *issuer.Error {
	for _, name := range params.Names() {
		if base, _, found := strings.Cut(name, "["); found && isParameter(base) {
			return issuer.Errorf(issuer.InvalidRequest, "%s must be a single string, not a list or an object", base)
		}
	}
	return nil
}

// readScope returns the requested scopes and their spelling; without the parameter, all scopes of the app (RFC 6749 §3.3).
// Scopes that were removed from the catalogue after the app registered them are left out, since the consent page could not
// describe them.
func (h *Handler) readScope(sent string, app store.App) (scope.Set, string, *issuer.Error) {
	if sent == "" {
		all := h.catalogue.Known(app.Scopes)
		if all.Len() == 0 {
			return scope.Set{}, "", issuer.Errorf(issuer.InvalidScope, "none of the scopes registered for this app exist any more")
		}
		return all, "", nil
	}
	asked, fault := h.catalogue.Ask(sent)
	if fault != "" {
		return scope.Set{}, "", issuer.Errorf(issuer.InvalidScope, "%s", fault)
	}
	if !app.Scopes.Covers(asked.Scopes) {
		return scope.Set{}, "", issuer.Errorf(issuer.InvalidScope, "scope includes a scope that this app did not register")
	}
	return asked.Scopes, asked.Words, nil
}

// readChallenge accepts only S256, and requires the method to be named: the default of RFC 7636 §4.3 is plain.
func readChallenge(params web.Values, app store.App) (string, *issuer.Error) {
	challenge, method := params.Get("code_challenge"), params.Get("code_challenge_method")
	switch {
	case challenge == "" && method != "":
		return "", issuer.Errorf(issuer.InvalidRequest, "code_challenge is missing, but code_challenge_method was sent")
	case challenge == "" && needsChallenge(app):
		return "", errChallengeMissing()
	case challenge == "":
		return "", nil
	case method != "S256":
		return "", issuer.Errorf(issuer.InvalidRequest, "code_challenge_method must be S256")
	case !validChallenge(challenge):
		return "", issuer.Errorf(issuer.InvalidRequest, "code_challenge must be 43 characters of base64url without padding")
	}
	return challenge, nil
}

func needsChallenge(app store.App) bool { return !app.Confidential || app.PKCERequired }

func errChallengeMissing() *issuer.Error {
	return issuer.Errorf(issuer.InvalidRequest, "code_challenge is required for this app (PKCE, RFC 7636)")
}

// validChallenge reports whether s has the form of a SHA-256 in base64url without padding: 43 characters.
func validChallenge(s string) bool {
	if len(s) != 43 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

const (
	maxResources   = 10
	maxResourceLen = 500
)

// readResources reads resource indicators (RFC 8707 §2): absolute URIs without fragment.
func readResources(params web.Values) ([]string, *issuer.Error) {
	var list []string
	given := 0
	for _, s := range params.All("resource") {
		if s == "" {
			continue
		}
		given++
		u, err := url.Parse(s)
		if err != nil || !u.IsAbs() || strings.ContainsAny(s, "# ") || len(s) > maxResourceLen || !printableASCII(s) {
			return nil, issuer.Errorf(issuer.InvalidTarget, "resource must be an absolute URI without a fragment")
		}
		if !scope.HasResource(list, s) {
			list = append(list, s)
		}
	}
	if given > maxResources {
		return nil, issuer.Errorf(issuer.InvalidTarget, "resource is given more than %d times", maxResources)
	}
	return list, nil
}

func printableASCII(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return true
}
