package account

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// keysPage is the data of keys.html.
type keysPage struct {
	Keys    []listedKey
	List    web.List
	Admin   bool // of an account
	Several bool // admin of several accounts
}

// listedKey holds the data of an API key that pages show.
type listedKey struct {
	store.APIKey
	Secrets  web.SecretList // the active credentials
	RoleText string         // "agent, bot"; "" for an account API key
	For      string         // the user that a key with roles acts for, as pages name them
	Others   bool           // that user is another person: the visitor can revoke the key, but not replace it
}

// keySecretPage is the data of key_secret.html, the one page that holds a key.
type keySecretPage struct {
	Key    listedKey
	New    bool
	Secret string
	Others string // until when the other credentials are valid, as a sentence
	Issuer string
}

// rotatePage is the data of key_rotate.html, for keys and for bots.
type rotatePage struct {
	Name string
	What string // "key" or "secret"
	Path string // of the form
	Back string
	None bool // none is active
	Full bool // two are active already: both must end now
}

// revokeKeyPage is the data of key_revoke.html.
type revokeKeyPage struct {
	Key listedKey
}

// ListKeys shows the keys of all accounts of which the visitor is an admin.
func (h *Handler) ListKeys(w http.ResponseWriter, r *http.Request) error {
	user, by := web.VisitorOf(r.Context()).User, web.PrincipalOf(r)
	accounts, err := h.managed(r)
	if err != nil {
		return err
	}
	query, err := web.ReadListQuery(r)
	if err != nil {
		return err
	}
	keys, err := h.directory.Keys(r.Context(), by)
	if err != nil {
		return err
	}
	page := keysPage{Admin: len(accounts) > 0, Several: len(accounts) > 1}
	keys, page.List = web.PageOf(query, keys, func(k store.APIKey) []string { return []string{k.Name, k.ID, k.AccountName, k.UserName} })
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	secrets, err := h.store.SecretsByClients(r.Context(), ids)
	if err != nil {
		return err
	}
	for _, k := range keys {
		listed := listKey(k, user, by)
		listed.Secrets = web.ListSecrets(secrets[k.ID])
		page.Keys = append(page.Keys, listed)
	}
	return h.web.Render(w, r, http.StatusOK, "keys", page)
}

func listKey(k store.APIKey, user store.User, by store.Principal) listedKey {
	l := listedKey{APIKey: k, Others: !directory.MayRotate(k, by), RoleText: strings.ReplaceAll(directory.RoleNames(k.Roles), " ", ", ")}
	switch {
	case k.UserID == "":
	case k.UserID == user.ID:
		l.For = "you"
	case k.UserBot:
		l.For = "the bot " + k.UserName
	default:
		l.For = k.UserEmail
	}
	return l
}

// managed lists the accounts of which the visitor is an admin.
func (h *Handler) managed(r *http.Request) ([]store.Member, error) {
	members, err := h.store.MembersByUser(r.Context(), web.VisitorOf(r.Context()).User.ID)
	if err != nil {
		return nil, err
	}
	var managed []store.Member
	for _, m := range members {
		if m.Role == scope.RoleAdmin {
			managed = append(managed, m)
		}
	}
	return managed, nil
}

// key finds the key in the path. One that the visitor does not manage gives the same 404 as one that does not exist.
func (h *Handler) key(r *http.Request) (listedKey, error) {
	id := r.PathValue("key")
	if !secret.ValidPublicID("key_", id) {
		return listedKey{}, web.NotFound()
	}
	v := web.VisitorOf(r.Context())
	k, err := h.directory.Key(r.Context(), v.Principal(r), id)
	return listKey(k, v.User, v.Principal(r)), err
}

// keySecrets is key with the active credentials.
func (h *Handler) keySecrets(r *http.Request) (listedKey, error) {
	k, err := h.key(r)
	if err != nil {
		return listedKey{}, err
	}
	secrets, err := h.store.SecretsByClient(r.Context(), k.ID)
	k.Secrets = web.ListSecrets(secrets)
	return k, err
}

