package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"xenoauth/e2e/harness"
)

// The tests of this file use golang.org/x/oauth2 as app developers do: nothing of the client is ours but the browser in
// which the person decides.

// config is what the developer of an app writes down.
func config(e *harness.Env, app harness.App, style oauth2.AuthStyle, scopes ...string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: app.ID, ClientSecret: app.Secret, RedirectURL: app.URI, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: e.URL + "/oauth/authorize", TokenURL: e.URL + "/oauth/token", AuthStyle: style},
	}
}

// allowClient sends a browser to the address that the client made and presses Allow, if it is asked.
func allowClient(e *harness.Env, b *harness.Browser, c *oauth2.Config, options ...oauth2.AuthCodeOption) string {
	page := b.Get(c.AuthCodeURL("a state/+&", options...))
	if page.Status == http.StatusOK {
		page = b.Decide(page, "allow")
	}
	return e.WantCode(page, c.RedirectURL, "a state/+&")
}

// wantMe uses a client that the library has equipped with a token.
func wantMe(t *testing.T, e *harness.Env, client *http.Client, member string, want any) {
	t.Helper()
	response, err := client.Get(e.URL + "/api/me")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var me map[string]any
	if err := json.Unmarshal(body, &me); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/api/me: %d, %v: %s", response.StatusCode, err, body)
	}
	if me[member] != want {
		t.Errorf("%s = %v, want %v", member, me[member], want)
	}
}

// wantRetrieveError asserts that the library understood a refusal.
func wantRetrieveError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		t.Fatalf("error = %v, want a *oauth2.RetrieveError", err)
	}
	if refused.Response.StatusCode != status || refused.ErrorCode != code || refused.ErrorDescription == "" {
		t.Errorf("error = %d %s (%s), want %d %s", refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription, status, code)
	}
}

var styles = map[string]oauth2.AuthStyle{"detected": oauth2.AuthStyleAutoDetect, "in the header": oauth2.AuthStyleInHeader, "in the body": oauth2.AuthStyleInParams}

// TestClientConfidential: the authorization code grant with each style of client authentication gives a token that never
// expires and works; the same code a second time, and a wrong secret, are errors that the library can read.
func TestClientConfidential(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, style := range styles {
			t.Run(name, func(t *testing.T) {
				e, b, ctx := e.With(t), e.With(t).LoggedIn(e.U), t.Context()
				c := config(e, e.A, style, "contacts", "widget")
				code := allowClient(e, b, c)

				wrong := config(e, e.A, style)
				wrong.ClientSecret = "wrong"
				_, err := wrong.Exchange(ctx, code)
				wantRetrieveError(t, err, http.StatusUnauthorized, "invalid_client")

				token, err := c.Exchange(ctx, code)
				if err != nil {
					t.Fatal(err)
				}
				if !token.Expiry.IsZero() || token.ExpiresIn != 0 || token.RefreshToken != "" || token.Type() != "Bearer" || !token.Valid() {
					t.Errorf("token of type %s expires at %v (in %d s), refresh token %t; want Bearer, for ever", token.Type(), token.Expiry, token.ExpiresIn, token.RefreshToken != "")
				}
				if got := token.Extra("scope"); got != "contacts widget" {
					t.Errorf("scope = %v, want it as it was asked for", got)
				}
				wantMe(t, e, c.Client(ctx, token), "client_id", e.A.ID)
				wantMe(t, e, c.Client(ctx, token), "sub", e.U.ID)

				_, err = c.Exchange(ctx, code)
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
				e.WantLive(token.AccessToken, false)
			})
		}
	})
}

// TestClientPublic: a public app goes through PKCE with the verifier that the library makes; without it, with another one
// and without a challenge it gets nothing.
func TestClientPublic(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, style := range styles {
			t.Run(name, func(t *testing.T) {
				e, b, ctx := e.With(t), e.With(t).LoggedIn(e.U), t.Context()
				c := config(e, e.P, style, "contacts")
				e.WantRedirectError(b.Get(c.AuthCodeURL("s")), harness.CB, "invalid_request", "s")

				verifier := oauth2.GenerateVerifier()
				code := allowClient(e, b, c, oauth2.S256ChallengeOption(verifier))
				_, err := c.Exchange(ctx, code)
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
				_, err = c.Exchange(ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
				token, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
				if err != nil {
					t.Fatal(err)
				}
				if left := time.Until(token.Expiry); left < 50*time.Minute || left > time.Hour || token.RefreshToken == "" {
					t.Errorf("token expires in %s, refresh token %t; want an hour and one", left, token.RefreshToken != "")
				}
				wantMe(t, e, c.Client(ctx, token), "client_id", e.P.ID)
			})
		}
	})
}

