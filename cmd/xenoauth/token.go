package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"xenoauth/internal/directory"
	"xenoauth/internal/secret"
	"xenoauth/internal/signing"
	"xenoauth/internal/verify"
	"xenoauth/store"
)

// tokenView is the output of inspect in JSON. For a token that is not active, it has only that field.
type tokenView struct {
	Active       bool          `json:"active"`
	State        string        `json:"state,omitempty"` // active, expired, revoked, used or suspended; absent: unknown
	Why          string        `json:"why,omitempty"`
	TokenID      string        `json:"token_id,omitempty"`
	Kind         string        `json:"kind,omitempty"`
	ClientID     string        `json:"client_id,omitempty"`
	AppName      string        `json:"app_name,omitempty"`
	Subject      string        `json:"sub,omitempty"`
	User         *tokenUser    `json:"user,omitempty"`
	Account      *tokenAccount `json:"account,omitempty"`
	Installation string        `json:"installation,omitempty"`
	Scopes       []string      `json:"scopes,omitempty"`
	Permissions  []string      `json:"permissions,omitempty"`
	Audience     []string      `json:"audience,omitempty"`
	IssuedAt     *jsonTime     `json:"issued_at,omitempty"`
	ExpiresAt    *jsonTime     `json:"expires_at,omitempty"` // absent: never
}

type tokenUser struct {
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
}

type tokenAccount struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
}

func viewToken(id verify.Identity) tokenView {
	issued, expires := jsonTime(id.IssuedAt), jsonTime(id.ExpiresAt)
	v := tokenView{
		Active: true, State: directory.StateActive, TokenID: id.TokenID.String(), Kind: id.Kind.String(), ClientID: id.ClientID, AppName: id.AppName,
		Subject: id.Subject, Installation: id.Installation, Scopes: id.Scopes.Slice(), Audience: id.Audience, IssuedAt: &issued,
	}
	if !id.ExpiresAt.IsZero() {
		v.ExpiresAt = &expires
	}
	if id.User != nil {
		v.User = &tokenUser{ID: id.User.ID, Email: id.User.Email}
	}
	if id.Account != nil {
		v.Account = &tokenAccount{ID: id.Account.ID, Name: id.Account.Name, Role: string(id.Role)}
	}
	for _, permission := range id.Permissions {
		v.Permissions = append(v.Permissions, string(permission))
	}
	return v
}

func (v tokenView) fields() []field {
	fields := []field{
		{"state", v.State}, {"token id", v.TokenID}, {"kind", v.Kind}, {"subject", v.Subject},
	}
	switch {
	case v.AppName != "":
		fields = append(fields, field{"app", v.ClientID + "  " + v.AppName})
	case v.Kind == secret.Refresh.String():
		fields = append(fields, field{"app", v.ClientID})
	case v.ClientID != "":
		fields = append(fields, field{"API key", v.ClientID})
	}
	if v.User != nil {
		fields = append(fields, field{"user", v.User.ID + "  " + v.User.Email})
	}
	if v.Account != nil {
		fields = append(fields, field{"account", strings.TrimSpace(v.Account.ID + "  " + v.Account.Name)}, field{"role", v.Account.Role})
	}
	expires := "never"
	if v.ExpiresAt != nil {
		expires = v.ExpiresAt.String()
	}
	return append(fields, field{"installation", v.Installation}, field{"scopes", strings.Join(v.Scopes, " ")},
		field{"permissions", strings.Join(v.Permissions, " ")}, field{"audience", strings.Join(v.Audience, " ")},
		field{"issued", v.IssuedAt.String()}, field{"expires", expires})
}

// errInactive is the error for a token that is malformed, unknown, expired or revoked.
var errInactive = errors.New("the token is not active: this server knows no such credential")

func (p *program) tokenCommand() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:   "token",
		Short: "Inspect or end a credential",
	}, p.tokenInspect(), p.tokenRevoke())
}

