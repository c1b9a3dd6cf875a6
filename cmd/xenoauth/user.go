package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/server"
	"xenoauth/store"
)

// userView is a user in JSON.
type userView struct {
	ID        string       `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Verified  bool         `json:"email_verified"`
	Operator  bool         `json:"operator"`
	Disabled  bool         `json:"disabled"`
	CreatedAt jsonTime     `json:"created_at"`
	Locked    *jsonTime    `json:"locked_until,omitempty"` // in show: too many wrong passwords
	Account   string       `json:"account,omitempty"`      // if it was created with the user
	Accounts  []memberView `json:"accounts,omitempty"`     // in show
	Password  string       `json:"password,omitempty"`     // if it was generated
}

func viewUser(u store.User) userView {
	return userView{
		ID: u.ID, Email: u.Email, Name: u.Name, Verified: !u.EmailVerifiedAt.IsZero(), Operator: u.Operator,
		Disabled: !u.DisabledAt.IsZero(), CreatedAt: jsonTime(u.CreatedAt),
	}
}

func (p *program) userCommand() *cobra.Command {
	return asGroup(&cobra.Command{Use: "user", Short: "Add, show and change users"},
		p.userAdd(), p.userList(), p.userShow(), p.userDisable(true), p.userDisable(false), p.userUnlock(), p.userSetPassword(), p.userEdit(), p.userRemove())
}

func (p *program) userAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add a user, with an account of which the user is the admin",
		Long: `Add a user, with an account of which the user is the admin.

The password is prompted for on the terminal, read from standard input or generated. It is never an
argument, which other users of the machine could see. The e-mail address counts as verified.

An address that a person signed up with and has not proved to own does not block its owner:
--take-over removes that person's user first, with its sessions, tokens, keys and installed
apps, the accounts that have no other person, and the apps of these accounts.`,
		Example: `  xenoauth user add ada@example.org --name "Ada Lovelace"
  xenoauth user add ada@example.org --generate-password
  xenoauth user add ops@example.org --password-stdin --operator --json < password.txt`,
		Args: arguments("EMAIL"),
	}
	p.define(cmd.Flags(), "default-plan")
	name := cmd.Flags().String("name", "", "what the user is called (default: the address before the @)")
	isOperator := cmd.Flags().Bool("operator", false, "the user may use the operator's pages")
	takeOver := cmd.Flags().Bool("take-over", false, "remove the user who has the address without having proved to own it")
	password, asJSON := p.passwordFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.act(func(cmd *cobra.Command, args []string) error {
		s := p.load(cmd)
		s.oneOf("default-plan", plans(s.apiPlans())...)
		o, err := p.open(cmd, s)
		if err != nil {
			return err
		}
		defer o.close()
		u, a, err := o.directory.AddUser(cmd.Context(), operator(), directory.NewUser{
			Email: args[0], Name: *name, Password: password.text, Operator: *isOperator, TakeOver: *takeOver,
		})
		if err != nil {
			return err
		}
		if *asJSON {
			v := viewUser(u)
			v.Account = a.ID
			if password.generated {
				v.Password = password.text
			}
			return p.printJSON(v)
		}
		return p.printFields(password.fields(field{"id", u.ID}, field{"email", u.Email}, field{"account", a.ID})...)
	})
	return cmd
}

func (p *program) userList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all users",
		Example: `  xenoauth user list --search example.org
  xenoauth user list --limit 0 --json`,
		Args: arguments(),
	}
	asJSON, l := jsonFlag(cmd), listFlags(cmd, "name, e-mail address or id")
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		users, err := list(ctx, p, l, "", e.store.ListUsers, func(u store.User) string { return u.ID })
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		views := make([]userView, 0, len(users))
		rows := make([][]string, 0, len(users))
		for _, u := range users {
			v := viewUser(u)
			views = append(views, v)
			rows = append(rows, []string{v.ID, v.Email, yesNo(v.Verified), v.Name, yesNo(v.Operator), yesNo(v.Disabled), v.CreatedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"ID", "E-MAIL", "VERIFIED", "NAME", "OPERATOR", "DISABLED", "CREATED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) userShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show EMAIL_OR_ID",
		Short:   "Show a user and the user's accounts",
		Example: "  xenoauth user show ada@example.org",
		Args:    arguments("EMAIL_OR_ID"),
	}
	p.define(cmd.Flags(), "account-failures")
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.act(func(cmd *cobra.Command, args []string) error {
		settings := p.load(cmd)
		failures := settings.number("account-failures", 1, 1_000_000)
		o, err := p.open(cmd, settings)
		if err != nil {
			return err
		}
		defer o.close()
		ctx := cmd.Context()
		u, err := o.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		members, err := o.store.MembersByUser(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("accounts of user %s: %w", u.ID, err)
		}
		v := viewUser(u)
		locked := "no"
		if v.Locked, err = lockedUntil(ctx, o, u, failures); err != nil {
			return err
		}
		if v.Locked != nil {
			locked = fmt.Sprintf("until %s, after %d wrong passwords in a day; \"xenoauth user unlock\" opens it", v.Locked, failures)
		}
		var accounts []string
		for _, m := range members {
			v.Accounts = append(v.Accounts, memberView{Account: m.AccountID, Name: m.AccountName, Role: string(m.Role), JoinedAt: jsonTime(m.JoinedAt)})
			accounts = append(accounts, fmt.Sprintf("%s  %s (%s)", m.AccountID, m.AccountName, m.Role))
		}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"email", v.Email}, field{"verified", yesNo(v.Verified)}, field{"name", v.Name}, field{"operator", yesNo(v.Operator)},
			field{"disabled", yesNo(v.Disabled)}, field{"locked", locked}, field{"created", v.CreatedAt.String()},
			field{"accounts", strings.Join(accounts, "\n")})
	})
	return cmd
}

// lockedUntil returns when a user can log in again, or nil for now.
func lockedUntil(ctx context.Context, e *env, u store.User, failures int) (*jsonTime, error) {
	locks, err := server.Locks(ctx, e.store, failures)
	if err != nil {
		return nil, err
	}
	wait, err := locks.Locked(ctx, u)
	if err != nil || wait == 0 {
		return nil, err
	}
	until := jsonTime(e.store.Now().Add(wait))
	return &until, nil
}

func (p *program) userUnlock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock EMAIL_OR_ID",
		Short: "Let a user log in again after too many wrong passwords",
		Long: `Let a user log in again after too many wrong passwords: the wrong passwords that were counted
of the account are forgotten. Neither the password nor sessions change.`,
		Example: "  xenoauth user unlock ada@example.org",
		Args:    arguments("EMAIL_OR_ID"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		u, err := e.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		locks, err := server.Locks(ctx, e.store, 0)
		if err != nil {
			return err
		}
		if err := locks.Unlock(ctx, operator(), u); err != nil {
			return err
		}
		return p.done(*asJSON, "unlocked", u.ID, u.Email)
	})
	return cmd
}

func (p *program) userDisable(disable bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "disable EMAIL_OR_ID",
		Short: "Disable a user, with all sessions and tokens, until the user is enabled again",
		Long: `Shut a user out until enabled again: sessions, user tokens, tokens of apps that the user has
installed, and API keys that act for the user are refused. Account API keys, bots and apps of
the user's accounts go on; "xenoauth account disable" and "app suspend" stop them.`,
		Example: "  xenoauth user disable ada@example.org",
		Args:    arguments("EMAIL_OR_ID"),
	}
	word := "disabled"
	if !disable {
		cmd.Use, cmd.Short, cmd.Long, word = "enable EMAIL_OR_ID", "Enable a disabled user; tokens work again", "", "enabled"
		cmd.Example = "  xenoauth user enable ada@example.org"
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		u, err := e.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := e.store.SetUserDisabled(ctx, operator(), u.ID, disable); err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
		if err := p.done(*asJSON, word, u.ID, u.Email); err != nil || *asJSON || !disable {
			return err
		}
		p.printLine("Refused from now on: sessions, user tokens, tokens of installed apps, API keys that act for the user.")
		p.printLine("Still working: account API keys, bots and apps of the user's accounts.")
		return nil
	})
	return cmd
}

