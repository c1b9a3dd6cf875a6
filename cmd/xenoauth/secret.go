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

// secretView is a secret without its text.
type secretView struct {
	SecretID   string   `json:"secret_id"`
	Hint       string   `json:"hint"`
	CreatedAt  jsonTime `json:"created_at"`
	ExpiresAt  jsonTime `json:"expires_at"`
	LastUsedAt jsonTime `json:"last_used_at"`
}

// viewSecrets never returns nil, so that scripts get an empty array.
func viewSecrets(secrets []store.Secret) []secretView {
	views := make([]secretView, len(secrets))
	for i, s := range secrets {
		views[i] = secretView{
			SecretID: secret.ID(s.ID).String(), Hint: s.Hint,
			CreatedAt: jsonTime(s.CreatedAt), ExpiresAt: jsonTime(s.ExpiresAt), LastUsedAt: jsonTime(s.LastUsedAt),
		}
	}
	return views
}

// end describes when the secret expires.
func (v secretView) end() string {
	if time.Time(v.ExpiresAt).IsZero() {
		return "works until it is revoked"
	}
	return "works until " + v.ExpiresAt.String() + " UTC"
}

// hints formats secrets for one cell of a table: their last characters, and when one of them expires.
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

// mapped returns f of each element.
func mapped[T, U any](list []T, f func(T) U) []U {
	result := make([]U, len(list))
	for i, element := range list {
		result[i] = f(element)
	}
	return result
}

// secretsField formats secrets as text, one per line.
func secretsField(views []secretView) field {
	lines := make([]string, len(views))
	for i, v := range views {
		lines[i] = fmt.Sprintf("%s  …%s  created %s, last used %s, %s", v.SecretID, v.Hint, v.CreatedAt, v.LastUsedAt, v.end())
	}
	return field{"secrets", strings.Join(lines, "\n")}
}

// secretOwner is the owner of secrets: an app, a resource server, an API key or a bot.
type secretOwner struct {
	name    string
	secrets []store.Secret // active ones
	revoke  func(secret.ID) error
}

func (p *program) appRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret APP SECRET_ID",
		Example: "  xenoauth app revoke-secret app_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("APP", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "app", func(ctx context.Context, e *env, id string) (secretOwner, error) {
		a, secrets, err := e.directory.Secrets(ctx, operator(), id)
		return secretOwner{a.Name, secrets, func(s secret.ID) error {
			return e.directory.RevokeSecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) resourceRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret RESOURCE SECRET_ID",
		Example: "  xenoauth resource revoke-secret rs_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("RESOURCE", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "resource", func(ctx context.Context, e *env, id string) (secretOwner, error) {
		r, err := e.directory.ResourceServer(ctx, operator(), id)
		if err != nil {
			return secretOwner{}, err
		}
		secrets, err := e.directory.ResourceSecrets(ctx, operator(), id)
		return secretOwner{r.Name, secrets, func(s secret.ID) error {
			return e.directory.RevokeResourceSecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) keyRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret KEY SECRET_ID",
		Example: "  xenoauth key revoke-secret key_0AbCdEfGhIjKlMnOpQrStU 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("KEY", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "key", func(ctx context.Context, e *env, id string) (secretOwner, error) {
		k, secrets, err := e.directory.KeySecrets(ctx, operator(), id)
		return secretOwner{k.Name, secrets, func(s secret.ID) error {
			return e.directory.RevokeKeySecret(ctx, operator(), id, s)
		}}, err
	})
}

func (p *program) botRevokeSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke-secret BOT SECRET_ID",
		Example: "  xenoauth bot revoke-secret 68f0c0ffee00112233445566 0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("BOT", "SECRET_ID"),
	}
	return p.revokeSecretCommand(cmd, "bot", func(ctx context.Context, e *env, ref string) (secretOwner, error) {
		b, secrets, err := e.directory.BotSecrets(ctx, operator(), ref)
		return secretOwner{b.Name, secrets, func(s secret.ID) error {
			return e.directory.RevokeBotSecret(ctx, operator(), b, s)
		}}, err
	})
}

// secretWords has the name of each kind of secret and the consequence of its revocation.
var secretWords = map[string]struct{ secret, rotate, consequence string }{
	"app":      {"client secret", "rotate-secret", "The app cannot authenticate without a secret; tokens that it has keep working."},
	"resource": {"client secret", "rotate-secret", "The API cannot ask about tokens without a secret."},
	"key":      {"credential of an API key", "rotate", "Integration tokens that were obtained with it end as well."},
	"bot":      {"API secret of a bot", "rotate", "Tokens that were obtained with it end as well."},
}

// revokeSecretCommand adds revoke-secret to the command group kind, whose command show lists the ids.
func (p *program) revokeSecretCommand(cmd *cobra.Command, kind string, find func(ctx context.Context, e *env, clientID string) (secretOwner, error)) *cobra.Command {
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
			// The argument may be the secret itself, so it is not repeated.
			return usageErrorf("not a secret id; \"xenoauth %s %s\" lists them", show, args[0])
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		k, err := find(ctx, e, args[0])
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
			return missing // it was revoked by another command
		} else if err != nil {
			return err
		}
		return p.done(*asJSON, "secret revoked", args[1], k.name)
	})
	return cmd
}
