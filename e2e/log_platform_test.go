package e2e

import (
	"net/http"
	"net/url"
	"strings"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
)

// platform is what the account's own programs do, rightly and wrongly: API keys and bots made and rotated on pages, exchanged
// for integration tokens, used as tokens; user tokens made and refreshed; all of them shown to a gateway and to an API.
func (s *story) platform(b *harness.Browser, email, password string) {
	e := s.r
	account := s.keep("account API key", credentials(s.want(http.StatusOK, b.Make("/account/keys", url.Values{"name": {"Export"}, "kind": {"account"}})).Body, secret.APIKey)[0])
	page := s.want(http.StatusOK, b.Make("/account/keys", url.Values{"name": {"Desk"}, "kind": {"token"}, "scopes": {"agent", "admin"}}))
	old := s.keep("API key", credentials(page.Body, secret.APIKey)[0])
	id := e.Strings(`SELECT id FROM api_keys WHERE name = $1`, "Desk")[0]
	key := s.keep("second API key", credentials(s.want(http.StatusOK, b.Make("/account/keys/"+id+"/rotate", url.Values{"keep": {"1h"}})).Body, secret.APIKey)[0])
	s.want(http.StatusConflict, b.Make("/account/keys/"+id+"/rotate", url.Values{"keep": {"1h"}}))
	s.want(http.StatusBadRequest, b.Make("/account/keys/"+id+"/rotate", url.Values{"keep": {old}}))
	s.see(b.Get("/account/keys/" + old + "/rotate"))

	page = s.want(http.StatusOK, b.Make("/account/bots", url.Values{"name": {"Robbie"}}))
	bot := harness.Bot{Secret: s.keep("bot secret", credentials(page.Body, secret.Bot)[0])}
	bot.ID, bot.APIKey = e.Strings(`SELECT id FROM bots`)[0], e.Strings(`SELECT api_key FROM bots`)[0]
	bot.Email = e.Strings(`SELECT email FROM users WHERE id = $1`, bot.ID)[0]
	bot.Secret = s.keep("second bot secret", credentials(s.want(http.StatusOK, b.Make("/account/bots/"+bot.ID+"/rotate", url.Values{"keep": {"now"}})).Body, secret.Bot)[0])

	tokens := []string{old, key}
	for _, body := range []string{harness.Keys(harness.Key{Text: account}), harness.Keys(harness.Key{Text: account}, bot)} {
		tokens = append(tokens, s.keep("integration token", s.want(http.StatusOK, e.Integrate(body)).String(s.t, "token")))
	}
	unknown := harness.Key{Text: s.mint(secret.APIKey)}
	s.want(http.StatusNotFound, e.Integrate(harness.Keys(unknown)))
	s.want(http.StatusNotFound, e.Integrate(harness.Keys(unknown, bot)))
	s.want(http.StatusNotFound, e.Integrate(harness.Keys(harness.Key{Text: s.invent("garbage for a key")})))
	bot.Secret, unknown.Text = s.mint(secret.Bot), bot.Secret
	s.want(http.StatusForbidden, e.Integrate(harness.Keys(harness.Key{Text: account}, bot)))
	bot.Secret = unknown.Text
	s.want(http.StatusBadRequest, e.Integrate(`{"AccountAPIKey":"`+account+`","BotAPISecret":"`+bot.Secret+`"}`))
	s.want(http.StatusBadRequest, e.Integrate(`{"AccountAPIKey":["`+account+`"]}`))
	s.want(http.StatusBadRequest, e.Integrate(`{"`+account+`":1,"`+account+`":2}`))
	s.want(http.StatusBadRequest, e.Integrate("AccountAPIKey="+account, "Content-Type", formType))
	s.want(http.StatusBadRequest, e.IntegrateAt("/authorization/integration?AccountAPIKey="+account, "{}"))
	s.want(http.StatusNotFound, e.IntegrateAt("/bots/"+account+"/authorization/integration", "{}"))

	tokens = append(tokens, s.userTokens(email, password)...)
	tokens = append(tokens, s.userTokens(bot.Email, bot.Secret)...)
	api := e.AddResource("API")
	s.keep("secret of an API", api.Secret)
	for _, token := range tokens {
		s.want(http.StatusOK, e.Me(token))
		s.want(http.StatusOK, e.Verify(token, "scope=agent"))
		e.Verify(token, "scope="+s.misplace("scope")) // which the challenge repeats
		s.see(e.Verify(token+"x", "permission="+token))
		s.see(e.Verify("", "access_token="+token))
		s.want(http.StatusOK, e.Introspect(api, token))
		s.see(e.Integrate(harness.Keys(harness.Key{Text: token})))
		s.see(e.RefreshByGet(token, token))
	}
	s.want(http.StatusUnauthorized, e.Me(account))
	s.want(http.StatusUnauthorized, e.Me(s.mint(secret.Integration)))
	s.want(http.StatusSeeOther, b.Post("/account/keys/"+id+"/revoke", url.Values{}))
	s.want(http.StatusUnauthorized, e.Me(key))
}

