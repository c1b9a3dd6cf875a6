package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"xenoauth/e2e/harness"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// mistakes are secrets in the wrong place: in URLs, in paths, in headers of another kind, in fields for something else.
func (s *story) mistakes(b *harness.Browser, app harness.App, email, password string) {
	e, out := s.r, s.r.Browser()
	token, code := s.mint(secret.Access), s.mint(secret.Code)
	for _, path := range []string{
		"/api/me?access_token=" + token, "/api/me/" + token, "/api/me?" + token + "=%zz", "/" + token, "/oauth/token?code=" + code + "&client_secret=" + s.mint(secret.Client), "/oauth/authorize?client_id=" + s.mint(secret.Client),
		"/oauth/authorize?client_id=" + app.ID + "&redirect_uri=https://app.test/" + code, "/oauth/consent?request_id=" + s.mint(secret.Request), "/login?next=" + s.mint(secret.Request), "/login?password=" + s.invent("password in a URL"),
		"/developer/apps/" + s.mint(secret.Client), "/account/apps/" + token + "/remove", "/static/" + token + "/x.css", "//" + token, "/%2e/" + token, "/login?password=" + s.invent("password in a bad URL") + "&x=%00",
	} {
		s.see(out.Visit(http.MethodGet, path))
		s.see(b.Visit(http.MethodGet, path, "Referer: "+e.URL+"/?code="+code))
		s.see(b.Visit(http.MethodPost, path, "Content-Length: 0"))
		s.see(b.Visit(http.MethodDelete, path))
	}
	for _, header := range []string{
		"Bearer  " + token, "Bearer " + token + " " + token, "Token " + token, token, harness.Basic(email, password), harness.Basic(token, ""), harness.Basic(app.ID, s.invent("wrong secret")), "Basic " + s.invent("bad base64") + "!",
		"Digest " + s.invent("digest"), "Bearer " + s.invent("bearer") + "\xff",
	} {
		for _, path := range []string{"/api/me", "/account", "/oauth/authorize"} {
			s.see(askBearer(s.t, e, path, "", "", "Authorization", header))
		}
		for path := range protected {
			s.see(e.Post(path, url.Values{"token": {token}, "code": {code}}, "Authorization", header))
			s.see(e.Post(path, app.As("token", token), "Authorization", header, "Authorization", header))
		}
	}
	for _, name := range []string{"xenoauth", "xenoauth-device", "__Host-xenoauth"} {
		s.see(askBearer(s.t, e, "/account", "", "", "Cookie", name+"="+s.invent("wrong cookie")))
		s.see(askBearer(s.t, e, "/account", "", "", "Cookie", name+"="+token))
	}
	s.see(e.Raw("/oauth/token", "client_secret="+s.invent("secret in a malformed body")+"&x=%zz"))
	s.see(e.Raw("/oauth/token", "client_secret="+s.invent("secret with a semicolon")+";x=y"))
	s.see(e.Raw("/oauth/token", s.invent("secret for a name")+"%00=x"))
	s.see(send(s.t, e, http.MethodPost, "application/json", `{"client_secret":"`+s.invent("secret in bad JSON")+`"`))
	s.see(send(s.t, e, http.MethodPost, "application/json", `{"client_secret":["`+s.invent("secret in a list")+`"]}`))
	s.see(send(s.t, e, http.MethodPost, "text/plain", "client_secret="+s.invent("secret in plain text")))

	// Every field of every form, one at a time, holds what belongs into none of them.
	for path, form := range map[string]url.Values{
		"/oauth/token":                           app.As("grant_type", "authorization_code", "code", code, "redirect_uri", harness.CB, "code_verifier", s.invent("verifier"), "scope", "faqs", "resource", "https://x.test", "refresh_token", s.mint(secret.Refresh)),
		"/oauth/revoke":                          app.As("token", token, "token_type_hint", "x"),
		"/oauth/introspect":                      app.As("token", token, "token_type_hint", "x"),
		"/oauth/consent":                         {"request_id": {s.mint(secret.Request)}, "decision": {"allow"}, "account": {"x"}},
		"/login":                                 {"email": {email}, "password": {s.invent("wrong password")}, "next": {"x"}},
		"/signup":                                {"email": {"x"}, "name": {"x"}, "password": {s.invent("password")}, "next": {"x"}},
		"/account":                               {"name": {"Carla"}},
		"/developer/apps":                        {"name": {""}, "description": {"x"}, "homepage": {"x"}, "logo_url": {"x"}, "redirect_uris": {"x"}, "scopes": {"x"}, "type": {"x"}, "account": {"x"}},
		"/developer/apps/" + app.ID + "/edit":    {"name": {"x"}, "description": {"x"}, "homepage": {"x"}, "logo_url": {"x"}, "redirect_uris": {"x"}, "scopes": {"x"}, "version": {"1"}},
		"/developer/apps/" + app.ID + "/secrets": {"keep": {"x"}},
		"/developer/apps/" + app.ID + "/delete":  {"confirm": {"x"}},
	} {
		for field := range form {
			wrong := url.Values{}
			for name, values := range form {
				wrong[name] = values
			}
			wrong.Set(field, s.misplace("value of "+field))
			b.Post(path, wrong)
			wrong.Add(field, s.misplace("second value of "+field))
			b.Post(path, wrong)
		}
	}
	for _, field := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "prompt", "resource", "code_challenge", "code_challenge_method", "login_hint"} {
		b.Get(address(request(app, field, s.misplace("value of "+field))))
	}
}

// trouble is the database going away in the middle of it, which is what the log has most to say about.
func (s *story) trouble(b *harness.Browser, apps []harness.App) {
	e := s.r
	s.r.Faults.Fail(fmt.Errorf("conn closed: %w", store.ErrUnavailable), "ClientByID", "AccessByID", "RefreshByID", "RevokeToken", "EndFamily")
	defer s.r.Faults.Heal()
	for _, app := range apps {
		s.see(e.Exchange(app, s.mint(secret.Code), "code_verifier", s.invent("verifier")))
		s.see(refresh(e, app, s.mint(secret.Refresh)))
		s.see(revoke(e, app, s.mint(secret.Access)))
		s.see(revoke(e, app, s.mint(secret.Refresh)))
		s.see(e.Introspect(app, s.mint(secret.Expiring)))
	}
	s.want(http.StatusServiceUnavailable, e.Me(s.mint(secret.Access)))
	s.want(http.StatusServiceUnavailable, e.Post("/oauth/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", harness.Basic("app_"+strings.Repeat("0", 22), s.mint(secret.Client))))
}
