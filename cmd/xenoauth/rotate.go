package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
)

// rotatedView is a new secret in JSON. It is shown only here.
type rotatedView struct {
	ID           string   `json:"id"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	SecretID     string   `json:"secret_id"`
	OldUntil     jsonTime `json:"old_until"` // null: the old secrets do not expire
}

// rotateHelp is the common part of the help of rotate-secret.
const rotateHelp = `Mint another client secret and print it, this once.

The old secret keeps working by default, so that the new one can be rolled out without
downtime: end it later with revoke-secret, or give a time for it here. At most two secrets work
at the same time. --old-until takes:
  keep   the old secret works until it is revoked (the default)
  24h    it works for that long, any time such as 90m or 168h
  now    it ends at once, because it leaked`

func (p *program) appRotateSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-secret APP",
		Short: "Create another client secret; the old one keeps working for a time that you choose",
		Example: `  xenoauth app rotate-secret app_0AbCdEfGhIjKlMnOpQrStU --old-until 24h
  xenoauth app rotate-secret app_0AbCdEfGhIjKlMnOpQrStU --old-until now --json`,
		Args: arguments("APP"),
	}
	return p.rotateCommand(cmd, func(ctx context.Context, e *env, id string, until time.Time) (secret.Credential, error) {
		return e.directory.RotateSecret(ctx, operator(), id, until)
	})
}

func (p *program) resourceRotateSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rotate-secret RESOURCE",
		Short:   "Create another secret; the old one keeps working for a time that you choose",
		Example: `  xenoauth resource rotate-secret rs_0AbCdEfGhIjKlMnOpQrStU --old-until 24h`,
		Args:    arguments("RESOURCE"),
	}
	return p.rotateCommand(cmd, func(ctx context.Context, e *env, id string, until time.Time) (secret.Credential, error) {
		return e.directory.RotateResourceSecret(ctx, operator(), id, until)
	})
}

func (p *program) rotateCommand(cmd *cobra.Command, rotate func(context.Context, *env, string, time.Time) (secret.Credential, error)) *cobra.Command {
	cmd.Long = rotateHelp
	oldUntil := cmd.Flags().String("old-until", "keep", "how long the old secret works: keep, now or a time such as `24h`")
	asJSON := jsonFlag(cmd)
	var end expiryFlag
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		end, err = parseOldUntil(*oldUntil)
		return err
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		until := end.after(e.store.Now())
		c, err := rotate(ctx, e, args[0], until)
		var limit *directory.SecretLimitError
		if errors.As(err, &limit) {
			return fmt.Errorf("%w with \"%s revoke-secret\", or add --old-until now to end the old ones at once", err, cmd.Parent().CommandPath())
		}
		if err != nil {
			return err
		}
		v := rotatedView{ID: args[0], ClientID: args[0], ClientSecret: c.Reveal(), SecretID: c.ID.String(), OldUntil: jsonTime(until)}
		if *asJSON {
			return p.printJSON(v)
		}
		old := "works until it is revoked"
		if !until.IsZero() {
			old = "works until " + v.OldUntil.String() + " UTC"
		}
		return p.printFields(field{"client id", v.ClientID}, field{"client secret", v.ClientSecret + "  (shown only now)"},
			field{"secret id", v.SecretID}, field{"old secret", old})
	})
	return cmd
}

// expiryFlag is the value of --old-until: how long the replaced credentials work. The zero value ends them at once.
type expiryFlag struct {
	never bool
	in    time.Duration
}

// after returns the time of expiry, counted from now by the database's clock; zero is never.
func (end expiryFlag) after(now time.Time) time.Time {
	if end.never {
		return time.Time{}
	}
	return now.Add(end.in)
}

// parseOldUntil reads --old-until.
func parseOldUntil(text string) (expiryFlag, error) {
	switch text {
	case "keep":
		return expiryFlag{never: true}, nil
	case "now":
		return expiryFlag{}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return expiryFlag{}, usageErrorf("--old-until %q is not keep, now or a time such as 24h", text)
	}
	return expiryFlag{in: d}, nil
}
