package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// end is until when the secret works, in words.
func (v secretView) end() string {
	if time.Time(v.ExpiresAt).IsZero() {
		return "works until it is revoked"
	}
	return "works until " + v.ExpiresAt.String() + " UTC"
}

// hints is secrets in one cell of a table: their last characters, and when one ends.
func hints(views []secretView) string {
	if len(views) == 0 {
		return "none"
	}
	return strings.Join(mapped(views, func(v secretView) string {
		if time.Time(v.ExpiresAt).IsZero() {
			return "…" + v.Hint
		}
		return "…" + v.Hint + " until " + v.ExpiresAt.String()
	}), ", ")
}

// mapped is f of each element.
func mapped[T, U any](list []T, f func(T) U) []U {
	result := make([]U, len(list))
	for i, element := range list {
		result[i] = f(element)
	}
	return result
}

// secretsField is secrets for people, one a line.
func secretsField(views []secretView) field {
	lines := make([]string, len(views))
	for i, v := range views {
		lines[i] = fmt.Sprintf("%s  …%s  created %s, last used %s, %s", v.SecretID, v.Hint, v.CreatedAt, v.LastUsedAt, v.end())
	}
	return field{"secrets", strings.Join(lines, "\n")}
}

// keeper is who has secrets: an app, a resource server, an API key or a bot.
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
	return p.revokeSecretCommand(cmd, "app", func(ctx context.Context, o *office, id string) (keeper, error) {
		a, secrets, err := o.directory.Secrets(ctx, operator(), id)
		return keeper{a.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeSecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) resourceRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret RESOURCE SECRET_ID",
		Example: "  xenoauth resource revoke-secret rs_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("RESOURCE", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "resource", func(ctx context.Context, o *office, id string) (keeper, error) {
		r, err := o.directory.Resource(ctx, operator(), id)
		if err != nil {
			return keeper{}, err
		}
		secrets, err := o.directory.ResourceSecrets(ctx, operator(), id)
		return keeper{r.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeResourceSecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) keyRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret KEY SECRET_ID",
		Example: "  xenoauth key revoke-secret key_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("KEY", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "key", func(ctx context.Context, o *office, id string) (keeper, error) {
		k, secrets, err := o.directory.KeySecrets(ctx, operator(), id)
		return keeper{k.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeKeySecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) botRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret BOT SECRET_ID",
		Example: "  xenoauth bot revoke-secret 68f0c0ffee00112233445566 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("BOT", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "bot", func(ctx context.Context, o *office, ref string) (keeper, error) {
		b, secrets, err := o.directory.BotSecrets(ctx, operator(), ref)
		return keeper{b.Name, secrets, func(s secret.ID) error {
			return o.directory.RevokeBotSecret(ctx, operator(), b, s)
		}}, err
	})
}

// secretWords are the name of each kind of secret, and the consequence of its end.
var secretWords = map[string]struct{ secret, rotate, consequence string }{
	"app":      {"client secret", "rotate-secret", "The app cannot authenticate without a secret; tokens that it has keep working."},
	"resource": {"client secret", "rotate-secret", "The API cannot ask about tokens without a secret."},
	"key":      {"credential of an API key", "rotate", "Integration tokens that were obtained with it end as well."},
	"bot":      {"API secret of a bot", "rotate", "Tokens that were obtained with it end as well."},
}

// revokeSecretCommand is revoke-secret of the group of commands called kind, whose command show lists the ids.
func (p *program) revokeSecretCommand(cmd *cobra.Command, kind string, find func(ctx context.Context, o *office, clientID string) (keeper, error)) *cobra.Command {
	words, show := secretWords[kind], kind+" show"
	cmd.Short = "End one " + words.secret + " at once and permanently; the other one keeps working"
	cmd.Long = "End one " + words.secret + ` at once and permanently; the other one, if there is one, keeps working.
` + words.consequence + `

SECRET_ID is the secret id that add and ` + words.rotate + ` print, and "xenoauth ` + show + `" lists.
On a terminal you are asked first.`
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
		consequence := "The other one keeps working."
		if len(k.secrets) == 1 {
			consequence = "It is the only one."
		}
		if err := p.confirm(*yes, "End the secret …%s of %q permanently? %s", k.secrets[i].Hint, k.name, consequence); err != nil {
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
