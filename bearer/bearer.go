// Package bearer protects an HTTP API with Xenoauth access tokens. Its middleware introspects the token of each request
// (RFC 7662), enforces scopes and permissions, and puts a typed Identity into the request's context. It imports only the
// standard library.
//
// The token is read from a single Authorization header. The responses are those of RFC 6750 §3: 401 without a valid token,
// 403 if the token lacks a requirement of the route or is an expired user token, 400 if the token is sent twice. If a token
// cannot be verified (no connection, a timeout, a 5xx, an unexpected response, rejected client credentials), the response is
// 503. It is never 401, because clients discard a token that gets one, and the protected handler does not run.
//
// # Revocation takes effect at once
//
// By default each request is verified by a call that is sent after the request arrived, so that it sees every earlier
// revocation. Requests with the same token still share calls: while one call is in flight, later requests queue, and a
// single call, sent when the first has ended, answers all of them. A request joins only a call that has not been sent. A call
// in flight may have been decided before a revocation that the request must see, so sharing its result, as singleflight
// does, would accept a revoked token. The cost is a wait of up to two round trips, or up to twice Config.Timeout when
// Xenoauth does not respond.
//
// Config.CacheFor trades this for fewer calls: a revocation then takes effect after at most that time.
package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrInvalid reports a token that is malformed, unknown, expired or revoked, not a bearer token, or for another audience.
// Introspection does not reveal which.
var ErrInvalid = errors.New("bearer: the token is not valid")

// ErrExpired is an ErrInvalid for a user token (a JWT) whose exp claim has passed. Its client can use the refresh token
// instead of logging in again; the 403 from Require signals this.
var ErrExpired = fmt.Errorf("%w: the user token has expired", ErrInvalid)

// ErrUnavailable reports that the token could not be verified. The error's text has the reason and no secret.
var ErrUnavailable = errors.New("bearer: tokens cannot be verified")

const (
	defaultTimeout   = 2 * time.Second
	defaultCacheSize = 10_000
	idleConnections  = 64 // kept open to Xenoauth, because an API verifies many requests at once
)

// Config is how to reach Xenoauth, and which tokens the API accepts. ClientID, ClientSecret, and Issuer or Endpoint are
// required. Its printed form omits the secret.
type Config struct {
	Issuer   string // Xenoauth's public origin, such as "https://auth.example.com". Responses of another issuer are refused.
	Endpoint string // the introspection endpoint; "" is Issuer + "/oauth/introspect"

	// The credentials of this API, as printed by "xenoauth resource add".
	ClientID     string
	ClientSecret string `json:"-"`

	// Audience, if set, must be one of the token's audiences (RFC 8707; see Identity.IsFor); a token without an audience is
	// then invalid. If it is not set, Require refuses a token that is restricted to audiences, because it is meant for
	// another API, unless a requirement names one of them with For.
	Audience string

	// HTTPClient makes the calls; nil is a client of the package's own. Redirects are never followed and cookies never kept,
	// because a redirect would send the token to another server.
	HTTPClient *http.Client
	Timeout    time.Duration // of one call; 0 is two seconds

	// CacheFor is how long the identity of a valid token is reused, counted from the start of the call that returned it. A
	// revocation takes effect that much later. 0 disables the cache. The key is the token's hash, and an entry ends with the
	// token at the latest.
	CacheFor  time.Duration
	CacheSize int // maximum number of entries; 0 is 10,000

	Realm string // of the challenges; "" is xenoauth

	// OnTrouble is called once for each call that ended with ErrUnavailable; nil logs to slog.Default. It must be safe for
	// concurrent use.
	OnTrouble func(context.Context, error)
}

// Format prints the settings, for every verb, without the secret.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "bearer.Config{Issuer:%q Endpoint:%q ClientID:%q ClientSecret:[redacted] Audience:%q Timeout:%v CacheFor:%v CacheSize:%d Realm:%q}",
		c.Issuer, c.Endpoint, c.ClientID, c.Audience, c.Timeout, c.CacheFor, c.CacheSize, c.Realm)
}

// Verifier verifies tokens. It is safe for concurrent use and does not need to be closed.
type Verifier struct {
	endpoint  string
	issuer    string
	audience  string
	realm     string
	authorize func(*http.Request) // a closure, because fmt would print a string field
	client    *http.Client
	timeout   time.Duration
	trouble   func(context.Context, error)
	queue     *queue
	cache     *cache
}

