package account

import (
	"context"
	"errors"
	"net/http"

	"xenoauth/internal/secret"
	"xenoauth/server/web"
	"xenoauth/store"
)

// revokeSecretPage is the data of key_secret_revoke.html, for the credentials of keys and of bots.
type revokeSecretPage struct {
	web.ListedSecret
	What string // "key" or "secret"
	Name string // of the key or the bot
	Path string // of the form
	Back string
	Last bool // no other one is active
}

// secretOwner is a key or a bot of the visitor.
type secretOwner struct {
	what, name, path, back string
	client                 string // the id under which its secrets are stored
	revoke                 func(context.Context, secret.ID) error
}

// keyOwner finds the key in the path.
func (h *Handler) keyOwner(r *http.Request) (secretOwner, error) {
	k, err := h.key(r)
	v := web.VisitorOf(r.Context())
	return secretOwner{
		what: "key", name: k.Name, path: "/account/keys/" + k.ID, back: "/account/keys",
		client: k.ID,
		revoke: func(ctx context.Context, id secret.ID) error {
			return h.directory.RevokeKeySecret(ctx, v.Ending(r), k.ID, id)
		},
	}, err
}

// botOwner finds the bot in the path.
func (h *Handler) botOwner(r *http.Request) (secretOwner, error) {
	b, err := h.bot(r)
	v := web.VisitorOf(r.Context())
	return secretOwner{
		what: "secret", name: b.Name, path: "/account/bots/" + b.ID, back: "/account/bots/" + b.ID,
		client: b.APIKey,
		revoke: func(ctx context.Context, id secret.ID) error {
			return h.directory.RevokeBotSecret(ctx, v.Ending(r), b, id)
		},
	}, err
}

// ShowRevokeKeySecret asks for confirmation before a credential of a key is revoked.
func (h *Handler) ShowRevokeKeySecret(w http.ResponseWriter, r *http.Request) error {
	return h.showRevokeSecret(w, r, h.keyOwner)
}

// ShowRevokeBotSecret asks for confirmation before a secret of a bot is revoked.
func (h *Handler) ShowRevokeBotSecret(w http.ResponseWriter, r *http.Request) error {
	return h.showRevokeSecret(w, r, h.botOwner)
}

func (h *Handler) showRevokeSecret(w http.ResponseWriter, r *http.Request, find func(*http.Request) (secretOwner, error)) error {
	owner, err := find(r)
	if err != nil {
		return err
	}
	secrets, err := h.store.SecretsByClient(r.Context(), owner.client)
	if err != nil {
		return err
	}
	listed, found := web.ListSecrets(secrets).Find(r.PathValue("secret"))
	if !found {
		return h.web.Ended(w, r, web.NotFound(), owner.back)
	}
	return h.web.Render(w, r, http.StatusOK, "key_secret_revoke", revokeSecretPage{
		ListedSecret: listed, What: owner.what, Name: owner.name, Back: owner.back,
		Path: owner.path + "/secrets/" + listed.ID + "/revoke", Last: len(secrets) == 1,
	})
}

// RevokeKeySecret ends one credential of a key at once.
func (h *Handler) RevokeKeySecret(w http.ResponseWriter, r *http.Request) error {
	return h.revokeSecret(w, r, h.keyOwner)
}

// RevokeBotSecret ends one secret of a bot at once.
func (h *Handler) RevokeBotSecret(w http.ResponseWriter, r *http.Request) error {
	return h.revokeSecret(w, r, h.botOwner)
}

func (h *Handler) revokeSecret(w http.ResponseWriter, r *http.Request, find func(*http.Request) (secretOwner, error)) error {
	if _, err := web.ParseForm(w, r); err != nil {
		return err
	}
	owner, err := find(r)
	if err != nil {
		return err
	}
	id, ok := secret.ParseID(r.PathValue("secret"))
	if !ok {
		return web.NotFound()
	}
	// If the form was sent twice, the secret is revoked already.
	if err := owner.revoke(r.Context(), id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	h.web.Notice(w, r, "The "+owner.what+" of "+owner.name+" was revoked. Tokens obtained with it no longer work.")
	web.Redirect(w, r, owner.back)
	return nil
}
