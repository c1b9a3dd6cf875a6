package bearer

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxToken bounds a token. Xenoauth's own have less than 100 characters, user tokens (JWT) less than a thousand.
const maxToken = 8 << 10

// maxPeek is how much of a form is looked at for a second token.
const maxPeek = 64 << 10

// tokenOf reads the access token of a request from its Authorization header (RFC 6750 §2.1). Tokens in a URL end in logs,
// and tokens in a body are forgotten about by whoever guards the header: alone they count as no token, beside the header
// they are a 400.
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

// parseHeader reads "Bearer", in any case, one or more spaces (RFC 9110 §11.4) and a token. It allocates nothing, however long the header is.
func parseHeader(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && wellFormed(token)
}

// wellFormed says whether s can be a token: b64token of RFC 6750 §2.1, of bounded length.
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

// tokenInForm says whether the start of a form body holds a token, too. The handler reads the body as if nobody had: r's
// Body is replaced. Ask only for requests that may pass, so that nobody else's body is waited for.
func tokenInForm(r *http.Request) bool {
	if r.PostForm.Has("access_token") {
		return true
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Body == nil || media != "application/x-www-form-urlencoded" {
		return false
	}
	// What went wrong while reading, the handler meets again.
	start, _ := io.ReadAll(io.LimitReader(r.Body, maxPeek))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
	form, _ := url.ParseQuery(string(start))
	return form.Has("access_token")
}
