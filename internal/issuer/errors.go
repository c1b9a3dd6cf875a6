package issuer

import (
	"errors"
	"fmt"
)

// Error is a protocol error: what an app or a browser is told when a request of the OAuth endpoints is refused.
// Trouble of the database is never one of these; it stays the store's own error and becomes a 503.
type Error struct {
	Code        string // registered error code, such as invalid_grant (RFC 6749 §4.1.2.1 and §5.2)
	Description string // a sentence for the app's developer: printable ASCII without quotes and backslashes, no secrets
	Status      int    // HTTP status, if it is not the usual one of the code
	Cause       error  // for the log
}

// ErrUnknown is the cause of a refusal when what was presented is no credential of this client's at all, live or dead:
// somebody guesses, or uses what is not theirs.
var ErrUnknown = errors.New("no such credential of this client's")

// Error codes of RFC 6749, RFC 8707 and OpenID Connect Core §3.1.2.6.
const (
	InvalidRequest          = "invalid_request"
	InvalidClient           = "invalid_client"
	InvalidGrant            = "invalid_grant"
	InvalidScope            = "invalid_scope"
	InvalidTarget           = "invalid_target"
	UnauthorizedClient      = "unauthorized_client"
	UnsupportedGrantType    = "unsupported_grant_type"
	UnsupportedResponseType = "unsupported_response_type"
	AccessDenied            = "access_denied"
	LoginRequired           = "login_required"
	ConsentRequired         = "consent_required"
	TemporarilyUnavailable  = "temporarily_unavailable"
)

// Errorf makes an Error whose description is formatted. Arguments must be safe to show: never a credential, and nothing
// that a request chose, unless it was checked against a closed list.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// ClientRefused is the one answer to a client that is not proven, to the byte, whether its id is unknown, its app is
// disabled or its secret is wrong. It depends on nothing but whether a secret was sent.
func ClientRefused(secretSent bool, cause error) *Error {
	description := "client authentication failed: client_secret is missing, and no active public app has this client_id"
	if secretSent {
		description = "client authentication failed: no active app or resource server has this client_id and client_secret"
	}
	return &Error{Code: InvalidClient, Description: description, Cause: cause}
}

// Error is for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.Cause)
	}
	return e.Code + ": " + e.Description
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// because adds the cause for the log.
func (e *Error) because(err error) *Error {
	e.Cause = err
	return e
}
