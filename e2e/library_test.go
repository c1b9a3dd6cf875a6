package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	oautherrors "github.com/go-oauth2/oauth2/v4/errors"

	"xenoauth/e2e/harness"
	"xenoauth/store"
)

// The tests of this file are one for each known fault of go-oauth2 v4.5.4 (docs/decisions, "go-oauth2, used where it is
// right"): first that the library as its README sets it up has the fault, then that our routes, which stand on the same
// library, do not.

// TestLibraryRedirectsToAnybody: HandleAuthorizeRequest sends faults to the redirect_uri of the request before anybody
// has compared it with the app's, even for an app that does not exist. Ours is a page.
func TestLibraryRedirectsToAnybody(t *testing.T) {
	const evil = "https://evil.test/cb"
	s := newStock(t)
	for _, client := range []string{"alpha", "nobody"} {
		to := s.authorize("response_type", "code", "client_id", client, "redirect_uri", evil).Header.Get("Location")
		s.shows("a fault goes to an unvalidated redirect_uri", strings.HasPrefix(to, evil))
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for _, b := range []*harness.Browser{e.Browser(), e.LoggedIn(e.U)} {
			for _, client := range []string{e.A.ID, "nobody"} {
				b.Authorize("response_type", "code", "client_id", client, "redirect_uri", evil, "state", "x").WantPage(t, http.StatusBadRequest)
			}
		}
	})
}

// TestLibraryMatchesHostSuffix: DefaultValidateURI accepts every address whose host ends like the registered one, with any
// scheme, path and port. Ours compares the whole address to the byte.
func TestLibraryMatchesHostSuffix(t *testing.T) {
	addresses := []string{"https://evilapp.test/cb", "https://sub.app.test/", "http://app.test/cb", "https://app.test/other", "javascript://app.test/%0aalert(1)"}
	s := newStock(t)
	for _, uri := range addresses {
		location := s.authorize("response_type", "code", "client_id", "alpha", "redirect_uri", uri).Location(t)
		s.shows("a code is sent to "+uri, location != nil && location.Query().Get("code") != "")
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		e.Grant(b, e.A) // so that nothing but the address stands between the request and a code
		for _, uri := range addresses {
			b.Authorize("response_type", "code", "client_id", e.A.ID, "scope", "contacts", "redirect_uri", uri).WantPage(t, http.StatusBadRequest)
		}
	})
}

// TestLibraryRedeemsTwice: getAndDelAuthorizationCode reads a code, then deletes it: of 50 requests between the two, 50
// get a token. Ours consumes by one operation of the store, and the losers end what the winner got.
func TestLibraryRedeemsTwice(t *testing.T) {
	const n = 50
	s := newStock(t)
	var all sync.WaitGroup
	all.Add(n)
	s.tokens.read = func() { all.Done(); all.Wait() }
	code := s.code()
	winners := 0
	for _, a := range harness.Race(t, n, func(int) harness.Answer { return s.redeem(code) }) {
		if granted(a) {
			winners++
		}
	}
	s.shows(fmt.Sprintf("%d of %d concurrent redemptions win", winners, n), winners == n)
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		code := e.LoggedIn(e.U).Code(e.A)
		var tokens []string
		for _, a := range harness.Race(t, n, func(int) harness.Answer { return e.Exchange(e.A, code) }) {
			if granted(a) {
				tokens = append(tokens, a.WantToken(t))
			}
		}
		if len(tokens) != 1 {
			t.Fatalf("%d of %d concurrent redemptions win, want 1", len(tokens), n)
		}
		e.WantLive(tokens[0], false)
	})
}

// TestLibraryBurnsCode: the library deletes the code before it looks at the verifier, so that one wrong request ends an
// authorization. Ours checks first and consumes last.
func TestLibraryBurnsCode(t *testing.T) {
	wrong := strings.Repeat("w", 43)
	s := newStock(t)
	code := s.code("code_challenge", harness.Challenge, "code_challenge_method", "S256")
	s.redeem(code, "code_verifier", wrong)
	s.shows("a wrong verifier burns the code", !granted(s.redeem(code, "code_verifier", harness.Verifier)))
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		code := e.LoggedIn(e.U).Code(e.P)
		e.Exchange(e.P, code, "code_verifier", wrong).WantGrantRefused(t)
		e.WantLive(e.Exchange(e.P, code).WantToken(t), true)
	})
}

