package e2e

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/server"
)

// TestClientFailuresAreLimited: unknown clients, secrets, codes and refresh tokens from one address are answered 429 above
// the limit. A correct credential, one that was valid before, and another address are not.
func TestClientFailuresAreLimited(t *testing.T) {
	const most = 5
	harness.Each(t, func(t *testing.T, e *harness.Env) {
		b := e.LoggedIn(e.U)
		granted := e.Grant(b, e.P)
		code, used := b.Code(e.A), b.Code(e.A)
		e.Exchange(e.A, used).WantToken(t)
		wrong := func(kind secret.Kind) string { return secret.Format{}.New(kind).Reveal() }
		stranger := harness.App{ID: e.A.ID, Secret: wrong(secret.Client)}
		requests := map[string]struct {
			path   string
			form   func() url.Values
			status int
			code   string
		}{
			"a wrong secret":          {"/oauth/token", func() url.Values { return stranger.As("grant_type", "client_credentials") }, 401, "invalid_client"},
			"no credentials":          {"/oauth/token", func() url.Values { return url.Values{"code": {code}} }, 401, "invalid_client"},
			"a wrong secret, revoke":  {"/oauth/revoke", func() url.Values { return stranger.As("token", "x") }, 401, "invalid_client"},
			"a wrong secret, inspect": {"/oauth/introspect", func() url.Values { return stranger.As("token", "x") }, 401, "invalid_client"},
			"an unknown client":       {"/oauth/token", func() url.Values { return harness.App{ID: "app_x", Secret: e.A.Secret}.As("code", code) }, 401, "invalid_client"},
			"an unknown code":         {"/oauth/token", func() url.Values { return e.A.As("code", wrong(secret.Code), "redirect_uri", harness.CB) }, 400, "invalid_grant"},
			"a malformed code":        {"/oauth/token", func() url.Values { return e.A.As("code", "x", "redirect_uri", harness.CB) }, 400, "invalid_grant"},
			"another app's code":      {"/oauth/token", func() url.Values { return e.B.As("code", code, "redirect_uri", harness.CB) }, 400, "invalid_grant"},
			"an unknown refresh token": {"/oauth/token", func() url.Values {
				return e.P.As("grant_type", "refresh_token", "refresh_token", wrong(secret.Refresh))
			}, 400, "invalid_grant"},
		}
		addresses := 0
		for name, c := range requests {
			t.Run(name, func(t *testing.T) {
				addresses++
				from := []string{"X-Forwarded-For", "192.0.2." + strconv.Itoa(addresses)}
				e := e.With(t)
				for range most {
					e.Post(c.path, c.form(), from...).WantRefused(t, c.status, c.code)
				}
				for range 3 {
					a := e.Post(c.path, c.form(), from...)
					a.WantRefused(t, http.StatusTooManyRequests, "temporarily_unavailable")
					if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
						t.Errorf("Retry-After = %q", a.Header.Get("Retry-After"))
					}
					if !strings.Contains(a.String(t, "error_description"), "try again") {
						t.Errorf("%s", a.Body)
					}
				}
				e.Post(c.path, c.form(), "X-Forwarded-For", "198.51.100."+strconv.Itoa(addresses)).WantRefused(t, c.status, c.code)
				e.Post("/oauth/token", e.A.As("grant_type", "client_credentials"), from...).WantToken(t)
				e.Post("/oauth/token", e.A.As("code", used, "redirect_uri", harness.CB), from...).WantGrantRefused(t)
				e.Post("/oauth/token", e.A.As("grant_type", "client_credentials", "scope", "bogus"), from...).WantRefused(t, 400, "invalid_scope")
				if a := e.Post("/oauth/introspect", e.A.As("token", wrong(secret.Access)), from...); a.Status != http.StatusOK {
					t.Errorf("introspection of an unknown token: %d", a.Status)
				}
			})
		}
		from := []string{"X-Forwarded-For", "192.0.2.1"}
		e.Post("/oauth/token", e.A.As("code", code, "redirect_uri", harness.CB), from...).WantToken(t)
		e.Post("/oauth/token", e.P.As("grant_type", "refresh_token", "refresh_token", granted.String(t, "refresh_token")), from...).WantToken(t)
	}, func(o *server.Options) {
		o.Limits.Client = most
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
}
