package portal

import (
	"net/url"
	"strings"

	"xenoauth/store"
)

// Placeholders in the example requests. The verifier and its challenge are the pair of RFC 7636 Appendix B.
const (
	exampleState     = "RANDOM_STATE"
	exampleVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	exampleChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// guide is the data of the template part of that name: the requests that connect an app, to copy.
type guide struct {
	Authorize string // address for the browser
	Exchange  string // curl command
	Use       string // curl command
	State     string // the placeholder for state
	PKCE      bool
}

// guide returns the requests of an app with its real addresses and the first of its redirect URIs.
func (h *Handler) guide(a store.App) guide {
	g := guide{State: exampleState, PKCE: a.PKCERequired || !a.Confidential}
	query := url.Values{"client_id": {a.ID}, "scope": {a.Scopes.String()}, "state": {exampleState}}
	exchange := []string{"curl " + h.issuer + "/oauth/token", "-d client_id=" + a.ID}
	if a.Confidential {
		exchange = append(exchange, `-d client_secret="$CLIENT_SECRET"`)
	}
	exchange = append(exchange, `-d code="$CODE"`)
	if len(a.RedirectURIs) > 0 {
		query.Set("redirect_uri", a.RedirectURIs[0])
		exchange = append(exchange, "--data-urlencode redirect_uri="+quote(a.RedirectURIs[0]))
	}
	if g.PKCE {
		query.Set("code_challenge", exampleChallenge)
		query.Set("code_challenge_method", "S256")
		exchange = append(exchange, "-d code_verifier="+exampleVerifier)
	}
	g.Authorize = h.issuer + "/oauth/authorize?" + query.Encode()
	g.Exchange = strings.Join(exchange, " \\\n  ")
	g.Use = `curl ` + h.issuer + `/api/me -H "Authorization: Bearer $ACCESS_TOKEN"`
	return g
}

// quote quotes s as one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