// New returns a Verifier. The error lists every invalid setting. New makes no call, so that the API can start while Xenoauth
// is down.
func New(c Config) (*Verifier, error) {
	if c.Endpoint == "" {
		c.Endpoint = strings.TrimSuffix(c.Issuer, "/") + "/oauth/introspect"
	}
	if c.Realm == "" {
		c.Realm = "xenoauth"
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCacheSize
	}
	if c.OnTrouble == nil {
		c.OnTrouble = func(ctx context.Context, err error) {
			slog.ErrorContext(ctx, "access tokens cannot be verified", "error", err)
		}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	// RFC 6749 §2.3.1: both parts are form-urlencoded first.
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ClientID)+":"+url.QueryEscape(c.ClientSecret)))
	return &Verifier{
		endpoint: c.Endpoint, issuer: strings.TrimSuffix(c.Issuer, "/"), audience: c.Audience, realm: c.Realm,
		authorize: func(r *http.Request) { r.Header.Set("Authorization", basic) },
		client:    newClient(c.HTTPClient), timeout: c.Timeout, trouble: c.OnTrouble,
		queue: newQueue(), cache: newCache(c.CacheFor, c.CacheSize),
	}, nil
}

func (c Config) check() error {
	var faults []error
	fault := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, errors.New("bearer: "+text))
		}
	}
	u, err := url.Parse(c.Endpoint)
	fault(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "",
		"Issuer or Endpoint must be an http or https URL without user, query and fragment")
	fault(c.ClientID == "" || c.ClientSecret == "", "ClientID and ClientSecret are required")
	fault(c.Timeout < 0 || c.CacheFor < 0 || c.CacheSize < 0, "Timeout, CacheFor and CacheSize must not be negative")
	fault(strings.ContainsFunc(c.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }),
		"Realm must be printable ASCII without quotes and backslashes")
	return errors.Join(faults...)
}

func newClient(given *http.Client) *http.Client {
	client := http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: 90 * time.Second,
	}}
	if given != nil {
		client = *given
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// Verify returns the identity of a token. The error is ErrInvalid for a token that is not valid (ErrExpired for an expired user
// token), and ErrUnavailable if it could not be verified or ctx ended first. A malformed token is ErrInvalid without a call.
// The audience is checked only if Config.Audience is set; a caller that does not use Require must check Identity.Audience.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if !wellFormed(token) {
		return Identity{}, ErrInvalid
	}
	k := key(sha256.Sum256([]byte(token)))
	id, kept := v.cache.get(k, time.Now())
	if kept {
		return id.clone(), nil
	}
	id, err := v.queue.ask(ctx, k, func(ctx context.Context) (Identity, error) { return v.introspect(ctx, k, token) })
	if errors.Is(err, ErrInvalid) && claimsExpired(token, time.Now()) {
		err = ErrExpired
	}
	return id.clone(), err
}

// introspect makes one call and evaluates its response.
func (v *Verifier) introspect(ctx context.Context, k key, token string) (Identity, error) {
	sent := time.Now()
	a, err := v.call(ctx, token)
	if err == nil && a.active && v.issuer != "" && a.issuer != v.issuer {
		err = errors.New("the response is from another issuer")
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		if ctx.Err() == nil { // a request that its client gave up is no trouble to report
			v.trouble(ctx, err)
		}
		return Identity{}, err
	}
	// A refresh token is active for its own app, but has no token type; a key-bound token has another type.
	if !a.active || !strings.EqualFold(a.tokenType, "Bearer") || v.audience != "" && !a.identity.IsFor(v.audience) {
		v.cache.drop(k)
		return Identity{}, ErrInvalid
	}
	v.cache.put(k, a.identity, sent)
	return a.identity, nil
}

// call sends the request and reads the response. Its errors contain neither the token nor the secret.
func (v *Verifier) call(ctx context.Context, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	v.authorize(request)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	// An empty value is not sent. It marks the request as safe to repeat, which the transport does if an idle connection turns
	// out to be closed.
	request.Header["Idempotency-Key"] = []string{}
	response, err := v.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("read the response: %w", err)
	}
	return readAnswer(response.StatusCode, response.Header.Get("Content-Type"), body)
}
