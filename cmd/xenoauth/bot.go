package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"xenoauth/store"
)

// botView is a bot in JSON.
type botView struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Account     string   `json:"account"`
	AccountName string   `json:"account_name,omitempty"`
	APIKey      string   `json:"api_key"`
	APISecret   string   `json:"api_secret,omitempty"` // only for a new bot
	SecretID    string   `json:"secret_id,omitempty"`
	Disabled    bool     `json:"disabled"`
	Hint        string   `json:"hint,omitempty"`
	CreatedAt   jsonTime `json:"created_at"`
	LastUsedAt  jsonTime `json:"last_used_at"`
}

// shownBotView is a bot with its active API secrets, which list and show add.
type shownBotView struct {
	botView
	Secrets []secretView `json:"secrets"`
}

func viewBot(b store.Bot) botView {
	return botView{
		ID: b.ID, Email: b.Email, Name: b.Name, Account: b.AccountID, AccountName: b.AccountName, APIKey: b.APIKey,
		Disabled: !b.DisabledAt.IsZero(), Hint: b.Hint, CreatedAt: jsonTime(b.CreatedAt), LastUsedAt: jsonTime(b.LastUsedAt),
	}
}

func (p *program) botCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "bot",
		Short: "Manage bots: programs that are members of an account",
	}, p.botAdd(), p.botList(), p.botShow(), p.botRotate(), p.botRevokeSecret(), p.botRemove())
}

func (p *program) botAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME --account ACCOUNT_OR_EMAIL",
		Short: "Create a bot in an account, with an API key and an API secret",
		Long: `Create a bot in an account and print its API secret. It is shown only now: the server stores a hash.

With an account API key, the bot's API key and secret are exchanged for integration tokens of
the bot; with its e-mail address, the secret is exchanged for user tokens. The address is on
the host of --issuer.`,
		Example: `  xenoauth bot add "Order bot" --account ada@example.org --issuer https://auth.example.com --json`,
		Args:    arguments("NAME"),
	}
	p.define(cmd.Flags(), "issuer")
	cmd.Flags().Lookup("issuer").Usage = "the server's public `URL`, whose host is in the bot's address"
	account := cmd.Flags().String("account", "", "the `ACCOUNT_OR_EMAIL` that the bot belongs to")
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *account == "" {
			return usageErrorf("name the account: --account ACCOUNT_OR_EMAIL")
		}
		return nil
	}
	cmd.RunE = p.act(func(cmd *cobra.Command, args []string) error {
		o, err := p.open(cmd, p.load(cmd))
		if err != nil {
			return err
		}
		defer o.close()
		a, err := o.directory.ResolveAccount(cmd.Context(), operator(), *account)
		if err != nil {
			return err
		}
		b, c, err := o.directory.CreateBot(cmd.Context(), operator(), a.ID, args[0])
		if err != nil {
			return err
		}
		v := viewBot(b)
		v.AccountName, v.APISecret, v.SecretID = a.Name, c.Reveal(), c.ID.String()
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"name", v.Name}, field{"account", v.Account + "  " + v.AccountName}, field{"e-mail address", v.Email},
			field{"API key", v.APIKey}, field{"API secret", v.APISecret + "  (shown only now)"}, field{"secret id", v.SecretID})
	})
	return cmd
}

func (p *program) botList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List bots, without their secrets",
		Example: "  xenoauth bot list --account ada@example.org --json",
		Args:    arguments(),
	}
	account := cmd.Flags().String("account", "", "only the bots of this `ACCOUNT_OR_EMAIL`")
	asJSON, l := jsonFlag(cmd), listFlags(cmd, "name, id or API key")
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		only, err := e.onlyAccount(ctx, *account)
		if err != nil {
			return err
		}
		bots, err := list(ctx, p, l, only, e.store.ListBots, func(b store.Bot) string { return b.ID })
		if err != nil {
			return fmt.Errorf("list bots: %w", err)
		}
		secrets, err := e.store.SecretsByClients(ctx, mapped(bots, func(b store.Bot) string { return b.APIKey }))
		if err != nil {
			return err
		}
		views, rows := []shownBotView{}, [][]string{}
		for _, b := range bots {
			v := shownBotView{viewBot(b), viewSecrets(secrets[b.APIKey])}
			views = append(views, v)
			rows = append(rows, []string{v.ID, v.Name, v.AccountName, v.APIKey, hints(v.Secrets), yesNo(v.Disabled), v.CreatedAt.String(), v.LastUsedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"ID", "NAME", "ACCOUNT", "API KEY", "SECRET", "DISABLED", "CREATED (UTC)", "LAST USED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) botShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show BOT",
		Short:   "Show a bot and its API secrets (last characters only)",
		Example: "  xenoauth bot show 68f0c0ffee00112233445566",
		Args:    arguments("BOT"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		b, secrets, err := e.directory.BotSecrets(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		v := shownBotView{viewBot(b), viewSecrets(secrets)}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"name", v.Name}, field{"account", v.Account + "  " + v.AccountName}, field{"e-mail address", v.Email},
			field{"API key", v.APIKey}, field{"disabled", yesNo(v.Disabled)}, field{"created", v.CreatedAt.String()},
			field{"last used", v.LastUsedAt.String()}, secretsField(v.Secrets))
	})
	return cmd
}

// rotatedBotView is a new API secret in JSON. It is shown only here.
type rotatedBotView struct {
	ID        string   `json:"id"`
	Email     string   `json:"email"`
	APIKey    string   `json:"api_key"`
	APISecret string   `json:"api_secret"`
	SecretID  string   `json:"secret_id"`
	OldUntil  jsonTime `json:"old_until"`
}

func (p *program) botRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate BOT",
		Short: "Replace the API secret of a bot; its API key stays",
		Long: `Replace the API secret of a bot, named by its id, API key or e-mail address, and print the new one,
this once. Its API key stays.

The old secret stops working at once, with the integration tokens that were got with it, unless
--old-until gives it time, so that the new one can be rolled out. At most two are active at a time.`,
		Example: `  xenoauth bot rotate 68f0c0ffee00112233445566
  xenoauth bot rotate 68f0c0ffee00112233445566 --old-until 24h --json`,
		Args: arguments("BOT"),
	}
	end, asJSON := oldUntilFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		b, err := e.directory.Bot(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		until := end.after(e.store.Now())
		c, err := e.directory.RotateBot(ctx, operator(), b, until)
		if err != nil {
			return orEndNow(err)
		}
		v := rotatedBotView{ID: b.ID, Email: b.Email, APIKey: b.APIKey, APISecret: c.Reveal(), SecretID: c.ID.String(), OldUntil: jsonTime(until)}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"API key", v.APIKey}, field{"API secret", v.APISecret + "  (shown only now)"},
			field{"secret id", v.SecretID}, field{"old secret", "works until " + v.OldUntil.String() + " UTC"})
	})
	return cmd
}

func (p *program) botRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove BOT",
		Short:   "Remove a bot permanently, with its tokens and the keys that act for it",
		Example: "  xenoauth bot remove 68f0c0ffee00112233445566 --yes",
		Args:    arguments("BOT"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		b, err := e.directory.Bot(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := p.confirm(*yes, "Remove the bot %q of %s permanently?", b.Name, b.AccountName); err != nil {
			return err
		}
		if err := e.directory.RemoveBot(ctx, operator(), b.ID); err != nil {
			return err
		}
		return p.done(*asJSON, "removed", b.ID, b.Name)
	})
	return cmd
}
