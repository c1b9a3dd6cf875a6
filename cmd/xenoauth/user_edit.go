package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/store"
)

// endedView counts, in JSON, the sessions and tokens that ended with a user's credentials.
type endedView struct {
	Sessions      int64 `json:"sessions"`
	UserTokens    int64 `json:"user_tokens"`
	Keys          int64 `json:"keys"`
	BotSecrets    int64 `json:"bot_secrets"`
	AppSecrets    int64 `json:"app_secrets"`
	Installations int64 `json:"installations"`
}

// changedUserView is a changed user in JSON.
type changedUserView struct {
	userView
	Done  string    `json:"done"`
	Ended endedView `json:"ended"`
}

// words formats the counts, or "nothing".
func (v endedView) words() string {
	var list []string
	for _, n := range []struct {
		count int64
		one   string
	}{
		{v.Sessions, "session"}, {v.UserTokens, "user token"}, {v.Keys, "API key"}, {v.BotSecrets, "bot secret"},
		{v.AppSecrets, "app secret"}, {v.Installations, "installed app"},
	} {
		switch {
		case n.count == 1:
			list = append(list, "1 "+n.one)
		case n.count > 1:
			list = append(list, fmt.Sprintf("%d %ss", n.count, n.one))
		}
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// printChanged prints a change of a user and the sessions and tokens that ended with it.
func (p *program) printChanged(ctx context.Context, e *env, asJSON bool, done, id string, ended store.EndedCredentials, password *passwordInput) error {
	u, err := e.store.UserByID(ctx, id)
	if err != nil {
		return fmt.Errorf("user %s: %w", id, err)
	}
	v := changedUserView{viewUser(u), done, endedView(ended)}
	if password.generated {
		v.Password = password.text
	}
	if asJSON {
		return p.printJSON(v)
	}
	return p.printFields(password.fields(field{"done", done}, field{"id", v.ID}, field{"email", v.Email}, field{"verified", yesNo(v.Verified)}, field{"name", v.Name},
		field{"ended", v.Ended.words()})...)
}

func (p *program) userSetPassword() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set-password EMAIL_OR_ID",
		Short: "Set a user's password; the user's sessions and user tokens end",
		Long: `Set a user's password. The user's sessions, codes and user tokens end; installed apps, API keys
and bots do not use the password and go on.

--end-credentials ends these as well: the apps that the user has installed; API keys that act
for the user or that the user made; secrets of bots and apps that the user made; and all of
these in accounts that have no other person. A user whose e-mail address is not verified loses
them always, with the installations of the user's apps by other people: another person may have
signed up with the address. Tokens that an app got for itself end within the hour.`,
		Example: `  xenoauth user set-password ada@example.org
  xenoauth user set-password ada@example.org --password-stdin --end-credentials < password.txt`,
		Args: arguments("EMAIL_OR_ID"),
	}
	var reset store.PasswordReset
	cmd.Flags().BoolVar(&reset.EndCredentials, "end-credentials", false, "also end API keys, secrets and installed apps")
	cmd.Flags().BoolVar(&reset.VerifyEmail, "email-verified", false, "the person who gets the password has proved to own the e-mail address")
	password, asJSON := p.passwordFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		u, err := e.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if u.Bot {
			return fmt.Errorf("%s is a bot and has no password; \"xenoauth bot rotate\" gives it another API secret", u.Email)
		}
		ended, err := e.directory.SetPassword(ctx, operator(), u.ID, password.text, reset)
		if err != nil {
			return err
		}
		if err := p.printChanged(ctx, e, *asJSON, "password set", u.ID, ended, password); err != nil || *asJSON {
			return err
		}
		if !reset.EndCredentials && !u.EmailVerifiedAt.IsZero() {
			p.printLine("Installed apps, API keys, bots and apps of the user keep working; --end-credentials ends them.")
		}
		return nil
	})
	return cmd
}

func (p *program) userEdit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit EMAIL_OR_ID [--email E] [--email-verified] [--name N]",
		Short: "Change a user's e-mail address or name, or state that the address is verified",
		Long: `Change a user's e-mail address or name, or state that the address is verified.

An address that is not verified gives no authority: its user cannot be added to another
account, and programs are told that it is not verified. One given with --email is not verified
unless --email-verified is given too.

Where the address was not verified before, --email-verified ends all that was made with the
user's password until then, as "set-password --end-credentials" does, in the same transaction:
the person who signed up may have been another one. The password itself stays. Set one with
"set-password --email-verified" instead, where its owner did not choose it.`,
		Example: `  xenoauth user edit ada@example.org --email-verified
  xenoauth user edit ada@example.org --email ada@example.com --email-verified --name "Ada King"`,
		Args: arguments("EMAIL_OR_ID"),
	}
	email := cmd.Flags().String("email", "", "another e-mail `ADDRESS`")
	name := cmd.Flags().String("name", "", "another `NAME`")
	verified := cmd.Flags().Bool("email-verified", false, "the user has proved to own the e-mail address")
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("email") && !cmd.Flags().Changed("name") && !*verified {
			return usageErrorf("nothing to change: give --email, --name or --email-verified")
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		u, err := e.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if u.Bot {
			return fmt.Errorf("%s is a bot, whose address and name stay", u.Email)
		}
		edit := store.UserEdit{VerifyEmail: *verified}
		if cmd.Flags().Changed("email") {
			edit.Email = email
		}
		if cmd.Flags().Changed("name") {
			edit.Name = name
		}
		ended, err := e.directory.EditUser(ctx, operator(), u.ID, edit)
		if err != nil {
			return err
		}
		if err := p.printChanged(ctx, e, *asJSON, "changed", u.ID, ended, &passwordInput{}); err != nil || *asJSON {
			return err
		}
		if *verified && u.EmailVerifiedAt.IsZero() {
			p.printLine("The password stays. If its owner did not choose it, run \"xenoauth user set-password %s\".", u.ID)
		}
		return nil
	})
	return cmd
}
