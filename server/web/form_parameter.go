package web

import "slices"

// knownParameters are the parameters of our endpoints and the fields of our forms: the names that a response may repeat.
var knownParameters = []string{
	"account", "access_token", "acr_values", "add_row", "aud", "bot", "client_id", "client_secret", "code", "code_challenge", "code_challenge_method",
	"code_verifier", "confirm", "current_password", "decision", "description", "email", "expiring", "grant_type", "homepage", "id_token_hint", "keep", "max_age",
	"login_hint", "logo_url", "name", "next", "nonce", "owner", "password", "permission", "pkce_required", "prompt", "redirect_uri", "redirect_uris",
	"refresh_token", "request_id", "resource", "response_mode", "response_type", "role", "roles", "scope", "scopes", "state", "token", "token_type_hint",
	"type", "version",
}

// parameterError is BadRequest for a parameter whose name the sender chose. An attacker may have made the link, and must not
// put text on our pages, so an unknown name is not repeated.
func parameterError(name, description string) *Error {
	if slices.Contains(knownParameters, name) {
		return BadRequest(name, description)
	}
	return BadRequest("", "one of the parameters "+description)
}
