package oauth

import (
	"net/http"

	"xenoauth/server/web"
)

// metadata is authorization server metadata (RFC 8414 §2). It lists only features that work.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	KeySet                string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	PromptValues          []string `json:"prompt_values_supported"`
	IssuerParameter       bool     `json:"authorization_response_iss_parameter_supported"`
}

// Metadata answers GET /.well-known/oauth-authorization-server. The same answer is at /.well-known/openid-configuration, where
// clients look that follow RFC 8414 §5 or know OpenID Connect only, though it lists no feature of OpenID Connect. Every URL is
// made from the configured issuer, never from the request.
func (h *Handler) Metadata(w http.ResponseWriter, _ *http.Request) error {
	secrets := []string{"client_secret_basic", "client_secret_post"}
	all := append(secrets[:2:2], "none")
	w.Header().Set("Cache-Control", "public, max-age=300")
	return web.WriteJSON(w, http.StatusOK, metadata{
		Issuer:                h.origin,
		AuthorizationEndpoint: h.origin + "/oauth/authorize",
		TokenEndpoint:         h.origin + "/oauth/token",
		RevocationEndpoint:    h.origin + "/oauth/revoke",
		IntrospectionEndpoint: h.origin + "/oauth/introspect",
		KeySet:                h.origin + keySetPath,
		Scopes:                h.catalogue.Names(),
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            h.grantTypes(),
		TokenAuth:             all,
		RevocationAuth:        all,
		IntrospectionAuth:     secrets,
		ChallengeMethods:      []string{"S256"},
		PromptValues:          promptValues,
		IssuerParameter:       true,
	})
}