// ShowRotateKey asks how long the current credential stays valid.
func (h *Handler) ShowRotateKey(w http.ResponseWriter, r *http.Request) error {
	k, err := h.keySecrets(r)
	if err != nil {
		return err
	}
	if k.Others {
		return othersKey(k, directory.ErrOthersKey)
	}
	return h.web.Render(w, r, http.StatusOK, "key_rotate", rotatePage{
		Name: k.Name, What: "key", Path: "/account/keys/" + k.ID + "/rotate", Back: "/account/keys", None: len(k.Secrets) == 0, Full: len(k.Secrets) >= store.MaxSecrets,
	})
}

// RotateKey adds a credential, and redirects to the page that shows it once.
func (h *Handler) RotateKey(w http.ResponseWriter, r *http.Request) error {
	k, err := h.keySecrets(r)
	if err != nil {
		return err
	}
	values, err := web.ParseForm(w, r)
	if err != nil {
		return err
	}
	until, others, err := h.parseKeep(values, "key")
	if err != nil {
		return err
	}
	others = k.Secrets.AfterRotation("key", others, until)
	err = h.web.Once(w, r, values, created, func(r *http.Request, by store.Principal) (*web.Shown, error) {
		c, err := h.directory.RotateKey(r.Context(), by, k.APIKey, until)
		return &web.Shown{ID: k.ID, Secret: c.Reveal(), Others: others}, err
	})
	if errors.Is(err, directory.ErrOthersKey) {
		return othersKey(k, err)
	}
	return tooMany(err)
}

// othersKey is the refusal to replace a key that acts for another person.
func othersKey(k listedKey, cause error) error {
	return &web.Error{Status: http.StatusForbidden, Cause: cause,
		Description: "The key " + k.Name + " acts for " + k.For + ", so only they can replace it. You can revoke it."}
}

// parseKeep returns until when the replaced credential stays valid, and a sentence about it.
func (h *Handler) parseKeep(values web.Values, what string) (time.Time, string, error) {
	now := h.store.Now()
	switch values.Get("keep") {
	case "now":
		return now, "The previous " + what + " has expired.", nil
	case "1h":
		return now.Add(time.Hour), "The previous " + what + " expires in 1 hour.", nil
	case "24h":
		return now.Add(24 * time.Hour), "The previous " + what + " expires in 24 hours.", nil
	case "7d":
		return now.Add(7 * 24 * time.Hour), "The previous " + what + " expires in 7 days.", nil
	}
	return time.Time{}, "", web.BadRequest("keep", "must be now, 1h, 24h or 7d")
}

// tooMany turns the error of a limit into a page that explains the fix.
func tooMany(err error) error {
	var secrets *directory.SecretLimitError
	var keys *directory.KeyLimitError
	switch {
	case errors.As(err, &secrets):
		return &web.Error{Status: http.StatusConflict, Title: "Two are already active", Cause: err,
			Description: "That is the maximum. Go back and revoke the one you no longer use, or replace both now."}
	case errors.As(err, &keys):
		return &web.Error{Status: http.StatusConflict, Title: "Limit reached", Cause: err, Description: keys.Error() + ". Nothing was created."}
	}
	return err
}

// ShowRevokeKey names the consequences and asks for confirmation.
func (h *Handler) ShowRevokeKey(w http.ResponseWriter, r *http.Request) error {
	k, err := h.keySecrets(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/account/keys")
	}
	return h.web.Render(w, r, http.StatusOK, "key_revoke", revokeKeyPage{k})
}

// RevokeKey revokes a key permanently.
func (h *Handler) RevokeKey(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	k, err := h.key(r)
	if err != nil {
		return h.web.Ended(w, r, err, "/account/keys")
	}
	v := web.VisitorOf(r.Context())
	if err := h.directory.RevokeKey(r.Context(), v.Ending(r), k.ID); err != nil {
		return h.web.Ended(w, r, err, "/account/keys")
	}
	h.web.Notice(w, r, "The key "+k.Name+" was revoked and no longer works.")
	web.Redirect(w, r, "/account/keys")
	return nil
}
