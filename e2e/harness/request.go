package harness

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// NewRequest is a request with a form for a body, nil for none, and headers given as name, value, …
func NewRequest(ctx context.Context, method, address string, form url.Values, headers ...string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form == nil {
		request.Body, request.GetBody, request.ContentLength = http.NoBody, nil, 0
	} else {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return request, nil
}

// PageHeaders are the headers that a browser adds to a form of a page of the server at base.
func PageHeaders(base string) []string {
	return []string{"Accept", "text/html,application/xhtml+xml", "Origin", base, "Sec-Fetch-Site", "same-origin"}
}

// send sends a request to a path of the server.
func (e *Env) send(method, path string, form url.Values, headers ...string) Answer {
	e.t.Helper()
	request, err := NewRequest(context.Background(), method, e.URL+path, form, headers...)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.Do(request)
}

// sendText sends a body of any content type ("" for none) to a path of the server.
func (e *Env) sendText(path, contentType, body string, headers ...string) Answer {
	e.t.Helper()
	request, err := http.NewRequest(http.MethodPost, e.URL+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return e.Do(request)
}

// Fetch sends a request to any server, without cookies: with a form for a POST, nil for a GET.
func Fetch(t testing.TB, method, address string, form url.Values) Answer {
	t.Helper()
	request, err := NewRequest(context.Background(), method, address, form)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, client, request)
}
