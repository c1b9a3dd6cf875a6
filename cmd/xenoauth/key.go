package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/scope"
	"xenoauth/store"
)

// keyView is an API key in JSON.
type keyView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Account     string   `json:"account"`
	AccountName string   `json:"account_name,omitempty"`
	Scopes      []string `json:"scopes"` // empty: an account API key, for integration tokens
	User        string   `json:"user,omitempty"`
	UserEmail   string   `json:"user_email,omitempty"`
	Hint        string   `json:"hint,omitempty"` // of the newest secret
	CreatedAt   jsonTime `json:"created_at"`
	LastUsedAt  jsonTime `json:"last_used_at"`
	Key         string   `json:"key,omitempty"` // only for a new key
	SecretID    string   `json:"secret_id,omitempty"`
}

// shownKeyView is a key with its active credentials, which list and show add.
type shownKeyView struct {
	keyView
	Secrets []secretView `json:"secrets"`
}

func viewKey(k store.APIKey) keyView {
	return keyView{
		ID: k.ID, Name: k.Name, Account: k.AccountID, AccountName: k.AccountName, Scopes: strings.Fields(directory.RoleNames(k.Roles)),
		User: k.UserID, UserEmail: k.UserEmail, Hint: k.Hint, CreatedAt: jsonTime(k.CreatedAt), LastUsedAt: jsonTime(k.LastUsedAt),
	}
}

// use describes the use of the key.
func (v keyView) use() string {
	if len(v.Scopes) == 0 {
		return "integration tokens"
	}
	return strings.Join(v.Scopes, ",") + " for " + v.UserEmail
}

func (p *program) keyCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "key",
		Short: "Manage the API keys of accounts",
	}, p.keyAdd(), p.keyList(), p.keyShow(), p.keyRotate(), p.keyRevokeSecret(), p.keyRevoke())
}

func (p *program) keyAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME --account ACCOUNT_OR_EMAIL",
		Short: "Create an API key of an account",
		Long: `Create an API key of an account and print it. It is shown only now: the server stores a hash.

Without --scope it is an account API key, which a program exchanges for integration tokens at
/authorization/integration. With --scope it is itself a bearer token, which works until it is
revoked: it acts for a member, never with more than that member's role allows at the time.`,
		Example: `  xenoauth key add "Nightly export" --account ada@example.org --json
  xenoauth key add "Help desk" --account ada@example.org --scope agent,bot
  xenoauth key add "Chat" --account ada@example.org --scope bot --user bot+68f0c0ffee00112233445566@example.org`,
		Args: arguments("NAME"),
	}
	account := cmd.Flags().String("account", "", "the `ACCOUNT_OR_EMAIL` that the key belongs to")
	scopes := cmd.Flags().StringSlice("scope", nil, "roles, separated by commas: guest, agent, bot, admin")
	user := cmd.Flags().String("user", "", "the `MEMBER` that a key with --scope acts for, by e-mail address or id (default the account's first admin)")
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		scoped := cmd.Flags().Changed("scope")
		switch {
		case *account == "":
			return usageErrorf("name the account: --account ACCOUNT_OR_EMAIL")
		case scoped && len(*scopes) == 0:
			return usageErrorf("--scope is empty: choose at least one scope, or leave it out for an account API key")
		case *user != "" && !scoped:
			return usageErrorf("--user goes with --scope: an account API key acts for the account")
		}
		for _, name := range *scopes {
			if _, err := scope.ParseRole(name); err != nil {
				return usageErrorf("--scope %q: %v", name, err)
			}
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		form := directory.KeyForm{Name: args[0]}
		if cmd.Flags().Changed("scope") {
			form.Scopes = append([]string{}, *scopes...)
		}
		a, err := e.directory.ResolveAccount(ctx, operator(), *account)
		if err != nil {
			return err
		}
		if *user != "" {
			u, err := e.directory.ResolveUser(ctx, operator(), *user)
			if err != nil {
				return err
			}
			form.UserID = u.ID
		}
		k, c, err := e.directory.CreateKey(ctx, operator(), a.ID, form)
		if err != nil {
			return err
		}
		if k, err = e.directory.Key(ctx, operator(), k.ID); err != nil {
			return err
		}
		v := viewKey(k)
		v.Key, v.SecretID = c.Reveal(), c.ID.String()
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"name", v.Name}, field{"account", v.Account + "  " + v.AccountName},
			field{"good for", v.use()}, field{"key", v.Key + "  (shown only now)"}, field{"secret id", v.SecretID})
	})
	return cmd
}

