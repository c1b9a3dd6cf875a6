package oauth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
	"xenoauth/store"
)

// authenticate is the one client authentication of all endpoints (RFC 6749 §2.3): client_secret_basic,
// client_secret_post, and none for public apps. Credentials in a URL are never read, because URLs are logged. Two
// methods in one request are refused: whichever is checked, the other one could belong to somebody else.
//
// Failures are counted. Whoever fails too often is told to wait instead of what was wrong.
func (h *Handler) authenticate(r *http.Request, params web.Values) (store.Client, error) {
	presented, err := readClient(r, params)
	var client store.Client
	if err == nil {
		client, err = h.verify.Client(r.Context(), presented)
	}
	if errors.Is(err, verify.ErrClient) {
		err = errClient(err)
	}
	var refusal *issuer.Error
	if errors.As(err, &refusal) && refusal.Code == issuer.InvalidClient {
		err = h.web.Refused(r, err)
	}
	if err != nil {
		return store.Client{}, err
	}
	return client, nil
}

func readClient(r *http.Request, params web.Values) (verify.ClientCredentials, error) {
	headers := r.Header.Values("Authorization")
	bodySecret := params.Get("client_secret")
	assertion := params.Get("client_assertion") != "" || params.Get("client_assertion_type") != ""
	methods := 0
	for _, used := range []bool{len(headers) > 0, bodySecret != "", assertion} {
		if used {
			methods++
		}
	}
	switch {
	case len(headers) > 1 || methods > 1:
		return verify.ClientCredentials{}, issuer.Errorf(issuer.InvalidRequest, "two methods of client authentication are used; use one")
	case assertion:
		return verify.ClientCredentials{}, errClient(nil)
	case len(headers) == 1:
		return readBasic(headers[0], params.Get("client_id"))
	case params.Get("client_id") == "":
		return verify.ClientCredentials{}, errClient(nil)
	}
	c := verify.ClientCredentials{ID: params.Get("client_id")}
	if bodySecret != "" {
		c.Secrets = []secret.Text{secret.Text(bodySecret)}
	}
	return c, nil
}

// readBasic reads client_secret_basic. Both parts are form-urlencoded by RFC 6749 §2.3.1, but curl and some libraries
// send them raw, so the secret is tried both ways. An empty secret is none, as libraries that probe send it for a
// public app.
func readBasic(header, bodyID string) (verify.ClientCredentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return verify.ClientCredentials{}, errClient(nil)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return verify.ClientCredentials{}, errClient(nil)
	}
	rawID, rawSecret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return verify.ClientCredentials{}, errClient(nil)
	}
	id, err := url.QueryUnescape(rawID)
	if err != nil {
		id = rawID
	}
	// No client id has other characters; the store refuses to be asked for NUL and broken UTF-8.
	if !printableASCII(id) {
		return verify.ClientCredentials{}, errClient(nil)
	}
	if bodyID != "" && bodyID != id {
		return verify.ClientCredentials{}, issuer.Errorf(issuer.InvalidRequest, "client_id in the body is not the one of the Authorization header")
	}
	c := verify.ClientCredentials{ID: id}
	if rawSecret == "" {
		return c, nil
	}
	if decoded, err := url.QueryUnescape(rawSecret); err == nil {
		c.Secrets = append(c.Secrets, secret.Text(decoded))
	}
	c.Secrets = append(c.Secrets, secret.Text(rawSecret))
	return c, nil
}

// errClient is the one answer to everybody who is not proven to be a client, to the byte.
func errClient(cause error) error {
	return &issuer.Error{Code: issuer.InvalidClient, Description: "client authentication failed", Cause: cause}
}
