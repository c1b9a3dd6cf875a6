package account

import (
	"net/http"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// botsPage is the data of bots.html.
type botsPage struct {
	Bots    []store.Bot
	List    web.List
	Admin   bool
	Several bool
}

// botFormPage is the data of bot_form.html.
type botFormPage struct {
	Accounts []store.Member
	Account  string
	Name     string
	Several  bool
	Errors   directory.FieldErrors
}

// botPage is the data of bot.html, and with a Secret of bot_secret.html.
type botPage struct {
	Bot      store.Bot
	Endpoint string // the bot's service endpoint
	Secrets  web.SecretList
	New      bool
	Secret   string // shown only here
	Others   string // until when the other secrets are valid, as a sentence
}

// ListBots shows the bots of all accounts of which the visitor is an admin.
func (h *Handler) ListBots(w http.ResponseWriter, r *http.Request) error {
	accounts, err := h.managed(r)
	if err != nil {
		return err
	}
	bots, err := h.directory.Bots(r.Context(), web.PrincipalOf(r))
	if err != nil {
		return err
	}
	query, err := web.ReadListQuery(r)
	if err != nil {
		return err
	}
	page := botsPage{Admin: len(accounts) > 0, Several: len(accounts) > 1}
	page.Bots, page.List = web.PageOf(query, bots, func(b store.Bot) []string { return []string{b.Name, b.ID, b.APIKey, b.Email, b.AccountName} })
	return h.web.Render(w, r, http.StatusOK, "bots", page)
}

// ShowNewBot shows the empty form.
func (h *Handler) ShowNewBot(w http.ResponseWriter, r *http.Request) error {
	return h.botForm(w, r, http.StatusOK, botFormPage{})
}

func (h *Handler) botForm(w http.ResponseWriter, r *http.Request, status int, page botFormPage) error {
	var err error
	if page.Accounts, err = h.managed(r); err != nil {
		return err
	}
	if len(page.Accounts) == 0 {
		return web.Forbidden("Only admins of an account can create bots, and you are not an admin of any.")
	}
	page.Several = len(page.Accounts) > 1
	return h.web.Render(w, r, status, "bot_form", page)
}

// CreateBot creates a bot, and redirects to the page that shows its secret once.
func (h *Handler) CreateBot(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	page := botFormPage{Account: values.Get("account"), Name: values.Get("name")}
	accountID, err := h.accountOf(r, page.Account)
	if err != nil {
		return err
	}
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		b, c, err := h.directory.CreateBot(r.Context(), by, accountID, page.Name)
		return &web.Shown{ID: b.ID, New: true, Secret: c.Reveal()}, err
	})
	if err != nil {
		if page.Errors, err = web.FieldErrors(err); err != nil {
			return tooMany(err)
		}
		return h.botForm(w, r, http.StatusUnprocessableEntity, page)
	}
	return nil
}

// endpoint is the bot's service endpoint: the address under which it gets its tokens (docs/dialects.md, Integration tokens).
func (h *Handler) endpoint(b store.Bot) string { return h.issuer + "/bots/" + b.ID }

// bot finds the bot in the path. One that the visitor does not manage gives the same 404 as one that does not exist.
func (h *Handler) bot(r *http.Request) (store.Bot, error) {
	id := r.PathValue("bot")
	if !secret.ValidUserID(id) {
		return store.Bot{}, web.NotFound()
	}
	return h.directory.Bot(r.Context(), web.PrincipalOf(r), id)
}

// botSecrets is bot with the active secrets.
func (h *Handler) botSecrets(r *http.Request) (store.Bot, web.SecretList, error) {
	id := r.PathValue("bot")
	if !secret.ValidUserID(id) {
		return store.Bot{}, nil, web.NotFound()
	}
	b, secrets, err := h.directory.BotSecrets(r.Context(), web.PrincipalOf(r), id)
	return b, web.ListSecrets(secrets), err
}

// ShowBot shows a bot without its secret.
func (h *Handler) ShowBot(w http.ResponseWriter, r *http.Request) error {
	b, secrets, err := h.botSecrets(r)
	if err != nil {
		return err
	}
	return h.web.Render(w, r, http.StatusOK, "bot", botPage{Bot: b, Endpoint: h.endpoint(b), Secrets: secrets})
}

// ShowRotateBot asks how long the current secret stays valid.
func (h *Handler) ShowRotateBot(w http.ResponseWriter, r *http.Request) error {
	b, live, err := h.botSecrets(r)
	if err != nil {
		return err
	}
	return h.web.Render(w, r, http.StatusOK, "key_rotate", rotatePage{
		Name: b.Name, What: "secret", Path: "/account/bots/" + b.ID + "/rotate", Back: "/account/bots/" + b.ID,
		None: len(live) == 0, Full: len(live) >= store.MaxSecrets,
	})
}

// RotateBot adds a secret, and redirects to the page that shows it once.
func (h *Handler) RotateBot(w http.ResponseWriter, r *http.Request) error {
	b, live, err := h.botSecrets(r)
	if err != nil {
		return err
	}
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	until, others, err := h.parseKeep(values, "secret")
	if err != nil {
		return err
	}
	others = live.AfterRotation("secret", others, until)
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		c, err := h.directory.RotateBot(r.Context(), by, b, until)
		return &web.Shown{ID: b.ID, Secret: c.Reveal(), Others: others}, err
	})
	return tooMany(err)
}

// ShowRemoveBot names the consequences and asks for confirmation.
func (h *Handler) ShowRemoveBot(w http.ResponseWriter, r *http.Request) error {
	b, err := h.bot(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/account/bots")
	}
	return h.web.Render(w, r, http.StatusOK, "bot_remove", botPage{Bot: b})
}

// RemoveBot removes a bot permanently.
func (h *Handler) RemoveBot(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	b, err := h.bot(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/account/bots")
	}
	v := web.VisitorOf(r.Context())
	if err := h.directory.RemoveBot(r.Context(), v.Ending(r), b.ID); err != nil {
		return h.web.Ended(w, r, err, "/account/bots")
	}
	h.web.Notice(w, r, "The bot "+b.Name+" was removed and no longer has access.")
	web.Redirect(w, r, "/account/bots")
	return nil
}
