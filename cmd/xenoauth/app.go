package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// appView is an app in JSON. id and client_id are the same.
type appView struct {
	ID           string   `json:"id"`
	ClientID     string   `json:"client_id"`
	Name         string   `json:"name"`
	Account      string   `json:"account"`
	AccountName  string   `json:"account_name"`
	Description  string   `json:"description"`
	Homepage     string   `json:"homepage"`
	LogoURL      string   `json:"logo_url"`
	RedirectURIs []string `json:"redirect_uris"`
	Scopes       []string `json:"scopes"`
	Confidential bool     `json:"confidential"`
	Expiring     bool     `json:"expiring"`
	PKCERequired bool     `json:"pkce_required"`
	Version      int64    `json:"version"`
	Verified     bool     `json:"verified"`
	UnverifiedAt jsonTime `json:"unverified_at"` // when the verification ended
	Unverified   string   `json:"unverified_for"`
	Suspended    bool     `json:"suspended"`
	CreatedAt    jsonTime `json:"created_at"`
	UpdatedAt    jsonTime `json:"updated_at"`
}

// newAppView is a newly registered app. Its secret is shown only here.
type newAppView struct {
	appView
	ClientSecret *string `json:"client_secret"` // null for a public app
	SecretID     *string `json:"secret_id"`
}

// shownAppView is an app with the details that show adds.
type shownAppView struct {
	appView
	Installed     int          `json:"installed_accounts"`      // accounts with at least one live token
	InstalledMore bool         `json:"installed_accounts_more"` // the count stopped at its maximum: there may be more
	Secrets       []secretView `json:"secrets"`
}

func viewApp(a store.App) appView {
	return appView{
		ID: a.ID, ClientID: a.ID, Name: a.Name, Account: a.AccountID, AccountName: a.AccountName,
		Description: a.Description, Homepage: a.Homepage, LogoURL: a.LogoURL,
		RedirectURIs: append([]string{}, a.RedirectURIs...), Scopes: a.Scopes.Slice(),
		Confidential: a.Confidential, Expiring: a.Expiring, PKCERequired: a.PKCERequired,
		Version: a.Version, UnverifiedAt: jsonTime(a.UnverifiedAt), Unverified: a.UnverifiedFor,
		Verified: !a.VerifiedAt.IsZero(), Suspended: !a.SuspendedAt.IsZero(),
		CreatedAt: jsonTime(a.CreatedAt), UpdatedAt: jsonTime(a.UpdatedAt),
	}
}

func (v appView) fields() []field {
	verified := yesNo(v.Verified)
	if v.Unverified != "" {
		verified = fmt.Sprintf("no: ended %s, because of a change of %s", v.UnverifiedAt, v.Unverified)
	}
	kind := "confidential"
	if !v.Confidential {
		kind = "public"
	}
	return []field{
		{"client id", v.ClientID}, {"name", v.Name}, {"account", v.Account + "  " + v.AccountName},
		{"description", v.Description}, {"homepage", v.Homepage}, {"logo", v.LogoURL},
		{"redirect URIs", strings.Join(v.RedirectURIs, "\n")}, {"scopes", strings.Join(v.Scopes, " ")},
		{"kind", kind}, {"tokens expire", yesNo(v.Expiring)}, {"PKCE required", yesNo(v.PKCERequired)},
		{"verified", verified}, {"suspended", yesNo(v.Suspended)}, {"created", v.CreatedAt.String()},
	}
}

func (p *program) appCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "app",
		Short: "Register and manage third-party apps",
		Long: `Register and manage third-party apps. APP is a client id (app_…).

An app that is registered by command counts as verified; one from the developer portal does not
until "xenoauth app verify".`,
	}, p.appAdd(), p.appList(), p.appShow(), p.appEdit(), p.appRotateSecret(), p.appRevokeSecret(), p.appSuspend(true), p.appSuspend(false), p.appVerify(), p.appRemove())
}