func (p *program) userRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove EMAIL_OR_ID",
		Short: "Remove a user permanently",
		Long: `Remove a user permanently: the user leaves all accounts, and every session and token of the user
is dead, API keys that act for the user among them. What belongs to the accounts stays: account
API keys, bots, apps. A verified e-mail address cannot be used again; one that the user never
proved is free. On a terminal you are asked first.`,
		Example: "  xenoauth user remove ada@example.org --yes",
		Args:    arguments("EMAIL_OR_ID"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		u, err := e.directory.ResolveUser(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := p.confirm(*yes, "Remove %s (%s) permanently?", u.Email, u.Name); err != nil {
			return err
		}
		if err := e.store.DeleteUser(ctx, operator(), u.ID); err != nil {
			return fmt.Errorf("remove user %s: %w", u.ID, err)
		}
		return p.done(*asJSON, "removed", u.ID, u.Email)
	})
	return cmd
}

// doneView is the JSON output of a command without a view of its own.
type doneView struct {
	ID       string `json:"id"`
	Done     string `json:"done"`
	Password string `json:"password,omitempty"` // if it was generated
}

// done prints a change: the action, and the id and the name of the changed object.
func (p *program) done(asJSON bool, what, id, name string) error {
	if asJSON {
		return p.printJSON(doneView{ID: id, Done: what})
	}
	p.printLine("%s: %s (%s)", what, name, id)
	return nil
}
