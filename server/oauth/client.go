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

// authenticate is the client authentication of all endpoints (RFC 6749 §2.3): client_secret_basic, client_secret_post, and
// none for public apps. Credentials in a URL are never read, because URLs are logged. Two methods in one request are refused:
// whichever is checked, the other could belong to another client. A Bearer header is not client authentication and is
// ignored, because interceptors of browser apps add one to every request.
//
// A mistake in the form of the request gets a description of its own. Every other refusal is the same and does not depend on
// stored data. Failures are counted, and a caller with too many gets 429.
func (h *Handler) authenticate(r *http.Request, params web.Values) (store.Client, error) {
	presented, err := readClient(r, params)
	var client store.Client
	if err == nil {
		client, err = h.verify.Client(r.Context(), presented)
	}
	if errors.Is(err, verify.ErrClient) {
		err = issuer.ClientRefused(len(presented.Secrets) > 0, err)
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
	if len(headers) > 1 {
		return verify.ClientCredentials{}, issuer.Errorf(issuer.InvalidRequest, "send only one Authorization header")
	}
	header := strings.Join(headers, "")
	scheme, _, _ := strings.Cut(header, " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	basic := header != "" && !bearer
	bodySecret := params.Get("client_secret")
	assertion := params.Get("client_assertion") != "" || params.Get("client_assertion_type") != ""
	methods := 0
	for _, used := range []bool{basic, bodySecret != "", assertion} {
		if used {
			methods++
		}
	}
	switch {
	case methods > 1:
		return verify.ClientCredentials{}, issuer.Errorf(issuer.InvalidRequest, "use only one client authentication method")
	case assertion:
		return verify.ClientCredentials{}, errClient("client_assertion is not supported; use client_secret_basic or client_secret_post")
	case basic:
		return readBasic(header, params.Get("client_id"))
	case params.Get("client_id") == "" && bearer:
		return verify.ClientCredentials{}, errClient("client_id is missing; URL parameters are ignored, and a Bearer token does not authenticate a client")
	case params.Get("client_id") == "":
		return verify.ClientCredentials{}, errClient("client_id is missing; URL parameters are ignored")
	}
	c := verify.ClientCredentials{ID: params.Get("client_id")}
	if bodySecret != "" {
		c.Secrets = []secret.Text{secret.Text(bodySecret)}
	}
	return c, nil
}

// readBasic reads client_secret_basic. RFC 6749 §2.3.1 has both parts form-urlencoded, but curl and some libraries send them
// raw, so the secret is tried both ways. An empty secret counts as none, because libraries that probe the method send it for a
// public app.
func readBasic(header, bodyID string) (verify.ClientCredentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return verify.ClientCredentials{}, errClient("the Authorization header must use the Basic scheme; alternatively, send client_id and client_secret in the body")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " ")) // RFC 9110 §11.4: one space or more
	rawID, rawSecret, found := strings.Cut(string(raw), ":")
	if err != nil || !found {
		return verify.ClientCredentials{}, errClient("the Authorization header must be Basic followed by the base64 of client_id:client_secret")
	}
	id, err := url.QueryUnescape(rawID)
	if err != nil {
		id = rawID
	}
	if id == "" {
		return verify.ClientCredentials{}, errClient("client_id is missing from the Authorization header")
	}
	// No client id has other characters, and the store refuses NUL and invalid UTF-8 in a query.
	if !printableASCII(id) {
		return verify.ClientCredentials{}, issuer.ClientRefused(rawSecret != "", nil)
	}
	if bodyID != "" && bodyID != id {
		return verify.ClientCredentials{}, issuer.Errorf(issuer.InvalidRequest, "client_id in the body differs from the one in the Authorization header")
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

// errClient refuses a request whose form cannot authenticate any client.
func errClient(description string) *issuer.Error {
	return issuer.Errorf(issuer.InvalidClient, "%s", description)
}
