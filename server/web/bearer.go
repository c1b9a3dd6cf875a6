package web

import (
	"net/http"
	"strings"
)

// BearerToken reads the access token of a request (RFC 6750 §2.1): the Authorization header, and nothing else. Tokens in
// a URL end in logs, tokens in a body are forgotten about by whoever guards the header, so both are refused: alone they
// count as no token, beside the header they are a 400.
//
// Errors are *Error: 401 with a bare challenge if there is no token, 401 invalid_token for a malformed header or another
// scheme.
func BearerToken(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "send an access token in the Authorization header",
			Header: http.Header{"Www-Authenticate": {`Bearer realm="xenoauth"`}}}
	}
	if r.URL.Query().Has("access_token") {
		return "", BadRequest("access_token", "must not be sent beside an Authorization header, or in a URL at all")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", InvalidToken()
	}
	return token, nil
}

// InvalidToken is the 401 for every token that is not good, whatever the reason (RFC 6750 §3.1).
func InvalidToken() *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the access token is malformed, unknown, expired or revoked"}
}
