package web

import "slices"

// named are the parameters of this server's endpoints and the fields of its forms: the names that an answer may repeat.
var named = []string{
	"account", "access_token", "acr_values", "add_row", "aud", "bot", "client_id", "client_secret", "code", "code_challenge", "code_challenge_method",
	"code_verifier", "confirm", "current_password", "decision", "description", "email", "expiring", "grant_type", "homepage", "id_token_hint", "keep", "max_age",
	"login_hint", "logo_url", "name", "next", "nonce", "owner", "password", "permission", "pkce_required", "prompt", "redirect_uri", "redirect_uris",
	"refresh_token", "request_id", "resource", "response_mode", "response_type", "role", "roles", "scope", "scopes", "state", "token", "token_type_hint",
	"type", "version",
}

// parameterFault is BadRequest for a parameter whose name the sender chose. A link may be made by a stranger, and a
// stranger's words are no part of a sentence on our pages: an unknown name is not repeated.
func parameterFault(name, description string) *Error {
	if slices.Contains(named, name) {
		return BadRequest(name, description)
	}
	return BadRequest("", "one of the parameters "+description)
}
