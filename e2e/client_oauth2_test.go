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

// config is the configuration of an app that uses golang.org/x/oauth2.
func config(e *harness.Env, app harness.App, style oauth2.AuthStyle, scopes ...string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: app.ID, ClientSecret: app.Secret, RedirectURL: app.URI, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: e.URL + "/oauth/authorize", TokenURL: e.URL + "/oauth/token", AuthStyle: style},
	}
}

// allowClient opens the URL that the library made and presses Allow if the consent page is shown.
func allowClient(e *harness.Env, b *harness.Browser, c *oauth2.Config, options ...oauth2.AuthCodeOption) string {
	page := b.Get(c.AuthCodeURL("a state/+&", options...))
	if page.Status == http.StatusOK {
		page = b.Decide(page, "allow")
	}
	return e.WantCode(page, c.RedirectURL, "a state/+&")
}

// wantMe requests /api/me with a client that the library has given a token, and compares members.
func wantMe(t *testing.T, e *harness.Env, client *http.Client, members map[string]any) {
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
	for member, want := range members {
		if me[member] != want {
			t.Errorf("%s = %v, want %v", member, me[member], want)
		}
	}
}

// wantRetrieveError asserts that the library parsed a refusal.
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

// wantHour asserts that a token is valid for an hour, with or without a refresh token.
func wantHour(t *testing.T, token *oauth2.Token, refresh bool) {
	t.Helper()
	if left := time.Until(token.Expiry); left < 50*time.Minute || left > time.Hour || (token.RefreshToken != "") != refresh {
		t.Errorf("token expires in %s, refresh token %t; want an hour and %t", left, token.RefreshToken != "", refresh)
	}
}

// TestOAuth2Library uses golang.org/x/oauth2 as app developers do, with each style of client authentication. A confidential app
// gets a token that does not expire, a public app one for an hour through PKCE, clientcredentials one of the app's own; errors
// are those that the library can parse. Its TokenSource refreshes again and again, and a first refresh token that is used
// after its successor was is refused and ends all of them.
func TestOAuth2Library(t *testing.T) {
	rows := harness.Rows{
		"Deny": func(t *testing.T, e *harness.Env) {
			b := e.LoggedIn(e.U)
			denied := b.Decide(b.Get(config(e, e.A, oauth2.AuthStyleAutoDetect, "contacts").AuthCodeURL("s")), "deny")
			e.WantRedirectError(denied, harness.CB, "access_denied", "s")
		},
		"refresh, public":       func(t *testing.T, e *harness.Env) { wantTokenSource(t, e, e.P) },
		"refresh, confidential": func(t *testing.T, e *harness.Env) { wantTokenSource(t, e, e.AddExpiring("Echo")) },
	}
	for name, style := range map[string]oauth2.AuthStyle{"detected": oauth2.AuthStyleAutoDetect, "header": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams} {
		rows["confidential, "+name] = func(t *testing.T, e *harness.Env) {
			ctx, c, wrong := t.Context(), config(e, e.A, style, "contacts", "widget"), config(e, e.A, style)
			code := allowClient(e, e.LoggedIn(e.U), c)
			wrong.ClientSecret = "wrong"
			_, err := wrong.Exchange(ctx, code)
			wantRetrieveError(t, err, http.StatusUnauthorized, "invalid_client")
			token, err := c.Exchange(ctx, code)
			e.Must(err)
			if !token.Expiry.IsZero() || token.ExpiresIn != 0 || token.RefreshToken != "" || token.Type() != "Bearer" || !token.Valid() {
				t.Errorf("token of type %s expires at %v (in %d s), refresh token %t; want Bearer without expiry", token.Type(), token.Expiry, token.ExpiresIn, token.RefreshToken != "")
			}
			if got := token.Extra("scope"); got != "contacts widget" {
				t.Errorf("scope = %v, want the spelling of the request", got)
			}
			wantMe(t, e, c.Client(ctx, token), map[string]any{"client_id": e.A.ID, "sub": e.U.ID})
			_, err = c.Exchange(ctx, code)
			wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			e.WantLive(token.AccessToken, false)
		}
		rows["public, "+name] = func(t *testing.T, e *harness.Env) {
			ctx, b, c := t.Context(), e.LoggedIn(e.U), config(e, e.P, style, "contacts")
			e.WantRedirectError(b.Get(c.AuthCodeURL("s")), harness.CB, "invalid_request", "s")
			verifier := oauth2.GenerateVerifier()
			code := allowClient(e, b, c, oauth2.S256ChallengeOption(verifier))
			_, err := c.Exchange(ctx, code)
			wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			_, err = c.Exchange(ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
			wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			token, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
			e.Must(err)
			wantHour(t, token, true)
			wantMe(t, e, c.Client(ctx, token), map[string]any{"client_id": e.P.ID})
		}
		rows["clientcredentials, "+name] = func(t *testing.T, e *harness.Env) {
			ctx := t.Context()
			c := clientcredentials.Config{ClientID: e.A.ID, ClientSecret: e.A.Secret, TokenURL: e.URL + "/oauth/token", AuthStyle: style}
			wantOwnToken(ctx, t, e, c, "contacts conversations faqs widgets")
			c.Scopes = []string{"widget", "contacts"}
			wantOwnToken(ctx, t, e, c, "widget contacts")
			c.Scopes = []string{"bogus"}
			_, err := c.Token(ctx)
			wantRetrieveError(t, err, http.StatusBadRequest, "invalid_scope")
			_, err = (&clientcredentials.Config{ClientID: e.P.ID, TokenURL: c.TokenURL, AuthStyle: style}).Token(ctx)
			wantRetrieveError(t, err, http.StatusBadRequest, "unauthorized_client")
		}
	}
	harness.EachRow(t, rows)
}

func wantTokenSource(t *testing.T, e *harness.Env, app harness.App) {
	ctx, c := t.Context(), config(e, app, oauth2.AuthStyleAutoDetect, "contacts", "brands")
	verifier := oauth2.GenerateVerifier()
	first, err := c.Exchange(ctx, allowClient(e, e.LoggedIn(e.U), c, oauth2.S256ChallengeOption(verifier)), oauth2.VerifierOption(verifier))
	e.Must(err)
	token := first
	for range 3 {
		expired := *token
		expired.Expiry = time.Now().Add(-time.Second)
		next, err := c.TokenSource(ctx, &expired).Token()
		e.Must(err)
		if next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken || !next.Valid() {
			t.Error("the refresh changed nothing")
		}
		if got := next.Extra("scope"); got != "contacts brands" {
			t.Errorf("scope = %v, want the spelling of the request", got)
		}
		wantMe(t, e, c.Client(ctx, next), map[string]any{"client_id": app.ID})
		token = next
	}
	for _, stale := range []*oauth2.Token{first, token} {
		_, err = c.TokenSource(ctx, &oauth2.Token{RefreshToken: stale.RefreshToken}).Token()
		wantRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
		e.WantLive(token.AccessToken, false)
	}
}

func wantOwnToken(ctx context.Context, t *testing.T, e *harness.Env, c clientcredentials.Config, scopes string) {
	t.Helper()
	token, err := c.Token(ctx)
	e.Must(err)
	wantHour(t, token, false)
	if got := token.Extra("scope"); got != scopes {
		t.Errorf("scope = %v, want %s", got, scopes)
	}
	wantMe(t, e, c.Client(ctx), map[string]any{"sub": c.ClientID, "user": nil, "account": nil, "installation": nil})
}