func (p *program) appAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME --owner ACCOUNT_OR_EMAIL --redirect-uri URI",
		Short: "Register an app and print its client id and secret",
		Long: `Register an app and print its client id and secret. The secret is shown only now; the
server stores a hash. With the server's --issuer, or XENOAUTH_ISSUER, redirect URIs on its own host are
refused here; without it, when the app uses them.`,
		Example: `  xenoauth app add "Widget Wizard" --owner ada@example.org --redirect-uri https://wizard.example/callback
  xenoauth app add Cli --owner acc_0AbCdEfGhIjKlMnOpQrStU --public --redirect-uri http://127.0.0.1/cb --scope "widgets contacts" --json`,
		Args: arguments("NAME"),
	}
	var f directory.AppForm
	flags := cmd.Flags()
	owner := flags.String("owner", "", "`ACCOUNT_OR_EMAIL` whose admins share the app")
	public := flags.Bool("public", false, "the app cannot keep a secret: it gets none, needs PKCE, and its tokens expire")
	p.appFlags(cmd, &f)
	flags.Lookup("scope").Usage += " (default: the whole catalogue)"
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		switch {
		case *owner == "" && len(f.RedirectURIs) == 0:
			return usageErrorf("--owner and --redirect-uri are missing")
		case *owner == "":
			return usageErrorf("--owner is missing: name the account that the app belongs to")
		case len(f.RedirectURIs) == 0:
			return usageErrorf("--redirect-uri is missing: name at least one address that users are sent back to")
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		f.Name, f.Confidential = args[0], !*public
		if !flags.Changed("scope") {
			f.Scopes = e.catalogue.Names()
		}
		account, err := e.directory.ResolveAccount(ctx, operator(), *owner)
		if err != nil {
			return err
		}
		a, c, err := e.directory.CreateApp(ctx, operator(), account.ID, f)
		if err != nil {
			return err
		}
		a.AccountName = account.Name
		return p.printNewApp(*asJSON, a, c)
	})
	return cmd
}

// appFlags adds the flags of add and edit. They include the issuer, so that redirect URIs on its host are refused.
func (p *program) appFlags(cmd *cobra.Command, f *directory.AppForm) {
	flags := cmd.Flags()
	p.define(flags, "issuer")
	flags.Lookup("issuer").Usage = "the server's public `URL`, so that redirect URIs on its host are refused"
	flags.StringArrayVar(&f.RedirectURIs, "redirect-uri", nil, "`URI` that users may be sent back to (repeat for more)")
	flags.StringArrayVar(&f.Scopes, "scope", nil, "`SCOPES` the app may ask for, separated by spaces")
	flags.BoolVar(&f.Expiring, "expiring", false, "tokens expire and come with a refresh token")
	flags.BoolVar(&f.PKCERequired, "pkce-required", false, "refuse authorization requests without a code_challenge")
	flags.StringVar(&f.Description, "description", "", "`TEXT` for the consent page: what the app does")
	flags.StringVar(&f.Homepage, "homepage", "", "`URL` of the app's own pages")
	flags.StringVar(&f.LogoURL, "logo-url", "", "`URL` of the app's logo")
}

func (p *program) printNewApp(asJSON bool, a store.App, c *secret.Credential) error {
	v := newAppView{appView: viewApp(a)}
	fields := v.fields()
	if c != nil {
		text, id := c.Reveal(), c.ID.String()
		v.ClientSecret, v.SecretID = &text, &id
		fields = append(fields, field{"client secret", text + "  (shown only now)"}, field{"secret id", id})
	}
	if asJSON {
		return p.printJSON(v)
	}
	return p.printFields(fields...)
}

