package platform

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"xenoauth/internal/issuer"
	"xenoauth/internal/secret"
	"xenoauth/internal/verify"
	"xenoauth/server/web"
	"xenoauth/store"
)

// integration is the answer of the integration endpoint; Expires is in minutes (docs/dialects.md, Integration tokens).
type integration struct {
	Token   string `json:"token"`
	Expires int    `json:"expires"`
}

// integrationKeys are the keys of a request. bot and botSecret are sent together or not at all.
type integrationKeys struct {
	account, bot, botSecret string
}

// Refusals of the endpoint. Its contract has no codes other than 400, 403 and 404 for errors of the caller.
var (
	errKey = &web.Error{Status: http.StatusNotFound, Description: "the AccountAPIKey was not found"}
	errAPI = &web.Error{Status: http.StatusForbidden, Description: "Unauthorized: this account may not use the platform API"}
	errBot = &web.Error{Status: http.StatusForbidden, Description: "Unauthorized: incorrect BotAPIKey or BotAPISecret"}
)

// Integration exchanges an account's API key, alone or with a bot's key and secret, for a token of 60 minutes: POST
// /authorization/integration, or /bots/{bot}/authorization/integration.
func (h *Handler) Integration(w http.ResponseWriter, r *http.Request) error {
	if id := r.PathValue("bot"); id != "" && !secret.ValidUserID(id) {
		return web.NotFound()
	}
	keys, err := readIntegration(w, r)
	if err != nil {
		return err
	}
	// A key or bot may end between its authentication and the storing of the token. The second attempt then returns the reason.
	for range 2 {
		var token secret.Credential
		token, err = h.integrate(w, r, keys)
		if err == nil {
			return web.WriteJSON(w, http.StatusOK, integration{Token: token.Reveal(), Expires: int(issuer.IntegrationLifetime / time.Minute)})
		}
		if !errors.Is(err, store.ErrEnded) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// readIntegration reads the JSON body. Member names are case-sensitive.
func readIntegration(w http.ResponseWriter, r *http.Request) (integrationKeys, error) {
	values, err := web.ParseMembers(w, r, "AccountAPIKey", "BotAPIKey", "BotAPISecret")
	if err != nil {
		return integrationKeys{}, err
	}
	keys := integrationKeys{values.Get("AccountAPIKey"), values.Get("BotAPIKey"), values.Get("BotAPISecret")}
	switch {
	case keys.account == "":
		return integrationKeys{}, web.BadRequest("AccountAPIKey", "is missing from the JSON body")
	case keys.bot != "" && keys.botSecret == "":
		return integrationKeys{}, web.BadRequest("BotAPISecret", "is missing: it is required with BotAPIKey")
	case keys.bot == "" && keys.botSecret != "":
		return integrationKeys{}, web.BadRequest("BotAPIKey", "is missing: it is required with BotAPISecret")
	}
	return keys, nil
}

// integrate authenticates the keys and issues the token. store.ErrEnded: one of the keys ended in between.
func (h *Handler) integrate(w http.ResponseWriter, r *http.Request, keys integrationKeys) (secret.Credential, error) {
	key, err := h.verify.AccountKey(r.Context(), secret.Text(keys.account))
	switch {
	case errors.Is(err, verify.ErrKey):
		return secret.Credential{}, h.refused(w, r, keys.account, errKey)
	case errors.Is(err, verify.ErrNoAPI):
		return secret.Credential{}, errAPI
	case err != nil:
		return secret.Credential{}, err
	}
	if err := h.checkBotEndpoint(r, key); err != nil {
		return secret.Credential{}, err
	}
	var bot *store.BotAccess
	if keys.bot != "" {
		b, err := h.verify.Bot(r.Context(), verify.BotCredentials{Key: keys.bot, Secret: secret.Text(keys.botSecret)})
		if errors.Is(err, verify.ErrClient) || err == nil && !mayUse(b, key, r.PathValue("bot")) {
			return secret.Credential{}, h.refused(w, r, keys.bot, errBot)
		}
		if err != nil {
			return secret.Credential{}, err
		}
		bot = &b
	}
	return h.issuer.IntegrationToken(r.Context(), key, bot, h.verify.Plans())
}

// checkBotEndpoint answers 404 at the endpoint of a bot that does not exist or is in another account: a program with an outdated
// path must not get a token for the whole account instead.
func (h *Handler) checkBotEndpoint(r *http.Request, key store.KeyAccess) error {
	id := r.PathValue("bot")
	if id == "" {
		return nil
	}
	found, err := h.directory.HasBot(r.Context(), key.Key.AccountID, id)
	if err == nil && !found {
		return web.NotFound()
	}
	return err
}

// mayUse reports whether an authenticated bot is in the key's account, and is the bot of the endpoint's path, if that names one.
func mayUse(b store.BotAccess, key store.KeyAccess, address string) bool {
	return b.Bot.AccountID == key.Key.AccountID && (address == "" || address == b.Bot.ID)
}

// refused counts a failed attempt. A caller with too many of them gets a 403 that asks it to wait, because the endpoint's contract has
// no 429.
func (h *Handler) refused(w http.ResponseWriter, r *http.Request, presented string, refusal *web.Error) error {
	err := h.web.RefusedKey(r, presented, refusal)
	limited := web.AsLimit(err)
	if limited == nil {
		return err
	}
	limited.Announce(w)
	return &web.Error{Status: http.StatusForbidden, Description: "Unauthorized: " + limited.Sentence(), Cause: limited.Cause}
}
