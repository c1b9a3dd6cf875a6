package server

import (
	"net/http"

	"xenoauth/server/account"
	"xenoauth/server/oauth"
	"xenoauth/server/platform"
	"xenoauth/server/portal"
	"xenoauth/server/web"
)

// handlers are the packages whose handlers routes mounts.
type handlers struct {
	web      *web.Toolkit
	oauth    *oauth.Handler
	account  *account.Handler
	portal   *portal.Handler
	platform *platform.Handler
}

// routes lists every route. page is for browsers, logged in or not; private for users who are logged in; ending is a private that
// creates nothing. Open accepts a form from another site. api is for programs; Messages for programs that expect the errors of the
// integration endpoint; cors also for scripts on other sites.
func (s *Server) routes(h handlers) http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, f web.Handler) { mux.Handle(pattern, h.web.Page(f)) }
	private := func(pattern string, f web.Handler) { mux.Handle(pattern, h.web.Private(f)) }
	ending := func(pattern string, f web.Handler) { mux.Handle(pattern, h.web.Ending(h.web.Private(f))) }
	api := func(pattern string, f web.Handler) { mux.Handle(pattern, h.web.API(f)) }
	cors := func(method, path string, f web.Handler) {
		handler := h.web.CORS(method, f)
		mux.Handle(method+" "+path, handler)
		mux.Handle("OPTIONS "+path, handler)
	}

	// The protocol.
	page("GET /oauth/authorize", h.oauth.Authorize)
	mux.Handle("POST /oauth/authorize", h.web.Open(h.oauth.RedirectPostToGet))
	page("GET /oauth/consent", h.oauth.ShowConsent)
	page("POST /oauth/consent", h.oauth.Decide)
	cors("POST", "/oauth/token", h.oauth.Token)
	mux.Handle("/oauth/token", h.web.CORS("POST", h.oauth.TokenByGet))
	cors("POST", "/oauth/revoke", h.oauth.Revoke)
	api("POST /oauth/introspect", h.oauth.Introspect)
	cors("GET", "/.well-known/oauth-authorization-server", h.oauth.Metadata)
	cors("GET", "/.well-known/openid-configuration", h.oauth.Metadata)
	cors("GET", "/.well-known/jwks.json", h.oauth.KeySet)

	// The platform.
	cors("GET", "/api/me", h.platform.Me)
	api("/oauth/verify", h.platform.Verify)
	api("POST /v2/auth/token", h.platform.CreateUserToken)
	api("GET /v2/auth/token", h.platform.RefreshUserToken)
	api("HEAD /v2/auth/token", h.platform.UserTokenMethodNotAllowed)
	api("/v2/auth/token", h.platform.UserTokenMethodNotAllowed)
	mux.Handle("POST /authorization/integration", h.web.Messages(h.platform.Integration))
	mux.Handle("POST /bots/{bot}/authorization/integration", h.web.Messages(h.platform.Integration))

	// People.
	page("GET /{$}", h.account.Home)
	page("GET /signup", h.account.ShowSignUp)
	page("POST /signup", h.account.SignUp)
	page("GET /login", h.account.ShowLogIn)
	page("POST /login", h.account.LogIn)
	page("GET /logout", h.account.ShowLogOut)
	mux.Handle("POST /logout", h.web.Ending(h.web.Page(h.account.LogOut)))
	private("GET /account", h.account.ShowProfile)
	private("POST /account", h.account.Rename)
	private("GET /account/apps", h.account.ListInstalledApps)
	private("GET /account/apps/{installation}/remove", h.account.ShowRemoveApp)
	ending("POST /account/apps/{installation}/remove", h.account.RemoveApp)
	private("GET /account/security", h.account.ShowSecurity)
	private("POST /account/security", h.account.ChangePassword)
	ending("POST /account/security/sessions", h.account.EndOtherLogIns)
	ending("POST /account/security/sessions/{session}/end", h.account.EndSession)
	ending("POST /account/security/programs/{program}/end", h.account.EndProgram)

	private("GET /account/keys", h.account.ListKeys)
	private("GET /account/form", h.account.ShowParkedForm)
	private("GET /account/created/{form}", h.account.ShowCreated)
	private("GET /account/keys/new", h.account.ShowNewKey)
	private("POST /account/keys", h.account.CreateKey)
	private("GET /account/keys/{key}/rotate", h.account.ShowRotateKey)
	private("POST /account/keys/{key}/rotate", h.account.RotateKey)
	private("GET /account/keys/{key}/revoke", h.account.ShowRevokeKey)
	ending("POST /account/keys/{key}/revoke", h.account.RevokeKey)
	private("GET /account/keys/{key}/secrets/{secret}/revoke", h.account.ShowRevokeKeySecret)
	ending("POST /account/keys/{key}/secrets/{secret}/revoke", h.account.RevokeKeySecret)
	private("GET /account/bots", h.account.ListBots)
	private("GET /account/bots/new", h.account.ShowNewBot)
	private("POST /account/bots", h.account.CreateBot)
	private("GET /account/bots/{bot}", h.account.ShowBot)
	private("GET /account/bots/{bot}/rotate", h.account.ShowRotateBot)
	private("POST /account/bots/{bot}/rotate", h.account.RotateBot)
	private("GET /account/bots/{bot}/secrets/{secret}/revoke", h.account.ShowRevokeBotSecret)
	ending("POST /account/bots/{bot}/secrets/{secret}/revoke", h.account.RevokeBotSecret)
	private("GET /account/bots/{bot}/remove", h.account.ShowRemoveBot)
	ending("POST /account/bots/{bot}/remove", h.account.RemoveBot)

	// Developers.
	private("GET /developer/apps", h.portal.ListApps)
	private("GET /developer/created/{form}", h.portal.ShowCreated)
	private("GET /developer/apps/new", h.portal.ShowNewApp)
	private("POST /developer/apps", h.portal.CreateApp)
	private("GET /developer/apps/{id}", h.portal.ShowApp)
	private("GET /developer/apps/{id}/edit", h.portal.ShowEditApp)
	private("POST /developer/apps/{id}/edit", h.portal.UpdateApp)
	private("POST /developer/apps/{id}/secrets", h.portal.RotateSecret)
	private("GET /developer/apps/{id}/secrets/{secret}/revoke", h.portal.ShowRevokeSecret)
	ending("POST /developer/apps/{id}/secrets/{secret}/revoke", h.portal.RevokeSecret)
	private("GET /developer/apps/{id}/delete", h.portal.ShowDeleteApp)
	ending("POST /developer/apps/{id}/delete", h.portal.DeleteApp)

	mux.Handle("GET /static/{hash}/{file}", h.web.Static())

	w := h.web
	return w.Identify(w.AccessLog(s.metrics.observe(w.Recover(w.CleanPath(w.Routes(mux))))))
}
