package web

import (
	"mime"
	"net/http"
	"strings"
)

// BearerToken reads the access token of a request from the Authorization header only (RFC 6750 §2.1). A token in a URL ends up
// in logs, and a token in a body evades proxies that check the header. Without the header both count as no token, with it they
// are a 400.
//
// Errors are *Error: 401 with a bare challenge if there is no token, 401 invalid_token for a malformed header or another scheme,
// 400 for a second token, and for a malformed query or form, which could hide one.
func BearerToken(r *http.Request) (string, error) {
	if len(r.Header.Values("Authorization")) > 0 {
		if err := onlyInHeader(r); err != nil {
			return "", err
		}
	}
	return HeaderToken(r)
}

// HeaderToken is BearerToken for requests whose query and body belong to another service: it reads the Authorization header and
// ignores everything else. Errors are *Error: 401 with a bare challenge if there is no header, 401 invalid_token unless the
// header holds exactly one token.
func HeaderToken(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "send an access token in the Authorization header",
			Header: http.Header{"Www-Authenticate": {`Bearer realm="xenoauth"`}}}
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimLeft(token, " ") // 1*SP (RFC 9110 §11.4), unlike the one space of RFC 6750 §2.1
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", InvalidToken()
	}
	return token, nil
}

// onlyInHeader refuses a token in the other two places that RFC 6750 allows (§2.2 and 2.3).
func onlyInHeader(r *http.Request) error {
	const name = "access_token"
	query, err := ParseQuery(r)
	if err != nil {
		return err
	}
	if query.All(name) != nil {
		return BadRequest(name, "must not be sent in a URL or together with an Authorization header")
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "" { // the usual case
		return nil
	}
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != formType {
		return nil
	}
	body, err := ParseBody(nil, r)
	if err != nil {
		return err
	}
	if body.All(name) != nil {
		return BadRequest(name, "must not be sent together with an Authorization header")
	}
	return nil
}

// ExpiredToken is the 403 for an expired user token. Its holder gets a new one with the refresh token (docs/dialects.md, User
// tokens).
func ExpiredToken() *Error {
	return PermissionDenied("the user token has expired; get a new one with its refresh token")
}

// PermissionDenied is the 403 for an expired user token (docs/errors.md).
func PermissionDenied(why string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "invalid_token", Description: "Permission Denied: " + why,
		Header: http.Header{"Www-Authenticate": {`Bearer realm="xenoauth", error="invalid_token"`}}}
}

// InvalidToken is the 401 for every token that is not valid, whatever the reason (RFC 6750 §3.1).
func InvalidToken() *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the access token is malformed, unknown, expired or revoked"}
}