// TestLibraryRefreshesForAnybody: RefreshAccessToken never looks at the client: whoever holds a refresh token uses it,
// with a wrong secret or as another app, and for any scope. Ours authenticates first, and the token is its app's alone.
func TestLibraryRefreshesForAnybody(t *testing.T) {
	s := newStock(t)
	refresh := s.redeem(s.code()).String(t, "refresh_token")
	for _, app := range []harness.App{{ID: "alpha", Secret: "wrong"}, stockBeta, {ID: "nobody"}} {
		a := s.token(app.As("grant_type", "refresh_token", "refresh_token", refresh, "scope", "admin"))
		s.shows("a refresh token is used by "+app.ID+" with secret "+app.Secret, granted(a) && a.String(t, "scope") == "admin")
		refresh = a.String(t, "refresh_token")
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		echo := e.AddExpiring("Echo")
		a := e.Grant(e.LoggedIn(e.U), echo)
		token, refresh := a.WantToken(t), a.String(t, "refresh_token")
		parameters := []string{"grant_type", "refresh_token", "refresh_token", refresh}
		e.Token(harness.App{ID: echo.ID, Secret: "wrong"}, parameters...).WantRefused(t, http.StatusUnauthorized, "invalid_client")
		e.Token(harness.App{ID: echo.ID}, parameters...).WantRefused(t, http.StatusUnauthorized, "invalid_client")
		e.Token(e.B, parameters...).WantGrantRefused(t)
		e.Token(e.P, parameters...).WantGrantRefused(t)
		e.Token(echo, append(parameters, "scope", "contacts widgets")...).WantRefused(t, http.StatusBadRequest, "invalid_scope")
		e.WantLive(token, true)
		e.WantLive(e.Token(echo, parameters...).WantToken(t), true)
	})
}

// TestLibraryDefaultsToPlain: a code_challenge without a method is taken for plain: the challenge, which stood in a URL,
// is the verifier. Ours knows S256 and assumes nothing.
func TestLibraryDefaultsToPlain(t *testing.T) {
	plain := strings.Repeat("p", 43)
	s := newStock(t)
	s.shows("PKCE is plain by default", granted(s.redeem(s.code("code_challenge", plain), "code_verifier", plain)))
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		for _, method := range []string{"", "plain"} {
			a := b.Authorize("client_id", e.P.ID, "redirect_uri", harness.CB, "state", "x", "code_challenge", plain, "code_challenge_method", method)
			e.WantRedirectError(a, harness.CB, "invalid_request", "x")
		}
		code := b.Code(e.P) // S256, and the challenge is not its own verifier
		e.Exchange(e.P, code, "code_verifier", harness.Challenge).WantGrantRefused(t)
	})
}

// TestLibraryFailsWithoutVerifier: a missing code_verifier, and one for a code without a challenge, are a 500. Ours are
// invalid_grant.
func TestLibraryFailsWithoutVerifier(t *testing.T) {
	s := newStock(t)
	challenged := s.code("code_challenge", harness.Challenge, "code_challenge_method", "S256")
	s.shows("a missing verifier is a 500", s.redeem(challenged).Status == http.StatusInternalServerError)
	s.shows("a verifier too many is a 500", s.redeem(s.code(), "code_verifier", harness.Verifier).Status == http.StatusInternalServerError)
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		e.Post("/oauth/token", e.P.As("code", b.Code(e.P), "redirect_uri", harness.CB)).WantGrantRefused(t)
		e.Exchange(e.A, b.Code(e.A), "code_verifier", harness.Verifier).WantGrantRefused(t)
	})
}

// TestLibrarySaysExpiresIn0: GetTokenData writes expires_in 0 for a token that never expires, which clients read as dead.
// Ours leaves it out.
func TestLibrarySaysExpiresIn0(t *testing.T) {
	s := newStock(t)
	in, there := s.redeem(s.code()).JSON(t)["expires_in"]
	s.shows("expires_in is 0 for ever", there && in == 0.0)
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		a := e.Grant(e.LoggedIn(e.U), e.A)
		if in, there := a.JSON(t)["expires_in"]; there {
			t.Errorf("expires_in = %v, want none", in)
		}
		e.WantLive(a.WantToken(t), true)
	})
}

// TestLibraryTakesAnySecretForNone: secrets are stored as they are and compared with !=, and only if there is one: an
// app whose stored secret is empty is opened by everything. Ours stores hashes, compares them in constant time, and an
// empty one equals nothing.
func TestLibraryTakesAnySecretForNone(t *testing.T) {
	s := newStock(t)
	for _, secret := range []string{"", "anything"} {
		a := s.token(url.Values{"grant_type": {"client_credentials"}, "client_id": {"empty"}, "client_secret": {secret}})
		s.shows("an empty stored secret is opened by "+secret, granted(a))
	}
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		e.Exec(`UPDATE client_secrets SET hash = $1 WHERE client_id = $2`, []byte{}, e.A.ID)
		for _, secret := range []string{"", "anything", e.A.Secret} {
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {e.A.ID}, "client_secret": {secret}}
			e.Post("/oauth/token", form).WantRefused(t, http.StatusUnauthorized, "invalid_client")
		}
	})
}

