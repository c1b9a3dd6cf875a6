package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/store"
)

func (p *program) appVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify APP",
		Short: "Vouch for an app: the consent page then stops calling it unverified",
		Long: `Vouch for an app: for its name, its publisher, its homepage, its logo, and the hosts that it
sends users to. The command prints them. When the app's developer changes one of them, the
verification ends; a change by "xenoauth app edit" leaves it.

--version refuses to vouch for anything but what "xenoauth app show" printed: an app that was
edited since has another version. On a terminal you are asked first.`,
		Example: `  xenoauth app verify app_0AbCdEfGhIjKlMnOpQrStU --version 3
  xenoauth app verify app_0AbCdEfGhIjKlMnOpQrStU --undo`,
		Args: arguments("APP"),
	}
	undo := cmd.Flags().Bool("undo", false, "take it back")
	version := cmd.Flags().Int64("version", 0, "the `VERSION` of the app that you looked at (default: the current one)")
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.App(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if *undo {
			if err := e.store.UnverifyApp(ctx, operator(), a.ID); err != nil {
				return fmt.Errorf("take back the verification of app %s: %w", a.ID, err)
			}
			return p.done(*asJSON, "unverified", a.ID, a.Name)
		}
		if *version == 0 {
			*version = a.Version
		}
		if !*asJSON {
			p.printLine("%s", vouched(a))
		}
		alike, err := e.directory.Lookalikes(ctx, a)
		if err != nil {
			return err
		}
		for _, other := range alike {
			fmt.Fprintf(p.stderr, "Look twice: it can be taken for the verified app %q of %q (%s).\n", other.Name, other.AccountName, other.AppID)
		}
		if err := p.confirm(*yes, "Vouch for this?"); err != nil {
			return err
		}
		if err := e.directory.VerifyApp(ctx, operator(), a.ID, *version); err != nil {
			return err
		}
		return p.done(*asJSON, "verified", a.ID, a.Name)
	})
	return cmd
}

// vouched lists the facts that the operator vouches for, one per line.
func vouched(a store.App) string {
	lines := []string{
		fmt.Sprintf("name:      %s", a.Name), fmt.Sprintf("publisher: %s  (%s)", a.AccountName, a.AccountID),
		fmt.Sprintf("homepage:  %s", a.Homepage), fmt.Sprintf("logo:      %s", a.LogoURL),
		fmt.Sprintf("version:   %d", a.Version),
	}
	for _, uri := range a.RedirectURIs {
		lines = append(lines, "goes to:   "+uri)
	}
	return strings.Join(lines, "\n")
}
