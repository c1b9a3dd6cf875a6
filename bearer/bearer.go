// Package bearer protects an HTTP API with Xenoauth's access tokens. Its middleware asks Xenoauth about the token of each
// request (RFC 7662), requires scopes or permissions, and puts a typed Identity into the request's context. It imports
// nothing but the standard library.
//
// It reads a token from one Authorization header and from nowhere else, and writes the answers of RFC 6750 §3: 401
// without a good token, 403 without what the route requires or with a user token that has expired, 400 for a token sent twice. When it cannot find out (no
// connection, a time-out, a 5xx, an answer that it does not understand, its own credentials refused) it answers 503:
// never 401, upon which clients throw good tokens away, and never with the protected handler.
//
// # Revocation is instant
//
// By default every request is verified by a call that is sent after the request came in, so whatever was revoked before
// is seen. Requests with the same token still share calls: while one is in flight, later requests gather behind it, and
// the next call, sent when it has ended, answers all of them. A request joins only a call that has not been sent yet.
// One in flight may have been decided before a revocation that the request must see; sharing its answer, as singleflight
// does, would let a revoked token in. The price is a wait of up to two round trips, and of up to twice Config.Timeout
// when Xenoauth hangs.
//
// Config.CacheFor gives that up for fewer calls, by a bounded time that the API's owner chooses.
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

// ErrInvalid: the token is malformed, unknown, expired or revoked, is no bearer token, or is for another audience. Which
// of them is not known.
var ErrInvalid = errors.New("bearer: the token is not valid")

// ErrExpired is ErrInvalid for a user token (a JWT) whose own claims say that its time is over. Its owner does not log in
// again but uses the refresh token, and is told so by 403 (see Require).
var ErrExpired = fmt.Errorf("%w: the user token has expired", ErrInvalid)

// ErrUnavailable: nobody can tell whether the token is good. The error's text says why and holds no secret.
var ErrUnavailable = errors.New("bearer: tokens cannot be verified")

const (
	defaultTimeout   = 2 * time.Second
	defaultCacheSize = 10_000
	idleConnections  = 64 // kept to Xenoauth: an API asks about many requests at once
)

// Config says how to reach Xenoauth, and what this API accepts. Issuer or Endpoint, ClientID and ClientSecret are
// required. It prints without the secret.
type Config struct {
	Issuer   string // Xenoauth's public origin: "https://auth.example.com". Answers of another issuer are refused.
	Endpoint string // the introspection endpoint, if it is not Issuer + "/oauth/introspect"

	// The credentials of this API, as "xenoauth resource add" printed them.
	ClientID     string
	ClientSecret string `json:"-"`

	// Audience, if set, must be among the token's audiences (RFC 8707; see Identity.IsFor). A token without any is then
	// invalid too. If it is not set, Require refuses every token that is narrowed to audiences, except where a requirement
	// names one by For: such a token is meant for another API.
	Audience string

	// HTTPClient makes the calls; nil: one of its own. Redirects are never followed and cookies never kept, whatever it
	// says, because a redirect would carry the token elsewhere.
	HTTPClient *http.Client
	Timeout    time.Duration // of one call; 0: two seconds

	// CacheFor is how long a good answer is used again, counted from when it was asked for: a revocation takes effect
	// that much later. 0: not at all, every request is asked about. Only good tokens are kept, under the hash of the
	// token, and never past their end.
	CacheFor  time.Duration
	CacheSize int // answers kept at most; 0: 10,000

	Realm string // of the challenges; "": xenoauth

	// OnTrouble is told once of each call that ended with ErrUnavailable; nil: slog.Default. It must be safe for
	// concurrent use.
	OnTrouble func(context.Context, error)
}

// Format prints the settings for every verb, and never the secret.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "bearer.Config{Issuer:%q Endpoint:%q ClientID:%q ClientSecret:[redacted] Audience:%q Timeout:%v CacheFor:%v CacheSize:%d Realm:%q}",
		c.Issuer, c.Endpoint, c.ClientID, c.Audience, c.Timeout, c.CacheFor, c.CacheSize, c.Realm)
}

// Verifier answers for tokens. It is safe for concurrent use and needs no closing.
type Verifier struct {
	endpoint  string
	issuer    string
	audience  string
	realm     string
	authorize func(*http.Request) // a closure, because fmt would print a string here
	client    *http.Client
	timeout   time.Duration
	trouble   func(context.Context, error)
	queue     *queue
	cache     *cache
}

// New makes a Verifier. It reports every fault of the settings at once and makes no call, so that an API starts while
// Xenoauth does not.
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

// Verify says whom a token stands for: ErrInvalid if it is not good (ErrExpired for a user token whose time is over), ErrUnavailable if nobody can tell, also when ctx
// ends first. What can be no token by its form is ErrInvalid without a call.
// Audiences are judged only if Config.Audience is set: a caller that does without Require looks at Identity.Audience.
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
	if errors.Is(err, ErrInvalid) && saysExpired(token, time.Now()) {
		err = ErrExpired
	}
	return id.clone(), err
}

// introspect makes one call and judges its answer.
func (v *Verifier) introspect(ctx context.Context, k key, token string) (Identity, error) {
	sent := time.Now()
	a, err := v.call(ctx, token)
	if err == nil && a.active && v.issuer != "" && a.issuer != v.issuer {
		err = errors.New("the response is from another issuer")
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		if ctx.Err() == nil { // a request that was given up is nobody's trouble
			v.trouble(ctx, err)
		}
		return Identity{}, err
	}
	// A refresh token asked about by its own app is active, but has no token type; one that is bound to a key has another.
	if !a.active || !strings.EqualFold(a.tokenType, "Bearer") || v.audience != "" && !a.identity.IsFor(v.audience) {
		v.cache.drop(k)
		return Identity{}, ErrInvalid
	}
	v.cache.put(k, a.identity, sent)
	return a.identity, nil
}

// call sends the question and reads the answer. Its errors hold neither the token nor the secret.
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
	// Nothing is sent for the empty value. It tells the transport that the question may be repeated when a connection
	// turns out to have been closed while idle.
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
