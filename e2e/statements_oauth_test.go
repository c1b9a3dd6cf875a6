package e2e

import "xenoauth/e2e/harness"

// requestsOfApps are the endpoints of OAuth and of the platform.
var requestsOfApps = []countedRequest{
	{"authorize, logged out", 2, 303, func(w counted) harness.Answer { return authorize(w.Browser().With(w.t), w.A) }},
	{"authorize, consent page", 4, 200, func(w counted) harness.Answer {
		return authorize(w.in, w.AddApp("Asking", true, harness.CB))
	}},
	{"authorize, approved before", 4, 303, func(w counted) harness.Answer {
		app := w.AddApp("Approved", true, harness.CB)
		w.in.Decide(authorize(w.in, app), "allow")
		return authorize(w.in, app)
	}},
	{"authorize, invalid scope", 2, 303, func(w counted) harness.Answer { return authorize(w.in, w.A, "scope", "unknown") }},
	{"allow", 10, 303, func(w counted) harness.Answer {
		return w.in.Decide(authorize(w.in, w.AddApp("Allowed", true, harness.CB)), "allow")
	}},
	{"deny", 5, 303, func(w counted) harness.Answer {
		return w.in.Decide(authorize(w.in, w.AddApp("Denied", true, harness.CB)), "deny")
	}},
	{"redeem a code", 3, 200, func(w counted) harness.Answer {
		app := w.AddApp("Redeeming", true, harness.CB)
		return w.Exchange(app, w.in.Code(app))
	}},
	{"redeem a code for expiring tokens", 3, 200, func(w counted) harness.Answer { return w.Exchange(w.P, w.in.Code(w.P)) }},
	{"client credentials", 2, 200, func(w counted) harness.Answer { return w.Token(w.A, "grant_type", "client_credentials") }},
	{"refresh", 3, 200, func(w counted) harness.Answer {
		return w.Token(w.P, "grant_type", "refresh_token", "refresh_token", w.refreshToken())
	}},
	{"refresh for fewer scopes", 3, 200, func(w counted) harness.Answer {
		return w.Token(w.P, "grant_type", "refresh_token", "refresh_token", w.refreshToken(), "scope", "contacts")
	}},
	{"introspect", 2, 200, func(w counted) harness.Answer {
		return w.Introspect(w.AddResource("API"), w.Grant(w.in, w.P).WantToken(w.t))
	}},
	{"revoke an access token", 4, 200, func(w counted) harness.Answer {
		return w.Post("/oauth/revoke", w.P.As("token", w.Grant(w.in, w.P).WantToken(w.t)))
	}},
	{"revoke a refresh token", 4, 200, func(w counted) harness.Answer { return w.Post("/oauth/revoke", w.P.As("token", w.refreshToken())) }},
	{"me", 1, 200, func(w counted) harness.Answer { return w.Me(w.Grant(w.in, w.P).WantToken(w.t)) }},
	{"forward-auth", 1, 200, func(w counted) harness.Answer { return w.Verify(w.Grant(w.in, w.P).WantToken(w.t), "") }},
	{"forward-auth with a user token", 1, 200, func(w counted) harness.Answer { return w.Verify(w.UserTokens(w.U).Token, "") }},
	{"refresh a user token by GET", 2, 200, func(w counted) harness.Answer {
		p := w.UserTokens(w.U)
		return w.RefreshByGet(p.Token, p.Refresh)
	}},
	{"refresh a user token by POST", 2, 200, func(w counted) harness.Answer {
		return w.RefreshByPost(w.UserTokens(w.U).Refresh, w.U.Email)
	}},
	{"log in a program", 8, 200, func(w counted) harness.Answer { return w.LogInProgram(w.U.Email, harness.Password) }},
	{"key set", 0, 200, func(w counted) harness.Answer { return harness.Fetch(w.t, "GET", w.URL+"/.well-known/jwks.json", nil) }},
	{"metadata", 0, 200, func(w counted) harness.Answer {
		return harness.Fetch(w.t, "GET", w.URL+"/.well-known/oauth-authorization-server", nil)
	}},
}

func authorize(b *harness.Browser, app harness.App, parameters ...string) harness.Answer {
	return b.Authorize(append([]string{"client_id", app.ID, "redirect_uri", harness.CB, "state", "x"}, parameters...)...)
}

// refreshToken is a new refresh token of P.
func (w counted) refreshToken() string {
	w.t.Helper()
	return w.Grant(w.in, w.P).String(w.t, "refresh_token")
}
