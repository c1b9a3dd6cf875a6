package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"xenoauth/e2e/harness"
)

// clientTimeout is how long a client waits for an answer.
const clientTimeout = 20 * time.Second

// client sends requests and counts those in flight.
type client struct {
	http     *http.Client
	epoch    time.Time
	inFlight atomic.Int64
}

func newClient() *client {
	return &client{epoch: time.Now(), http: &http.Client{
		Timeout: clientTimeout,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1000, IdleConnTimeout: time.Minute, DisableCompression: true,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// now is the time on the history's clock. It is never 0.
func (c *client) now() time.Duration { return time.Since(c.epoch) + 1 }

// reply is an answer, or an error instead of one.
type reply struct {
	status     int
	header     http.Header
	body       []byte
	err        error
	start, end time.Duration
}

// do sends a request, with the cookies of a jar if it is not nil.
func (c *client) do(request *http.Request, jar http.CookieJar) (r reply) {
	client := *c.http
	client.Jar = jar
	r.start = c.now()
	c.inFlight.Add(1)
	response, err := client.Do(request)
	if err == nil {
		r.status, r.header = response.StatusCode, response.Header
		r.body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	c.inFlight.Add(-1)
	r.err, r.end = err, c.now()
	return r
}

// send sends a request, with a form for a body (nil: none) and headers given as name, value, …
func (c *client) send(ctx context.Context, method, address string, form url.Values, jar http.CookieJar, headers ...string) reply {
	request, err := harness.NewRequest(ctx, method, address, form, headers...)
	if err != nil {
		return reply{err: err, start: c.now(), end: c.now()}
	}
	return c.do(request, jar)
}

// post sends a form.
func (c *client) post(ctx context.Context, address string, form url.Values) reply {
	return c.send(ctx, http.MethodPost, address, form, nil)
}

// bearer sends a GET with a token.
func (c *client) bearer(ctx context.Context, address, token string) reply {
	return c.send(ctx, http.MethodGet, address, nil, nil, "Authorization", "Bearer "+token)
}

// member is a string member of a JSON answer.
func (r reply) member(name string) string {
	var object map[string]any
	if json.Unmarshal(r.body, &object) != nil {
		return ""
	}
	text, _ := object[name].(string)
	return text
}

// failure is the outcome of a reply that is neither success nor refusal: no answer, 503, or a wrong answer.
func (r reply) failure() Outcome {
	var network net.Error
	switch {
	case r.err != nil && errors.As(r.err, &network) && network.Timeout():
		return Wrong
	case r.err != nil:
		return Unknown
	case r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "":
		return Unavailable
	}
	return Wrong
}

// tokenOutcome is the outcome at the token endpoint.
func (r reply) tokenOutcome() Outcome {
	switch {
	case r.err == nil && r.status == http.StatusOK && r.member("access_token") != "":
		return OK
	case r.err == nil && r.status == http.StatusBadRequest && r.member("error") == "invalid_grant":
		return Refused
	}
	return r.failure()
}

// meOutcome is the outcome at /api/me.
func (r reply) meOutcome() Outcome {
	switch {
	case r.err == nil && r.status == http.StatusOK && r.member("token_type") != "":
		return OK
	case r.err == nil && r.status == http.StatusUnauthorized && r.member("error") == "invalid_token":
		return Refused
	}
	return r.failure()
}

// introspectOutcome is the outcome at the introspection endpoint.
func (r reply) introspectOutcome() Outcome {
	if r.err == nil && r.status == http.StatusOK {
		switch text := strings.TrimSpace(string(r.body)); {
		case text == `{"active":false}`:
			return Refused
		case strings.HasPrefix(text, `{"active":true,`):
			return OK
		}
	}
	return r.failure()
}

// revokeOutcome is the outcome at the revocation endpoint.
func (r reply) revokeOutcome() Outcome {
	if r.err == nil && r.status == http.StatusOK {
		return OK
	}
	return r.failure()
}

// detail is a short form of the reply without secrets.
func (r reply) detail() string {
	if r.err != nil {
		var at *url.Error
		if errors.As(r.err, &at) {
			return at.Err.Error()
		}
		return r.err.Error()
	}
	text := fmt.Sprint(r.status)
	if r.status >= http.StatusBadRequest {
		text += " " + r.member("error") + ": " + r.member("error_description")
	}
	return text
}
