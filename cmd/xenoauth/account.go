package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// accountView is an account in JSON.
type accountView struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Plan      string       `json:"plan"`
	Disabled  bool         `json:"disabled"`
	CreatedAt jsonTime     `json:"created_at"`
	Members   []memberView `json:"members,omitempty"` // in show
}

// memberView is a member of an account, or an account of a user.
type memberView struct {
	User     string   `json:"user,omitempty"`
	Email    string   `json:"email,omitempty"`
	Account  string   `json:"account,omitempty"`
	Name     string   `json:"name"` // of the user or the account
	Role     string   `json:"role"`
	JoinedAt jsonTime `json:"joined_at"`
}

func viewAccount(a store.Account) accountView {
	return accountView{ID: a.ID, Name: a.Name, Plan: a.Plan, Disabled: !a.DisabledAt.IsZero(), CreatedAt: jsonTime(a.CreatedAt)}
}

func (p *program) accountCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "account",
		Short: "Show accounts, disable them, change their plans and members",
		Long: `Show accounts, disable them, change their plans and members.

ACCOUNT_OR_EMAIL is an account's id (acc_…), or the e-mail address of a user who has one
account only.`,
	}, p.accountList(), p.accountShow(), p.accountDisable(true), p.accountDisable(false), p.accountSetPlan(), p.accountAddMember(), p.accountRemoveMember(), p.accountSetRole())
}

func (p *program) accountList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all accounts",
		Example: "  xenoauth account list",
		Args:    arguments(),
	}
	asJSON, l := jsonFlag(cmd), listFlags(cmd, "name or id")
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		accounts, err := list(ctx, p, l, "", e.store.ListAccounts, func(a store.Account) string { return a.ID })
		if err != nil {
			return fmt.Errorf("list accounts: %w", err)
		}
		views := make([]accountView, 0, len(accounts))
		rows := make([][]string, 0, len(accounts))
		for _, a := range accounts {
			v := viewAccount(a)
			views = append(views, v)
			rows = append(rows, []string{v.ID, v.Name, v.Plan, yesNo(v.Disabled), v.CreatedAt.String()})
		}
		if *asJSON {
			return p.printJSON(views)
		}
		return p.printRows([]string{"ID", "NAME", "PLAN", "DISABLED", "CREATED (UTC)"}, rows)
	})
	return cmd
}

func (p *program) accountShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ACCOUNT_OR_EMAIL",
		Short:   "Show an account and its members",
		Example: "  xenoauth account show ada@example.org --json",
		Args:    arguments("ACCOUNT_OR_EMAIL"),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.ResolveAccount(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		members, err := e.store.MembersByAccount(ctx, a.ID)
		if err != nil {
			return fmt.Errorf("members of account %s: %w", a.ID, err)
		}
		v := viewAccount(a)
		var lines []string
		for _, m := range members {
			v.Members = append(v.Members, memberView{User: m.UserID, Email: m.Email, Name: m.UserName, Role: string(m.Role), JoinedAt: jsonTime(m.JoinedAt)})
			lines = append(lines, fmt.Sprintf("%s  %s (%s)", m.Email, m.UserName, m.Role))
		}
		if *asJSON {
			return p.printJSON(v)
		}
		return p.printFields(field{"id", v.ID}, field{"name", v.Name}, field{"plan", v.Plan}, field{"disabled", yesNo(v.Disabled)},
			field{"created", v.CreatedAt.String()}, field{"members", strings.Join(lines, "\n")})
	})
	return cmd
}

func (p *program) accountDisable(disable bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "disable ACCOUNT_OR_EMAIL",
		Short: "Refuse every token and key of an account until it is enabled again",
		Long: `Refuse every token and key that acts in an account, whatever its kind, until the account is
enabled again: those of apps that are installed on it, of its members and bots, and its API
keys. Its members can log in, but nothing is granted in it. Apps that belong to it go on for
other accounts; "xenoauth app suspend" ends that.`,
		Example: "  xenoauth account disable ada@example.org",
		Args:    arguments("ACCOUNT_OR_EMAIL"),
	}
	word := "disabled"
	if !disable {
		cmd.Use, cmd.Short, cmd.Long, word = "enable ACCOUNT_OR_EMAIL", "Let a disabled account work again, with its tokens and keys", "", "enabled"
		cmd.Example = "  xenoauth account enable ada@example.org"
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.ResolveAccount(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := e.store.SetAccountDisabled(ctx, operator(), a.ID, disable); err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
		return p.done(*asJSON, word, a.ID, a.Name)
	})
	return cmd
}

func (p *program) accountSetPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set-plan ACCOUNT_OR_EMAIL PLAN",
		Short: "Change the plan: standard may use the platform's API, free may not",
		Long: `Change the plan. Those of --api-plans (standard) may use the platform's API, free may not: keys
and tokens of the account are refused until its plan allows them again.`,
		Example: "  xenoauth account set-plan ada@example.org free",
		Args:    arguments("ACCOUNT_OR_EMAIL", "PLAN"),
	}
	asJSON := jsonFlag(cmd)
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		s := p.load(cmd)
		known := plans(s.apiPlans())
		// Invalid settings are reported together, when the database is opened.
		if s.err() == nil && !slices.Contains(known, args[1]) {
			return usageErrorf("invalid plan %q (want %s)", args[1], strings.Join(known, " or "))
		}
		return nil
	}
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, err := e.directory.ResolveAccount(ctx, operator(), args[0])
		if err != nil {
			return err
		}
		if err := e.store.SetAccountPlan(ctx, operator(), a.ID, args[1]); err != nil {
			return fmt.Errorf("set plan of account %s: %w", a.ID, err)
		}
		return p.done(*asJSON, "plan "+args[1], a.ID, a.Name)
	})
	return cmd
}

