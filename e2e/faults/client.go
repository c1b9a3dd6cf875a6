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
)

// hang is how long a client waits before it calls an answer none.
const hang = 20 * time.Second

// client sends requests and knows how many are under way.
type client struct {
	http   *http.Client
	epoch  time.Time
	flying atomic.Int64
}

func newClient() *client {
	return &client{epoch: time.Now(), http: &http.Client{
		Timeout: hang,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1000, IdleConnTimeout: time.Minute, DisableCompression: true,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// now is the time by the clock of the ledger. It is never 0.
func (c *client) now() time.Duration { return time.Since(c.epoch) + 1 }

// reply is an answer, or none.
type reply struct {
	status     int
	header     http.Header
	body       []byte
	err        error
	start, end time.Duration
}

// do sends a request, with the cookies of a jar if there is one.
func (c *client) do(request *http.Request, jar http.CookieJar) (r reply) {
	client := *c.http
	client.Jar = jar
	r.start = c.now()
	c.flying.Add(1)
	response, err := client.Do(request)
	if err == nil {
		r.status, r.header = response.StatusCode, response.Header
		r.body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	c.flying.Add(-1)
	r.err, r.end = err, c.now()
	return r
}

// post sends a form.
func (c *client) post(ctx context.Context, address string, form url.Values) reply {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{err: err, start: c.now(), end: c.now()}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(request, nil)
}

// bearer sends a GET with a token.
func (c *client) bearer(ctx context.Context, address, token string) reply {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{err: err, start: c.now(), end: c.now()}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return c.do(request, nil)
}

// member is a text of a JSON answer.
func (r reply) member(name string) string {
	var object map[string]any
	if json.Unmarshal(r.body, &object) != nil {
		return ""
	}
	text, _ := object[name].(string)
	return text
}

// trouble is the outcome of a reply that says nothing about a credential: no answer, a truthful refusal, or nonsense.
func (r reply) trouble() Outcome {
	var network net.Error
	switch {
	case r.err != nil && errors.As(r.err, &network) && network.Timeout():
		return Wrong
	case r.err != nil:
		return Lost
	case r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "":
		return Away
	}
	return Wrong
}

// granted is the outcome at the token endpoint.
func (r reply) granted() Outcome {
	switch {
	case r.err == nil && r.status == http.StatusOK && r.member("access_token") != "":
		return OK
	case r.err == nil && r.status == http.StatusBadRequest && r.member("error") == "invalid_grant":
		return Refused
	}
	return r.trouble()
}

// known is the outcome at /api/me.
func (r reply) known() Outcome {
	switch {
	case r.err == nil && r.status == http.StatusOK && r.member("token_type") != "":
		return OK
	case r.err == nil && r.status == http.StatusUnauthorized && r.member("error") == "invalid_token":
		return Refused
	}
	return r.trouble()
}

// active is the outcome at the introspection endpoint.
func (r reply) active() Outcome {
	if r.err == nil && r.status == http.StatusOK {
		switch text := strings.TrimSpace(string(r.body)); {
		case text == `{"active":false}`:
			return Refused
		case strings.HasPrefix(text, `{"active":true,`):
			return OK
		}
	}
	return r.trouble()
}

// revoked is the outcome at the revocation endpoint.
func (r reply) revoked() Outcome {
	if r.err == nil && r.status == http.StatusOK {
		return OK
	}
	return r.trouble()
}

// detail is a reply in few words, without anything secret.
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