func (p *program) tokenInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect -",
		Short: "Show the kind, state, owner and rights of the credential on standard input",
		Long: `Show the kind, state and owner of the credential on standard input: an access, refresh, user or
integration token, an API key, a secret of an app, a bot or a resource server, an authorization
code or the id of a consent request; of an access token also its rights. Its last use is not
touched. Exit code 0 is for one that is live; 1 for one that is not, or is unknown.`,
		Example: `  xenoauth token inspect - < token.txt
  printf %s "$TOKEN" | xenoauth token inspect - --json`,
		Args: fromStandardInput,
	}
	p.define(cmd.Flags(), "user-token-secret")
	token, asJSON := p.tokenInput(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		v := verify.New(e.store, e.format, e.catalogue, verify.APIPlans(e.apiPlans...), verify.UserTokens(signing.New(e.store, signing.Options{Secret: e.shared})))
		id, err := v.Inspect(ctx, *token)
		if errors.Is(err, verify.ErrInvalid) {
			id, err = v.InspectRefresh(ctx, *token)
		}
		err = errors.Join(err, v.Close(ctx))
		if errors.Is(err, verify.ErrInvalid) {
			return p.inspectOther(ctx, e, *token, *asJSON)
		}
		if err != nil {
			return err
		}
		view := viewToken(id)
		if *asJSON {
			return p.printJSON(view)
		}
		return p.printFields(view.fields()...)
	})
	return cmd
}

// inspectOther shows everything except live access tokens: other kinds of credentials, and ended ones.
func (p *program) inspectOther(ctx context.Context, e *env, text string, asJSON bool) error {
	x, err := e.directory.Examine(ctx, operator(), text)
	unknown := errors.Is(err, store.ErrNotFound)
	if err != nil && !unknown {
		return err
	}
	// The hash is right but verification failed, so the settings refuse the token.
	bearer := x.Kind == secret.JWT.String() || x.Kind == secret.APIKey.String() || x.Kind == secret.Integration.String()
	if x.State == directory.StateActive && bearer {
		x.State, x.Why = directory.StateSuspended, "the settings refuse it: look at --user-token-secret and --api-plans"
	}
	v := tokenView{}
	if !unknown {
		issued, expires := jsonTime(x.CreatedAt), jsonTime(x.ExpiresAt)
		v = tokenView{Active: x.State == directory.StateActive, State: x.State, Why: x.Why, TokenID: x.ID, Kind: x.Kind, ClientID: x.Owner, IssuedAt: &issued}
		if !x.ExpiresAt.IsZero() {
			v.ExpiresAt = &expires
		}
		if x.User != "" {
			v.User = &tokenUser{ID: x.User}
		}
		if x.Account != "" {
			v.Account = &tokenAccount{ID: x.Account}
		}
	}
	err = nil
	if asJSON {
		err = p.printJSON(v)
	} else if !unknown {
		err = p.printFields(v.otherFields()...)
	}
	switch {
	case err != nil:
		return err
	case unknown:
		return errInactive
	case v.Active:
		return nil
	case x.Why != "":
		return fmt.Errorf("the %s is not active: %s, because %s", x.Kind, x.State, x.Why)
	}
	return fmt.Errorf("the %s is not active: %s", x.Kind, x.State)
}

// otherFields returns the fields that inspectOther prints.
func (v tokenView) otherFields() []field {
	fields := []field{{"state", v.State}, {"kind", v.Kind}, {"id", v.TokenID}}
	if v.ClientID != "" {
		fields = append(fields, field{"owner", v.ClientID})
	}
	if v.User != nil {
		fields = append(fields, field{"user", v.User.ID})
	}
	if v.Account != nil {
		fields = append(fields, field{"account", v.Account.ID})
	}
	expires := "never"
	if v.ExpiresAt != nil {
		expires = v.ExpiresAt.String()
	}
	return append(fields, field{"issued", v.IssuedAt.String()}, field{"expires", expires})
}

func (p *program) tokenRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke -",
		Short: "End the credential on standard input permanently",
		Long: `End the credential on standard input permanently: an access, refresh, user or integration token,
an API key, or a secret of an app, a bot or a resource server. A refresh token ends the access
tokens of its family as well.`,
		Example: `  xenoauth token revoke - < token.txt`,
		Args:    fromStandardInput,
	}
	token, asJSON := p.tokenInput(cmd), jsonFlag(cmd)
	cmd.RunE = p.with(func(ctx context.Context, e *env, _ []string) error {
		if err := e.directory.RevokeToken(ctx, operator(), *token); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return errors.New("this server has no such token")
			}
			return err
		}
		if *asJSON {
			return p.printJSON(struct {
				Revoked bool `json:"revoked"`
			}{true})
		}
		p.printLine("revoked")
		return nil
	})
	return cmd
}

// tokenInput returns the token on standard input, once the command runs.
func (p *program) tokenInput(cmd *cobra.Command) *string {
	var token string
	cmd.PreRunE = p.act(func(*cobra.Command, []string) (err error) {
		token, err = p.readLine("token")
		return err
	})
	return &token
}

// fromStandardInput requires the argument "-": other users of the machine can read the command line.
func fromStandardInput(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] != "-" {
		return usageErrorf("%s reads the token from standard input: use - as the argument", cmd.CommandPath())
	}
	return nil
}
