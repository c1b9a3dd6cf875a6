package portal

import (
	"errors"
	"net/http"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// secretPage is the data of secret.html, the one page that holds a secret.
type secretPage struct {
	App    store.App
	New    bool   // the app was registered just now
	Secret string // "" for a public app
	Others string // until when the other secrets are valid, as a sentence
	Guide  guide
}

// revokePage is the data of revoke.html.
type revokePage struct {
	App store.App
	web.ListedSecret
	Last bool // no other secret is active
}

// parseKeep returns until when the current secret stays valid, and a sentence about it.
func parseKeep(choice string, now time.Time) (until time.Time, others string, err error) {
	switch choice {
	case "", "forever":
		return time.Time{}, "The previous secret keeps working until you revoke it.", nil
	case "now":
		return now, "All previous secrets have expired.", nil
	case "1h":
		return now.Add(time.Hour), "The previous secret expires in 1 hour.", nil
	case "24h":
		return now.Add(24 * time.Hour), "The previous secret expires in 24 hours.", nil
	case "7d":
		return now.Add(7 * 24 * time.Hour), "The previous secret expires in 7 days.", nil
	}
	return time.Time{}, "", web.BadRequest("keep", "must be forever, now, 1h, 24h or 7d")
}

// RotateSecret adds a secret, and redirects to the page that shows it once.
func (h *Handler) RotateSecret(w http.ResponseWriter, r *http.Request) error {
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	a, live, err := h.appSecrets(r)
	if err != nil {
		return err
	}
	until, others, err := parseKeep(values.Get("keep"), h.store.Now())
	if err != nil {
		return err
	}
	others = live.AfterRotation("secret", others, until)
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		credential, err := h.directory.RotateSecret(r.Context(), by, a.ID, until)
		return &web.Shown{ID: a.ID, Secret: credential.Reveal(), Others: others}, err
	})
	var full *directory.SecretLimitError
	switch {
	case errors.As(err, &full):
		return &web.Error{Status: http.StatusConflict, Title: "Two secrets are already active", Cause: err,
			Description: "That is the maximum. Go back and revoke the one you no longer use."}
	case errors.Is(err, directory.ErrPublicApp):
		return &web.Error{Status: http.StatusConflict, Title: "A public app has no secret", Description: "It uses PKCE instead.", Cause: err}
	}
	return err
}

// created is the path of ShowCreated, without the id of the form.
const created = "/developer/created/"

// shownBeforePage is the data of shown_before.html.
type shownBeforePage struct {
	What  string // "secret"; "" if there was none
	Links []web.Link
}

// ShowCreated shows a new app or secret, once.
func (h *Handler) ShowCreated(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	shown, err := h.web.TakeShown(r, r.PathValue("form"))
	known := err == nil || errors.Is(err, web.ErrShownBefore)
	if !known {
		return err
	}
	r.SetPathValue("id", shown.ID)
	a, lookUp := h.app(r)
	switch {
	case lookUp != nil:
		return lookUp
	case err != nil:
		page := shownBeforePage{Links: []web.Link{{Text: a.Name, Path: "/developer/apps/" + a.ID}}}
		if a.Confidential {
			page.What = "secret"
		}
		return h.web.Render(w, r, http.StatusOK, "shown_before", page)
	}
	page := secretPage{App: a, New: shown.New, Secret: shown.Secret, Others: shown.Others}
	if shown.New {
		page.Guide = h.guide(a)
	}
	return h.web.Render(w, r, http.StatusOK, "secret", page)
}

// ShowRevokeSecret names the secret and asks for confirmation.
func (h *Handler) ShowRevokeSecret(w http.ResponseWriter, r *http.Request) error {
	a, live, err := h.appSecrets(r)
	if err != nil {
		return err
	}
	s, found := live.Find(r.PathValue("secret"))
	if !found {
		return h.web.Ended(w, r, web.NotFound(), "/developer/apps/"+a.ID)
	}
	return h.web.Render(w, r, http.StatusOK, "revoke", revokePage{App: a, ListedSecret: s, Last: len(live) == 1})
}

// RevokeSecret ends one secret at once.
func (h *Handler) RevokeSecret(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	a, err := h.app(r)
	if err != nil {
		return err
	}
	id, ok := secret.ParseID(r.PathValue("secret"))
	if !ok {
		return web.NotFound()
	}
	v := web.VisitorOf(r.Context())
	if err := h.directory.RevokeSecret(r.Context(), v.Ending(r), a.ID, id); err != nil {
		return h.web.Ended(w, r, err, "/developer/apps/"+a.ID)
	}
	h.web.Notice(w, r, "The secret was revoked. Tokens the app already holds keep working.")
	web.Redirect(w, r, "/developer/apps/"+a.ID)
	return nil
}
