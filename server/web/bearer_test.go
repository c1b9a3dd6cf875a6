package web

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"xenoauth/internal/secret"
)

func bearerRequest(header, query, contentType, body string) *http.Request {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/api/me", RawQuery: query}, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// FuzzBearerToken: an accepted token follows the scheme and one or more spaces exactly, contains no white space, and is the only
// token of the request. A refusal is an *Error, 401 unless another part of the request is wrong, and does not repeat the input.
func FuzzBearerToken(f *testing.F) {
	for _, seed := range [][4]string{
		{"Bearer x", "", "", ""}, {"bearer  x", "", "", ""}, {"Bearer\tx", "a=b", "", ""}, {"Bearer x", "access_token=x", "", ""}, {"Bearer x", "%61ccess_token", "", ""},
		{"Bearer x", "a=%zz", "", ""}, {"Bearer x", "a;access_token=x", "", ""}, {"Bearer x", "", formType, "access_token=x"}, {"Bearer x", "", formType + "; charset=UTF-8", "a=1&access_token"},
		{"Bearer x", "", "application/x-www-form-urlencoded; charset=utf-16", "x"}, {"", "access_token=x", formType, "access_token=x"}, {"Bearer", "", "", ""}, {"Basic eDp5", "", "", ""},
		{"BEARER " + strings.Repeat(".", 100), "", "a/b; c", "access_token=x"}, {"Bearer \u00a0x", "", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, header, query, contentType, body string) {
		token, err := BearerToken(bearerRequest(header, query, contentType, body))
		if err == nil {
			if token == "" || strings.ContainsAny(token, " \t") || !strings.EqualFold(header[:7], "Bearer ") || strings.TrimLeft(header[7:], " ") != token {
				t.Fatalf("header %q gives the token %q", header, token)
			}
			// url.ParseQuery drops malformed pairs.
			if values, err := url.ParseQuery(query); err != nil || values.Has("access_token") {
				t.Fatalf("accepted with a token in the query %q: %v", query, err)
			}
			if values, err := url.ParseQuery(body); contentType == formType && (err != nil || values.Has("access_token")) {
				t.Fatalf("accepted with a token in the form %q: %v", body, err)
			}
			return
		}
		var refused *Error
		if token != "" || !errors.As(err, &refused) {
			t.Fatalf("%q gives %q and %v", header, token, err)
		}
		switch refused.Status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		default:
			t.Fatalf("status %d", refused.Status)
		}
		if header == "" && (refused.Status != http.StatusUnauthorized || refused.Header.Get("WWW-Authenticate") != `Bearer realm="xenoauth"`) {
			t.Fatalf("no header: %d, %v", refused.Status, refused.Header)
		}
		if _, secret, found := strings.Cut(header, " "); found && len(secret) > 20 && strings.Contains(err.Error(), secret) {
			t.Fatalf("the error repeats the header: %v", err)
		}
	})
}

// Not parallel: testing.AllocsPerRun counts the allocations of all goroutines.
func TestBearerToken_NoAllocation(t *testing.T) {
	for _, text := range []string{strings.Repeat(".", 60<<10), secret.Format{}.New(secret.Access).Reveal()} {
		r := bearerRequest("Bearer "+text, "", "", "")
		if n := testing.AllocsPerRun(100, func() {
			if token, err := BearerToken(r); err != nil || len(token) != len(text) {
				t.Errorf("BearerToken: %d bytes, %v", len(token), err)
			}
		}); n != 0 {
			t.Errorf("reading a header of %d bytes allocates %.0f times", len(text), n)
		}
	}
	long := strings.Repeat(".", 60<<10)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := (secret.Format{}).Parse(long); ok {
			t.Error("dots are accepted as a credential")
		}
	}); n != 0 {
		t.Errorf("parsing 60 kB of dots allocates %.0f times", n)
	}
}
