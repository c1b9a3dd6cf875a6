package harness

import (
	"net/http"
	"net/url"
)

// Post posts a form, with further headers given as name, value, …
func (e *Env) Post(path string, form url.Values, headers ...string) Answer {
	e.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	return e.send(http.MethodPost, path, form, headers...)
}

// As adds an app's credentials to parameters given as name, value, …, in the body.
func (a App) As(parameters ...string) url.Values {
	v := Pairs(parameters...)
	v.Set("client_id", a.ID)
	if a.Secret != "" {
		v.Set("client_secret", a.Secret)
	}
	return v
}

// Token sends a token request as an app, parameters given as name, value, …
func (e *Env) Token(app App, parameters ...string) Answer {
	e.t.Helper()
	return e.Post("/oauth/token", app.As(parameters...))
}

// Exchange redeems a code of Browser.Code.
func (e *Env) Exchange(app App, code string, parameters ...string) Answer {
	e.t.Helper()
	v := app.As(append([]string{"code", code}, parameters...)...)
	if !v.Has("redirect_uri") {
		v.Set("redirect_uri", app.URI)
	}
	if app.Secret == "" && !v.Has("code_verifier") {
		v.Set("code_verifier", Verifier)
	}
	return e.Post("/oauth/token", v)
}

// Grant runs the whole flow and returns the token answer.
func (e *Env) Grant(b *Browser, app App, parameters ...string) Answer {
	e.t.Helper()
	a := e.Exchange(app, b.Code(app, parameters...))
	if a.Status != http.StatusOK {
		e.t.Fatalf("exchange: %d: %s", a.Status, a.Body)
	}
	return a
}

// Me requests GET /api/me with a token.
func (e *Env) Me(token string, headers ...string) Answer {
	e.t.Helper()
	return e.send(http.MethodGet, "/api/me", nil, append([]string{"Authorization", "Bearer " + token}, headers...)...)
}

// WantLive asserts that a token is valid, or that it is not.
func (e *Env) WantLive(token string, live bool) {
	e.t.Helper()
	a := e.Me(token)
	if live && a.Status != http.StatusOK {
		e.t.Errorf("/api/me: status = %d, want 200: %s", a.Status, a.Body)
	}
	if !live && a.Status != http.StatusUnauthorized {
		e.t.Errorf("/api/me: status = %d, want 401: %s", a.Status, a.Body)
	}
}
