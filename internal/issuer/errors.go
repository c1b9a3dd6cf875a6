package issuer

import (
	"errors"
	"fmt"
)

// Error is a protocol error, the answer to an app or a browser whose request is refused (docs/errors.md). A failure of the
// database is never an Error: it stays the store's own error and becomes a 503.
type Error struct {
	Code        string // registered error code, such as invalid_grant (RFC 6749 §4.1.2.1 and §5.2)
	Description string // a sentence for the app's developer: printable ASCII without quotes and backslashes, no secrets
	Status      int    // HTTP status; 0: the usual one of the code
	Cause       error  // for the log
}

// ErrUnknown is the cause of a refusal of a credential that this client never had, which looks like guessing or theft and counts
// as a failed attempt.
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

// Errorf makes an Error with a formatted description. The arguments must be safe to show: no credentials, and no text from
// the request unless it was checked against a fixed list.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// ClientRefused is the answer to a client that fails to authenticate. It is the same, to the byte, for an unknown id, a
// suspended app and a wrong secret, and depends only on whether a secret was sent.
func ClientRefused(secretSent bool, cause error) *Error {
	description := "client authentication failed: client_secret is missing, and no active public app has this client_id"
	if secretSent {
		description = "client authentication failed: no active app or resource server has this client_id and client_secret"
	}
	return &Error{Code: InvalidClient, Description: description, Cause: cause}
}

// Error implements error, for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.Cause)
	}
	return e.Code + ": " + e.Description
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// because sets the cause, for the log.
func (e *Error) because(err error) *Error {
	e.Cause = err
	return e
}
