package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// secretView is a secret without the secret.
type secretView struct {
	SecretID   string `json:"secret_id"`
	Hint       string `json:"hint"`
	CreatedAt  moment `json:"created_at"`
	ExpiresAt  moment `json:"expires_at"`
	LastUsedAt moment `json:"last_used_at"`
}

// viewSecrets is never nil: scripts get an empty array.
func viewSecrets(secrets []store.Secret) []secretView {
	views := make([]secretView, len(secrets))
	for i, s := range secrets {
		views[i] = secretView{
			SecretID: secret.ID(s.ID).String(), Hint: s.Hint,
			CreatedAt: moment(s.CreatedAt), ExpiresAt: moment(s.ExpiresAt), LastUsedAt: moment(s.LastUsedAt),
		}
	}
	return views
}

// secretsField is secrets for people, one a line.
func secretsField(views []secretView) field {
	lines := make([]string, len(views))
	for i, v := range views {
		lines[i] = fmt.Sprintf("%s  …%s  created %s, last used %s, ends %s", v.SecretID, v.Hint, v.CreatedAt, v.LastUsedAt, v.ExpiresAt)
	}
	return field{"secrets", strings.Join(lines, "\n")}
}

// keeper is who has secrets: an app or a resource server.
type keeper struct {
	name    string
	secrets []store.Secret // that work now
	revoke  func(secret.ID) error
}

func (p *program) appRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret APP SECRET_ID",
		Example: "  xenoauth app revoke-secret app_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("APP", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "app show", func(ctx context.Context, o *office, id string) (keeper, error) {
		a, err := o.directory.App(ctx, "", id)
		if err != nil {
			return keeper{}, err
		}
		secrets, err := o.directory.Secrets(ctx, "", id)
		return keeper{a.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeSecret(ctx, operator(), "", id, s)
		}}, err
	})
}

func (p *program) resourceRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret RESOURCE SECRET_ID",
		Example: "  xenoauth resource revoke-secret rs_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("RESOURCE", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "resource show", func(ctx context.Context, o *office, id string) (keeper, error) {
		r, err := o.directory.Resource(ctx, id)
		if err != nil {
			return keeper{}, err
		}
		secrets, err := o.directory.ResourceSecrets(ctx, id)
		return keeper{r.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeResourceSecret(ctx, operator(), id, s)
		}}, err
	})
}

// revokeSecretCommand is what both have alike; show is the command that lists the ids.
func (p *program) revokeSecretCommand(cmd *cobra.Command, show string, find func(ctx context.Context, o *office, clientID string) (keeper, error)) *cobra.Command {
	cmd.Short = "End one client secret at once and for ever; the other one works on"
	cmd.Long = `End one client secret at once and for ever; the other one, if there is one, works on. Without any
secret the client cannot authenticate until rotate-secret gives it another.

SECRET_ID is the secret id that add and rotate-secret print, and "xenoauth ` + show + `" lists. On a
terminal you are asked first.`
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	var id secret.ID
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		var ok bool
		if id, ok = secret.ParseID(args[1]); !ok {
			// It may be the secret itself, which is not repeated.
			return misuse("this is no secret id; \"xenoauth %s %s\" lists them", show, args[0])
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, o *office, args []string) error {
		k, err := find(ctx, o, args[0])
		if err != nil {
			return err
		}
		missing := &directory.NotFoundError{What: "live secret of " + args[0], Ref: args[1]}
		i := slices.IndexFunc(k.secrets, func(s store.Secret) bool { return s.ID == store.LookupID(id) })
		if i < 0 {
			return missing
		}
		consequence := "The other one works on."
		if len(k.secrets) == 1 {
			consequence = "It is the only one."
		}
		if err := p.confirm(*yes, "End the secret …%s of %q for ever? %s", k.secrets[i].Hint, k.name, consequence); err != nil {
			return err
		}
		if err := k.revoke(id); errors.Is(err, store.ErrNotFound) {
			return missing // somebody else was faster
		} else if err != nil {
			return err
		}
		return p.done(*asJSON, "secret revoked", args[1], k.name)
	})
	return cmd
}