// TestClientRefresh: the library's TokenSource refreshes an expired token by itself, again and again, and always has a
// token that works; the first refresh token, presented after its successor was used, is refused and ends them all.
func TestClientRefresh(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, app := range map[string]harness.App{"public": e.P, "confidential": e.AddExpiring("Echo")} {
			t.Run(name, func(t *testing.T) {
				e, b, ctx := e.With(t), e.With(t).LoggedIn(e.U), t.Context()
				c := config(e, app, oauth2.AuthStyleAutoDetect, "contacts", "brands")
				verifier := oauth2.GenerateVerifier()
				first, err := c.Exchange(ctx, allowClient(e, b, c, oauth2.S256ChallengeOption(verifier)), oauth2.VerifierOption(verifier))
				if err != nil {
					t.Fatal(err)
				}
				token := first
				for range 3 {
					expired := *token
					expired.Expiry = time.Now().Add(-time.Second)
					next, err := c.TokenSource(ctx, &expired).Token()
					if err != nil {
						t.Fatal(err)
					}
					if next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken || !next.Valid() {
						t.Error("the refresh changed nothing")
					}
					if got := next.Extra("scope"); got != "contacts brands" {
						t.Errorf("scope = %v, want it as it was asked for", got)
					}
					wantMe(t, e, c.Client(ctx, next), "client_id", app.ID)
					token = next
				}
				stolen := &oauth2.Token{RefreshToken: first.RefreshToken}
				_, err = c.TokenSource(ctx, stolen).Token()
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
				e.WantLive(token.AccessToken, false)
				_, err = c.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			})
		}
	})
}

// TestClientCredentials: the clientcredentials package gets an app a token of its own for an hour, for the scopes asked
// for or for all of the app's, and a public app none.
func TestClientCredentials(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		for name, style := range styles {
			t.Run(name, func(t *testing.T) {
				e, ctx := e.With(t), t.Context()
				c := clientcredentials.Config{ClientID: e.A.ID, ClientSecret: e.A.Secret, TokenURL: e.URL + "/oauth/token", AuthStyle: style}
				wantOwnToken(ctx, t, e, c, "contacts conversations faqs widgets")
				c.Scopes = []string{"widget", "contacts"}
				wantOwnToken(ctx, t, e, c, "widget contacts")
				c.Scopes = []string{"bogus"}
				_, err := c.Token(ctx)
				wantRetrieveError(t, err, http.StatusBadRequest, "invalid_scope")

				public := clientcredentials.Config{ClientID: e.P.ID, TokenURL: c.TokenURL, AuthStyle: style}
				_, err = public.Token(ctx)
				wantRetrieveError(t, err, http.StatusBadRequest, "unauthorized_client")
			})
		}
	})
}

func wantOwnToken(ctx context.Context, t *testing.T, e *harness.Env, c clientcredentials.Config, scopes string) {
	t.Helper()
	token, err := c.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(token.Expiry); left < 50*time.Minute || left > time.Hour || token.RefreshToken != "" {
		t.Errorf("token expires in %s, refresh token %t; want an hour and none", left, token.RefreshToken != "")
	}
	if got := token.Extra("scope"); got != scopes {
		t.Errorf("scope = %v, want %s", got, scopes)
	}
	for member, want := range map[string]any{"sub": c.ClientID, "user": nil, "account": nil, "installation": nil} {
		wantMe(t, e, c.Client(ctx), member, want)
	}
}

// TestClientDenied: a person presses Deny; the client is told so at its redirect URI, with its state and who says it.
func TestClientDenied(t *testing.T) {
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		c := config(e, e.A, oauth2.AuthStyleAutoDetect, "contacts")
		a := b.Decide(b.Get(c.AuthCodeURL("s")), "deny")
		e.WantRedirectError(a, harness.CB, "access_denied", "s")
	})
}
