package account

import (
	"errors"
	"net/http"
	"strings"

	"xenoauth/server/web"
)

// created is the path of ShowCreated, without the id of the form.
const created = "/account/created/"

// shownBeforePage is the data of shown_before.html.
type shownBeforePage struct {
	What  string // "secret" or "key"
	Links []web.Link
}

// ShowCreated shows a new key, a new bot or a new secret of either, once.
func (h *Handler) ShowCreated(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	shown, err := h.web.TakeShown(r, r.PathValue("form"))
	if errors.Is(err, web.ErrShownBefore) {
		page := shownBeforePage{What: "secret", Links: []web.Link{{Text: "API keys", Path: "/account/keys"}, {Text: "Bots", Path: "/account/bots"}}}
		return h.web.Render(w, r, http.StatusOK, "shown_before", page)
	}
	if err != nil {
		return err
	}
	if strings.HasPrefix(shown.ID, "key_") {
		r.SetPathValue("key", shown.ID)
		k, err := h.key(r)
		if err != nil {
			return err
		}
		return h.web.Render(w, r, http.StatusOK, "key_secret", keySecretPage{Key: k, New: shown.New, Secret: shown.Secret, Others: shown.Others, Issuer: h.issuer})
	}
	r.SetPathValue("bot", shown.ID)
	b, err := h.bot(r)
	if err != nil {
		return err
	}
	return h.web.Render(w, r, http.StatusOK, "bot_secret", botPage{Bot: b, Endpoint: h.endpoint(b), New: shown.New, Secret: shown.Secret, Others: shown.Others})
}