func (p *program) appList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all apps",
		Example: "  xenoauth app list --owner ada@example.org --json",
		Args:    arguments(),
	}
	owner := cmd.Flags().String("owner", "", "only the apps of this `ACCOUNT_OR_EMAIL`")
	asJSON, l := jsonFlag(cmd), listFlags(cmd, "name or client id")
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		only, err := e.onlyAccount(ctx, *owner)
		if err != nil {
			return err
		}
		apps, err := list(ctx, p, l, only, e.store.ListApps, func(a store.App) string { return a.ID })
		if err != nil {
			return fmt.Errorf("list apps: %w", err)
		}
		views, rows := []appView{}, [][]string{}
		for _, a := range apps {
			v := viewApp(a)
			views = append(views, v)
			rows = append(rows, []string{v.ClientID, v.Name, v.AccountName, yesNo(v.Confidential), yesNo(v.Verified), yesNo(v.Suspended), v.CreatedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"CLIENT ID", "NAME", "ACCOUNT", "CONFIDENTIAL", "VERIFIED", "SUSPENDED", "CREATED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) appShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show APP",
		Short:   "Show an app, its secrets (last characters only) and the number of installations",
		Example: "  xenoauth app show app_0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("APP"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.App(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		return p.showApp(ctx, e, *asJSON, a)
	})
	return cmd
}

// showApp prints an app with its details.
func (p *program) showApp(ctx context.Context, e *env, asJSON bool, a store.App) error {
	a, secrets, err := e.directory.Secrets(ctx, operator(), a.ID)
	if err != nil {
		return err
	}
	installed, err := e.store.CountInstalled(ctx, a.ID, store.MaxInstalls)
	if err != nil {
		return fmt.Errorf("count the accounts with app %s: %w", a.ID, err)
	}
	v := shownAppView{appView: viewApp(a), Installed: installed.N, InstalledMore: installed.More, Secrets: viewSecrets(secrets)}
	if asJSON {
		return p.printJSON(v)
	}
	return p.printFields(append(v.fields(), field{"installed on", accounts(installed)}, secretsField(v.Secrets))...)
}

// accounts formats a count of accounts.
func accounts(n store.Count) string {
	text := fmt.Sprintf("%d accounts", n.N)
	if n.N == 1 {
		text = "1 account"
	}
	if n.More {
		text = "at least " + text
	}
	return text
}

// appSuspend is "app suspend" or "app resume". The older names, disable and enable, remain as aliases for scripts.
func (p *program) appSuspend(suspend bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "suspend APP",
		Aliases: []string{"disable"},
		Short:   "Suspend an app: its tokens are refused until it is resumed",
		Example: "  xenoauth app suspend app_0AbCdEfGhIjKlMnOpQrStU",
		Args:    arguments("APP"),
	}
	word := "suspended"
	if !suspend {
		cmd.Use, cmd.Aliases, cmd.Short, word = "resume APP", []string{"enable"}, "Let a suspended app continue; its tokens work again", "resumed"
		cmd.Example = "  xenoauth app resume app_0AbCdEfGhIjKlMnOpQrStU"
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.App(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := e.store.SetAppSuspended(ctx, operator(), a.ID, suspend); err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
		return p.done(*asJSON, word, a.ID, a.Name)
	})
	return cmd
}

func (p *program) appRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove APP",
		Aliases: []string{"delete"},
		Short:   "Delete an app permanently, with its installations and tokens",
		Long: `Delete an app permanently: every installation, code and token of it is dead, and the client id
is never used again. On a terminal you are asked first.`,
		Example: "  xenoauth app remove app_0AbCdEfGhIjKlMnOpQrStU --yes",
		Args:    arguments("APP"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.App(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		installed, err := e.store.CountInstalled(ctx, a.ID, store.MaxInstalls)
		if err != nil {
			return fmt.Errorf("count the accounts with app %s: %w", a.ID, err)
		}
		if err := p.confirm(*yes, "Delete %q permanently? It is installed on %s.", a.Name, accounts(installed)); err != nil {
			return err
		}
		if err := e.directory.DeleteApp(ctx, operator(), a.ID); err != nil {
			return err
		}
		return p.done(*asJSON, "deleted", a.ID, a.Name)
	})
	return cmd
}
