package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/store"
)

// editable are the flags of app edit that change the app.
var editable = []string{"name", "description", "homepage", "logo-url", "redirect-uri", "scope", "expiring", "pkce-required"}

func (p *program) appEdit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit APP",
		Short: "Change an app: its name, redirect URIs, scopes and the rest",
		Long: `Change an app. Only what is given changes. Redirect URIs and scopes that are given replace all
that there were; tokens of the app lose the scopes that it loses.

A verified app stays verified, because an operator makes the change, and vouches for the app as
it is then; "xenoauth app verify --undo" takes that back. Users who go to a host that is new to
them are asked again first.`,
		Example: `  xenoauth app edit app_0AbCdEfGhIjKlMnOpQrStU --name "Widget Wizard 2" --homepage ""
  xenoauth app edit app_0AbCdEfGhIjKlMnOpQrStU --redirect-uri https://wizard.example/cb --redirect-uri http://127.0.0.1/cb --json`,
		Args: arguments("APP"),
	}
	var f directory.AppForm
	flags := cmd.Flags()
	flags.StringVar(&f.Name, "name", "", "what the app is called")
	p.appFlags(cmd, &f)
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.ContainsFunc(editable, flags.Changed) {
			return usageErrorf("nothing to change: give at least one of --%s", strings.Join(editable, ", --"))
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.App(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		// The rule would silently leave them on.
		if !a.Confidential && (flags.Changed("expiring") && !f.Expiring || flags.Changed("pkce-required") && !f.PKCERequired) {
			return errors.New("the app is public: its tokens always expire, and it always needs PKCE")
		}
		// The version is of the app that was read, so that a concurrent change is not overwritten.
		a, err = e.directory.UpdateApp(ctx, operator(), a, a.Version, edited(a, f, flags.Changed))
		if errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("the app %s was changed at the same time, so nothing was changed: try again", args[0])
		}
		if err != nil {
			return err
		}
		if !a.VerifiedAt.IsZero() && !*asJSON {
			fmt.Fprintln(p.stderr, "The app stays verified, as it is now.")
		}
		return p.showApp(ctx, e, *asJSON, a)
	})
	return cmd
}

// edited returns the app's current form with the given flags applied.
func edited(a store.App, given directory.AppForm, changed func(flag string) bool) directory.AppForm {
	return directory.AppForm{
		Name:         either(changed("name"), given.Name, a.Name),
		Description:  either(changed("description"), given.Description, a.Description),
		Homepage:     either(changed("homepage"), given.Homepage, a.Homepage),
		LogoURL:      either(changed("logo-url"), given.LogoURL, a.LogoURL),
		RedirectURIs: either(changed("redirect-uri"), given.RedirectURIs, a.RedirectURIs),
		Scopes:       either(changed("scope"), given.Scopes, a.Scopes.Slice()),
		Confidential: a.Confidential,
		Expiring:     either(changed("expiring"), given.Expiring, a.Expiring),
		PKCERequired: either(changed("pkce-required"), given.PKCERequired, a.PKCERequired),
	}
}

func either[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
