package bearer

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxToken is the maximum length of a token. Xenoauth's own have fewer than 100 characters, user tokens (JWT) fewer than 1,000.
const maxToken = 8 << 10

// maxPeek is how many bytes of a form are searched for a second token.
const maxPeek = 64 << 10

// tokenOf reads the access token from the Authorization header (RFC 6750 §2.1). A token in the URL would be logged, and one in
// the body would bypass a proxy that checks the header. Alone, these count as no token; beside the header, they are a 400.
func tokenOf(r *http.Request) (string, *refusal) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", &refusal{status: http.StatusUnauthorized, description: "send an access token in the Authorization header"}
	}
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return "", twoMethods
	}
	token, ok := parseHeader(headers[0])
	if len(headers) > 1 || !ok {
		return "", invalidToken
	}
	return token, nil
}

// parseHeader reads "Bearer" in any case, one or more spaces (RFC 9110 §11.4), and a token. It does not allocate, whatever the
// length of the header.
func parseHeader(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && wellFormed(token)
}

// wellFormed reports whether s is a b64token (RFC 6750 §2.1) of at most maxToken characters.
func wellFormed(s string) bool {
	if len(s) > maxToken {
		return false
	}
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// tokenInForm reports whether the first maxPeek bytes of a form body contain a token. It replaces r.Body, so that the handler
// still reads the whole body. Call it only for a request that has been accepted: waiting for the body of another would let a
// client without a token occupy the server.
func tokenInForm(r *http.Request) bool {
	if r.PostForm.Has("access_token") {
		return true
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Body == nil || media != "application/x-www-form-urlencoded" {
		return false
	}
	// The handler gets a read error when it reads the body itself.
	start, _ := io.ReadAll(io.LimitReader(r.Body, maxPeek))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
	form, _ := url.ParseQuery(string(start))
	return form.Has("access_token")
}