// userTokens gets and refreshes pairs, and returns the access tokens that live.
func (s *story) userTokens(email, password string) []string {
	e := s.r
	pair := func(a harness.Answer) harness.UserPair {
		s.t.Helper()
		p := s.want(http.StatusOK, a).WantUserPair(e)
		s.keep("user token", p.Token)
		s.secrets.Add("signature of a user token", p.Token[strings.LastIndexByte(p.Token, '.')+1:])
		s.keep("refresh token of a user", p.Refresh)
		s.secrets.Add("secret part of a user's refresh token", p.Refresh[len(p.Refresh)-48:])
		return p
	}
	first := pair(e.LogInProgram(email, password))
	second := pair(e.RefreshByGet(first.Token, first.Refresh))
	s.want(http.StatusOK, e.RefreshByPost(first.Refresh, email)) // the same again
	third := pair(e.RefreshByPost(second.Refresh, email))
	s.want(http.StatusUnauthorized, e.LogInProgram(email, s.invent("wrong password")))
	s.want(http.StatusUnauthorized, e.LogInProgram(email, s.mint(secret.Bot)))
	s.want(http.StatusUnauthorized, e.LogInProgram("nobody@users.test", password))
	s.want(http.StatusBadRequest, e.LogInProgram(email, strings.Repeat(s.invent("long password"), 30)))
	s.want(http.StatusUnsupportedMediaType, e.PostText("/v2/auth/token", formType, "email="+email+"&password="+password))
	s.want(http.StatusUnauthorized, e.RefreshByPost(third.Refresh, "nobody@users.test"))
	s.want(http.StatusUnauthorized, e.RefreshByPost(third.Refresh[:len(third.Refresh)-48]+strings.Repeat("ab", 24), email))
	s.want(http.StatusUnauthorized, e.RefreshByGet("", third.Refresh))
	s.want(http.StatusUnauthorized, e.RefreshByGet("x", third.Refresh))
	s.want(http.StatusUnauthorized, e.RefreshByGet(third.Token, third.Token))
	s.want(http.StatusBadRequest, e.RefreshByGet(third.Token, third.Refresh+"\x00"))
	s.see(e.Browser().Visit(http.MethodDelete, "/v2/auth/token?refreshToken="+third.Refresh))
	s.see(e.Browser().Visit(http.MethodGet, "/v2/auth/token/"+third.Refresh))
	s.see(e.Browser().Visit(http.MethodGet, "/v2/auth/token?refreshToken="+third.Refresh+"&refreshToken="+third.Token, "Authorization: Bearer "+third.Token))
	reused := pair(e.LogInProgram(email, password))
	successor := pair(e.RefreshByGet(reused.Token, reused.Refresh))
	pair(e.RefreshByGet(successor.Token, successor.Refresh)) // from now on the old one is reuse
	e.Exec(`UPDATE user_refresh_tokens SET sealed_until = created_at WHERE sealed_until IS NOT NULL`)
	s.want(http.StatusUnauthorized, e.RefreshByPost(reused.Refresh, email))
	return []string{first.Token, second.Token, third.Token}
}