// roleArgument returns a function that gives the third argument, or fallback if it is optional and absent, once the command runs.
func roleArgument(cmd *cobra.Command, fallback scope.Role) *scope.Role {
	role := fallback
	cmd.PreRunE = func(_ *cobra.Command, args []string) (err error) {
		if len(args) > 2 {
			if role, err = scope.ParseRole(args[2]); err != nil {
				return usageErrorf("%q: %v", args[2], err)
			}
		}
		return nil
	}
	return &role
}

// membership finds the account and the user of a membership.
func (e *env) membership(ctx context.Context, args []string) (store.Account, store.User, error) {
	a, err := e.directory.ResolveAccount(ctx, operator(), args[0])
	if err != nil {
		return store.Account{}, store.User{}, err
	}
	u, err := e.directory.ResolveUser(ctx, operator(), args[1])
	return a, u, err
}

func (p *program) accountAddMember() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add-member ACCOUNT_OR_EMAIL MEMBER_EMAIL [ROLE]",
		Short: "Add a user to an account",
		Long: `Add a user to an account, as guest, agent (when no role is given), bot or admin. The user
then chooses between accounts on the consent page. A user who has signed up must have a
verified e-mail address ("xenoauth user edit --email-verified").`,
		Example: "  xenoauth account add-member ada@example.org charles@example.org admin",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return arguments("ACCOUNT_OR_EMAIL", "MEMBER_EMAIL", "ROLE")(cmd, args)
		},
	}
	role, asJSON := roleArgument(cmd, scope.RoleAgent), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, u, err := e.membership(ctx, args)
		if err != nil {
			return err
		}
		if err := e.store.AddMember(ctx, operator(), a.ID, u.ID, *role); err != nil {
			return memberError(err, a, u)
		}
		return p.done(*asJSON, fmt.Sprintf("%s is now a member with the role %s", u.Email, *role), a.ID, a.Name)
	})
	return cmd
}

func (p *program) accountRemoveMember() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove-member ACCOUNT_OR_EMAIL MEMBER_EMAIL",
		Short: "Remove a user from an account, even its last admin",
		Long: `Remove a user from an account, even its last admin. Tokens of the user for this account, and API
keys that act for the user in it, are refused from then on. Account API keys and bots that the
user made stay: they belong to the account. On a terminal you are asked first.`,
		Example: "  xenoauth account remove-member acc_0AbCdEfGhIjKlMnOpQrStU charles@example.org",
		Args:    arguments("ACCOUNT_OR_EMAIL", "MEMBER_EMAIL"),
	}
	yes, asJSON := confirmFlag(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, u, err := e.membership(ctx, args)
		if err != nil {
			return err
		}
		if err := p.confirm(*yes, "Take %s out of the account %s?", u.Email, a.Name); err != nil {
			return err
		}
		if err := e.store.RemoveMember(ctx, operator(), a.ID, u.ID); err != nil {
			return memberError(err, a, u)
		}
		return p.done(*asJSON, u.Email+" is no longer a member", a.ID, a.Name)
	})
	return cmd
}

func (p *program) accountSetRole() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set-role ACCOUNT_OR_EMAIL MEMBER_EMAIL ROLE",
		Short:   "Change the role of a member: guest, agent, bot or admin",
		Example: "  xenoauth account set-role ada@example.org charles@example.org guest",
		Args:    arguments("ACCOUNT_OR_EMAIL", "MEMBER_EMAIL", "ROLE"),
	}
	role, asJSON := roleArgument(cmd, ""), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, args []string) error {
		a, u, err := e.membership(ctx, args)
		if err != nil {
			return err
		}
		if err := e.store.SetMemberRole(ctx, operator(), a.ID, u.ID, *role); err != nil {
			return memberError(err, a, u)
		}
		return p.done(*asJSON, fmt.Sprintf("%s has the role %s", u.Email, *role), a.ID, a.Name)
	})
	return cmd
}

// memberError explains why a membership could not be changed.
func memberError(err error, a store.Account, u store.User) error {
	switch {
	case u.Bot && errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%s is a bot, which stays in its account with its role; \"xenoauth bot remove\" removes it", u.Email)
	case errors.Is(err, store.ErrUnverified):
		return fmt.Errorf("%[1]s is not verified: it was typed at sign-up and never proved. Find out whether user %[2]s owns the address, then run\n"+
			"\"xenoauth user edit %[2]s --email-verified\" if so, or \"xenoauth user add %[1]s --take-over\" for its owner if not", u.Email, u.ID)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%s is a member of %s already; \"xenoauth account set-role\" changes the role", u.Email, a.ID)
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%s is not a member of %s", u.Email, a.ID)
	}
	return fmt.Errorf("change members of account %s: %w", a.ID, err)
}