// TestLibraryReadsQuery: parameters, secrets among them, are read from the URL of a POST and of a GET, and of two values
// the first is taken in silence. Ours reads the body, and one value a name.
func TestLibraryReadsQuery(t *testing.T) {
	s := newStock(t)
	sound := stockAlpha.As("grant_type", "client_credentials")
	s.shows("a POST is read from its URL", granted(harness.Fetch(t, http.MethodPost, s.url+"/token?"+sound.Encode(), url.Values{})))
	s.shows("a GET gets a token", granted(harness.Fetch(t, http.MethodGet, s.url+"/token?"+sound.Encode(), nil)))
	sound["client_secret"] = append(sound["client_secret"], "another")
	s.shows("the second of two secrets is dropped", granted(s.token(sound)))
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		sound := e.A.As("grant_type", "client_credentials")
		e.Post("/oauth/token?"+sound.Encode(), url.Values{}).WantRefused(t, http.StatusUnauthorized, "invalid_client")
		get := harness.Fetch(t, http.MethodGet, e.URL+"/oauth/token?"+sound.Encode(), nil)
		get.WantRefused(t, http.StatusMethodNotAllowed, "invalid_request")
		for name := range sound {
			twice := e.A.As("grant_type", "client_credentials")
			twice.Add(name, "another")
			e.Post("/oauth/token", twice).WantRefused(t, http.StatusBadRequest, "invalid_request")
		}
		if n := e.Count(`SELECT COUNT(*) FROM expiring_tokens`); n != 0 {
			t.Errorf("%d tokens were granted", n)
		}
	})
}

// TestLibraryAnswers401: invalid_grant, unsupported_grant_type and unauthorized_client are 401, although no
// authentication has failed; and a real 401 has no challenge. Ours are as RFC 6749 §5.2 says.
func TestLibraryAnswers401(t *testing.T) {
	s := newStock(t)
	s.shows("invalid_grant is a 401", s.redeem("unknown").Status == http.StatusUnauthorized)
	s.shows("unsupported_grant_type is a 401", s.token(stockAlpha.As()).Status == http.StatusUnauthorized)
	wrong := s.token(harness.App{ID: "alpha", Secret: "wrong"}.As("grant_type", "client_credentials"))
	s.shows("a 401 has no challenge", wrong.Status == http.StatusUnauthorized && wrong.Header.Get("WWW-Authenticate") == "")
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		e.Exchange(e.A, "unknown").WantGrantRefused(t)
		e.Token(e.A, "grant_type", "unknown").WantRefused(t, http.StatusBadRequest, "unsupported_grant_type")
		e.Token(e.P, "grant_type", "client_credentials").WantRefused(t, http.StatusBadRequest, "unauthorized_client")
		e.Token(harness.App{ID: e.A.ID, Secret: "wrong"}, "grant_type", "client_credentials").WantRefused(t, http.StatusUnauthorized, "invalid_client")
	})
}

// list is an error that cannot be a key of a map, as errors that gather several often cannot.
type list []error

func (l list) Error() string   { return errors.Join(l...).Error() }
func (l list) Unwrap() []error { return l }

// TestLibraryKnowsErrorsByIdentity: the library looks an error up in a map: its own refusal with a word of context around
// it is a 500, and an error that cannot be a key is a panic. Ours asks errors.Is: trouble of the database is 503 with
// Retry-After, what has ended is invalid_grant, however they are wrapped; and afterwards the same request succeeds.
func TestLibraryKnowsErrorsByIdentity(t *testing.T) {
	s := newStock(t)
	s.tokens.fail = func() error { return fmt.Errorf("read: %w", oautherrors.ErrInvalidAuthorizeCode) }
	s.shows("a wrapped refusal is a 500", s.redeem("code").Status == http.StatusInternalServerError)
	s.tokens.fail = func() error { return list{oautherrors.ErrInvalidAuthorizeCode} }
	s.redeem("code")
	select {
	case <-s.panics:
	default:
		s.shows("an error that is no key of a map panics", false)
	}

	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		code, refresh := b.Code(e.A), e.Grant(b, e.P).String(t, "refresh_token")
		requests := map[string]url.Values{
			"code":               e.A.As("code", code, "redirect_uri", harness.CB),
			"refresh":            e.P.As("grant_type", "refresh_token", "refresh_token", refresh),
			"client credentials": e.A.As("grant_type", "client_credentials"),
		}
		for name, form := range requests {
			for _, sentinel := range []error{store.ErrUnavailable, store.ErrEnded, store.ErrNotFound, oautherrors.ErrInvalidGrant} {
				for _, wrapped := range []error{sentinel, fmt.Errorf("a: %w", fmt.Errorf("b: %w", sentinel)), errors.Join(errors.New("a"), sentinel), list{sentinel}} {
					e.Faults.Fail(wrapped, "CodeByID", "Redeem", "RefreshByID", "CreateClientToken")
					wantFault(t, name, sentinel, e.Post("/oauth/token", form))
				}
			}
			e.Faults.Heal()
			e.WantLive(e.Post("/oauth/token", form).WantToken(t), true)
		}
		if strings.Contains(e.Log.String(), "panic") {
			t.Error("a handler panicked")
		}
	})
}

// wantFault says what becomes of a sentinel at the token endpoint.
func wantFault(t *testing.T, request string, sentinel error, a harness.Answer) {
	t.Helper()
	switch {
	case sentinel == store.ErrUnavailable:
		a.WantRefused(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	case request == "client credentials" && sentinel == store.ErrEnded: // the app was suspended meanwhile
		a.WantRefused(t, http.StatusUnauthorized, "invalid_client")
	default:
		a.WantGrantRefused(t)
	}
}