func (p *program) keyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List API keys, without the keys",
		Example: "  xenoauth key list --account ada@example.org --json",
		Args:    arguments(),
	}
	account := cmd.Flags().String("account", "", "only the keys of this `ACCOUNT_OR_EMAIL`")
	asJSON, l := jsonFlag(cmd), listFlags(cmd, "name or id")
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		only, err := e.onlyAccount(ctx, *account)
		if err != nil {
			return err
		}
		keys, err := list(ctx, p, l, only, e.store.ListAPIKeys, func(k store.APIKey) string { return k.ID })
		if err != nil {
			return fmt.Errorf("list API keys: %w", err)
		}
		secrets, err := e.store.SecretsByClients(ctx, mapped(keys, func(k store.APIKey) string { return k.ID }))
		if err != nil {
			return err
		}
		views, rows := []shownKeyView{}, [][]string{}
		for _, k := range keys {
			v := shownKeyView{viewKey(k), viewSecrets(secrets[k.ID])}
			views = append(views, v)
			rows = append(rows, []string{v.ID, v.Name, v.AccountName, v.use(), hints(v.Secrets), v.CreatedAt.String(), v.LastUsedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"ID", "NAME", "ACCOUNT", "GOOD FOR", "KEY", "CREATED (UTC)", "LAST USED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) keyShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show KEY",
		Short:   "Show an API key and its credentials (last characters only)",
		Example: "  xenoauth key show key_0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("KEY"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		k, secrets, err := e.directory.KeySecrets(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		v := shownKeyView{viewKey(k), viewSecrets(secrets)}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"name", v.Name}, field{"account", v.Account + "  " + v.AccountName}, field{"good for", v.use()},
			field{"created", v.CreatedAt.String()}, field{"last used", v.LastUsedAt.String()}, secretsField(v.Secrets))
	})
	return cmd
}

// onlyAccount returns the id of the account that a list is limited to, or "" for all.
func (e *env) onlyAccount(ctx context.Context, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	a, err := e.directory.ResolveAccount(ctx, operator(), ref)
	return a.ID, err
}

// oldUntilFlag adds --old-until: when the replaced credentials end, by default at once. Unlike the previous secret of an app,
// those of a key or a bot always end.
func oldUntilFlag(cmd *cobra.Command) *expiryFlag {
	var end expiryFlag
	text := cmd.Flags().String("old-until", "now", "how long the old one works: now or a time such as `24h`")
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		if end, err = parseOldUntil(*text); err != nil || end.never {
			return usageErrorf("--old-until %q is not now or a time such as 24h", *text)
		}
		return nil
	}
	return &end
}

// rotatedKeyView is a new key in JSON. It is shown only here.
type rotatedKeyView struct {
	ID       string   `json:"id"`
	Key      string   `json:"key"`
	SecretID string   `json:"secret_id"`
	OldUntil jsonTime `json:"old_until"`
}

func (p *program) keyRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate KEY",
		Short: "Replace an API key; its id, name and scopes stay",
		Long: `Replace an API key and print the new one, which is shown only now. The id, name and scopes stay.

The old one stops working at once, with the integration tokens that were got with it, unless
--old-until gives it time, so that the new one can be rolled out. At most two are active at a time.`,
		Example: `  xenoauth key rotate key_0AbCdEfGhIjKlMnOpQrStU
  xenoauth key rotate key_0AbCdEfGhIjKlMnOpQrStU --old-until 24h --json`,
		Args: arguments("KEY"),
	}
	end, asJSON := oldUntilFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		k, err := e.directory.Key(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		until := end.after(e.store.Now())
		c, err := e.directory.RotateKey(ctx, operator(), k, until)
		if err != nil {
			return orEndNow(err)
		}
		v := rotatedKeyView{ID: args[0], Key: c.Reveal(), SecretID: c.ID.String(), OldUntil: jsonTime(until)}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"key", v.Key + "  (shown only now)"}, field{"secret id", v.SecretID},
			field{"old key", "works until " + v.OldUntil.String() + " UTC"})
	})
	return cmd
}

func (p *program) keyRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke KEY",
		Short:   "End an API key permanently, with the tokens obtained with it",
		Example: "  xenoauth key revoke key_0AbCdEfGhIjKlMnOpQrStU --yes",
		Args:    arguments("KEY"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		k, err := e.directory.Key(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := p.confirm(*yes, "End the key %q of %s permanently?", k.Name, k.AccountName); err != nil {
			return err
		}
		if err := e.directory.RevokeKey(ctx, operator(), k.ID); err != nil {
			return err
		}
		return p.done(*asJSON, "revoked", k.ID, k.Name)
	})
	return cmd
}

// orEndNow adds, to the error for two active credentials, the flag that ends them.
func orEndNow(err error) error {
	if errors.Is(err, store.ErrLimit) {
		return errors.New("there are two active credentials, the maximum: revoke one with revoke-secret, or add --old-until now to revoke both")
	}
	return err
}
